"""At which value of a curve the error is lowest, and from which others that cannot be told."""

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np

from saccade import statistics

Record = dict[str, Any]
LEVEL = 0.95  # at which the intervals of all pairs of values hold together
PAIRED = "by the intervals of the paired differences (same seeds, same images), at 95 % for all pairs of values together"
OVERLAP = "by whether their intervals overlap, as the values do not share their runs' seeds and images"


def above_lowest(losses: Sequence[Mapping[int, np.ndarray]], units: np.ndarray) -> list[Record | None]:
    """For each value what its loss has more than the lowest mean has; None for that one, and where runs share no two seeds.

    `losses`: of each value by the seed of the run, (N,) image by image; `units` (N,): images that belong together. Any pair
    might be the one that is looked at, so each interval is at the level at which all pairs hold together (Bonferroni).
    """
    lowest = min(losses, key=lambda each: np.mean(list(each.values())))
    level = 1 - (1 - LEVEL) / max(1, len(list(combinations(losses, 2))))
    found: list[Record | None] = []
    for each in losses:
        both = sorted(set(each) & set(lowest))
        differences = [each[seed] - lowest[seed] for seed in both]
        known = each is not lowest and len(both) > 1
        found.append(statistics.mean_over_runs(np.stack(differences), level, units).to_dict() if known else None)
    return found


def headline(field: str, rows: Sequence[Record]) -> str:
    """The error is lowest at a value, but for those that it cannot be told from."""
    lowest = lowest_of(rows)
    alike = [str(row["value"]) for row in rows if row is not lowest and not is_above(row, lowest)]
    said = f"The error is lowest at {field} {lowest['value']}"
    return f"{said}, but not distinguishable from {', '.join(alike)}" if alike else said


def method(rows: Sequence[Record]) -> str:
    """By what values are told apart."""
    return PAIRED if any(row["above_lowest"] for row in rows) else OVERLAP


def lowest_of(rows: Sequence[Record]) -> Record:
    return min(rows, key=lambda row: row["log_loss"]["error"]["value"])


def is_above(row: Record, lowest: Record) -> bool:
    """Whether the loss is really higher than the lowest: by their paired difference where there is one."""
    if row["above_lowest"] is not None:
        return bool(row["above_lowest"]["low"] > 0)
    return bool(row["log_loss"]["error"]["low"] > lowest["log_loss"]["error"]["high"])
