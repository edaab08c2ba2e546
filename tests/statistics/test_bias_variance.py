"""Decompositions: exact identities, mlxtend, closed forms, and simulated members whose bias and variance are known."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mlxtend.evaluate import bias_variance_decomp
from scipy.stats import entropy
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from saccade.statistics import (
    Decomposition,
    Estimate,
    log_loss_decomposition,
    squared_error,
    zero_one_domingos,
    zero_one_kohavi_wolpert,
)

CLASSES = 3


def members(seed: int, m: int, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities (M, N, C) and labels (N,)."""
    generator = np.random.default_rng(seed)
    return generator.dirichlet(np.ones(CLASSES), (m, n)), generator.integers(CLASSES, size=n)


def all_four(likely: np.ndarray, labels: np.ndarray) -> list[Decomposition]:
    predicted = likely.argmax(2)
    return [
        squared_error(likely[..., 0], labels.astype(float)),
        zero_one_domingos(predicted, labels),
        zero_one_kohavi_wolpert(predicted, labels, CLASSES),
        log_loss_decomposition(likely, labels),
    ]


@settings(deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 12), st.integers(2, 40))
def test_bias_and_variance_add_up_to_the_error(seed: int, m: int, n: int) -> None:
    likely, labels = members(seed, m, n)
    own = np.take_along_axis(likely, labels[None, :, None], 2)
    wrong = (likely.argmax(2) != labels).mean()
    errors = [np.square(likely[..., 0] - labels).mean(), wrong, wrong, -np.log(own.clip(np.finfo(np.float32).eps)).mean()]
    for found, error in zip(all_four(likely, labels), errors, strict=True):
        assert found.error.value == pytest.approx(error)
        assert found.bias.value + found.variance.value == pytest.approx(error)
        for each in vars(found).values():
            assert each.low <= each.value <= each.high
            assert each.n == n


@given(st.integers(0, 10**6), st.integers(2, 12))
def test_members_that_agree_have_no_variance(seed: int, m: int) -> None:
    likely, labels = members(seed, 1, 30)
    for found in all_four(np.repeat(likely, m, axis=0), labels):
        assert found.variance.value == pytest.approx(0, abs=1e-9)
        assert found.bias.value == pytest.approx(found.error.value)


@settings(deadline=None)
@given(st.integers(0, 10**6))
def test_the_order_of_the_members_changes_nothing(seed: int) -> None:
    likely, labels = members(seed, 5, 30)
    for one, other in zip(all_four(likely, labels), all_four(likely[::-1], labels), strict=True):
        assert one.bias.low == pytest.approx(other.bias.low)
        assert one.variance.high == pytest.approx(other.variance.high)


def test_squared_error_has_a_closed_form() -> None:
    predictions, targets = np.random.default_rng(0).normal(size=(7, 50)), np.zeros(50)
    found = squared_error(predictions, targets)
    spread = predictions.var(0, ddof=1)
    assert found.variance.value == pytest.approx(spread.mean())
    assert found.bias.value == pytest.approx((np.square(predictions.mean(0)) - spread / 7).mean())


def test_kohavi_and_wolpert_has_a_closed_form() -> None:
    """Their equations with the correction, image by image."""
    likely, labels = members(0, 6, 50)
    predicted = likely.argmax(2)
    share = np.stack([(predicted == c).mean(0) for c in range(CLASSES)], 1)
    correction = (share * (1 - share)).sum(1) / 5
    truth = np.eye(CLASSES)[labels]
    found = zero_one_kohavi_wolpert(predicted, labels, CLASSES)
    assert found.bias.value == pytest.approx((np.square(truth - share).sum(1) - correction).mean() / 2)
    assert found.variance.value == pytest.approx((1 - np.square(share).sum(1) + correction).mean() / 2)


def test_log_loss_is_made_of_divergences() -> None:
    """Before the jackknife: the bias is KL(truth || geometric mean), the variance the mean KL(geometric mean || member)."""
    likely, labels = members(0, 4, 1)[0].repeat(2, axis=1), np.array([1, 1])
    centre = np.exp(np.log(likely).mean(0))[0]
    centre /= centre.sum()
    variance = np.mean([entropy(centre, member[0]) for member in likely])
    left = []
    for m in range(4):
        others = np.delete(likely, m, 0)
        middle = np.exp(np.log(others).mean(0))[0]
        left.append(np.mean([entropy(middle / middle.sum(), other[0]) for other in others]))
    found = log_loss_decomposition(likely, labels)
    assert found.variance.value == pytest.approx(4 * variance - 3 * np.mean(left))
    biases = -np.log(centre[1]), np.mean(-np.log(likely[:, 0, 1])) - np.mean(left)
    assert found.bias.value == pytest.approx(4 * biases[0] - 3 * biases[1])


class Noted:
    """An estimator for mlxtend that keeps the predictions that it was asked for."""

    def __init__(self, model: DecisionTreeClassifier | DecisionTreeRegressor) -> None:
        self.model, self.said = model, []

    def fit(self, x: np.ndarray, y: np.ndarray) -> "Noted":
        self.model.fit(x, y)
        return self

    def predict(self, x: np.ndarray) -> np.ndarray:
        self.said.append(self.model.predict(x))
        return self.said[-1]


def split(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    x = generator.normal(size=(160, 3))
    y = x[:, 0] + np.square(x[:, 1]) + generator.normal(0, 0.3, 160)
    return x[:80], y[:80], x[80:], y[80:]


def test_squared_error_is_mlxtends_but_for_the_correction() -> None:
    x, y, test_x, test_y = split(0)
    model = Noted(DecisionTreeRegressor(max_depth=3, random_state=0))
    error, bias, variance = bias_variance_decomp(model, x, y, test_x, test_y, loss="mse", num_rounds=20, random_seed=0)
    found = squared_error(np.stack(model.said), test_y)
    assert found.error.value == pytest.approx(error)
    assert found.bias.value + found.variance.value / 20 == pytest.approx(bias)
    assert found.variance.value * 19 / 20 == pytest.approx(variance)


def test_domingos_is_mlxtends() -> None:
    """Its variance is the share of members that leave the vote: with two classes the sum of ours, where ours is net."""
    x, y, test_x, test_y = split(1)
    labels, test = (y > 1).astype(int), (test_y > 1).astype(int)
    model = Noted(DecisionTreeClassifier(max_depth=3, random_state=0))
    error, bias, variance = bias_variance_decomp(
        model, x, labels, test_x, test, loss="0-1_loss", num_rounds=21, random_seed=0
    )
    found = zero_one_domingos(np.stack(model.said), test)
    assert (found.error.value, found.bias.value) == (pytest.approx(error), pytest.approx(bias))
    assert found.unbiased_variance.value + found.biased_variance.value == pytest.approx(variance)
    assert found.unbiased_variance.value - found.biased_variance.value == pytest.approx(found.variance.value)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: squared_error(np.zeros((1, 5)), np.zeros(5)), "two of each at least"),
        (lambda: zero_one_domingos(np.zeros((3, 5), int), np.zeros(4, int)), r"\(3, 5\), \(4,\)"),
        (lambda: zero_one_kohavi_wolpert(np.full((3, 5), 2), np.zeros(5, int), 2), "classes from 0 to 1"),
        (lambda: zero_one_domingos(np.full((3, 5), -1), np.zeros(5, int)), "classes from 0 to 0"),
        (lambda: log_loss_decomposition(np.ones((3, 5, 2)), np.zeros(5, int)), "must sum to 1"),
        (lambda: log_loss_decomposition(np.ones((3, 5)), np.zeros(5, int)), r"\(members, images, classes\)"),
    ],
)
def test_what_cannot_be_decomposed_is_refused(call: Callable[[], object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        call()


def drawn(generator: np.random.Generator, m: int, ease: np.ndarray) -> np.ndarray:
    """Scores (M, N, C) around those of the images (N, C): each member is off by something shared and by its own noise."""
    shape = (m, *ease.shape)
    return ease + generator.normal(0, 0.1, (m, 1, ease.shape[1])) + generator.normal(0, 0.7, shape)


def softmax(scores: np.ndarray) -> np.ndarray:
    likely = np.exp(scores)
    return likely / likely.sum(-1, keepdims=True)


def decomposed(kind: str, scores: np.ndarray, labels: np.ndarray) -> Decomposition:
    if kind == "squared":
        return squared_error(scores[..., 0], labels)
    if kind == "kohavi_wolpert":
        return zero_one_kohavi_wolpert(scores.argmax(2), labels, CLASSES)
    return log_loss_decomposition(softmax(scores), labels)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["squared", "kohavi_wolpert", "log_loss"])
@pytest.mark.parametrize(("m", "n"), [(5, 100), (10, 400)])
def test_bias_and_variance_are_covered(kind: str, m: int, n: int) -> None:
    """2,000 experiments; the truth is the decomposition of 200 members on 20,000 images."""
    generator = np.random.default_rng(m)

    def images(count: int) -> tuple[np.ndarray, np.ndarray]:
        labels = generator.integers(CLASSES, size=count)
        return 1.2 * np.eye(CLASSES)[labels] + generator.normal(0, 0.8, (count, CLASSES)), labels

    ease, labels = images(20_000)
    truth = np.mean(
        [[e.value for e in vars(decomposed(kind, drawn(generator, 40, ease), labels)).values()] for _ in range(5)], 0
    )
    covered = np.zeros(3)
    for _ in range(2000):
        ease, labels = images(n)
        found = vars(decomposed(kind, drawn(generator, m, ease), labels)).values()
        covered += [each.low <= true <= each.high for each, true in zip(found, truth, strict=True)]
    covered /= 2000
    print(
        f"{kind}, {m} members, {n} images: covered error {covered[0]:.4f}, bias {covered[1]:.4f}, variance {covered[2]:.4f}"
    )
    assert ((covered >= 0.93) & (covered <= 0.975)).all()


def test_members_that_are_all_right_or_all_wrong_leave_doubt() -> None:
    """Of 30 images, as much as `wilson` leaves; a variance that was not seen is not shown to be 0."""
    labels = np.arange(30) % 3
    for predicted in (labels, (labels + 1) % 3):
        members = np.tile(predicted, (5, 1))
        for found in (zero_one_domingos(members, labels), zero_one_kohavi_wolpert(members, labels, 3)):
            for name, each in vars(found).items():
                assert each.low <= each.value <= each.high
                assert 0.1 < each.high - each.low < 0.3, name


def rarely_wrong(generator: np.random.Generator, m: int, n: int, hard: float) -> np.ndarray:
    """(M, N) 1 where a member is wrong: some images are hard, each in its own degree, the others hardly ever."""
    chance = np.where(generator.random(n) < hard, generator.beta(2, 2, n), 0.002)
    return (generator.random((m, n)) < chance).astype(int)


def low_errors_covered(hard: float, m: int, n: int, experiments: int) -> dict[str, float]:
    generator = np.random.default_rng(m)

    def both(count: int) -> dict[str, Estimate]:
        wrong, labels = rarely_wrong(generator, m, count, hard), np.zeros(count, int)
        found = {"kohavi_wolpert": zero_one_kohavi_wolpert(wrong, labels, 2), "domingos": zero_one_domingos(wrong, labels)}
        return {f"{kind}, {name}": each for kind, all_of in found.items() for name, each in vars(all_of).items()}

    truth = {name: each.value for name, each in both(500_000).items()}
    covered = dict.fromkeys(truth, 0.0)
    for _ in range(experiments):
        for name, each in both(n).items():
            covered[name] += (each.low <= truth[name] <= each.high) / experiments
    covered = {name: round(float(each), 4) for name, each in covered.items()}
    print(f"{hard} of images hard, {m} members, {n} images: {covered}")
    return covered


@pytest.mark.slow
@pytest.mark.parametrize(
    ("hard", "m", "n"), [(0.03, 5, 100), (0.03, 3, 100), (0.1, 10, 100), (0.03, 10, 400), (0.01, 5, 1000)]
)
def test_rare_errors_are_covered(hard: float, m: int, n: int) -> None:
    """2,000 experiments; by the spread that was met alone, bias and variance covered 79 to 91 % of the first."""
    assert min(low_errors_covered(hard, m, n, 2000).values()) >= 0.93
