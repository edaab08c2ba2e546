"""Means over training runs with several seeds, all measured on the same images."""

from math import sqrt

import numpy as np
from scipy import stats

from saccade.statistics.interval import Estimate


def mean_over_folds(differences: np.ndarray, level: float = 0.95) -> Estimate:
    """The mean of outcomes (K,), one for each of K folds, by the corrected resampled t (Nadeau and Bengio 2003).

    The folds share most of their training images, so their variance is too small by itself; it is taken times
    1 / K + 1 / (K - 1) instead of 1 / K: the second term is test images over training images. n is the number of folds.
    ValueError for fewer than two folds.
    """
    if differences.ndim != 1 or len(differences) < 2:
        raise ValueError(f"one number a fold, and two folds at least, not {differences.shape}")
    k, value = len(differences), float(differences.mean())
    half = float(stats.t.ppf((1 + level) / 2, k - 1)) * sqrt((1 / k + 1 / (k - 1)) * differences.var(ddof=1))
    return Estimate(value, value - half, value + half, k)


def share_over_runs(right: np.ndarray, level: float = 0.95) -> Estimate:
    """As `mean_over_runs`, of outcomes that are 0 or 1: the interval ends at 0 and at 1."""
    found = mean_over_runs(right, level)
    return Estimate(found.value, max(0.0, found.low), min(1.0, found.high), found.n)


def mean_over_runs(outcomes: np.ndarray, level: float = 0.95) -> Estimate:
    """The mean of outcomes (S, N), S runs with their own seeds on the same N images, for other seeds and other images.

    Two sources of chance are added up: runs (the variance of their means, over S) and images (the variance over images of
    their mean outcome, over N). The second holds a little of the first again, which errs on the side of a wide interval.
    Student's t with the degrees of freedom of Welch and Satterthwaite (1946). Of a single run, only the images are known:
    the interval is then for this very network. ValueError where there is no run or fewer than two images.

    Give the differences of two series of runs with the same seeds, image by image, and it is the interval of a paired
    comparison. Covers 93 to 97 % in simulations from 3 runs and 100 images on (tests/statistics/test_repeated.py).
    """
    if outcomes.ndim != 2 or outcomes.shape[0] < 1 or outcomes.shape[1] < 2:
        raise ValueError(f"outcomes are (runs, images), one run and two images at least, not {outcomes.shape}")
    runs, images = outcomes.shape
    by_run, by_image = outcomes.mean(1), outcomes.mean(0)
    of_images = by_image.var(ddof=1) / images
    of_runs = by_run.var(ddof=1) / runs if runs > 1 else 0.0
    squares = of_runs**2 / max(1, runs - 1) + of_images**2 / (images - 1)
    freedom = (of_runs + of_images) ** 2 / squares if squares else images - 1
    half = float(stats.t.ppf((1 + level) / 2, freedom)) * sqrt(of_runs + of_images)
    value = float(outcomes.mean())
    return Estimate(value, value - half, value + half, images)
