"""Bootstrap intervals against scipy, the laws of drawing, and by simulation."""

from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats

from saccade import statistics
from saccade.statistics.bootstrap import Statistic


def mean_of(values: np.ndarray) -> Statistic:
    return lambda counts: counts @ values / counts.sum(1)


def deviation_of(values: np.ndarray) -> Statistic:
    def statistic(counts: np.ndarray) -> np.ndarray:
        mean = counts @ values / counts.sum(1)
        return np.sqrt(counts @ values**2 / counts.sum(1) - mean**2)

    return statistic


@pytest.mark.parametrize(("ours", "scipys"), [(mean_of, np.mean), (deviation_of, np.std)])
@pytest.mark.parametrize("method", ["BCa", "percentile"])
def test_it_is_scipys(ours: Callable[[np.ndarray], Statistic], scipys: Callable[..., float], method: str) -> None:
    values = np.random.default_rng(0).gamma(1.5, size=80)
    interval = {"BCa": statistics.bca_interval, "percentile": statistics.percentile_interval}[method]
    low, high = interval(ours(values), 80, 0, 0.9, 20_000)
    theirs = stats.bootstrap(
        (values,), scipys, method=method, n_resamples=20_000, confidence_level=0.9, rng=1
    ).confidence_interval
    width = theirs.high - theirs.low
    assert (low, high) == (pytest.approx(theirs.low, abs=width / 50), pytest.approx(theirs.high, abs=width / 50))


def test_strata_are_scipys_several_samples() -> None:
    """The difference of two means, each sample drawn at its own size."""
    generator = np.random.default_rng(0)
    first, second = generator.gamma(1, size=40), generator.gamma(3, size=90)
    values, strata = np.concatenate([first, second]), np.repeat([0, 1], [40, 90])

    def statistic(counts: np.ndarray) -> np.ndarray:
        means = [counts[:, strata == s] @ values[strata == s] / counts[:, strata == s].sum(1) for s in (0, 1)]
        return means[1] - means[0]

    def difference(x: np.ndarray, y: np.ndarray, axis: int) -> np.ndarray:
        return y.mean(axis) - x.mean(axis)

    low, high = statistics.bca_interval(statistic, statistics.sampling(130, strata), 0, resamples=20_000)
    theirs = stats.bootstrap((first, second), difference, method="BCa", n_resamples=20_000, rng=1).confidence_interval
    width = theirs.high - theirs.low
    assert (low, high) == (pytest.approx(theirs.low, abs=width / 40), pytest.approx(theirs.high, abs=width / 40))


def test_every_stratum_keeps_its_size_and_every_cluster_its_images_together() -> None:
    strata = np.repeat(["a", "b", "c"], [10, 20, 30])
    clusters = np.arange(60) // 5
    draws = statistics.sampling(60, strata, clusters).drawn(np.random.default_rng(0), 50)
    for stratum, size in (("a", 10), ("b", 20), ("c", 30)):
        assert (draws[:, strata == stratum].sum(1) == size).all()
    grouped = draws.reshape(50, 12, 5)
    assert (grouped == grouped[..., :1]).all()


def test_clusters_of_copies_are_the_bootstrap_of_one_of_each() -> None:
    values = np.random.default_rng(0).normal(size=50)
    one = statistics.bca_interval(mean_of(values), 50, 0)
    copied = statistics.sampling(150, clusters=np.repeat(np.arange(50), 3))
    assert statistics.bca_interval(mean_of(np.repeat(values, 3)), copied, 0) == pytest.approx(one)


def test_it_turns_with_the_statistic() -> None:
    values = np.random.default_rng(0).gamma(1.5, size=80)
    low, high = statistics.bca_interval(mean_of(values), 80, 0)
    assert statistics.bca_interval(mean_of(-values), 80, 0) == pytest.approx((-high, -low), abs=1e-3)


def test_images_that_all_agree_give_a_point() -> None:
    assert statistics.bca_interval(mean_of(np.ones(50)), 50, 0) == (1, 1)


def test_what_cannot_be_drawn_is_refused() -> None:
    with pytest.raises(ValueError, match="clusters name one value for each of 4 images"):
        statistics.sampling(4, clusters=np.zeros(3))
    with pytest.raises(ValueError, match="more than one stratum"):
        statistics.sampling(4, np.array([0, 0, 1, 1]), np.array([0, 1, 1, 2]))


@pytest.mark.slow
@pytest.mark.parametrize("n", [100, 300])
def test_bca_covers_a_skewed_mean_and_a_deviation(n: int) -> None:
    generator = np.random.default_rng(n)
    drawn = generator.gamma(2, size=(2000, n))
    covered = np.zeros(2)
    for i, values in enumerate(drawn):
        for j, (statistic, truth) in enumerate([(mean_of(values), 2.0), (deviation_of(values), np.sqrt(2))]):
            low, high = statistics.bca_interval(statistic, n, i, resamples=2000)
            covered[j] += low <= truth <= high
    print(f"BCa, {n} images: covered the mean {covered[0] / 2000:.4f}, the deviation {covered[1] / 2000:.4f}")
    assert 0.93 <= covered[0] / 2000 <= 0.97
    assert covered[1] / 2000 <= 0.97


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["strata", "clusters"])
def test_strata_and_clusters_cover(kind: str) -> None:
    """200 images: of classes with other means, or in 50 groups that share half of their variance."""
    generator = np.random.default_rng(0)
    which = np.arange(200) % 4 if kind == "strata" else np.arange(200) // 4
    how = statistics.sampling(200, **{kind: which})
    covered = 0
    for i in range(2000):
        shared = which - 1.5 if kind == "strata" else generator.normal(size=50)[which]
        low, high = statistics.bca_interval(mean_of(shared + generator.normal(size=200)), how, i, resamples=2000)
        covered += low <= 0 <= high
    print(f"BCa with {kind}: covered {covered / 2000:.4f}")
    assert 0.93 <= covered / 2000 <= 0.97
