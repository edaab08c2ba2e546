"""Numbers and their names as a person reads them."""

from collections.abc import Mapping, Sequence
from itertools import accumulate, pairwise

# Of a classifier, by their keys in a record: the name, and what it is
SCORES = {
    "accuracy": ("accuracy", "images named correctly"),
    "top5_accuracy": ("top-5 accuracy", "truth among the five most probable"),
    "macro_f1": ("macro F1", "mean over classes of F1"),
    "balanced_accuracy": ("balanced accuracy", "mean over classes of recall"),
    "log_loss": ("log loss", "nats; lower is better"),
    "brier": ("Brier score", "0 to 2; lower is better"),
    "ece": ("calibration error", "confidence against accuracy; lower is better"),
}

UNITS = {"GiB": 2**30, "MiB": 2**20, "KiB": 2**10}
DIGITS = {"GiB": 2, "MiB": 1, "KiB": 1}


def in_points(difference: Mapping[str, float]) -> str:
    """A difference of two shares with its interval, such as "-1.46 percentage points (-10.54 to +7.63)"."""
    value, low, high = (f"{100 * difference[name]:+z.2f}" for name in ("value", "low", "high"))
    return f"{value} percentage points ({low} to {high})"


def half_width(share: float) -> str:
    """Half an interval of such a difference, "±9.08" percentage points."""
    return f"±{100 * share:.2f}"


def in_bytes(count: int) -> str:
    """1,536 as "1.5 KiB"."""
    unit = next((unit for unit, size in UNITS.items() if count >= size), "bytes")
    return f"{count / UNITS.get(unit, 1):,.{DIGITS.get(unit, 0)}f} {unit}"


def adding_up(parts: Sequence[int]) -> list[str]:
    """Bytes of parts, and at last of the whole, in one unit and rounded so that those add up to this as they are read."""
    unit = "MiB" if sum(parts) >= UNITS["MiB"] else "KiB"
    sums = [round(count / UNITS[unit], 1) for count in accumulate(parts, initial=0)]
    return [f"{count:,.1f} {unit}" for count in (*(after - before for before, after in pairwise(sums)), sums[-1])]
