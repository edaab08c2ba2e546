"""The score interval of a paired difference of shares: its equation solved by other means, laws, simulation."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from scipy.special import xlogy
from scipy.stats import norm

from saccade import statistics

counts = st.tuples(st.integers(0, 40), st.integers(0, 40), st.integers(0, 200)).filter(lambda c: sum(c) > 0)


def score(only_a: int, only_b: int, n: int, difference: float) -> float:
    """Tango's statistic with the most likely chances at this difference, found by numerical search."""
    room = (max(0.0, -difference), (1 - difference) / 2)

    def unlikely(a: float) -> float:
        return -float(xlogy(only_a, a) + xlogy(only_b, a + difference) + xlogy(n - only_a - only_b, 1 - 2 * a - difference))

    a = minimize_scalar(unlikely, bounds=room, method="bounded", options={"xatol": 1e-12}).x
    return (only_b - only_a - n * difference) / np.sqrt(n * (2 * a + difference * (1 - difference)))


@pytest.mark.parametrize(("only_a", "only_b", "n"), [(3, 7, 200), (0, 5, 60), (40, 12, 100), (1, 1, 30), (20, 21, 41)])
@pytest.mark.parametrize("level", [0.9, 0.95])
def test_tangos_limits_are_where_the_score_is_its_quantile(only_a: int, only_b: int, n: int, level: float) -> None:
    found, z = statistics.tango(only_a, only_b, n, level), norm.ppf((1 + level) / 2)
    assert score(only_a, only_b, n, found.low) == pytest.approx(z, rel=1e-3)
    assert score(only_a, only_b, n, found.high) == pytest.approx(-z, rel=1e-3)


@given(counts)
def test_tango_holds_its_value_and_swapping_mirrors(count: tuple[int, int, int]) -> None:
    only_a, only_b, _ = count
    found, swapped = (statistics.tango(*pair, sum(count)) for pair in ((only_a, only_b), (only_b, only_a)))
    assert -1 <= found.low <= found.value <= found.high <= 1
    assert (swapped.low, swapped.high) == (-found.high, -found.low)


@given(st.integers(1, 10_000))
def test_where_none_differ_the_limit_has_a_closed_form(n: int) -> None:
    squared = norm.ppf(0.975) ** 2
    assert statistics.tango(0, 0, n).high == pytest.approx(squared / (n + squared))


@given(st.integers(0, 60), st.integers(0, 60))
def test_it_leaves_zero_out_exactly_where_the_plain_mcnemar_rejects(only_a: int, only_b: int) -> None:
    found = statistics.tango(only_a, only_b, 200)
    rejects = abs(only_a - only_b) > norm.ppf(0.975) * np.sqrt(only_a + only_b)
    assert (found.low > 0 or found.high < 0) == rejects


@pytest.mark.parametrize(("only_a", "only_b", "n"), [(1, 1, 1), (-1, 0, 5), (0, 0, 0)])
def test_impossible_counts_are_refused(only_a: int, only_b: int, n: int) -> None:
    with pytest.raises(ValueError, match="images some differ"):
        statistics.tango(only_a, only_b, n)


@pytest.mark.slow
@pytest.mark.parametrize("n", [100, 1000])
@pytest.mark.parametrize(("a", "b"), [(0.02, 0.02), (0.01, 0.04), (0.1, 0.2)])
def test_tango_covers(n: int, a: float, b: float) -> None:
    drawn = np.random.default_rng(n).multinomial(n, [a, b, 1 - a - b], size=4000)
    covered = np.mean([e.low <= b - a <= e.high for e in (statistics.tango(int(x), int(y), n) for x, y, _ in drawn)])
    print(f"Tango, {n} images, alone right {a} and {b}: covered {covered:.4f}")
    assert 0.93 <= covered <= 0.97
