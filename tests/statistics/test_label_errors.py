"""Likely label errors against cleanlab on the same probabilities, and on labels made wrong on purpose."""

import numpy as np
import pytest
from cleanlab.filter import find_label_issues
from sklearn.datasets import load_digits
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.model_selection import cross_val_predict

from saccade.statistics import likely_label_errors


def noisy(seed: int, n: int, classes: int) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    truth = generator.integers(classes, size=n)
    scores = generator.normal(size=(n, classes)) + 2.0 * np.eye(classes)[truth]
    labels = np.where(generator.random(n) < 0.1, generator.integers(classes, size=n), truth)
    likely = np.exp(scores)
    return labels, likely / likely.sum(1, keepdims=True)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(("n", "classes"), [(60, 2), (500, 3), (1000, 10)])
def test_they_are_cleanlabs_in_the_same_order(seed: int, n: int, classes: int) -> None:
    labels, likely = noisy(seed, n, classes)
    theirs = find_label_issues(
        labels, likely, filter_by="confident_learning", return_indices_ranked_by="normalized_margin", n_jobs=1
    )
    ours = likely_label_errors(labels, likely)
    assert len(ours) > 0
    assert ours.tolist() == theirs.tolist()


def test_a_class_without_labels_takes_no_image() -> None:
    labels, likely = noisy(0, 300, 4)
    labels[labels == 3] = 0
    theirs = find_label_issues(
        labels, likely, filter_by="confident_learning", return_indices_ranked_by="normalized_margin", n_jobs=1
    )
    assert likely_label_errors(labels, likely).tolist() == theirs.tolist()


def test_digits_with_wrong_labels_are_found() -> None:
    """Of 1,797 digits 54 are relabelled: nearly all are named, and those named first are nearly all of them."""
    images, truth = load_digits(return_X_y=True)
    generator = np.random.default_rng(0)
    wrong = generator.choice(len(truth), 54, replace=False)
    labels = truth.copy()
    labels[wrong] = (labels[wrong] + generator.integers(1, 10, 54)) % 10
    learner = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=0.1)
    likely = cross_val_predict(learner, images / 16, labels, method="predict_proba")
    found = likely_label_errors(labels, likely)
    assert np.isin(wrong, found).mean() > 0.85
    assert np.isin(found[:40], wrong).mean() > 0.85


def test_where_every_label_is_likely_there_is_nothing_to_name() -> None:
    labels = np.arange(30) % 3
    assert likely_label_errors(labels, 0.7 * np.eye(3)[labels] + 0.1).tolist() == []
