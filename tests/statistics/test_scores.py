"""Scores and intervals against scipy and scikit-learn, and laws."""

import numpy as np
import pytest
import sklearn.metrics
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from saccade import statistics
from saccade.statistics.calibration import gap_estimate


def outcomes(n: int, classes: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    labels = generator.integers(classes, size=n)
    scores = generator.normal(size=(n, classes))
    scores[np.arange(n), labels] += 1.5
    likely = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
    return labels, likely


@given(n=st.integers(1, 2000), share=st.floats(0, 1))
def test_wilson_is_scipys(n: int, share: float) -> None:
    hits = round(share * n)
    ours, theirs = statistics.wilson(hits, n), binomtest(hits, n).proportion_ci(method="wilson")
    assert ours.low == pytest.approx(theirs.low, abs=1e-12)
    assert ours.high == pytest.approx(theirs.high, abs=1e-12)
    assert ours.low <= ours.value <= ours.high


@settings(max_examples=20, deadline=None)
@example(n=93, classes=2, seed=0)  # where the sums behind a value and its interval once differed in the last bit
@given(n=st.integers(60, 300), classes=st.integers(2, 6), seed=st.integers(0, 10**6))
def test_scores_are_scikit_learns(n: int, classes: int, seed: int) -> None:
    labels, likely = outcomes(n, classes, seed)
    predicted = likely.argmax(1)
    present = sorted(set(labels))
    found = statistics.classification_scores(labels, likely)
    assert found["accuracy"].value == pytest.approx(sklearn.metrics.accuracy_score(labels, predicted))
    expected = sklearn.metrics.f1_score(labels, predicted, labels=present, average="macro", zero_division=0)
    assert found["macro_f1"].value == pytest.approx(expected)
    recall = sklearn.metrics.recall_score(labels, predicted, labels=present, average="macro")
    assert found["balanced_accuracy"].value == pytest.approx(recall)
    loss = sklearn.metrics.log_loss(labels, likely, labels=range(classes))
    assert found["log_loss"].value == pytest.approx(loss)
    brier = np.square(likely - np.eye(classes)[labels]).sum(1).mean()
    assert found["ece"].value == pytest.approx(statistics.expected_calibration_error(labels, likely))
    assert found["brier"].value == pytest.approx(brier)
    for score in found.values():
        assert score.low <= score.value <= score.high
        assert score.n == n


def test_intervals_of_many_images_are_those_of_the_bootstrap() -> None:
    """Where the bootstrap over images is right, which it is not of few mistakes: to a tenth of the interval (n = 2,000)."""
    labels, likely = outcomes(2000, 10)
    said, truth, generator = likely.argmax(1), np.eye(10)[labels], np.random.default_rng(1)
    scored = {
        "macro_f1": lambda i: sklearn.metrics.f1_score(labels[i], said[i], average="macro"),
        "balanced_accuracy": lambda i: sklearn.metrics.balanced_accuracy_score(labels[i], said[i]),
        "log_loss": lambda i: sklearn.metrics.log_loss(labels[i], likely[i], labels=range(10)),
        "brier": lambda i: np.square(likely[i] - truth[i]).sum(1).mean(),
    }
    found = statistics.classification_scores(labels, likely)
    for name, score in scored.items():
        low, high = np.quantile([score(generator.integers(0, 2000, 2000)) for _ in range(600)], [0.025, 0.975])
        assert abs(found[name].low - low) < 0.1 * (high - low), name
        assert abs(found[name].high - high) < 0.1 * (high - low), name


def test_copies_of_images_in_groups_give_the_scores_of_one_of_each() -> None:
    labels, likely = outcomes(200, 12)
    once = statistics.classification_scores(labels, likely)
    tripled = statistics.classification_scores(
        np.repeat(labels, 3), np.repeat(likely, 3, axis=0), groups=np.repeat(np.arange(200), 3)
    )
    for name, score in once.items():
        # Student's t over groups in shares; and 199 of 200 groups count, in the bias of F1 and the noise of the calibration
        loose = {"ece": 4 * score.high, "log_loss": 0.0, "brier": 0.0}.get(name, score.high - score.low)
        assert tripled[name].value == pytest.approx(score.value)
        assert tripled[name].low == pytest.approx(score.low, abs=0.02 * loose + 1e-12)
        assert tripled[name].high == pytest.approx(score.high, abs=0.02 * loose + 1e-12)
        assert tripled[name].n == 600
    alone = statistics.classification_scores(labels, likely, groups=np.zeros(200))
    assert alone == once


def test_confusion_and_per_class_are_scikit_learns() -> None:
    labels, likely = outcomes(500, 7)
    predicted = likely.argmax(1)
    confusion = statistics.confusion_matrix(labels, predicted, 7)
    assert (confusion == sklearn.metrics.confusion_matrix(labels, predicted)).all()
    theirs = sklearn.metrics.precision_recall_fscore_support(labels, predicted)
    for i, row in enumerate(statistics.per_class(confusion)):
        assert (row.precision, row.recall, row.f1, row.n) == pytest.approx(tuple(column[i] for column in theirs))


def test_a_class_never_said_and_never_true_has_no_score() -> None:
    rows = statistics.per_class(np.array([[3, 0, 1], [0, 0, 0], [0, 0, 2]]))
    assert rows[1] == statistics.ClassScore(None, None, None, 0)


def test_top_k_is_scikit_learns() -> None:
    labels, likely = outcomes(400, 12)
    theirs = sklearn.metrics.top_k_accuracy_score(labels, likely, k=5, labels=range(12))
    assert statistics.top_k(labels, likely, 5).mean() == pytest.approx(theirs)


def test_calibration_of_a_calibrated_classifier_is_small_and_of_an_overconfident_one_is_its_gap() -> None:
    generator = np.random.default_rng(0)
    confidence = generator.uniform(0.5, 1, 50_000)
    likely = np.stack([confidence, 1 - confidence], 1)
    labels = (generator.uniform(size=50_000) > confidence).astype(int)
    assert statistics.expected_calibration_error(labels, likely) < 0.01
    sure = np.tile([[1.0, 0.0]], (1000, 1))
    truth = np.repeat([0, 1], [700, 300])
    assert statistics.expected_calibration_error(truth, sure) == pytest.approx(0.3)
    assert [b.n for b in statistics.reliability(truth, sure)] == [1000]


def test_order_of_the_images_changes_no_value() -> None:
    labels, likely = outcomes(300, 4)
    order = np.random.default_rng(1).permutation(300)
    before, after = (
        statistics.classification_scores(labels, likely),
        statistics.classification_scores(labels[order], likely[order]),
    )
    assert {k: v.value for k, v in before.items()} == pytest.approx({k: v.value for k, v in after.items()})


def test_confident_mistakes_come_most_confident_first() -> None:
    likely = np.array([[0.9, 0.1], [0.4, 0.6], [0.2, 0.8], [0.95, 0.05]])
    assert statistics.confident_mistakes(np.array([1, 0, 1, 1]), likely, 2).tolist() == [3, 0]


@pytest.mark.parametrize(
    ("labels", "likely", "words"),
    [
        ([0, 1], [[1.0, 0.0]], r"\(2,\) and \(1, 2\)"),
        ([], np.zeros((0, 2)), "no images"),
        ([2], [[0.5, 0.5]], "do not index 2 classes"),
        ([0], [[3.0, -1.0]], "sum to 1"),
    ],
)
def test_what_cannot_be_scored_is_refused(labels: list[int], likely: list[list[float]], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        statistics.accuracy(np.array(labels, int), np.array(likely))


@pytest.mark.slow
def test_intervals_cover_the_truth() -> None:
    generator = np.random.default_rng(0)
    hits = generator.binomial(150, 0.9, 2000)
    covered = [e.low <= 0.9 <= e.high for e in (statistics.wilson(int(h), 150) for h in hits)]
    assert 0.93 <= np.mean(covered) <= 0.97
    covered = []
    for i in range(2000):
        values = generator.gamma(2, size=200)
        low, high = statistics.percentile_interval(lambda counts, v=values: counts @ v / 200, 200, i, 0.95, 500)
        covered.append(low <= 2 <= high)
    assert 0.93 <= np.mean(covered) <= 0.97


def calibration_covered(overconfidence: float, n: int, experiments: int) -> float:
    """The truth is known: each confidence stands for its own share of right answers."""
    confidences = np.array([0.55, 0.65, 0.75, 0.85, 0.95])
    shares = confidences - overconfidence * np.array([1, 0, 1, 0, 1])
    truth, covered = np.abs(confidences - shares).mean(), 0
    generator = np.random.default_rng(0)
    for repeat in range(experiments):
        chosen = generator.integers(5, size=n)
        right = generator.random(n) < shares[chosen]
        score = gap_estimate(confidences[chosen], right, repeat)
        covered += score.low <= truth + 1e-9 <= score.high + 2e-9
    print(f"calibration error of {truth:.3f}, {n} images: covered {covered / experiments:.4f}")
    return covered / experiments


@pytest.mark.parametrize("overconfidence", [0.0, 0.2])
def test_the_interval_of_the_calibration_error_covers_it(overconfidence: float) -> None:
    assert calibration_covered(overconfidence, 200, 100) >= 0.91  # 95 less two standard errors


@pytest.mark.slow
@pytest.mark.parametrize("n", [100, 200, 1000])
@pytest.mark.parametrize("overconfidence", [0.0, 0.05, 0.2])
def test_the_interval_of_the_calibration_error_covers_it_as_it_says(overconfidence: float, n: int) -> None:
    assert calibration_covered(overconfidence, n, 2000) >= 0.93
