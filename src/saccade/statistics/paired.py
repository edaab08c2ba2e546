"""Two networks on the same images: what is true of the images' population, for these very networks."""

from dataclasses import dataclass
from itertools import product

import numpy as np
from scipy import special

from saccade.statistics.bootstrap import CHUNK, acceleration, bca_limits, resampled
from saccade.statistics.grouped import by_group, ratio, worth
from saccade.statistics.interval import Estimate, tango

FEW = 30  # fewer units than this and the bootstrap is too narrow
RESAMPLES = 5000


@dataclass(frozen=True)
class McNemar:
    """On how many images a alone and b alone is right, and the exact two-sided p-value of equal chances."""

    only_a: int
    only_b: int
    p: float


def mcnemar(right_a: np.ndarray, right_b: np.ndarray) -> McNemar:
    """The exact test of McNemar (1947) from outcomes (N,) bool: the binomial of the images on which the two differ.

    Takes images as independent: with groups use `permutation_test`. Conservative on few such images, and never below 0.05
    on fewer than 6. ValueError where the shapes differ.
    """
    right_a, right_b = np.asarray(right_a, dtype=bool), np.asarray(right_b, dtype=bool)
    if right_a.shape != right_b.shape or right_a.ndim != 1:
        raise ValueError(f"outcomes of both are (N,), of the same images, not {right_a.shape} and {right_b.shape}")
    only_a, only_b = int((right_a & ~right_b).sum()), int((right_b & ~right_a).sum())
    return McNemar(only_a, only_b, min(1.0, float(2 * special.bdtr(min(only_a, only_b), only_a + only_b, 0.5))))


def permutation_test(
    differences: np.ndarray, seed: int, groups: np.ndarray | None = None, resamples: int = 10_000
) -> float:
    """The two-sided p-value of differences (N,) under flips of their signs (Fisher 1935), a group's flipped together.

    Exact, over all flips, where these are no more than `resamples`; otherwise (b + 1) / (m + 1) over m random flips
    (Phipson and Smyth 2010). What it rejects is that a and b may be swapped. ValueError for shapes that do not match.
    """
    sums = by_group(differences, groups)[0]
    sums = sums[sums != 0]
    met = abs(float(sums.sum())) - 1e-12 * float(np.abs(sums).sum())  # equal sums may differ by roundings
    if 2 ** min(len(sums), 60) <= resamples:
        signs = np.array(list(product((-1, 1), repeat=len(sums))))
        return float((np.abs(signs @ sums) >= met).mean())
    generator = np.random.default_rng(seed)
    rows = max(1, CHUNK // len(sums))
    beyond = 0
    for start in range(0, resamples, rows):
        flips = generator.integers(2, size=(min(rows, resamples - start), len(sums)), dtype=np.int8)
        beyond += int((np.abs(2 * (flips @ sums) - sums.sum()) >= met).sum())
    return (beyond + 1) / (resamples + 1)


def paired_bootstrap(differences: np.ndarray, seed: int, groups: np.ndarray | None = None, level: float = 0.95) -> Estimate:
    """The mean of differences (N,) with its BCa interval over images, or over groups of images (N,), drawn whole.

    Chosen instead where the bootstrap is too narrow: Tango's score interval for outcomes -1, 0, 1 of which fewer than 30
    are not 0, or that all agree, groups counted for as many images as their spread shows (Rao and Scott 1992); Student's t
    over units (images or groups, a ratio of sums) below 30 of them.
    n is the number of images. ValueError for shapes that do not match or fewer than two units.
    """
    sums, sizes = by_group(differences, groups)
    units, n = len(sums), len(differences)
    if units < 2:
        raise ValueError(f"two images, or groups of images, are the least to compare on, not {units}")
    if np.isin(differences, (-1, 0, 1)).all() and (np.count_nonzero(differences) < FEW or np.ptp(differences) == 0):
        count = worth(differences, sums, sizes)
        only_a, only_b = (count * float(np.sum(side)) for side in (differences < 0, differences > 0))
        # Where all images differ, rounding may bring the two to more than the whole
        found = tango(only_a, only_b, max(count * n, only_a + only_b), level)
        return Estimate(found.value, found.low, found.high, n)
    if units < FEW:
        interval = ratio(sums, sizes).interval(level)
        return Estimate(interval.value, interval.low, interval.high, n)
    return _bootstrapped(sums, sizes, seed, level)


def _bootstrapped(sums: np.ndarray, sizes: np.ndarray, seed: int, level: float) -> Estimate:
    """BCa, drawn with the first unit that differs above 0 and mirrored back: with a and b swapped it is the same draw."""
    n = int(sizes.sum())
    turned = bool(sums[np.flatnonzero(sums)[:1]].sum() < 0)
    sums = -sums if turned else sums
    met = float(sums.sum() / n)
    curve = acceleration([(met * n - sums) / (n - sizes)])
    low, high = bca_limits(_resampled(sums, sizes, seed), met, curve, level)
    return Estimate(0.0 - met, -high, -low, n) if turned else Estimate(met, low, high, n)  # no -0.0


def _resampled(sums: np.ndarray, sizes: np.ndarray, seed: int) -> np.ndarray:
    """The ratios of bootstrap samples of units: where few kinds are met, the kinds are drawn, the same law faster."""
    kinds, counts = np.unique(np.stack([sums, sizes], axis=1), axis=0, return_counts=True)
    if 10 * len(kinds) > len(sums):
        return resampled(lambda drawn: (drawn @ sums) / (drawn @ sizes), len(sums), seed, RESAMPLES)
    drawn = np.random.default_rng(seed).multinomial(len(sums), counts / len(sums), size=RESAMPLES) @ kinds
    return drawn[:, 0] / drawn[:, 1]
