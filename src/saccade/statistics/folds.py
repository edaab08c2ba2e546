"""Differences between folds: trainings that share most of their images."""

from dataclasses import dataclass
from math import sqrt

import numpy as np
from scipy import special

from saccade.statistics.contrast import Contrast
from saccade.statistics.interval import Estimate


@dataclass(frozen=True)
class FTest:
    """A statistic of the F distribution and its p-value."""

    statistic: float
    p: float


def corrected_t(differences: np.ndarray, test_share: float) -> Contrast:
    """The mean of differences (J,) of J = folds x repeats trainings, corrected for the images that they share.

    Nadeau and Bengio (2003, Machine Learning 52:239, section 3): the variance of the J is too small by itself, since their
    training sets overlap, and is taken times 1 / J + test / train instead of 1 / J; J - 1 degrees of freedom. `test_share`
    is test images / all images of one resample: 1 / K for K folds, once or repeated (Bouckaert and Frank 2004).
    A rule of thumb: no unbiased estimate of this variance exists (Bengio and Grandvalet 2004). On the cautious side: of two
    equally good learners it called one better in 1 to 4 of 100 cross-validations (tests/statistics/test_folds.py).
    ValueError for fewer than two folds.
    """
    if differences.ndim != 1 or len(differences) < 2:
        raise ValueError(f"one number a fold, and two folds at least, not {differences.shape}")
    if not 0 < test_share < 1:
        raise ValueError(f"the share of test images lies between 0 and 1, not {test_share}")
    count = len(differences)
    variance = float(differences.var(ddof=1))
    return Contrast(float(differences.mean()), corrected_error(variance, count, test_share), count - 1, count)


def corrected_error(variance: float, count: int, test_share: float) -> float:
    """The standard error of the mean of `count` differences with this variance, as in `corrected_t`."""
    return sqrt((1 / count + test_share / (1 - test_share)) * variance)


def mean_over_folds(differences: np.ndarray, level: float = 0.95) -> Estimate:
    """The mean of outcomes (K,), one for each of K folds, with the interval of `corrected_t`; n is the number of folds."""
    return corrected_t(differences, 1 / max(2, differences.size)).interval(level)


def five_by_two_f(differences: np.ndarray) -> FTest:
    """The combined F test over five repeats of two folds, differences (5, 2) (Alpaydin 1999, Neural Computation 11:1885).

    Half of the images train, so it speaks of smaller training sets than `corrected_t`. From accuracies on 100 images it
    rejects a true null in 7 or 8 of 100 experiments, from 200 images on in 5, where `corrected_t` of the same ten rejects
    it in 2 or 3 (measured): on fewer take that, as every study of Saccade does.
    ValueError for other shapes.
    """
    if differences.shape != (5, 2):
        raise ValueError(f"differences are (5 repeats, 2 folds), not {differences.shape}")
    above = float(np.square(differences).sum())
    below = float(differences.var(axis=1).sum()) * 4
    if below == 0:
        return FTest(0.0 if above == 0 else float("inf"), float(above == 0))
    return FTest(above / below, float(special.fdtrc(10, 5, above / below)))
