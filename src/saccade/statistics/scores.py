"""All headline scores of a classifier, each with its 95 % interval."""

from collections.abc import Callable

import numpy as np
from scipy.sparse import csr_array

from saccade.statistics.bootstrap import percentile_limits, resampled, sampling
from saccade.statistics.calibration import bin_of, gap_estimate
from saccade.statistics.classification import brier_scores, check, confusion_matrix, log_losses, per_class, top_k
from saccade.statistics.grouped import share
from saccade.statistics.interval import Estimate

BINS, RESAMPLES = 15, 1000
Statistic = Callable[[np.ndarray], np.ndarray]


def classification_scores(
    labels: np.ndarray, probabilities: np.ndarray, seed: int = 0, groups: np.ndarray | None = None
) -> dict[str, Estimate]:
    """Accuracy (Wilson), top-5 from ten classes on (Wilson), and bootstrap over images for the others.

    `groups` (N,): images of one are drawn together. Of a single group nothing can be told of others: its images are drawn.

    The calibration error of few images is too large by chance; its interval allows for that, see gap_estimate.

    Macro F1 and balanced accuracy are means over the classes that occur among the labels.
    """
    check(labels, probabilities)
    n, classes = probabilities.shape
    predicted = probabilities.argmax(1)
    groups = groups if groups is not None and 2 <= len(np.unique(groups)) < n else None
    draws = sampling(n, clusters=groups)
    found = {"accuracy": share(predicted == labels, groups)}
    if classes >= 10:
        found["top5_accuracy"] = share(top_k(labels, probabilities, 5), groups)
    rows = per_class(confusion_matrix(labels, predicted, classes))
    occurring = [row for row in rows if row.n]
    values: dict[str, tuple[float, Statistic]] = {
        "macro_f1": (float(np.mean([row.f1 for row in occurring])), _macro_f1(labels, predicted, classes)),
        "balanced_accuracy": (float(np.mean([row.recall for row in occurring])), _balanced(labels, predicted, classes)),
        "log_loss": _mean(log_losses(labels, probabilities)),
        "brier": _mean(brier_scores(labels, probabilities)),
    }
    gaps = _gaps(labels, probabilities)
    every = (*(statistic for _, statistic in values.values()), lambda counts: counts @ gaps / counts.sum(1, keepdims=True))
    drawn = resampled(lambda counts: np.column_stack([each(counts) for each in every]), draws, seed, RESAMPLES)
    for (name, (value, _)), column in zip(values.items(), drawn.T, strict=False):
        found[name] = Estimate(value, *percentile_limits(column), n)
    found["ece"] = gap_estimate(gaps, drawn[:, len(values) :])
    return found


def _mean(values: np.ndarray) -> tuple[float, Statistic]:
    return float(values.mean()), lambda counts: counts @ values / counts.sum(1)


def _indicator(where: np.ndarray, size: int) -> csr_array:
    """(N, size) with a one in column where[i] of row i; a negative `where` gives a row of zeros."""
    rows = np.flatnonzero(where >= 0)
    return csr_array((np.ones(len(rows)), (rows, where[rows])), (len(where), size))


def _confusion(labels: np.ndarray, predicted: np.ndarray, classes: int) -> tuple[csr_array, csr_array, csr_array]:
    hits = np.where(predicted == labels, labels, -1)
    return _indicator(hits, classes), _indicator(labels, classes), _indicator(predicted, classes)


def _macro_f1(labels: np.ndarray, predicted: np.ndarray, classes: int) -> Statistic:
    hits, truth, said = _confusion(labels, predicted, classes)

    def statistic(counts: np.ndarray) -> np.ndarray:
        there = counts @ truth
        return _mean_where(2 * (counts @ hits), there + counts @ said, there > 0)

    return statistic


def _balanced(labels: np.ndarray, predicted: np.ndarray, classes: int) -> Statistic:
    hits, truth, _ = _confusion(labels, predicted, classes)

    def statistic(counts: np.ndarray) -> np.ndarray:
        there = counts @ truth
        return _mean_where(counts @ hits, there, there > 0)

    return statistic


def _mean_where(above: np.ndarray, below: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """(R,) the mean over the valid columns of above / below, (R, C)."""
    return np.where(valid, above / np.maximum(below, 1), 0).sum(1) / valid.sum(1)


def _gaps(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """(N, bins) confidence minus truth of each image, in the column of its bin: the means of columns are ECE's terms."""
    confidence = probabilities.max(1).astype(np.float64)
    gap = confidence - (probabilities.argmax(1) == labels)
    return _indicator(bin_of(confidence, BINS), BINS).toarray() * gap[:, None]
