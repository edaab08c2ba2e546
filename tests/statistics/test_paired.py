"""Paired tests against scipy and statsmodels, laws, and by simulation."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar as theirs

from saccade import statistics
from saccade.statistics.grouped import by_group

outcomes = st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=60).map(np.array)


@given(outcomes)
def test_mcnemar_is_statsmodels(right: np.ndarray) -> None:
    found = statistics.mcnemar(right[:, 0], right[:, 1])
    table = [[0, found.only_a], [found.only_b, 0]]
    assert found.p == pytest.approx(theirs(table, exact=True).pvalue)
    assert found.only_b - found.only_a == right[:, 1].sum() - right[:, 0].sum()
    swapped = statistics.mcnemar(right[:, 1], right[:, 0])
    assert (swapped.only_a, swapped.only_b, swapped.p) == (found.only_b, found.only_a, found.p)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(-3, 3), min_size=2, max_size=12).map(np.array))
def test_exact_permutation_test_is_scipys(differences: np.ndarray) -> None:
    scipys = stats.permutation_test(
        (differences.astype(float),), np.sum, permutation_type="samples", n_resamples=np.inf, vectorized=False
    )
    assert statistics.permutation_test(differences, 0) == pytest.approx(scipys.pvalue)
    assert statistics.permutation_test(-differences, 0) == statistics.permutation_test(differences, 0)


def test_random_permutation_test_is_near_scipys_and_the_exact_mcnemar() -> None:
    generator = np.random.default_rng(0)
    normal = generator.normal(0.15, 1, 200)
    scipys = stats.permutation_test((normal,), np.mean, permutation_type="samples", n_resamples=20_000, rng=1)
    assert statistics.permutation_test(normal, 0, resamples=20_000) == pytest.approx(scipys.pvalue, abs=0.01)
    signs = np.repeat([-1, 0, 1], [30, 900, 47])
    exact = statistics.mcnemar(signs < 0, signs > 0).p
    assert statistics.permutation_test(signs, 0, resamples=20_000) == pytest.approx(exact, abs=0.01)


def test_a_group_flips_as_one() -> None:
    sums, sizes = np.array([3.0, -1.0, 2.0, 2.0, 1.0]), [3, 2, 4, 2, 1]
    groups = np.repeat(list("abcde"), sizes)
    differences = np.repeat(sums / sizes, sizes)
    assert statistics.permutation_test(differences, 0, groups) == statistics.permutation_test(sums, 0)


@pytest.mark.parametrize("differences", [np.zeros(50), np.zeros(1)])
def test_no_difference_at_all_is_no_evidence(differences: np.ndarray) -> None:
    assert statistics.permutation_test(differences, 0) == 1
    assert statistics.mcnemar(differences > 0, differences < 0).p == 1


@pytest.mark.parametrize("spread", [1.0, 0.3])
def test_paired_bootstrap_is_scipys_bca(spread: float) -> None:
    differences = np.random.default_rng(0).gamma(2, spread, 200)
    ours = statistics.paired_bootstrap(differences, 0)
    theirs = stats.bootstrap((differences,), np.mean, method="BCa", n_resamples=20_000, rng=1).confidence_interval
    assert ours.value == pytest.approx(differences.mean())
    width = theirs.high - theirs.low
    assert (ours.low, ours.high) == (pytest.approx(theirs.low, abs=width / 40), pytest.approx(theirs.high, abs=width / 40))


def test_groups_of_one_image_are_images_and_groups_of_equal_sums_are_their_means() -> None:
    differences = np.random.default_rng(0).normal(size=100)
    assert statistics.paired_bootstrap(differences, 3, np.arange(100)) == statistics.paired_bootstrap(differences, 3)
    whole, tripled = (
        statistics.paired_bootstrap(differences, 3),
        statistics.paired_bootstrap(np.repeat(differences, 3), 3, np.repeat(np.arange(100), 3)),
    )
    assert (tripled.low, tripled.high, tripled.n) == (pytest.approx(whole.low), pytest.approx(whole.high), 300)


def test_outcomes_of_few_kinds_are_drawn_by_the_same_law() -> None:
    generator = np.random.default_rng(0)
    signs = generator.choice([-1, 0, 1], 400, p=[0.1, 0.75, 0.15])
    one, other = (statistics.paired_bootstrap(d, 0) for d in (signs, signs + generator.normal(0, 1e-9, 400)))
    width = one.high - one.low
    assert (one.low, one.high) == (pytest.approx(other.low, abs=width / 40), pytest.approx(other.high, abs=width / 40))


def test_few_units_take_students_t() -> None:
    differences = np.random.default_rng(0).normal(size=12)
    low, high = stats.t.interval(0.95, 11, loc=differences.mean(), scale=stats.sem(differences))
    for found in (
        statistics.paired_bootstrap(differences, 0),
        statistics.paired_bootstrap(np.repeat(differences, 5), 0, np.repeat(np.arange(12), 5)),
    ):
        assert (found.low, found.high) == (pytest.approx(low), pytest.approx(high))


def test_few_that_differ_take_tangos_interval() -> None:
    signs = np.repeat([-1, 0, 1], [3, 190, 7])
    found, tango = statistics.paired_bootstrap(signs, 0), statistics.tango(3, 7, 200)
    assert (found.low, found.high, found.n) == (pytest.approx(tango.low), pytest.approx(tango.high), 200)
    same = statistics.paired_bootstrap(np.zeros(200), 0)
    assert same.low < 0 < same.high
    grouped = statistics.paired_bootstrap(np.zeros(200), 0, np.arange(200) // 4)
    assert (grouped.high, grouped.n) == (statistics.tango(0, 0, 50).high, 200)


def drawn_differences(kind: str, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray | None]:
    """Of 150 images, and their groups: outcomes -1, 0, 1, or numbers that are all different."""
    groups = generator.integers(40, size=150) if kind.endswith("groups") else None
    skewed = kind.startswith("skewed")
    return generator.gamma(1, size=150) - 1 if skewed else generator.integers(-1, 2, 150), groups


@settings(max_examples=20, deadline=None)
@example(seed=275, kind="images")  # where the two were drawn apart, they differed by 0.03
@given(seed=st.integers(0, 10**6), kind=st.sampled_from(["images", "groups", "skewed", "skewed groups"]))
def test_swapping_mirrors_the_interval(seed: int, kind: str) -> None:
    differences, groups = drawn_differences(kind, np.random.default_rng(seed))
    one, other = (statistics.paired_bootstrap(d, seed, groups) for d in (differences, -differences))
    assert one.value == -other.value
    assert (one.low, one.high) == (pytest.approx(-other.high, abs=1e-9), pytest.approx(-other.low, abs=1e-9))
    assert one.low <= one.value <= one.high


def test_images_that_differ_in_groups_alike_count_for_less() -> None:
    """Ten of 200 differ: apart, or all ten in two groups of five, which is worth about two of 40."""
    apart, together = np.zeros(200), np.zeros(200)
    apart[::20], together[:10] = 1, 1
    found = [statistics.paired_bootstrap(each, 0, np.arange(200) // 5) for each in (apart, together)]
    alone = statistics.paired_bootstrap(apart, 0)
    assert (found[0].low, found[0].high) == (pytest.approx(alone.low), pytest.approx(alone.high))
    rough = statistics.tango(0, 2, 40)
    assert (found[1].low, found[1].high) == (pytest.approx(rough.low, abs=0.01), pytest.approx(rough.high, abs=0.01))


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from((-1.0, 1.0)), st.integers(0, 4)), min_size=4, max_size=29))
def test_images_that_all_differ_are_no_more_than_all(drawn: list[tuple[float, int]]) -> None:
    """What the two sides of them count for is rounded, and must not add up to more than the whole."""
    differences, groups = np.array(drawn).T
    for each in (None, groups) if len(np.unique(groups)) > 1 else (None,):
        found = statistics.paired_bootstrap(differences, 0, each)
        assert -1 <= found.low <= found.value <= found.high <= 1


def test_what_cannot_be_compared_is_refused() -> None:
    with pytest.raises(ValueError, match=r"\(3,\) and \(4,\)"):
        statistics.mcnemar(np.ones(3), np.ones(4))
    with pytest.raises(ValueError, match="a group for each image"):
        statistics.permutation_test(np.ones(3), 0, np.ones(4))
    with pytest.raises(ValueError, match="not finite"):
        statistics.paired_bootstrap(np.array([0.0, np.nan]), 0)
    with pytest.raises(ValueError, match="the least to compare on, not 1"):
        statistics.paired_bootstrap(np.ones(3), 0, np.zeros(3))


def experiments(kind: str, count: int, n: int, shift: float) -> tuple[np.ndarray, np.ndarray | None, float]:
    """Differences (count, n) with a true mean, and groups: outcomes -1, 0, 1, or skewed, or of patients with 4 images."""
    generator = np.random.default_rng(n)
    if kind == "outcomes":
        return generator.choice([-1, 0, 1], (count, n), p=[0.1, 0.8 - shift, 0.1 + shift]), None, shift
    if kind == "skewed":
        return generator.gamma(2, 0.5, (count, n)) - 1 + shift, None, shift
    groups = np.arange(n) // 4
    ease = generator.normal(0, 0.3, (count, n // 4)).repeat(4, axis=1)
    return ease + generator.normal(shift, 0.5, (count, n)), groups, shift


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["outcomes", "skewed", "groups"])
@pytest.mark.parametrize("n", [100, 400])
def test_paired_bootstrap_covers(kind: str, n: int) -> None:
    drawn, groups, truth = experiments(kind, 2000, n, 0.05)
    found = [statistics.paired_bootstrap(each, i, groups) for i, each in enumerate(drawn)]
    covered = np.mean([e.low <= truth <= e.high for e in found])
    print(f"paired bootstrap, {kind}, {n} images: covered {covered:.4f}")
    assert 0.93 <= covered <= 0.97


@pytest.mark.slow
@pytest.mark.parametrize(("groups", "size"), [(12, 8), (50, 4), (200, 4)])
@pytest.mark.parametrize("rate", [0.01, 0.05])
def test_paired_bootstrap_covers_where_few_differ_in_groups(groups: int, size: int, rate: float) -> None:
    """Each group has its own rate. The plain t over groups, or BCa, covers 57 to 90 % of the rarest here."""
    generator, of = np.random.default_rng(groups), np.repeat(np.arange(groups), size)
    covered = 0
    for i in range(2000):
        differ = generator.random(len(of)) < np.minimum(generator.gamma(0.5, 2 * rate, groups), 0.5)[of]
        drawn = differ * generator.choice([-1, 1], len(of), p=[1 / 3, 2 / 3])
        found = statistics.paired_bootstrap(drawn, i, of)
        covered += found.low <= rate / 3 <= found.high
    print(f"paired bootstrap, {groups} groups of {size}, {rate} differ: covered {covered / 2000:.4f}")
    assert covered / 2000 >= 0.93


@pytest.mark.slow
@pytest.mark.parametrize("n", [100, 400])
def test_mcnemar_rejects_a_true_null_rarely(n: int) -> None:
    drawn, _, _ = experiments("outcomes", 4000, n, 0.0)
    rejected = np.mean([statistics.mcnemar(each < 0, each > 0).p < 0.05 for each in drawn])
    print(f"McNemar, {n} images: rejected {rejected:.4f}")
    assert rejected <= 0.06


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["outcomes", "groups"])
@pytest.mark.parametrize("n", [100, 400])
def test_permutation_test_rejects_a_true_null_rarely(kind: str, n: int) -> None:
    drawn, groups, _ = experiments(kind, 2000, n, 0.0)
    rejected = np.mean([statistics.permutation_test(each, i, groups, 999) < 0.05 for i, each in enumerate(drawn)])
    print(f"permutation test, {kind}, {n} images: rejected {rejected:.4f}")
    assert rejected <= 0.06


@pytest.mark.slow
def test_without_its_groups_a_test_of_grouped_images_rejects_too_often() -> None:
    """Why groups are asked for: the same images taken as independent."""
    drawn, _, _ = experiments("groups", 2000, 400, 0.0)
    rejected = np.mean([statistics.permutation_test(each, i, None, 999) < 0.05 for i, each in enumerate(drawn)])
    print(f"permutation test, groups ignored: rejected {rejected:.4f}")
    assert rejected > 0.08


def test_sums_of_groups() -> None:
    sums, sizes = by_group(np.array([1.0, 2.0, 4.0]), np.array(["x", "y", "x"]))
    assert (sums.tolist(), sizes.tolist()) == ([5.0, 2.0], [2.0, 1.0])
