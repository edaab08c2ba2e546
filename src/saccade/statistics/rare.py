"""Means of outcomes of which few differ: the spread that was met may be too small by chance, and is not taken on trust."""

from dataclasses import replace
from math import sqrt

import numpy as np
from scipy import special

from saccade.statistics.contrast import Contrast
from saccade.statistics.interval import Estimate, proportion


def unlike(outcomes: np.ndarray, value: float, groups: np.ndarray | None = None) -> int:
    """In how many units, images or groups of them, of outcomes (..., N) not all are `value`."""
    there = (outcomes != value).reshape(-1, outcomes.shape[-1]).any(0)
    return int(there.sum()) if groups is None else len(np.unique(np.asarray(groups)[there]))


def differing(outcomes: np.ndarray, groups: np.ndarray | None = None) -> int:
    """How many units are not all 0, or not all 1, whichever are fewer: all that tells of the spread of their mean."""
    return min(unlike(outcomes, 0, groups), unlike(outcomes, 1, groups))


def steadied(found: Contrast, most: float, seen: int) -> Contrast:
    """The variance of the mean between the one met and `most`, the one if every unit went wholly one way or the other.

    The one met weighs as many units as differ, `seen`; `most` joins it as one more. So an image that one run of three gets
    wrong does not prove that runs never go wrong together, and of many such images hardly anything changes.
    """
    met = found.error**2
    if most <= met:
        return found
    return widened(replace(found, error=sqrt(seen / (seen + 1)) * found.error), most / (seen + 1))


def widened(found: Contrast, variance: float) -> Contrast:
    """With so much more variance that is not estimated, and so adds degrees of freedom (Satterthwaite 1946)."""
    met = found.error**2
    if met == 0:
        return replace(found, error=sqrt(variance))
    return replace(found, error=sqrt(met + variance), freedom=found.freedom * (1 + variance / met) ** 2)


def effective(found: Contrast, room: float, whole: float) -> float:
    """For how many independent outcomes, of variance `room` each, the mean counts; for `whole` where it has no spread."""
    return max(1.0, room / found.error**2 if found.error else whole)


def bounded(found: Contrast, seen: int, whole: float, level: float = 0.95) -> Estimate:
    """Wilson's interval of a mean of outcomes from 0 to 1, for as many of them as it counts (Rao and Scott 1992).

    `seen`: units that differ; `whole`: how many outcomes there are if every unit goes wholly one way or the other.
    Student's t takes the place of the normal law (Korn and Graubard 1998). Outcomes need not be 0 or 1: the interval is as
    lopsided as if they came in equal steps, of their mean square over their mean, which is about right for rare losses.
    """
    value = min(1.0, max(0.0, found.value))
    room = value * (1 - value)
    steady = steadied(found, room / whole, seen)
    wider = float(special.stdtrit(steady.freedom, (1 + level) / 2) / special.ndtri((1 + level) / 2))
    count = max(1.0, effective(steady, room, whole) / wider**2)
    limits = proportion(min(value * count, count), count, level)
    return Estimate(found.value, min(limits.low, found.value), max(limits.high, found.value), found.n)


def two_each_side(found: Contrast, moved: float, seen: int, units: int) -> Contrast:
    """A mean of outcomes -1, 0, 1 with four more, two of each side: that few differ, or none, proves little.

    As many as Agresti and Coull (1998) add to a share; with the two of Agresti and Min (2005, Statistics in Medicine
    24:729) differences of five runs covered 90 % where half of what differs does so in one run alone. `moved`: the share of
    outcomes that are not 0; in how many units, `seen`. The four count among as many outcomes as the mean counts for.
    """
    steady = steadied(found, moved / units, seen)
    return widened(steady, 4 / effective(steady, moved, units) ** 2)
