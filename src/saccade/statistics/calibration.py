"""Whether a confidence of 80 % means right in 80 of 100 cases."""

from dataclasses import dataclass

import numpy as np

from saccade.statistics.bootstrap import percentile_limits
from saccade.statistics.classification import check
from saccade.statistics.interval import Estimate


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


def reliability(labels: np.ndarray, probabilities: np.ndarray, bins: int = 15) -> list[Bin]:
    """The bins of a reliability diagram that hold an image, lowest first (Guo et al. 2017, arXiv:1706.04599, figure 1)."""
    check(labels, probabilities)
    confidence, right = probabilities.max(1).astype(np.float64), probabilities.argmax(1) == labels
    where = bin_of(confidence, bins)
    return [
        Bin(i / bins, (i + 1) / bins, float(confidence[here].mean()), float(right[here].mean()), int(here.sum()))
        for i in range(bins)
        if (here := where == i).any()
    ]


def expected_calibration_error(labels: np.ndarray, probabilities: np.ndarray, bins: int = 15) -> float:
    """The mean gap between confidence and accuracy over the bins (arXiv:1706.04599, equation 3).

    Biased upward on few images: a bin of ten images has a gap by chance alone.
    """
    return sum(b.n * abs(b.confidence - b.accuracy) for b in reliability(labels, probabilities, bins)) / len(labels)


def gap_estimate(gaps: np.ndarray, drawn: np.ndarray, level: float = 0.95) -> Estimate:
    """The sum over bins of |mean gap|, from the gaps (N, bins) of single images; its interval reaches up to it at least.

    `drawn` (R, bins): the mean gaps of bootstrap samples.

    Noise alone makes such a sum larger than it is, and a bootstrap repeats that. So the interval inverts a test instead:
    of all multiples of the mean gaps met, it keeps those that, with the bootstrap's noise, give a sum like the one met.
    Covers 90 % and more from 100 images on, in 15 bins (tests/statistics).
    """
    met = gaps.mean(0)
    value = float(np.abs(met).sum())
    noise, kept = drawn - met, []
    for scale in np.linspace(0, 2, 101):
        low, high = percentile_limits(np.abs(scale * met + noise).sum(1), level)
        if low <= value <= high:
            kept.append(scale * value)
    low, high = (min(kept, default=0.0), max(kept, default=value))
    return Estimate(value, min(low, value), max(high, value), len(gaps))
