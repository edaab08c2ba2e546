"""Whether a confidence of 80 % means right in 80 of 100 cases."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from saccade.statistics.classification import check
from saccade.statistics.interval import Estimate


BINS, RESAMPLES = 15, 1000


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
    accuracies that the bins may truly have, from calibrated ones to far worse than those met (`Bins.true`), it keeps those
    under which a sum like the one met is drawn.
    """
    _, where = np.unique(bin_of(confidence, BINS), return_inverse=True)
    held = np.bincount(where)
    samples = np.random.default_rng(seed).multinomial(max(1, round(count)), held / len(where), size=RESAMPLES)
    bins = Bins(held / len(where), np.bincount(where, confidence) / held, np.bincount(where, right) / held, samples)
    value = bins.error(bins.met)

    def drawn(place: float, tail: float) -> float:
        return float(np.quantile(bins.drawn(bins.true(place), seed), tail))

    low = first(lambda place: drawn(place, (1 + level) / 2) >= value)
    high = first(lambda place: drawn(place, (1 - level) / 2) > value)
    ends = (bins.error(bins.true(place)) for place in (low, high))
    return Estimate(value, min(value, next(ends)), max(value, next(ends)), len(where))


def first(beyond: Callable[[float], bool]) -> float:
    """The place from 0 to 1 from which on it holds, within 1 / 256; 1 where it never does."""
    low, high = 0.0, 1.0
    if beyond(0.0):
        return 0.0
    for _ in range(8):
        middle = (low + high) / 2
        low, high = (low, middle) if beyond(middle) else (middle, high)
    return high


@dataclass(frozen=True)
class Bins:
    """Of each bin that holds an image its share of them, its mean confidence and accuracy; how many it holds in samples."""

    share: np.ndarray
    said: np.ndarray
    met: np.ndarray
    samples: np.ndarray

    def error(self, accuracy: np.ndarray) -> float:
        return float(self.share @ np.abs(self.said - accuracy))

    def true(self, place: float) -> np.ndarray:
        """What accuracies may be: those said at 0, those met at 1/2, and farther off up to 1.

        The second half goes along Wilson's limits of all bins at one level, up to 4 standard errors.
        """
        if place <= 0.5:
            return self.said + 2 * place * (self.met - self.said)
        z, held = 8 * place - 4, self.share * self.samples[0].sum()
        half = z * np.sqrt(self.met * (1 - self.met) / held + (z / (2 * held)) ** 2)
        away = np.where(self.met > self.said, half, -half)
        return np.clip((self.met + z**2 / (2 * held) + away) / (1 + z**2 / held), 0, 1)

    def drawn(self, accuracy: np.ndarray, seed: int) -> np.ndarray:
        """(R,) the sums that the samples would give."""
        right = np.random.default_rng(seed).binomial(self.samples, accuracy)
        return np.abs(self.samples * self.said - right).sum(1) / self.samples[0].sum()
