"""The loss of a classifier against its definition."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

from saccade.tasks import classify


@given(
    seed=st.integers(0, 10**6),
    smoothing=st.floats(0, 0.99),
    weighted=st.booleans(),
    mixed=st.booleans(),
)
def test_the_loss_is_its_definition(seed: int, smoothing: float, weighted: bool, mixed: bool) -> None:
    """- sum_c w_c t_c log p_c, of the smoothed truth t, the mean over images."""
    generator = np.random.default_rng(seed)
    images, classes = generator.integers(1, 9), generator.integers(2, 7)
    scores, labels = generator.normal(0, 3, (images, classes)), generator.integers(classes, size=images)
    truth = generator.dirichlet(np.ones(classes), images) if mixed else np.eye(classes)[labels]
    weights = generator.uniform(0.1, 5, classes) if weighted else np.ones(classes)
    logs = scores - np.log(np.exp(scores).sum(1, keepdims=True))
    smoothed = (1 - smoothing) * truth + smoothing / classes
    expected = -(weights * smoothed * logs).sum() / images
    loss = classify.Loss(smoothing, torch.tensor(weights, dtype=torch.float32) if weighted else None)
    target = torch.tensor(truth, dtype=torch.float32) if mixed else torch.tensor(labels)
    assert loss(torch.tensor(scores), target).item() == pytest.approx(expected, rel=1e-5, abs=1e-6)


@given(seed=st.integers(0, 10**6))
def test_without_smoothing_it_is_cross_entropy(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    scores, labels = torch.randn(6, 4, generator=generator), torch.randint(4, (6,), generator=generator)
    assert torch.equal(classify.Loss(0.0)(scores, labels), functional.cross_entropy(scores, labels))
