"""Images that come in groups (of one patient, of one scene, duplicates): groups are what chance draws, not images."""

from dataclasses import replace
from math import sqrt

import numpy as np

from saccade.statistics.contrast import Contrast
from saccade.statistics.interval import Estimate, proportion
from saccade.statistics.rare import bounded, differing


def by_group(values: np.ndarray, groups: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """The sum of the values (N,) of each group and its number of images; without groups each image is its own."""
    values = np.asarray(values, dtype=np.float64)
    if values.ndim != 1 or not len(values):
        raise ValueError(f"values are (N,), one for each image, not {values.shape}")
    if not np.isfinite(values).all():
        raise ValueError("some of the values are not finite numbers")
    if groups is None:
        return values, np.ones(len(values))
    if np.shape(groups) != values.shape:
        raise ValueError(f"a group for each image is needed: {np.shape(groups)} for values {values.shape}")
    _, where = np.unique(groups, return_inverse=True)
    return np.bincount(where, values), np.bincount(where).astype(np.float64)


def by_unit(outcomes: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """(..., G) one number a group, of outcomes (..., N): of the same mean, and drawn by themselves.

    What each group adds to the mean, linearized (Cochran 1977, equation 6.13), so that methods for independent images hold
    for whole groups (of 30 groups, 95 % intervals cover 92 to 95 %: tests/statistics/test_grouped.py); with groups of one
    image each the outcomes themselves. ValueError where groups are not (N,).
    """
    if np.shape(groups) != outcomes.shape[-1:]:
        raise ValueError(f"a group for each image is needed: {np.shape(groups)} for outcomes {outcomes.shape}")
    order = np.argsort(groups, kind="stable")
    ordered = np.asarray(groups)[order]
    starts = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
    mean = outcomes.mean(-1, keepdims=True)
    sums = np.add.reduceat((outcomes - mean)[..., order], starts, axis=-1)
    return mean + sums * len(starts) / outcomes.shape[-1]


def ratio(sums: np.ndarray, sizes: np.ndarray) -> Contrast:
    """Sum over size with the linearized error of a ratio (Cochran 1977, equation 6.13)."""
    units, n = len(sums), sizes.sum()
    value = float(sums.sum() / n)
    error = sqrt(units / (units - 1) * float(np.square(sums - value * sizes).sum())) / float(n)
    return Contrast(value, error, units - 1, units)


def worth(values: np.ndarray, sums: np.ndarray, sizes: np.ndarray) -> float:
    """For how many independent images one image counts, at most 1; where all agree, a group counts for one."""
    plain, grouped = float(np.var(values, ddof=1)) / len(values), ratio(sums, sizes).error ** 2
    if plain == 0:
        return len(sums) / len(values)
    return plain / max(plain, grouped)


def share(outcomes: np.ndarray, groups: np.ndarray | None = None, level: float = 0.95) -> Estimate:
    """The mean of outcomes (N,) from 0 to 1 with Wilson's interval, images of a group counted for what they are worth.

    See `proportion`, and `bounded` of groups, whose images are never taken to tell more than as many images apart.
    ValueError for shapes that do not match or fewer than two groups.
    """
    sums, sizes = by_group(outcomes, groups)
    n, units = len(outcomes), len(sums)
    if units == n:
        return proportion(float(sums.sum()), n, level)
    if units < 2:
        raise ValueError(f"two groups of images are the least to tell how others may differ, not {units}")
    found = ratio(sums, sizes)
    alone = float(np.var(outcomes)) / (n - 1)  # of images by themselves, which groups do not make less
    found = replace(found, error=max(found.error, sqrt(alone)), n=n)
    return bounded(found, differing(np.asarray(outcomes), groups), units, level)


def independent(values: np.ndarray, groups: np.ndarray | None, seen: int) -> float:
    """For how many independent images those of all groups count, by the spread of values (..., N) taken together."""
    n = values.shape[-1]
    if groups is None:
        return n
    drawn = by_unit(values, groups)
    units = drawn.shape[-1]
    alone, together = (float(each.var(-1, ddof=1).sum()) / each.shape[-1] for each in (values, drawn))
    met = together / (n * alone) if alone else 1 / units
    return min(n, (seen + 1) / (seen * met + 1 / units))
