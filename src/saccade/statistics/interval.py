"""A number with its interval."""

from dataclasses import asdict, dataclass
from math import sqrt
from statistics import NormalDist

from scipy.special import betaincinv


@dataclass(frozen=True)
class Estimate:
    """A value, its interval from `low` to `high`, and the number of images behind it."""

    value: float
    low: float
    high: float
    n: int

    def to_dict(self) -> dict[str, float]:
        return asdict(self)

    def __str__(self) -> str:
        return f"{self.value:.3f} (95 % interval {self.low:.3f} to {self.high:.3f}, n = {self.n:,})"


def wilson(successes: float, n: float, level: float = 0.95) -> Estimate:
    """The score interval of a proportion (Wilson 1927, JASA 22:209).

    Keeps its coverage near 0 and 1, where the usual normal interval collapses. Counts may be fractions, as in
    `tango`. ValueError unless 0 <= successes <= n > 0.
    """
    if n < 1 or not 0 <= successes <= n:
        raise ValueError(f"a proportion needs 0 <= successes <= n and n >= 1, not {successes} of {n}")
    z = NormalDist().inv_cdf((1 + level) / 2)
    p = successes / n
    center = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z * sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    low = 0.0 if successes == 0 else center - half
    high = 1.0 if successes == n else center + half
    return Estimate(p, low, high, round(n))


def proportion(successes: float, n: float, level: float = 0.95) -> Estimate:
    """`wilson`, but where few succeed, or few fail, the limit on their side is no closer than the exact one of one side.

    Wilson's interval covers but 84 % where 0.18 successes are to be expected, and 91 or 92 % of one; so modified 93 % and
    more at every rate from 150 images on, and 92.7 % at the worst of 100 (Brown, Cai and DasGupta 2001, Statistical Science
    16:101, section 4.1.1: they take Poisson's limit, for up to three successes).
    """
    found = wilson(successes, n, level)
    low, fewest = (
        float(betaincinv(count, n - count + 1, 1 - level)) if count else 0.0 for count in (successes, n - successes)
    )
    return Estimate(found.value, min(found.low, low), max(found.high, 1 - fewest), found.n)


def tango(only_a: float, only_b: float, n: float, level: float = 0.95) -> Estimate:
    """The score interval of a paired difference of shares, b minus a (Tango 1998, Statistics in Medicine 17:891).

    Of n images a alone is right on `only_a`, b alone on `only_b`. To McNemar's test what `wilson` is to a share: no point
    where the two never differ. Counts may be fractions, as of images that count for less since they come in groups (Rao and
    Scott 1992). ValueError unless the counts are at least 0 and n >= 1 holds them both.
    """
    if n < 1 or min(only_a, only_b) < 0 or only_a + only_b > n:
        raise ValueError(f"of n >= 1 images some differ, not {only_a} + {only_b} of {n}")
    z = NormalDist().inv_cdf((1 + level) / 2)
    low, high = -_tango_upper(only_b, only_a, n, z), _tango_upper(only_a, only_b, n, z)
    return Estimate((only_b - only_a) / n, low, high, round(n))


def _tango_upper(less: float, more: float, n: float, z: float) -> float:
    """The largest difference whose score is not below -z: a root of the score's equation, squared to have no poles."""
    from scipy.optimize import brentq  # which takes longer to import than what most runs need of statistics

    met = (more - less) / n
    if met == 1:
        return 1.0

    def excess(difference: float) -> float:
        spread = difference * (1 - difference)
        b = (2 * n - more + less) * difference - more - less
        chance = (sqrt(max(0.0, b * b + 8 * n * less * spread)) - b) / (4 * n)  # of `less`, most likely at this difference
        return (met - difference) ** 2 * n - z * z * (2 * chance + spread)

    return float(brentq(excess, met + 1e-9 * (1 - met), 1.0))
