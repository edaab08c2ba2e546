"""Numbers and their names as a person reads them."""

from collections.abc import Mapping

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


def in_points(difference: Mapping[str, float]) -> str:
    """A difference of two shares with its interval, such as "-1.46 percentage points (-10.54 to +7.63)"."""
    value, low, high = (f"{100 * difference[name]:+z.2f}" for name in ("value", "low", "high"))
    return f"{value} percentage points ({low} to {high})"


def half_width(share: float) -> str:
    """Half an interval of such a difference, "±9.08" percentage points."""
    return f"±{100 * share:.2f}"
