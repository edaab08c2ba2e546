"""Means over training runs with several seeds, all measured on the same images."""

from math import sqrt

import numpy as np

from saccade.statistics.contrast import Contrast
from saccade.statistics.grouped import by_unit, share
from saccade.statistics.interval import Estimate
from saccade.statistics.rare import bounded, differing, two_each_side, unlike


def over_runs(outcomes: np.ndarray, groups: np.ndarray | None = None) -> Contrast:
    """The mean of outcomes (S, N), S runs with their own seeds on the same N images, for other seeds and other images.

    Two sources of chance are added up: runs (the variance of their means, over S) and images (the variance over images of
    their mean outcome, over N), less what both hold (the rest of the two-way analysis of variance, over S N), and no less
    than either. Student's t with the degrees of freedom of Welch and Satterthwaite (1946). Of a single run, only the images
    are known: the interval is then for this very network. ValueError where there is no run or fewer than two images.

    Give the differences of two series of runs with the same seeds, image by image, and it is a paired comparison. Where all
    outcomes are -1, 0 or 1 it allows for how few differ, see `two_each_side`; of shares take `share_over_runs`. It covers
    93 % and more from 3 runs and 100 images on, and up to 99 % where runs do not differ but by chance; of 2 runs that
    differ much 92 %: train three (tests/statistics/test_repeated.py, test_coverage.py).
    """
    found = analysed(outcomes, groups)
    return few_apart(found, outcomes, groups) if np.isin(outcomes, (-1, 0, 1)).all() else found


def analysed(outcomes: np.ndarray, groups: np.ndarray | None) -> Contrast:
    """The analysis of variance by itself, which takes the spread that was met on trust."""
    if outcomes.ndim != 2 or outcomes.shape[0] < 1 or outcomes.shape[1] < 2:
        raise ValueError(f"outcomes are (runs, images), one run and two images at least, not {outcomes.shape}")
    drawn = outcomes if groups is None else by_unit(outcomes, groups)
    runs, units = drawn.shape
    if units < 2:
        raise ValueError(f"two groups of images are the least to tell how others may differ, not {units}")
    of_images, of_runs, of_both = (each / drawn.size for each in mean_squares(drawn))
    variance = max(of_runs, of_images, of_runs + of_images - of_both)
    squares = of_runs**2 / max(1, runs - 1) + of_images**2 / (units - 1)
    freedom = variance**2 / squares if squares else units - 1
    return Contrast(float(outcomes.mean()), sqrt(variance), freedom, outcomes.shape[1])


def few_apart(found: Contrast, differences: np.ndarray, groups: np.ndarray | None) -> Contrast:
    """The mean of differences within -1 and 1, of which few may not be 0, see `two_each_side`."""
    moved = float(np.abs(differences).mean())
    return two_each_side(found, moved, unlike(differences, 0, groups), count(differences, groups))


def count(outcomes: np.ndarray, groups: np.ndarray | None) -> int:
    """Of units that chance draws: images, or groups of them."""
    return outcomes.shape[-1] if groups is None else len(np.unique(groups))


def mean_squares(outcomes: np.ndarray) -> tuple[float, float, float]:
    """The two-way analysis of variance of outcomes (runs, images): of images, of runs, and of the rest; of one run 0, 0."""
    runs, images = outcomes.shape
    by_run, by_image = outcomes.mean(1), outcomes.mean(0)
    of_images = runs * float(by_image.var(ddof=1))
    if runs == 1:
        return of_images, 0.0, 0.0
    rest = float(np.square(outcomes - by_run[:, None] - by_image + outcomes.mean()).sum())
    return of_images, images * float(by_run.var(ddof=1)), rest / ((runs - 1) * (images - 1))


def mean_over_runs(outcomes: np.ndarray, level: float = 0.95, groups: np.ndarray | None = None) -> Estimate:
    """The interval of `over_runs`."""
    return over_runs(outcomes, groups).interval(level)


def share_over_runs(right: np.ndarray, level: float = 0.95, groups: np.ndarray | None = None) -> Estimate:
    """As `mean_over_runs`, of outcomes from 0 to 1, where `mean_over_runs` is too narrow near both ends: see `bounded`.

    Of a single run that is right or wrong it is `share`. Covers 93 % and more of 100 images, up to a share of 0.995,
    whether runs err on the same images or apart (tests/statistics/test_coverage.py). It cannot tell what a sample does not
    show: where one group in 200 goes wholly wrong, and as many errors are scattered, it covered 70 % of five runs.
    """
    found = analysed(right, groups)
    if len(right) == 1 and np.isin(right, (0, 1)).all():
        return share(right[0], groups, level)
    return bounded(found, differing(right, groups), count(right, groups), level)
