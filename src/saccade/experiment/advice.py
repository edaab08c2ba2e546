"""What more runs, or more images, would tell of a difference that has been measured."""

from dataclasses import dataclass
from typing import Any

from saccade import statistics
from saccade.experiment.folds import Folds

AFFORDABLE = 20  # repeats of all folds


@dataclass(frozen=True)
class Spread:
    """The variance of the differences between folds, and that of the mean difference by the images alone."""

    of_folds: float
    of_images: float

    def half_width(self, folds: int, repeats: int, level: float = 0.95) -> float:
        """Of the interval after so many repeats."""
        error = statistics.corrected_error(self.of_folds, folds * repeats, 1 / folds)
        contrast = statistics.Contrast(0.0, max(error, self.of_images**0.5), folds * repeats - 1, folds * repeats)
        return contrast.interval(level).high


def advice(pair: dict[str, Any], spread: Spread, folds: Folds, level: float = 0.95) -> str:
    """One or two sentences on what to buy next, for a pair that has been judged."""
    if pair["verdict"] != "not distinguishable":
        return "This is decided; more runs would only tell the size of the difference more closely."
    value, now = abs(pair["difference"]["value"]), spread.half_width(folds.count, folds.repeats, level)
    for repeats in range(folds.repeats + 1, folds.repeats + AFFORDABLE + 1):
        if spread.half_width(folds.count, repeats, level) < value:
            runs = 2 * (repeats - folds.repeats) * folds.count * folds.seeds
            return f"{repeats - folds.repeats} more repeats ({runs} runs) would decide, if the difference stays what it is."
    least = spread.half_width(folds.count, folds.repeats + AFFORDABLE, level)
    found = "No affordable number of runs will separate them: "
    found += f"{AFFORDABLE} more repeats would narrow ±{now:.4f} to ±{least:.4f}."
    if not value:
        return found + " There is no difference to be found."
    if spread.of_images < least**2 / 8:  # the images' own part of the interval is the smaller one
        return (
            found + " The trainings themselves differ: longer or steadier ones, or more --seeds in a fold, would tell more."
        )
    return found + f" About {round((least / value) ** 2):,} times the images would."
