"""Images in groups: laws, and by simulation that intervals over groups cover where those over images do not."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from saccade import statistics
from saccade.statistics.grouped import by_group, ratio

GROUPS, SIZE = 30, 10  # of the simulations


@settings(deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 4), st.integers(2, 40))
def test_units_keep_the_mean_and_have_the_error_of_a_ratio(seed: int, runs: int, n: int) -> None:
    generator = np.random.default_rng(seed)
    outcomes, groups = generator.normal(size=(runs, n)), generator.integers(5, size=n)
    units = statistics.by_unit(outcomes, groups)
    count = len(np.unique(groups))
    assert units.shape == (runs, count)
    assert units.mean(1) == pytest.approx(outcomes.mean(1))
    if count > 1:
        assert units[0].std(ddof=1) / np.sqrt(count) == pytest.approx(ratio(*by_group(outcomes[0], groups)).error)


def test_groups_of_one_image_are_images() -> None:
    generator = np.random.default_rng(0)
    outcomes = generator.random((4, 60))
    alone = generator.permutation(60)
    assert np.sort(statistics.by_unit(outcomes, alone)) == pytest.approx(np.sort(outcomes))
    one, other = (statistics.mean_over_runs(outcomes, groups=each) for each in (None, alone))
    assert vars(one) == pytest.approx(vars(other))
    assert statistics.share(outcomes[0] > 0.5, alone) == statistics.wilson(int((outcomes[0] > 0.5).sum()), 60)


def test_copies_tell_no_more_than_one_of_each() -> None:
    outcomes = np.random.default_rng(0).normal(size=(3, 50))
    copies = statistics.mean_over_runs(np.repeat(outcomes, 4, axis=1), groups=np.repeat(np.arange(50), 4))
    once = statistics.mean_over_runs(outcomes)
    assert (copies.low, copies.high, copies.n) == (pytest.approx(once.low), pytest.approx(once.high), 200)


def test_one_group_alone_tells_nothing_of_others() -> None:
    for call in (statistics.mean_over_runs, statistics.share_over_runs):
        with pytest.raises(ValueError, match="two groups of images are the least"):
            call(np.ones((2, 5)), groups=np.zeros(5))
    with pytest.raises(ValueError, match="two groups of images are the least"):
        statistics.share(np.ones(5), np.zeros(5))
    with pytest.raises(ValueError, match="a group for each image"):
        statistics.by_unit(np.ones((2, 5)), np.zeros(4))


@pytest.mark.parametrize("groups", [2, 3])
def test_few_groups_of_any_number_of_images_have_a_share(groups: int) -> None:
    """Of as few as these, all images may count for one, which rounding must not make less."""
    for n in range(4, 401):
        of = np.arange(n) % groups
        for outcomes in (np.ones(n), np.zeros(n), np.arange(n) % 5 < 3, of == 0):
            found = statistics.share(outcomes, of)
            assert 0 <= found.low <= found.value == np.mean(outcomes) <= found.high <= 1
            assert found.low < found.high


def members_in_groups(generator: np.random.Generator, groups: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Probabilities (5, N, 2) of members that find the images of one group easy or hard alike, labels, and the groups."""
    of = np.repeat(np.arange(groups), SIZE)
    ease = generator.normal(0.8, 1.0, groups)[of] + generator.normal(0, 0.5, len(of))
    scores = ease + generator.normal(0, 0.1, (5, 1)) + generator.normal(0, 0.5, (5, len(of)))
    right = 1 / (1 + np.exp(-scores))
    return np.stack([right, 1 - right], -1), np.zeros(len(of), int), of


Found = dict[str, statistics.Estimate]


def found_of(likely: np.ndarray, labels: np.ndarray, groups: np.ndarray | None) -> Found:
    predicted = likely.argmax(-1)
    parts: Found = {"accuracy": statistics.share_over_runs((predicted == labels).astype(float), groups=groups)}
    decompositions: dict[str, Callable[[], statistics.Decomposition]] = {
        "log loss": lambda: statistics.log_loss_decomposition(likely, labels, groups),
        "Kohavi and Wolpert": lambda: statistics.zero_one_kohavi_wolpert(predicted, labels, 2, groups),
    }
    for name, decomposed in decompositions.items():
        parts |= {f"{name}, {part}": each for part, each in vars(decomposed()).items()}
    return parts


def coverage(experiments: int) -> tuple[dict[str, float], dict[str, float]]:
    """The share of experiments whose interval covers the truth: over groups, and over images as if there were none."""
    generator = np.random.default_rng(0)
    many = [found_of(*members_in_groups(generator, 2000)[:2], None) for _ in range(5)]
    truth = {name: np.mean([each[name].value for each in many]) for name in many[0]}
    covered, ignored = dict.fromkeys(truth, 0.0), dict.fromkeys(truth, 0.0)
    for _ in range(experiments):
        likely, labels, groups = members_in_groups(generator, GROUPS)
        for counts, of in ((covered, groups), (ignored, None)):
            for name, each in found_of(likely, labels, of).items():
                counts[name] += (each.low <= truth[name] <= each.high) / experiments
    print(", ".join(f"{name}: {covered[name]:.3f} (over images {ignored[name]:.3f})" for name in truth))
    return covered, ignored


def test_intervals_over_groups_cover_and_those_over_images_do_not() -> None:
    covered, ignored = coverage(300)
    assert min(covered.values()) >= 0.9
    assert max(each for name, each in ignored.items() if "variance" not in name) <= 0.8


@pytest.mark.slow
def test_intervals_over_groups_cover() -> None:
    covered, _ = coverage(2000)
    assert min(covered.values()) >= 0.93
    assert max(covered.values()) <= 0.985  # the variance of Kohavi and Wolpert, which is small; the others 0.952 at most


def shares_covered(groups: int, mean: float, spread: float, experiments: int) -> float:
    """Of experiments with groups of 10 images that are right by chances of their own."""
    generator = np.random.default_rng(0)
    truth = float(np.mean(1 / (1 + np.exp(-generator.normal(mean, spread, 10**6)))))
    covered = 0
    for _ in range(experiments):
        of = np.repeat(np.arange(groups), SIZE)
        chance = 1 / (1 + np.exp(-generator.normal(mean, spread, groups)))[of]
        found = statistics.share(generator.random(len(of)) < chance, of)
        covered += found.low <= truth <= found.high
    print(f"{groups} groups, a share of {truth:.3f}: covered {covered / experiments:.4f}")
    return covered / experiments


def test_a_share_over_groups_covers() -> None:
    assert shares_covered(GROUPS, 1.3, 1.5, 400) >= 0.91


@pytest.mark.slow
@pytest.mark.parametrize(("groups", "mean", "spread"), [(30, 1.3, 1.5), (30, 3.5, 1.5), (100, 3.5, 1.5), (30, 1.3, 0.1)])
def test_shares_over_groups_cover(groups: int, mean: float, spread: float) -> None:
    assert 0.93 <= shares_covered(groups, mean, spread, 2000) <= 0.985  # of 30 groups, whole ones might be unlike these


@pytest.mark.slow
def test_scores_over_groups_cover() -> None:
    """2,000 experiments of 60 groups of 10 images, of a single network each; with the groups ignored in 200 of them."""
    generator = np.random.default_rng(0)
    many = [
        statistics.classification_scores(labels, likely) for likely, labels in (single(generator, 2000) for _ in range(5))
    ]
    truth = {name: np.mean([each[name].value for each in many]) for name in many[0]}
    covered, ignored = dict.fromkeys(truth, 0.0), dict.fromkeys(truth, 0.0)
    for i in range(2000):
        likely, labels = single(generator, 60)
        for counts, groups, part in ((covered, np.repeat(np.arange(60), SIZE), 2000), (ignored, None, 200)):
            found = statistics.classification_scores(labels, likely, i, groups) if i < part else {}
            for name, each in found.items():
                counts[name] += (each.low <= truth[name] <= each.high) / part
    print(f"covered {covered}, over images {ignored}")
    assert covered.pop("ece") >= 0.86  # as its docstring says
    assert min(covered.values()) >= 0.93
    assert max(ignored[name] for name in ("accuracy", "log_loss", "brier")) <= 0.8


def single(generator: np.random.Generator, groups: int) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities (N, 2) of a network that finds the images of a group easy or hard alike, and labels of both classes."""
    count = groups * SIZE
    labels = generator.integers(2, size=count)
    ease = generator.normal(0.8, 1.0, groups).repeat(SIZE) + generator.normal(0, 0.5, count)
    right = 1 / (1 + np.exp(-ease))
    likely = np.empty((count, 2))
    likely[np.arange(count), labels], likely[np.arange(count), 1 - labels] = right, 1 - right
    return likely, labels
