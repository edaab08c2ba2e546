"""A contrast's interval and tests against scipy and statsmodels, and laws."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.weightstats import DescrStatsW

from saccade.statistics import Contrast

contrasts = st.builds(
    Contrast, value=st.floats(-10, 10), error=st.floats(0.01, 10), freedom=st.floats(1, 1000), n=st.integers(2, 1000)
)


def of(sample: np.ndarray) -> Contrast:
    return Contrast(sample.mean(), float(stats.sem(sample)), len(sample) - 1, len(sample))


@pytest.fixture
def sample() -> np.ndarray:
    return np.random.default_rng(0).normal(0.1, 0.3, 25)


def test_interval_and_p_value_are_scipys_one_sample_t(sample: np.ndarray) -> None:
    ours, theirs = of(sample), stats.ttest_1samp(sample, 0)
    assert ours.p_value() == pytest.approx(theirs.pvalue)
    for level in (0.9, 0.95):
        interval = theirs.confidence_interval(level)
        assert (ours.interval(level).low, ours.interval(level).high) == (
            pytest.approx(interval.low),
            pytest.approx(interval.high),
        )
    assert ours.interval().n == 25


@pytest.mark.parametrize("margin", [0.05, 0.2, 0.4])
def test_equivalence_is_statsmodels_tost(sample: np.ndarray, margin: float) -> None:
    assert of(sample).equivalence(margin) == pytest.approx(DescrStatsW(sample).ttost_mean(-margin, margin)[0])


@given(contrasts)
def test_swapping_mirrors(contrast: Contrast) -> None:
    swapped = Contrast(-contrast.value, contrast.error, contrast.freedom, contrast.n)
    assert swapped.p_value() == contrast.p_value()
    assert swapped.equivalence(1.0) == contrast.equivalence(1.0)
    assert (swapped.interval().low, swapped.interval().high) == (-contrast.interval().high, -contrast.interval().low)


@given(contrasts)
def test_p_value_is_below_a_twentieth_exactly_where_the_interval_leaves_zero_out(contrast: Contrast) -> None:
    interval, p = contrast.interval(), contrast.p_value()
    assume(abs(p - 0.05) > 1e-9)
    assert (p < 0.05) == (interval.low > 0 or interval.high < 0)


@given(contrasts, st.floats(0.01, 20))
def test_equivalence_holds_exactly_where_the_90_percent_interval_is_within_the_margin(
    contrast: Contrast, margin: float
) -> None:
    interval, p = contrast.interval(0.9), contrast.equivalence(margin)
    assume(abs(p - 0.05) > 1e-9)
    assert (p < 0.05) == (-margin < interval.low and interval.high < margin)


def test_without_error_there_is_no_doubt() -> None:
    same, other = Contrast(0.0, 0.0, 4, 5), Contrast(0.1, 0.0, 4, 5)
    assert (same.p_value(), other.p_value()) == (1.0, 0.0)
    assert (same.equivalence(0.05), other.equivalence(0.05), other.equivalence(0.2)) == (0.0, 1.0, 0.0)
    assert (other.interval().low, other.interval().high) == (0.1, 0.1)


@pytest.mark.parametrize("margin", [0.0, -0.1, float("nan")])
def test_a_margin_is_above_zero(margin: float) -> None:
    with pytest.raises(ValueError, match="above 0"):
        Contrast(0.0, 1.0, 4, 5).equivalence(margin)


@pytest.mark.slow
def test_intervals_cover_and_tests_reject_as_they_say() -> None:
    """4,000 experiments of 100 normal differences: coverage, a true null, and a true difference just at the margin."""
    samples = np.random.default_rng(0).normal(0.1, 0.3, (4000, 100))
    found = [of(sample) for sample in samples]
    covered = np.mean([e.low <= 0.1 <= e.high for e in (c.interval() for c in found)])
    rejected = np.mean([of(sample - 0.1).p_value() < 0.05 for sample in samples])
    equivalent = np.mean([c.equivalence(0.1) < 0.05 for c in found])
    print(f"covered {covered:.4f}, rejected {rejected:.4f}, called equivalent at the margin {equivalent:.4f}")
    assert 0.93 <= covered <= 0.97
    assert rejected <= 0.06
    assert equivalent <= 0.06
