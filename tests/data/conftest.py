"""torchvision draws from torch's global generator."""

from collections.abc import Iterator

import pytest
import torch


@pytest.fixture
def seeded() -> Iterator[None]:
    """The global generator from a known place; it is left as it was found."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        yield
