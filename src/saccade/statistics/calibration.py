"""Whether a confidence of 80 % means right in 80 of 100 cases."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from saccade.statistics.bootstrap import resampled, sampling
from saccade.statistics.classification import check
from saccade.statistics.grouped import independent
from saccade.statistics.interval import Estimate
from saccade.statistics.rare import differing

BINS, RESAMPLES, HALVINGS = 15, 600, 10
EQUAL = 1e-9  # sums of the same may differ by roundings


@dataclass(frozen=True)
class Bin:
    """Images whose confidence lies above `low` and not above `high`: mean confidence, accuracy, how many."""

    low: float
    high: float
    confidence: float
    accuracy: float
    n: int


def bin_of(confidence: np.ndarray, bins: int) -> np.ndarray:
    """(N,) the index of the bin, bins of equal width, each with its upper edge."""
    return np.clip(np.ceil(confidence * bins).astype(np.int64) - 1, 0, bins - 1)


def reliability(labels: np.ndarray, probabilities: np.ndarray, bins: int = BINS) -> list[Bin]:
    """The bins of a reliability diagram that hold an image, lowest first (Guo et al. 2017, arXiv:1706.04599, figure 1)."""
    check(labels, probabilities)
    confidence, right = probabilities.max(1).astype(np.float64), probabilities.argmax(1) == labels
    where = bin_of(confidence, bins)
    return [
        Bin(i / bins, (i + 1) / bins, float(confidence[here].mean()), float(right[here].mean()), int(here.sum()))
        for i in range(bins)
        if (here := where == i).any()
    ]


def expected_calibration_error(labels: np.ndarray, probabilities: np.ndarray, bins: int = BINS) -> float:
    """The mean gap between confidence and accuracy over the bins (arXiv:1706.04599, equation 3).

    Biased upward on few images: a bin of ten images has a gap by chance alone.
    """
    return sum(b.n * abs(b.confidence - b.accuracy) for b in reliability(labels, probabilities, bins)) / len(labels)


def gap_estimate(
    confidence: np.ndarray, right: np.ndarray, seed: int, groups: np.ndarray | None = None, level: float = 0.95
) -> Estimate:
    """The expected calibration error of images (N,), in 15 bins.

    Noise alone makes such a sum larger than it is, and a bootstrap repeats that; of images that are all right it sees no
    noise at all. So the interval inverts a test (by parametric bootstrap, Davison and Hinkley 1997, section 5.6): of
    accuracies that the bins may truly have, it keeps those under which a sum like the one met is drawn. Of groups it takes
    in what the bootstrap of groups would keep, which knows that bins err together.

    Covers 93 to 98 % of 100 images and more (tests/statistics/test_scores.py, test_coverage.py). Of 60 groups, each easy or
    hard in all bins alike, it covered 88 %: with so few, take the Brier score.
    """
    _, where = np.unique(bin_of(confidence, BINS), return_inverse=True)
    held = np.bincount(where)
    bins = Bins(held / len(where), np.bincount(where, confidence) / held, np.bincount(where, right) / held)
    gaps = np.where(where == np.arange(len(held))[:, None], confidence - right, 0.0)
    count = independent(gaps, groups, differing(right, groups))
    limits = [bins.limits(binomial(bins, count, seed), level)]
    if groups is not None:
        drawn = resampled(lambda counts: counts @ gaps.T, sampling(len(where), clusters=groups), seed, RESAMPLES)
        noise = drawn / len(where) - gaps.mean(1)
        limits.append(bins.limits(lambda true: np.abs(bins.share * (bins.said - true) + noise).sum(1), level))
    value = bins.error(bins.met)
    return Estimate(value, min(value, *(low for low, _ in limits)), max(value, *(high for _, high in limits)), len(where))


Drawn = Callable[[np.ndarray], np.ndarray]


def binomial(bins: "Bins", count: float, seed: int) -> Drawn:
    """The errors of samples of so many independent images, from the accuracies of the bins."""
    n = max(1, round(count))
    held = np.random.default_rng(seed).multinomial(n, bins.share, size=RESAMPLES)

    def drawn(accuracy: np.ndarray) -> np.ndarray:
        right = np.random.default_rng(seed).binomial(held, accuracy)
        return np.abs(held * bins.said - right).sum(1) / n

    return drawn


@dataclass(frozen=True)
class Bins:
    """Of each bin that holds an image its share of them, its mean confidence and its accuracy."""

    share: np.ndarray
    said: np.ndarray
    met: np.ndarray

    def error(self, accuracy: np.ndarray) -> float:
        return float(self.share @ np.abs(self.said - accuracy))

    def limits(self, drawn: Drawn, level: float) -> tuple[float, float]:
        """The least and the largest error of accuracies that are not rejected.

        They lie between those said and those met, in all bins by the same part or by as much; and beyond those met, by as
        much lower, higher, or farther from those said.
        """
        value, gap = self.error(self.met), self.met - self.said

        def nearest(true: Callable[[float], np.ndarray]) -> float:
            return self.error(true(first(lambda way: np.quantile(drawn(true(way)), (1 + level) / 2) >= value - EQUAL)))

        def farthest(away: int | np.ndarray) -> float:
            def true(way: float) -> np.ndarray:
                return np.clip(self.met + away * way**2, 0, 1)  # in steps that are the finer, the nearer to what was met

            return self.error(true(first(lambda way: np.quantile(drawn(true(way)), (1 - level) / 2) > value + EQUAL)))

        rest = np.abs(gap) - np.abs(gap).max()
        low = min(
            nearest(lambda way: self.said + way * gap),
            nearest(lambda way: self.said + np.sign(gap) * np.maximum(0, rest + way * np.abs(gap).max())),
        )
        return low, max(farthest(-1), farthest(1), farthest(np.where(gap > 0, 1, -1)))


def first(beyond: Callable[[float], bool]) -> float:
    """The place from 0 to 1 from which on it holds, within one in 1,024; 1 where it never does."""
    low, high = 0.0, 1.0
    if beyond(0.0):
        return 0.0
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        low, high = (low, middle) if beyond(middle) else (middle, high)
    return high
