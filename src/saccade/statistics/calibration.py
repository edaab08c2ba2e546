"""Whether a confidence of 80 % means right in 80 of 100 cases."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from saccade.statistics.classification import check
from saccade.statistics.interval import Estimate

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


def gap_estimate(confidence: np.ndarray, right: np.ndarray, count: float, seed: int, level: float = 0.95) -> Estimate:
    """The expected calibration error of images (N,) that count for `count` independent ones, in 15 bins.

    Noise alone makes such a sum larger than it is, and a bootstrap repeats that; of images that are all right it sees no
    noise at all. So the interval inverts a test (by parametric bootstrap, Davison and Hinkley 1997, section 5.6): of
    accuracies that the bins may truly have, it keeps those under which a sum like the one met is drawn. They lie between
    those said and those met, in all bins by the same part or by as much; and beyond, by as much lower, higher, or farther.
    """
    _, where = np.unique(bin_of(confidence, BINS), return_inverse=True)
    held = np.bincount(where)
    said, met = np.bincount(where, confidence) / held, np.bincount(where, right) / held
    samples = np.random.default_rng(seed).multinomial(max(1, round(count)), held / len(where), size=RESAMPLES)
    bins = Bins(said, held / len(where), samples, seed)
    value = bins.error(met)

    def nearest(true: Callable[[float], np.ndarray]) -> float:
        return bins.error(true(first(lambda way: bins.drawn(true(way), (1 + level) / 2) >= value - EQUAL)))

    def farthest(away: int | np.ndarray) -> float:
        def true(way: float) -> np.ndarray:
            return np.clip(met + away * way**2, 0, 1)  # in steps that are the finer, the nearer to what was met

        return bins.error(true(first(lambda way: bins.drawn(true(way), (1 - level) / 2) > value + EQUAL)))

    gap = met - said
    largest = np.abs(gap).max()
    low = min(
        nearest(lambda way: said + way * gap),
        nearest(lambda way: said + np.sign(gap) * np.maximum(0, np.abs(gap) - (1 - way) * largest)),
    )
    high = max(farthest(-1), farthest(1), farthest(np.where(gap > 0, 1, -1)))
    return Estimate(value, min(value, low), max(value, high), len(where))


def first(beyond: Callable[[float], bool]) -> float:
    """The place from 0 to 1 from which on it holds, within one in 1,024; 1 where it never does."""
    low, high = 0.0, 1.0
    if beyond(0.0):
        return 0.0
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        low, high = (low, middle) if beyond(middle) else (middle, high)
    return high


@dataclass(frozen=True)
class Bins:
    """Of each bin that holds an image its mean confidence and its share of them; how many it holds in samples (R, bins)."""

    said: np.ndarray
    share: np.ndarray
    samples: np.ndarray
    seed: int

    def error(self, accuracy: np.ndarray) -> float:
        return float(self.share @ np.abs(self.said - accuracy))

    def drawn(self, accuracy: np.ndarray, part: float) -> float:
        """The error below which this part of the samples lies, of bins of that accuracy."""
        right = np.random.default_rng(self.seed).binomial(self.samples, accuracy)
        errors = np.abs(self.samples * self.said - right).sum(1) / self.samples[0].sum()
        return float(np.quantile(errors, part))
