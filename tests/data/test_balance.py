"""Class weights against scikit-learn's; an order in which all classes come equally often."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.utils.class_weight import compute_class_weight

from saccade import InputError
from saccade.data.balance import balanced_order, balanced_weights, effective_weights

labelled = st.lists(st.integers(0, 4), min_size=1, max_size=80).map(np.array)


@given(labels=labelled)
def test_balanced_weights_are_scikit_learns(labels: np.ndarray) -> None:
    present = np.unique(labels)
    weights = balanced_weights(labels, 6)
    assert weights[present] == pytest.approx(compute_class_weight("balanced", classes=present, y=labels))
    assert (np.delete(weights, present) == 0).all()


@given(labels=labelled, beta=st.floats(0, 0.99999))
def test_the_mean_weight_of_an_image_is_1(labels: np.ndarray, beta: float) -> None:
    assert balanced_weights(labels, 6)[labels].mean() == pytest.approx(1)
    assert effective_weights(labels, 6, beta)[labels].mean() == pytest.approx(1)


@given(labels=labelled)
def test_effective_numbers_lie_between_no_weights_and_balanced_ones(labels: np.ndarray) -> None:
    assert effective_weights(labels, 5, 0.0)[labels] == pytest.approx(1)
    assert effective_weights(labels, 5, 1 - 1e-9) == pytest.approx(balanced_weights(labels, 5), rel=1e-4)


def test_effective_weights_are_the_papers() -> None:
    """Weights proportional to (1 - beta) / (1 - beta^n) (arXiv:1901.05555, section 4)."""
    labels = np.repeat([0, 1, 2], [500, 50, 5])
    weights = effective_weights(labels, 3, 0.99)
    assert weights / weights[0] == pytest.approx([1, (1 - 0.99**500) / (1 - 0.99**50), (1 - 0.99**500) / (1 - 0.99**5)])


@settings(deadline=None)
@given(labels=labelled, seed=st.integers(0, 9), epoch=st.integers(0, 9))
def test_all_classes_come_equally_often_and_images_in_turn(labels: np.ndarray, seed: int, epoch: int) -> None:
    indices = 1000 + np.arange(len(labels)) * 3
    order = balanced_order(indices, labels, seed, epoch)
    assert len(order) == len(indices)
    assert order.dtype == indices.dtype
    where = dict(zip(indices.tolist(), labels.tolist(), strict=True))
    by_class = Counter(where[i] for i in order.tolist())
    fair = len(labels) / len(np.unique(labels))
    assert all(abs(by_class[c] - fair) < 1 for c in np.unique(labels).tolist())
    times = Counter(order.tolist())
    for c in np.unique(labels).tolist():
        found = [times[i] for i in indices[labels == c].tolist()]
        assert max(found) - min(found) <= 1


def test_the_order_is_a_function_of_labels_seed_and_epoch() -> None:
    labels = np.repeat([0, 1, 2], [70, 20, 9])
    indices = np.arange(99)
    one = balanced_order(indices, labels, 3, 5)
    np.random.default_rng().random()
    assert np.array_equal(one, balanced_order(indices, labels, 3, 5))
    for other in (balanced_order(indices, labels, 4, 5), balanced_order(indices, labels, 3, 6)):
        assert not np.array_equal(one, other)


def test_over_the_epochs_no_class_and_no_image_of_it_is_favoured() -> None:
    labels = np.repeat([0, 1, 2], [50, 15, 6])
    indices, epochs = np.arange(71), 900
    counts = np.bincount(np.concatenate([balanced_order(indices, labels, 0, e) for e in range(epochs)]), minlength=71)
    per_class = np.bincount(labels, counts) / epochs
    assert per_class == pytest.approx(71 / 3, abs=4 * np.sqrt(2 / 9 / epochs))  # 23 or 24, with chance 2/3
    for c, members in ((0, 50), (1, 15), (2, 6)):
        mean = counts[labels == c] / epochs
        share = 71 / 3 / members % 1
        assert mean == pytest.approx(71 / 3 / members, abs=5 * np.sqrt((share * (1 - share) + 0.01) / epochs))


def test_the_classes_are_mixed_along_the_epoch() -> None:
    labels = np.repeat([0, 1], [900, 100])
    order = balanced_order(np.arange(1000), labels, 0, 0)
    halves = labels[order].reshape(2, 500).mean(1)
    assert halves == pytest.approx([0.5, 0.5], abs=4 * 0.5 / np.sqrt(500))


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(InputError, match="there is no image"):
        balanced_weights(np.array([], dtype=int), 3)
    with pytest.raises(InputError, match="beta is at least 0 and below 1, not 1"):
        effective_weights(np.array([0, 1]), 2, 1.0)
