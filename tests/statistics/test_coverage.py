"""Intervals at extreme proportions: each covers the truth as it says, near 0 and 1 too, and of few images."""

from collections.abc import Callable
from functools import cache

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.stats import binom, norm

from saccade import statistics
from saccade.statistics.interval import proportion

LEAST = 0.93  # of nominally 95 %; more is allowed at extremes, since counts are coarse
TRIALS = 2000


@cache
def strength(classes: int, accuracy: float) -> float:
    """How far the score of the true class lies above the others, which are standard normal, for that accuracy."""
    z = np.linspace(-9, 14, 5001)

    def excess(shift: float) -> float:
        return float(np.trapezoid(norm.pdf(z - shift) * norm.cdf(z) ** (classes - 1), z)) - accuracy

    return float(brentq(excess, 0, 7))


def network(
    generator: np.random.Generator, n: int, shares: np.ndarray, accuracy: float, sureness: float
) -> tuple[np.ndarray, np.ndarray]:
    """Labels and probabilities; calibrated where `sureness` is 1 and classes are equally many, above it too sure."""
    shift = strength(len(shares), accuracy)
    labels = generator.choice(len(shares), n, p=shares)
    scores = generator.normal(size=(n, len(shares)))
    scores[np.arange(n), labels] += shift
    likely = np.exp(sureness * shift * (scores - scores.max(1, keepdims=True)))
    return labels, likely / likely.sum(1, keepdims=True)


def values(labels: np.ndarray, likely: np.ndarray) -> dict[str, float]:
    return {name: score.value for name, score in statistics.classification_scores(labels, likely).items()}


def scores_covered(n: int, shares: list[float], accuracy: float, sureness: float) -> dict[str, float]:
    """The share of experiments in which each score's interval holds its truth, that of two million images."""
    generator, law = np.random.default_rng(n), np.array(shares) / sum(shares)
    many = [values(*network(generator, 200_000, law, accuracy, sureness)) for _ in range(10)]
    truth = {name: np.mean([each[name] for each in many]) for name in many[0]}
    covered = dict.fromkeys(truth, 0.0)
    for i in range(TRIALS):
        found = statistics.classification_scores(*network(generator, n, law, accuracy, sureness), i)
        for name, each in found.items():
            covered[name] += (each.low <= truth[name] <= each.high) / TRIALS
    covered = {name: round(float(each), 4) for name, each in covered.items()}
    print(f"{n} images, classes {shares}, accuracy {accuracy}, sureness {sureness}: {covered}")
    return covered


@pytest.mark.slow
@pytest.mark.parametrize("accuracy", [0.8, 0.95, 0.99])
@pytest.mark.parametrize("classes", [2, 10])
@pytest.mark.parametrize(("n", "sureness"), [(100, 1.0), (100, 2.5), (1000, 2.5)])
def test_every_headline_score_is_covered(n: int, classes: int, accuracy: float, sureness: float) -> None:
    covered = scores_covered(n, [1.0] * classes, accuracy, sureness)
    assert min(covered.values()) >= LEAST, covered


@pytest.mark.slow
@pytest.mark.parametrize("accuracy", [0.8, 0.95, 0.99])
@pytest.mark.parametrize("shares", [[90.0, 10.0], [60.0, 20.0, 10.0, 5.0, 5.0]])
def test_scores_of_rare_classes_are_covered(shares: list[float], accuracy: float) -> None:
    covered = scores_covered(300, shares, accuracy, 1.5)
    assert min(covered.values()) >= LEAST, covered


def test_all_right_all_wrong_and_one_error_leave_doubt() -> None:
    """No score of 30 images is a point, and no interval ends at the value but on the side where nothing is left."""
    labels = np.arange(30) % 3
    for taken in (labels, (labels + 1) % 3, np.where(np.arange(30) == 4, 2, labels)):
        found = statistics.classification_scores(labels, np.eye(3)[taken] * 0.9 + 1 / 30)
        share = float((taken == labels).mean())
        for name, score in found.items():
            assert score.low < score.high, name
            assert score.low <= score.value <= score.high
        for name in ("accuracy", "macro_f1", "balanced_accuracy"):
            assert (found[name].low > 0) == (share > 0)
            assert (found[name].high < 1) == (share < 1)
    one = statistics.classification_scores(labels[:1], np.array([[0.9, 0.05, 0.05]]))
    assert all(score.high - score.low > 0.05 for score in one.values())


def test_a_network_that_says_nothing_has_a_log_loss_without_doubt() -> None:
    found = statistics.classification_scores(np.arange(30) % 3, np.full((30, 3), 1 / 3))["log_loss"]
    assert (found.low, found.high) == (pytest.approx(np.log(3)), pytest.approx(np.log(3)))


@pytest.mark.parametrize("runs", [1, 3, 5])
@pytest.mark.parametrize("groups", [None, np.arange(100) // 5])
def test_runs_without_an_error_leave_doubt(runs: int, groups: np.ndarray | None) -> None:
    """As much as one run would: nothing tells that runs err apart."""
    right = np.ones((runs, 100))
    units = 100 if groups is None else 20
    found, wrong = (statistics.share_over_runs(each, groups=groups) for each in (right, 1 - right))
    assert (found.value, found.high) == (1, 1)
    assert found.low == pytest.approx(statistics.wilson(units, units).low, abs=0.03)
    assert (wrong.low, wrong.high) == (0, pytest.approx(1 - found.low))
    same = statistics.over_runs(right - right, groups)
    assert same.p_value() == 1
    assert 3 / units < same.interval().high < 5 / units
    assert same.interval().low == -same.interval().high


@pytest.mark.parametrize("runs", [2, 3, 5])
def test_an_error_of_a_single_run_adds_doubt_to_none(runs: int) -> None:
    right = np.ones((runs, 200))
    none = statistics.share_over_runs(right)
    right[0, 7] = 0
    one = statistics.share_over_runs(right)
    assert none.low - 0.02 < one.low < one.value < one.high < 1


def drawn_runs(kind: str, generator: np.random.Generator, rate: float, runs: int, n: int) -> np.ndarray:
    """(runs, n) errors at this rate: of all runs on the same images, of each by itself, or half and half."""
    shared = {"same": rate, "apart": 0.0, "half": rate / 2}[kind]
    alone = (rate - shared) / (1 - shared)
    return ((generator.random((1, n)) < shared) | (generator.random((runs, n)) < alone)).astype(float)


def coverage(draw: Callable[[], np.ndarray], interval: Callable[[np.ndarray], statistics.Estimate], truth: float) -> float:
    found = [interval(draw()) for _ in range(2 * TRIALS)]
    return float(np.mean([each.low <= truth <= each.high for each in found]))


RATES = [(0.2, 100), (0.05, 100), (0.03, 100), (0.01, 100), (0.005, 100), (0.005, 200), (0.01, 1000), (0.003, 1000)]


@pytest.mark.slow
@pytest.mark.parametrize(("rate", "n"), RATES)
@pytest.mark.parametrize("kind", ["same", "apart", "half"])
def test_shares_over_runs_are_covered(kind: str, rate: float, n: int) -> None:
    generator = np.random.default_rng(n)
    covered = {
        runs: coverage(
            lambda runs=runs: 1 - drawn_runs(kind, generator, rate, runs, n), statistics.share_over_runs, 1 - rate
        )
        for runs in (1, 2, 3, 5)
    }
    print(f"{kind}, rate {rate}, {n} images, by runs: {covered}")
    assert min(covered.values()) >= LEAST


@pytest.mark.slow
@pytest.mark.parametrize(("rate", "n"), RATES[1:])
@pytest.mark.parametrize("sides", [(1.0, 0.0), (0.7, 0.3), (0.5, 0.5)])
def test_differences_over_runs_are_covered(sides: tuple[float, float], rate: float, n: int) -> None:
    """Where all that differ do so to one side, to both, or to both alike, where a true null is rejected rarely as well."""
    generator = np.random.default_rng(n)

    def draw(kind: str, runs: int) -> np.ndarray:
        return drawn_runs(kind, generator, rate * sides[0], runs, n) - drawn_runs(kind, generator, rate * sides[1], runs, n)

    truth = rate * (sides[0] - sides[1])
    covered = {
        (kind, runs): coverage(lambda k=kind, r=runs: draw(k, r), statistics.mean_over_runs, truth)
        for kind in ("same", "half")
        for runs in (1, 2, 3, 5)
    }
    print(f"differ {rate}, sides {sides}, {n} images: {covered}")
    assert min(covered.values()) >= (0.94 if truth == 0 else LEAST)


@pytest.mark.parametrize(("n", "least"), [(100, 0.926), (150, LEAST), (1000, LEAST)])
def test_a_proportion_covers_at_every_rate(n: int, least: float) -> None:
    """Counted out, not simulated: over all counts of 1,000 true rates."""
    counts = np.arange(n + 1)
    found = [proportion(int(count), n) for count in counts]
    low, high = np.array([each.low for each in found]), np.array([each.high for each in found])
    rates = np.geomspace(1e-5, 0.5, 1000)
    chances = np.exp(binom.logpmf(counts, n, rates[:, None]))
    covered = (chances * ((low <= rates[:, None]) & (rates[:, None] <= high))).sum(1)
    print(f"{n} images: covered {covered.min():.4f} at least, {covered.mean():.4f} on average")
    assert covered.min() >= least
