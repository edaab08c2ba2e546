"""Components of variance: against closed forms and statsmodels, and recovered from simulated experiments."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.stats import norm
from statsmodels.stats.power import TTestPower

from saccade.statistics import Components, needed, over_runs, power, predicted_error, variance_components

TRUE = Components(image=0.09, split=0.0004, seed=0.0009, image_by_split=0.02, residual=0.06)


def experiment(generator: np.random.Generator, repeats: int, seeds: int, images: int) -> np.ndarray:
    """Outcomes (R, S, N) of mean 0 with the true components."""
    shapes = [(1, 1, images), (repeats, 1, 1), (repeats, seeds, 1), (repeats, 1, images), (repeats, seeds, images)]
    variances = (TRUE.image, TRUE.split, TRUE.seed, TRUE.image_by_split, TRUE.residual)
    return sum(generator.normal(0, np.sqrt(v), shape) for v, shape in zip(variances, shapes, strict=True))


def test_the_expected_components_are_the_true_ones() -> None:
    """Many repeats and seeds once: each within a tenth or so."""
    found = variance_components(experiment(np.random.default_rng(0), 150, 8, 400))
    assert found.image == pytest.approx(TRUE.image, rel=0.2)
    assert found.split == pytest.approx(TRUE.split, rel=0.3)
    assert found.seed == pytest.approx(TRUE.seed, rel=0.15)
    assert found.image_by_split == pytest.approx(TRUE.image_by_split, rel=0.05)
    assert found.residual == pytest.approx(TRUE.residual, rel=0.02)


def test_they_add_up_to_the_analysis_of_variance() -> None:
    """Where nothing was cut off at 0, the variance of the grand mean is that of the mean squares (images + runs - rest)."""
    outcomes = experiment(np.random.default_rng(1), 6, 3, 200)
    found = variance_components(outcomes)
    assert min(vars(found).values()) > 0
    table = outcomes.mean(1)
    rest = table - table.mean(1, keepdims=True) - table.mean(0) + table.mean()
    squares = table.mean(0).var(ddof=1) / 200 + table.mean(1).var(ddof=1) / 6 - (rest**2).sum() / (5 * 199) / (6 * 200)
    assert predicted_error(found, 6, 3, 200) == pytest.approx(np.sqrt(squares))


def test_what_cannot_be_told_apart_is_none() -> None:
    outcomes = experiment(np.random.default_rng(0), 4, 3, 100)
    one_repeat, one_seed = variance_components(outcomes[:1]), variance_components(outcomes[:, :1])
    single = variance_components(outcomes[:1, :1])
    assert (one_repeat.split, one_repeat.image_by_split) == (None, None)
    assert one_repeat.seed is not None
    assert (one_seed.seed, one_seed.image_by_split) == (None, None)
    assert one_seed.split is not None
    assert (single.split, single.seed, single.residual) == (None, None, None)
    assert single.image == pytest.approx(outcomes[0, 0].var(ddof=1))
    assert predicted_error(single, 1, 1, 100) == pytest.approx(over_runs(outcomes[0, :1]).error)
    assert predicted_error(one_seed, 4, 5, 100) == predicted_error(one_seed, 4, 1, 100)


@given(st.integers(1, 4), st.integers(1, 4), st.integers(2, 20), st.integers(0, 10**6))
def test_components_are_never_negative_and_more_of_anything_never_hurts(r: int, s: int, n: int, seed: int) -> None:
    found = variance_components(np.random.default_rng(seed).integers(-1, 2, (r, s, n)).astype(float))
    assert all(v is None or v >= 0 for v in vars(found).values())
    here = predicted_error(found, r, s, n)
    for more in ((r + 1, s, n), (r, s + 1, n), (r, s, n + 1)):
        assert predicted_error(found, *more) <= here


def test_needed_is_the_first_number_that_does() -> None:
    few = Components(image=0.09, split=0.0, seed=0.0009, image_by_split=0.0, residual=0.06)
    seeds = needed(few, 0.02, 10_000, repeats=1)
    assert seeds is not None
    bar = 0.02 / norm.ppf(0.975)
    assert predicted_error(few, 1, seeds, 10_000) < bar
    assert predicted_error(few, 1, seeds - 4, 10_000) > bar  # Student's t asks for a few more than the normal law
    assert needed(few, -0.02, 10_000, repeats=1) == seeds
    assert needed(few, 0.04, 10_000, repeats=1) < seeds  # type: ignore[operator]


def test_no_number_of_runs_makes_up_for_too_few_images() -> None:
    assert needed(TRUE, 0.01, 1000, seeds=1) is None
    assert needed(TRUE, 0.0, 10**6, seeds=1) is None
    assert needed(TRUE, 0.01, 10**6, repeats=1) is None
    assert needed(TRUE, 0.01, 10**6, seeds=1) is not None


def test_seeds_that_were_not_told_apart_from_repeats_are_no_answer() -> None:
    lumped = Components(image=0.01, split=0.001, seed=None, image_by_split=None, residual=0.06)
    assert needed(lumped, 0.02, 1000, repeats=3) is None
    assert needed(lumped, 0.02, 1000, seeds=1) == needed(lumped, 0.02, 1000, seeds=9)


def test_of_a_single_run_the_images_alone_are_known() -> None:
    assert needed(variance_components(np.random.default_rng(0).normal(size=(1, 1, 100))), 0.5, 100, repeats=1) == 1
    assert needed(TRUE, 10.0, 100, repeats=1) == 2


@given(st.floats(-3, 3), st.integers(3, 500))
def test_power_is_statsmodels(effect: float, n: int) -> None:
    theirs = TTestPower().power(abs(effect), n, 0.05, alternative="two-sided")
    assume(not np.isnan(theirs))  # its lower tail is, far from 0 (scipy's `nct.cdf`)
    assert power(effect, 1 / np.sqrt(n), n - 1) == pytest.approx(theirs, abs=1e-6)
    assert power(effect, 1 / np.sqrt(n), n - 1) == power(-effect, 1 / np.sqrt(n), n - 1)


def test_power_without_an_effect_is_the_level_and_without_error_is_sure() -> None:
    assert power(0.0, 0.1, 4) == pytest.approx(0.05)
    assert power(0.0, 0.1, 4, 0.99) == pytest.approx(0.01)
    assert (power(0.1, 0.0, 4), power(0.0, 0.0, 4)) == (1.0, 0.0)
    assert power(1.0, 0.5, np.inf) == pytest.approx(norm.sf(norm.ppf(0.975) - 2) + norm.cdf(-norm.ppf(0.975) - 2))


def test_what_cannot_be_asked_is_refused() -> None:
    with pytest.raises(ValueError, match=r"not \(3, 10\)"):
        variance_components(np.zeros((3, 10)))
    with pytest.raises(ValueError, match="at least 1"):
        predicted_error(TRUE, 0, 1, 100)
    with pytest.raises(ValueError, match="give repeats to learn of seeds"):
        needed(TRUE, 0.1, 100)
    with pytest.raises(ValueError, match="degrees of freedom above 0"):
        power(0.1, 0.1, 0)


@pytest.mark.slow
@pytest.mark.parametrize(("repeats", "seeds"), [(3, 1), (5, 3), (10, 2)])
def test_components_are_right_on_average_and_predict_the_error(repeats: int, seeds: int) -> None:
    """2,000 experiments of 200 images: the spread of their means is the error predicted from the true components."""
    generator = np.random.default_rng(0)
    drawn = [experiment(generator, repeats, seeds, 200) for _ in range(2000)]
    spread = np.std([each.mean() for each in drawn])
    assert predicted_error(TRUE, repeats, seeds, 200) == pytest.approx(spread, rel=0.05)
    found = [variance_components(each) for each in drawn]
    predicted = np.sqrt(np.mean([predicted_error(each, repeats, seeds, 200) ** 2 for each in found]))
    print(f"{repeats} repeats, {seeds} seeds: spread {spread:.5f}, predicted {predicted:.5f}")
    assert predicted == pytest.approx(spread, rel=0.1)
    assert np.mean([each.image for each in found]) == pytest.approx(TRUE.image, rel=0.03)
    if seeds > 1:
        assert np.mean([each.seed for each in found]) == pytest.approx(TRUE.seed, rel=0.1)
        assert np.mean([each.image_by_split for each in found]) == pytest.approx(TRUE.image_by_split, rel=0.03)


@pytest.mark.slow
@pytest.mark.parametrize(("repeats", "seeds"), [(3, 1), (5, 1), (5, 3)])
def test_the_contrast_over_repeats_covers(repeats: int, seeds: int) -> None:
    """Seeds averaged within their repeat, repeats as runs: `over_runs` of the whole design, 2,000 experiments."""
    generator = np.random.default_rng(0)
    found = [over_runs(experiment(generator, repeats, seeds, 200).mean(1)) for _ in range(2000)]
    rejected = np.mean([each.p_value() < 0.05 for each in found])
    print(f"over_runs of {repeats} repeats, {seeds} seeds: rejected {rejected:.4f}")
    assert rejected <= 0.06
