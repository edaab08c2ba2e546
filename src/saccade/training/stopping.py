"""Early stopping: when a run has stopped getting better, as a function of its history."""

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class EarlyStopping:
    """Stop after `patience` validations in a row without a new best (Prechelt 1998; Goodfellow et al. 2016, section 7.8).

    A new best beats the last one by more than `improvement`. Scores are better when lower (a loss), or when `higher` (an
    accuracy). They are to come from validation images. At the call site: `if stopping(scores): break`.
    """

    patience: int
    improvement: float = 0.0
    higher: bool = False

    def __post_init__(self) -> None:
        if self.patience < 1:
            raise ValueError(f"early stopping: a patience of one validation at least, not {self.patience}")
        if not self.improvement >= 0:
            raise ValueError(f"early stopping: an improvement of at least 0, not {self.improvement:g}")

    def __call__(self, scores: Sequence[float]) -> bool:
        """Whether training has to end after these scores."""
        return len(scores) - 1 - self.best(scores) >= self.patience

    def best(self, scores: Sequence[float]) -> int:
        """The place of the last new best, whose weights are to be restored; -1 before there is any. NaN never is one."""
        place, best = -1, -math.inf
        for i, score in enumerate(scores):
            value = score if self.higher else -score
            if value - self.improvement > best:
                place, best = i, value
        return place
