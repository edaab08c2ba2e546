"""Averages of weights against torch's AveragedModel, and their laws."""

from copy import deepcopy
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from saccade.optim.average import Average, exponential, uniform
from saccade.tasks import classify
from saccade.training import checkpoint
from saccade.zoo import find


class Walk:
    """A real network that learns something, step by step."""

    def __init__(self) -> None:
        torch.manual_seed(0)
        self.network = find("resnet20").build(4, 3)
        self.optimizer = torch.optim.SGD(self.network.parameters(), lr=0.1, momentum=0.9)
        self.generator = torch.Generator().manual_seed(1)

    def step(self) -> None:
        images = torch.randn(4, 3, 8, 8, generator=self.generator)
        self.optimizer.zero_grad()
        classify.loss(self.network.train()(images), torch.arange(4)).backward()
        self.optimizer.step()


def tensors(network: nn.Module) -> list[torch.Tensor]:
    return list(network.state_dict().values())


def test_exponential_is_torchs_bit_for_bit() -> None:
    walk = Walk()
    ours = Average(walk.network, exponential(0.9, warm=False))
    theirs = AveragedModel(walk.network, multi_avg_fn=get_ema_multi_avg_fn(0.9))
    for _ in range(20):
        walk.step()
        ours.update()
        theirs.update_parameters(walk.network)
    for a, b in zip(tensors(ours.network), tensors(theirs.module), strict=True):
        assert torch.equal(a, b)


def test_uniform_is_torchs_and_the_plain_mean() -> None:
    walk = Walk()
    ours, theirs, seen = Average(walk.network, uniform), AveragedModel(walk.network), []
    for _ in range(12):
        walk.step()
        ours.update()
        theirs.update_parameters(walk.network)
        seen.append(torch.cat([p.detach().double().flatten() for p in walk.network.parameters()]))
    for a, b in zip(tensors(ours.network), tensors(theirs.module), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-6, atol=1e-7)
    mean = torch.cat([p.flatten() for p in ours.network.parameters()])
    torch.testing.assert_close(mean, torch.stack(seen).mean(0).float(), rtol=1e-5, atol=1e-7)


def test_a_warm_start_forgets_the_first_weights_soon() -> None:
    """Against the definition in float64; decay of update n at most (1 + n) / (10 + n)."""
    line = nn.Linear(1, 1, bias=False)
    average, expected = Average(line, exponential(0.999)), None
    for n in range(60):
        line.weight.data.fill_(float(n % 7))
        average.update()
        decay = min(0.999, (1 + n) / (10 + n))
        expected = n % 7 if expected is None else decay * expected + (1 - decay) * (n % 7)
    assert average.network.weight.item() == pytest.approx(expected, rel=1e-5)


@settings(deadline=None)
@given(
    value=st.floats(-1e6, 1e6, width=32),
    decay=st.floats(0, 0.9999),
    warm=st.booleans(),
    plain=st.booleans(),
    count=st.integers(1, 40),
)
def test_the_average_of_a_constant_is_the_constant(value: float, decay: float, warm: bool, plain: bool, count: int) -> None:
    line = nn.Linear(2, 2)
    average = Average(line, uniform if plain else exponential(decay, warm))
    nn.init.constant_(line.weight, value)
    for _ in range(count):
        average.update()
    assert (average.network.weight == value).all()


@settings(deadline=None, max_examples=30)
@given(
    values=st.lists(st.floats(-100, 100, width=32), min_size=1, max_size=30), decay=st.floats(0, 0.999), plain=st.booleans()
)
def test_an_average_lies_within_what_it_averages(values: list[float], decay: float, plain: bool) -> None:
    line = nn.Linear(1, 1)
    average = Average(line, uniform if plain else exponential(decay))
    for value in values:
        nn.init.constant_(line.weight, value)
        average.update()
    assert min(values) - 1e-4 <= average.network.weight.item() <= max(values) + 1e-4


def test_the_network_that_learns_is_left_alone_and_evaluation_is_ready() -> None:
    walk = Walk()
    average = Average(walk.network, uniform)
    walk.step()
    before = deepcopy(walk.network.state_dict())
    average.update()
    assert all(torch.equal(each, before[name]) for name, each in walk.network.state_dict().items())
    assert walk.network.training
    assert not any(each.training for each in average.network.modules())
    assert not any(p.requires_grad for p in average.network.parameters())
    shared = {p.data_ptr() for p in walk.network.parameters()} & {p.data_ptr() for p in average.network.parameters()}
    assert not shared


@pytest.mark.parametrize("share", [uniform, exponential(0.95)], ids=["uniform", "exponential"])
def test_a_resumed_average_has_the_same_bits(share, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    whole, broken = Walk(), Walk()
    one, two = Average(whole.network, share), Average(broken.network, share)
    for i in range(10):
        whole.step()
        broken.step()
        one.update()
        two.update()
        if i == 4:
            checkpoint.save(tmp_path / "x.pt", two.state_dict())
            two = Average(broken.network, share)
            two.load_state_dict(checkpoint.load(tmp_path / "x.pt"))
    for a, b in zip(tensors(one.network), tensors(two.network), strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize("decay", [-0.1, 1.0, float("nan")])
def test_a_decay_that_cannot_be(decay: float) -> None:
    with pytest.raises(ValueError, match="at least 0 and below 1"):
        exponential(decay)
