"""Tests over folds: against mlxtend and closed forms, and by cross-validation done for real."""

import numpy as np
import pytest
from mlxtend.evaluate import combined_ftest_5x2cv
from scipy import stats
from sklearn.datasets import make_classification
from sklearn.linear_model import LogisticRegression
from sklearn.tree import DecisionTreeClassifier

from saccade import statistics


@pytest.mark.parametrize(("folds", "repeats"), [(5, 1), (10, 1), (5, 3)])
def test_the_statistic_of_nadeau_and_bengio(folds: int, repeats: int) -> None:
    differences = np.random.default_rng(0).normal(0.01, 0.02, folds * repeats)
    found = statistics.corrected_t(differences, 1 / folds)
    count = folds * repeats
    t = differences.mean() / np.sqrt((1 / count + 1 / (folds - 1)) * differences.var(ddof=1))
    assert found.value / found.error == pytest.approx(t)
    assert found.p_value() == pytest.approx(2 * stats.t.sf(abs(t), count - 1))
    assert (found.freedom, found.n) == (count - 1, count)
    assert found.p_value() > stats.ttest_1samp(differences, 0).pvalue


def test_the_mean_over_folds_is_its_interval() -> None:
    differences = np.random.default_rng(0).normal(0.01, 0.02, 5)
    assert statistics.mean_over_folds(differences, 0.9) == statistics.corrected_t(differences, 1 / 5).interval(0.9)


def test_five_by_two_is_mlxtends() -> None:
    """mlxtend trains by itself; the scores it meets are noted down and given to ours."""
    images, labels = make_classification(300, n_informative=5, random_state=0)
    scores = []

    def note(model: object, x: np.ndarray, y: np.ndarray) -> float:
        scores.append(float((model.predict(x) == y).mean()))  # type: ignore[attr-defined]
        return scores[-1]

    f, p = combined_ftest_5x2cv(
        LogisticRegression(), DecisionTreeClassifier(random_state=0), images, labels, scoring=note, random_seed=0
    )
    first, second = np.array(scores).reshape(5, 2, 2).transpose(2, 0, 1)
    ours = statistics.five_by_two_f(second - first)
    assert (ours.statistic, ours.p) == (pytest.approx(f), pytest.approx(p))
    assert statistics.five_by_two_f(first - second) == ours


def test_five_by_two_of_folds_that_agree() -> None:
    assert statistics.five_by_two_f(np.zeros((5, 2))).p == 1
    assert statistics.five_by_two_f(np.full((5, 2), 0.1)).p == 0


def test_what_cannot_be_tested_is_refused() -> None:
    with pytest.raises(ValueError, match="two folds at least"):
        statistics.corrected_t(np.array([0.1]), 0.2)
    with pytest.raises(ValueError, match="between 0 and 1"):
        statistics.corrected_t(np.zeros(5), 1.0)
    with pytest.raises(ValueError, match=r"not \(2, 5\)"):
        statistics.five_by_two_f(np.zeros((2, 5)))


# Two learners, equally good by symmetry: each is the nearest class mean, of its own half of the pixels; the halves follow
# the same law. Fresh images for every experiment, so that the null is true and the folds overlap as they do in earnest.
PIXELS = 8


def classes_apart(generator: np.random.Generator, experiments: int, images: int) -> tuple[np.ndarray, np.ndarray]:
    labels = np.tile(np.arange(images) % 2, (experiments, 1))
    x = generator.normal(size=(experiments, images, 2 * PIXELS)) + 0.25 * (2 * labels[..., None] - 1)
    order = generator.permuted(np.tile(np.arange(images), (experiments, 1)), axis=1)
    rows = np.arange(experiments)[:, None]
    return x[rows, order], labels[rows, order]


def right(x: np.ndarray, labels: np.ndarray, train: np.ndarray) -> np.ndarray:
    """(E, images): which images the nearest class mean of the images `train` (images,) classifies rightly."""
    ones, zeros = (labels == 1) & train, (labels == 0) & train
    means = [np.einsum("en,enp->ep", which / which.sum(1, keepdims=True), x) for which in (ones, zeros)]
    axis, middle = means[0] - means[1], (means[0] + means[1]) / 2
    return (np.einsum("enp,ep->en", x - middle[:, None], axis) > 0) == (labels == 1)


def differences(x: np.ndarray, labels: np.ndarray, test: np.ndarray) -> np.ndarray:
    """(E,) accuracy of the second learner less that of the first on `test` (images,), trained on all other images."""
    first, second = (right(half, labels, ~test)[:, test].mean(1) for half in np.split(x, 2, axis=2))
    return second - first


def cross_validation(x: np.ndarray, labels: np.ndarray, folds: int, repeats: int, seed: int) -> np.ndarray:
    """(E, repeats x folds)"""
    generator = np.random.default_rng(seed)
    found = []
    for _ in range(repeats):
        fold = generator.permutation(np.arange(x.shape[1]) % folds)
        found += [differences(x, labels, fold == k) for k in range(folds)]
    return np.stack(found, axis=1)


@pytest.mark.slow
@pytest.mark.parametrize(("folds", "repeats"), [(5, 1), (10, 1), (5, 3), (10, 10), (2, 5)])
@pytest.mark.parametrize("images", [100, 300])
def test_the_corrected_t_rejects_a_true_null_rarely(folds: int, repeats: int, images: int) -> None:
    """4,000 cross-validations; the plain t over folds is shown beside it."""
    x, labels = classes_apart(np.random.default_rng(folds * repeats), 4000, images)
    found = cross_validation(x, labels, folds, repeats, 0)
    ours = np.mean([statistics.corrected_t(each, 1 / folds).p_value() < 0.05 for each in found])
    with np.errstate(divide="ignore", invalid="ignore"):  # folds that all agree
        t = found.mean(1) / np.sqrt(found.var(1, ddof=1) / found.shape[1])
    plain = np.mean(2 * stats.t.sf(np.abs(t), found.shape[1] - 1) < 0.05)
    print(f"{folds} folds x {repeats}, {images} images: corrected t rejects {ours:.4f}, plain t {plain:.4f}")
    assert ours <= 0.06


@pytest.mark.slow
@pytest.mark.parametrize(("images", "most"), [(200, 0.06), (400, 0.06), (100, 0.1)])
def test_five_by_two_f_rejects_a_true_null_rarely_from_200_images_on(images: int, most: float) -> None:
    """Of 100 images accuracies are so coarse that two folds often agree by chance: 7 to 8 %, as its docstring says."""
    x, labels = classes_apart(np.random.default_rng(1), 4000, images)
    found = cross_validation(x, labels, 2, 5, 1).reshape(-1, 5, 2)
    rejected = np.mean([statistics.five_by_two_f(each).p < 0.05 for each in found])
    print(f"{images} images: 5x2cv F rejects {rejected:.4f}")
    assert rejected <= most
