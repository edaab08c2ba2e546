"""Intervals over runs and images: against closed forms, and by simulation."""

import numpy as np
import pytest
from scipy import stats

from saccade import statistics


def test_of_one_run_it_is_students_interval_over_images() -> None:
    outcomes = np.random.default_rng(0).normal(size=(1, 50))
    found = statistics.mean_over_runs(outcomes)
    low, high = stats.t.interval(0.95, 49, loc=outcomes.mean(), scale=stats.sem(outcomes[0]))
    assert (found.low, found.high) == (pytest.approx(low), pytest.approx(high))


def test_with_images_that_all_agree_it_is_students_interval_over_runs() -> None:
    means = np.array([0.1, 0.3, 0.2, 0.25])
    found = statistics.mean_over_runs(np.repeat(means[:, None], 9, axis=1))
    low, high = stats.t.interval(0.95, 3, loc=means.mean(), scale=stats.sem(means))
    assert (found.low, found.high) == (pytest.approx(low), pytest.approx(high))


def test_folds_by_the_corrected_resampled_t() -> None:
    """Nadeau and Bengio's statistic for ten folds: t = mean / sqrt((1/10 + 1/9) variance)."""
    differences = np.random.default_rng(0).normal(0.01, 0.02, 10)
    found = statistics.mean_over_folds(differences)
    scale = np.sqrt((1 / 10 + 1 / 9) * differences.var(ddof=1))
    low, high = stats.t.interval(0.95, 9, loc=differences.mean(), scale=scale)
    assert (found.low, found.high, found.n) == (pytest.approx(low), pytest.approx(high), 10)
    with pytest.raises(ValueError, match="two folds at least"):
        statistics.mean_over_folds(differences[:1])


def test_bad_shapes() -> None:
    for shape in ((3,), (0, 5), (2, 1)):
        with pytest.raises(ValueError, match="outcomes are"):
            statistics.mean_over_runs(np.zeros(shape))


@pytest.mark.slow
@pytest.mark.parametrize(("runs", "images"), [(2, 100), (3, 100), (5, 300), (10, 1000)])
@pytest.mark.parametrize("spread", [0.0, 0.02, 0.1])
def test_it_covers_the_true_difference(runs: int, images: int, spread: float) -> None:
    """2,000 comparisons of right and wrong, of images more or less easy and runs of more or less skill."""
    generator = np.random.default_rng(1)

    def chance(mean: float, ease: np.ndarray, count: int) -> np.ndarray:
        return np.clip(generator.normal(mean, spread, (count, 1)) + ease, 0.02, 0.98)

    many = generator.normal(0, 0.2, 2000)
    truth = float(chance(0.73, many, 1000).mean() - chance(0.7, many, 1000).mean())
    covered = 0
    for _ in range(2000):
        ease = generator.normal(0, 0.2, images)
        right = [generator.random((runs, images)) < chance(mean, ease, runs) for mean in (0.7, 0.73)]
        found = statistics.mean_over_runs(right[1].astype(float) - right[0])
        covered += found.low <= truth <= found.high
    print(f"{runs} runs that differ by {spread}, {images} images: covered {covered / 2000:.4f}")
    assert (0.93 if runs > 2 else 0.91) <= covered / 2000 <= (0.985 if spread else 0.99)
