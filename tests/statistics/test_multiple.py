"""Holm against statsmodels, and laws."""

import gc
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.multitest import multipletests

from saccade.statistics import holm

families = st.lists(st.floats(0, 1), min_size=1, max_size=20)


@settings(deadline=None)
@given(families)
def test_holm_is_statsmodels(raw: list[float]) -> None:
    with mock.patch.object(gc, "collect"):  # theirs collects the garbage of the whole process, up to a second each time
        assert holm(raw) == pytest.approx(multipletests(raw, method="holm")[1])


@given(families)
def test_adjusted_values_keep_their_order_and_are_no_smaller(raw: list[float]) -> None:
    adjusted = holm(raw)
    assert (adjusted >= np.array(raw)).all()
    assert (adjusted <= 1).all()
    assert (np.diff(adjusted[np.argsort(raw, kind="stable")]) >= 0).all()


def test_one_comparison_is_left_as_it_is_and_none_is_none() -> None:
    assert holm([0.03]).tolist() == [0.03]
    assert holm([]).tolist() == []


@pytest.mark.parametrize("bad", [[0.1, 1.2], [-0.1], [float("nan")]])
def test_what_is_no_p_value_is_refused(bad: list[float]) -> None:
    with pytest.raises(ValueError, match="from 0 to 1"):
        holm(bad)


@pytest.mark.slow
def test_a_family_of_true_nulls_is_rejected_rarely() -> None:
    """4,000 families of 6 t tests that share one of their two samples, as several recipes share a baseline."""
    generator = np.random.default_rng(0)
    base, others = generator.normal(size=(4000, 1, 100)), generator.normal(size=(4000, 6, 100))
    raw = stats.ttest_1samp(others - base, 0, axis=2).pvalue
    rejected = np.mean([(holm(each) < 0.05).any() for each in raw])
    print(f"Holm: any of 6 rejected {rejected:.4f}, unadjusted {(raw < 0.05).any(1).mean():.4f}")
    assert rejected <= 0.06
