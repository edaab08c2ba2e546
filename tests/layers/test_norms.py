"""Other norms in place of batch norm; momentum, frozen and re-estimated statistics."""

from copy import deepcopy

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.optim.swa_utils import update_bn

from saccade import InputError
from saccade.layers.norms import (
    NORMS,
    FrozenBatchNorm2d,
    freeze_statistics,
    groups_of,
    norm_momentum,
    reestimate,
    swap_norms,
)
from saccade.tasks import classify
from saccade.zoo import find

CLASSES = 4
FAMILIES = "resnet20 mobilenet_v2 resnet20:norm=after plain20 preresnet20 densenet40_bc mobilenet_v1".split()
FAMILIES += "efficientnet_b0 googlenet_bn:auxiliary=true".split()


def built(name: str, count: int = 8, side: int = 64) -> tuple[nn.Module, Tensor]:
    torch.manual_seed(0)
    return find(name).build(CLASSES, 3), torch.randn(count, 3, side, side)


def scores_are_finite(network: nn.Module, images: Tensor) -> bool:
    with torch.no_grad():
        return bool(network.eval()(images).isfinite().all())


def norms_of(network: nn.Module) -> list[nn.BatchNorm2d]:
    return [each for each in network.modules() if isinstance(each, nn.BatchNorm2d)]


@pytest.mark.parametrize(
    ("name", "kind"),
    [(name, kind) for name in FAMILIES for kind in NORMS if kind in ("group", "none") or name in FAMILIES[:2]],
)
def test_a_network_with_other_norms_takes_a_step_that_reaches_all_of_it(name: str, kind: str) -> None:
    network, images = built(name, count=4, side=96 if "googlenet" in name else 64)
    before = {path: p.shape for path, p in network.named_parameters()}
    count = len(norms_of(network))
    assert swap_norms(network, kind) == count
    assert not norms_of(network)
    after = {path: p.shape for path, p in network.named_parameters()}
    if kind == "none":
        assert sum(path.endswith(".weight") for path in before) - sum(path.endswith(".weight") for path in after) == count
        assert all(each.bias is not None for each in network.modules() if isinstance(each, nn.Conv2d))
    else:
        assert after == before
    classify.loss(network.train()(images), torch.arange(CLASSES)).backward()
    for path, p in network.named_parameters():
        assert p.grad is not None, path
        assert p.grad.isfinite().all(), path
        assert p.grad.any(), path
    torch.optim.SGD(network.parameters(), lr=1e-3).step()
    assert scores_are_finite(network, images)


@pytest.mark.parametrize("kind", NORMS)
def test_no_image_sees_another_and_training_does_as_evaluation(kind: str) -> None:
    network, images = built("resnet20", side=16)
    assert not torch.allclose(network.train()(images)[:1], network(images[:1]), atol=1e-3)
    swap_norms(network, kind)
    torch.testing.assert_close(network.train()(images)[:1], network(images[:1]))
    torch.testing.assert_close(network(images), network.eval()(images))


def test_the_norms_are_those_of_their_papers() -> None:
    """Plain numpy: mean 0 and variance 1 over the pixels of each group, then the scale and shift that were there."""
    x = torch.randn(3, 64, 5, 6) * 4 + 2
    for kind, groups in (("group", 32), ("layer", 1), ("instance", 64)):
        unit = nn.Sequential(nn.BatchNorm2d(64, eps=1e-3))
        unit[0].weight.data.uniform_(0.5, 2)
        unit[0].bias.data.normal_()
        scale, shift = (p.detach().numpy()[:, None, None] for p in unit[0].parameters())
        swap_norms(unit, kind)
        grouped = x.numpy().reshape(3, groups, -1)
        grouped = (grouped - grouped.mean(2, keepdims=True)) / np.sqrt(grouped.var(2, keepdims=True) + 1e-3)
        expected = grouped.reshape(x.shape) * scale + shift
        np.testing.assert_allclose(unit(x).detach().numpy(), expected, rtol=1e-4, atol=1e-5)


def test_without_norm_the_bias_of_the_convolution_is_what_the_shift_was() -> None:
    network, images = built("plain20", count=2)
    for norm in norms_of(network):
        norm.eps = 0
        norm.bias.data.normal_(0, 0.1)
    expected = network.eval()(images)
    convolutions = [each for each in network.modules() if isinstance(each, nn.Conv2d)]
    old = [(conv.weight.data.clone(), norm.bias.data) for conv, norm in zip(convolutions, norms_of(network), strict=True)]
    swap_norms(network, "none")
    for conv, (weight, shift) in zip(convolutions, old, strict=True):
        assert conv.bias is not None
        conv.weight.data, conv.bias.data = weight, shift
    torch.testing.assert_close(network(images), expected)


@pytest.mark.parametrize("name", ["plain56", "mobilenet_v1", "mobilenet_v2", "densenet40_bc", "efficientnet_b0"])
def test_without_norm_maps_neither_vanish_nor_explode(name: str) -> None:
    network, images = built(name, count=2)
    swap_norms(network, "none")
    with torch.no_grad():
        spread = [each.std().item() for each in network.pyramid(images)]  # type: ignore[operator]
    assert all(1e-4 < each < 1000 for each in spread), spread  # EfficientNet's gates halve every map


@given(channels=st.integers(1, 3000))
def test_groups_divide_the_channels_and_none_is_a_single_one(channels: int) -> None:
    groups = groups_of(channels)
    assert channels % groups == 0
    assert channels == 1 or channels // groups >= 2
    assert groups <= 32
    if channels % 32 == 0 and channels > 32:
        assert groups == 32


def test_the_momentum_is_the_share_of_the_newest_batch() -> None:
    network, images = built("resnet20", side=16)
    assert norm_momentum(network, 0.25) == 19
    network.train()(images)
    with torch.no_grad():
        batch = network.stem.conv(images).mean((0, 2, 3))  # type: ignore[operator, union-attr]
    torch.testing.assert_close(network.stem.norm.running_mean, 0.25 * batch)  # type: ignore[union-attr]


def test_frozen_statistics_stay_and_training_does_as_evaluation() -> None:
    network, images = built("resnet20", side=16)
    network.train()(images)
    before = deepcopy(network.state_dict())
    assert freeze_statistics(network) == 19
    assert torch.equal(network.train()(images), network.eval()(images))
    assert all(torch.equal(each, before[name]) for name, each in network.state_dict().items())
    assert {type(each) for each in norms_of(deepcopy(network))} == {FrozenBatchNorm2d}
    network.train()(images).sum().backward()
    assert network.stem.norm.weight.grad is not None  # type: ignore[union-attr]


def test_reestimated_statistics_are_torchs_update_bn() -> None:
    network, _ = built("preresnet20")
    twin = deepcopy(network)
    batches = [torch.randn(8, 3, 16, 16) for _ in range(5)]
    assert reestimate(network.train(), iter(batches)) == 19
    update_bn(batches, twin.train())
    for (name, ours), theirs in zip(network.state_dict().items(), twin.state_dict().values(), strict=True):
        assert torch.equal(ours, theirs), name
    assert {norm.momentum for norm in norms_of(network)} == {0.1}
    assert all(each.training for each in network.modules())


def test_reestimation_drops_nothing_draws_nothing_and_leaves_what_is_frozen_or_beside() -> None:
    network, _ = built("googlenet_bn:auxiliary=true")
    for norm in norms_of(network):
        norm.running_mean.normal_()  # type: ignore[union-attr]
    network.stages[0][1].apply(lambda each: freeze_statistics(each) if type(each) is nn.BatchNorm2d else None)  # type: ignore[index]
    network.stages[1].eval()  # type: ignore[index]
    before, modes = deepcopy(network.state_dict()), [each.training for each in network.modules()]
    state = torch.get_rng_state()
    batches = [torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(i)) for i in range(2)]
    frozen, beside = 6, 2
    assert reestimate(network, batches) == len(norms_of(network)) - frozen - beside
    assert torch.equal(torch.get_rng_state(), state)
    assert [each.training for each in network.modules()] == modes
    kept = [
        name for name, each in network.state_dict().items() if "running_mean" in name and torch.equal(each, before[name])
    ]
    assert len(kept) == frozen + beside
    assert all(name.startswith(("stages.0.1.", "auxiliary.")) for name in kept)


def test_what_cannot_be_is_refused() -> None:
    plain, normed = find("lenet5").build(3, 1), find("resnet20").build(3, 3)
    for edit in (lambda n: swap_norms(n, "group"), lambda n: norm_momentum(n, 0.1), freeze_statistics):
        with pytest.raises(InputError, match="the network has no batch norm"):
            edit(plain)
    with pytest.raises(InputError, match='"groups" is none of group, layer, instance, none, did you mean "group"'):
        swap_norms(normed, "groups")
    with pytest.raises(InputError, match="a momentum above 0 and at most 1, not 0"):
        norm_momentum(normed, 0)
    assert reestimate(plain, []) == 0
    before = deepcopy(normed.state_dict())
    with pytest.raises(ValueError, match="no batch to estimate"):
        reestimate(normed, [])
    assert all(torch.equal(each, before[name]) for name, each in normed.state_dict().items())
