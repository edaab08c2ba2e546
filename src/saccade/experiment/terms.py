"""What is asked of every pair of recipes before anything is said of it."""

from dataclasses import dataclass

from saccade.statistics import Contrast


@dataclass(frozen=True)
class Terms:
    """What is asked of each pair of recipes: a margin, and the level at which what is said of all `pairs` holds at once.

    Each pair is judged, and has its interval, at 1 - (1 - level) / pairs (Bonferroni). So the intervals cover together, and
    in at most 1 - level of comparisons anything is said wrongly of any pair, be it that one is better or that both are
    equivalent: for a pair the two errors lie in the same tail. Holm's method rejects a little more, but the intervals that
    agree with it say nothing of size, and it does not speak of direction and equivalence at once.
    """

    margin: float
    level: float = 0.95
    pairs: int = 1

    @property
    def alpha(self) -> float:
        """The chance of an error that one pair has."""
        return (1 - self.level) / self.pairs

    def decided(self, contrast: Contrast) -> str:
        """ "equivalent", "different" or "": a difference that is proven and does not matter is equivalence."""
        if contrast.equivalence(self.margin) <= self.alpha:
            return "equivalent"
        return "different" if contrast.p_value() <= self.alpha else ""
