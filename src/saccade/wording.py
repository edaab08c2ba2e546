"""Numbers as a person reads them."""

from collections.abc import Mapping


def in_points(difference: Mapping[str, float]) -> str:
    """A difference of two shares with its interval, such as "-1.46 percentage points (-10.54 to +7.63)"."""
    value, low, high = (f"{100 * difference[name]:+z.2f}" for name in ("value", "low", "high"))
    return f"{value} percentage points ({low} to {high})"


def half_width(share: float) -> str:
    """Half an interval of such a difference, "±9.08" percentage points."""
    return f"±{100 * share:.2f}"
