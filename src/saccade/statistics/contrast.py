"""A difference of two ways of training, and every question asked of it."""

from dataclasses import dataclass

from scipy import special

from saccade.statistics.interval import Estimate


@dataclass(frozen=True)
class Contrast:
    """A difference with its standard error and the degrees of freedom of Student's t; every interval and test follows.

    `n` counts what the error was taken over (folds, or images). An error of 0 leaves no doubt: intervals are points then,
    and p-values 0 or 1.
    """

    value: float
    error: float
    freedom: float
    n: int

    def interval(self, level: float = 0.95) -> Estimate:
        half = float(special.stdtrit(self.freedom, (1 + level) / 2)) * self.error
        return Estimate(self.value, self.value - half, self.value + half, self.n)

    def p_value(self) -> float:
        """Two-sided, of no difference."""
        if self.error == 0:
            return float(self.value == 0)
        return float(2 * special.stdtr(self.freedom, -abs(self.value) / self.error))

    def equivalence(self, margin: float) -> float:
        """Two one-sided tests that the difference lies within +-margin (Schuirmann 1987, J Pharmacokinet 15:657).

        The p-value is below 0.05 exactly where the 90 % interval lies within the margin. ValueError unless margin > 0.
        """
        if not margin > 0:
            raise ValueError(f"the margin within which two are equivalent must be above 0, not {margin}")
        inside = margin - abs(self.value)
        if self.error == 0:
            return float(inside <= 0)
        return float(special.stdtr(self.freedom, -inside / self.error))
