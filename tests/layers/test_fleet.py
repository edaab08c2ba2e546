"""Fleets: every network of the zoo stacks, and no member notices another."""

import copy
from collections.abc import Callable, Sequence

import pytest
import torch
from contract import ROWS, Row
from torch import Tensor, nn

from saccade import InputError
from saccade.layers import Append, Branches, DropBlock, DropPath, Gate, PadShortcut, Residual, edit
from saccade.layers.fleet import Fleet, members, stack
from saccade.layers.norms import freeze_statistics, swap_norms
from saccade.zoo import NETWORKS, find

pytestmark = pytest.mark.usefixtures("one_thread")

CLASSES = 7
QUICK = ("lenet5", "lenet5_1998", "nin", "resnet20", "plain20", "preresnet20", "densenet40_bc", "mobilenet_v2")
every = pytest.mark.parametrize(
    "row", [pytest.param(r, id=r.name, marks=[] if r.name in QUICK else [pytest.mark.slow]) for r in ROWS]
)


def networks(words: str, count: int = 3, seed: int = 0) -> list[nn.Module]:
    """Each with its own weights and, where it has batch norm, its own statistics."""
    torch.manual_seed(seed)
    found = [find(words).build(CLASSES, NETWORKS[words.partition(":")[0]].channels) for _ in range(count)]
    for network in found:
        for norm in network.modules():
            if isinstance(norm, nn.BatchNorm2d) and norm.running_mean is not None and norm.running_var is not None:
                norm.running_mean.normal_(0, 0.1)
                norm.running_var.uniform_(0.5, 2)
    return list(found)


def side_of(row: Row) -> int:
    return max(row.smallest, min(32, NETWORKS[row.name].size))


def pictures(count: int, batch: int, channels: int, side: int) -> list[Tensor]:
    return [torch.randn(batch, channels, side, side) for _ in range(count)]


def assert_close(found: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5 * max(1.0, expected.abs().max().item()))


def tensors(network: nn.Module) -> dict[str, Tensor]:
    return dict((*network.named_parameters(), *network.named_buffers()))


def assert_same(ones: Sequence[nn.Module], others: Sequence[nn.Module]) -> None:
    """Bit for bit, tensors outside of the state too."""
    for one, other in zip(ones, others, strict=True):
        assert list(tensors(one)) == list(tensors(other))
        for (name, a), b in zip(tensors(one).items(), tensors(other).values(), strict=True):
            assert torch.equal(a, b), name
            assert a.requires_grad == b.requires_grad
            assert type(a) is type(b)


@every
def test_every_network_stacks_gives_its_members_scores_and_comes_back(row: Row) -> None:
    alone = [each.eval() for each in networks(row.name, 2)]
    fleet = stack(alone)
    own = pictures(2, 2, NETWORKS[row.name].channels, side_of(row))
    with torch.inference_mode():
        found = fleet(torch.cat(own, dim=1))
        expected = torch.stack([network(images) for network, images in zip(alone, own, strict=True)])
    assert found.shape == (2, 2, CLASSES)
    assert_close(found, expected)
    assert list(fleet.network.state_dict()) == list(alone[0].state_dict())
    back = members(fleet)
    assert_same(back, alone)
    assert [str(each) for each in back] == [str(each) for each in alone]
    assert not any(module.training for each in back for module in each.modules())


@pytest.mark.parametrize(
    "words", [pytest.param("googlenet_bn:auxiliary=true", marks=pytest.mark.slow), "lenet5_1998:output=linear"]
)
def test_options_stack_in_training(words: str) -> None:
    """The auxiliary scores too, (K, B, classes) each; with the same draws of dropout."""
    alone = [each.train().double() for each in networks(words, 2)]
    fleet = stack(alone)
    own = [images.double() for images in pictures(2, 3, NETWORKS[words.partition(":")[0]].channels, 32)]
    fleet.seed_draws([5, 6])
    found = fleet(torch.cat(own, dim=1))
    for k, (network, images) in enumerate(zip(alone, own, strict=True)):
        torch.manual_seed(5 + k)
        scores = network(images)
        if isinstance(scores, Tensor):
            assert_close(found[k], scores)
        else:
            assert type(found) is type(scores)
            assert len(found.auxiliary) == len(scores.auxiliary) == 2
            for a, b in zip((found.main, *found.auxiliary), (scores.main, *scores.auxiliary), strict=True):
                assert_close(a[k], b)
    assert_same_statistics(fleet, alone)


def assert_same_statistics(fleet: Fleet, alone: Sequence[nn.Module]) -> None:
    for one, other in zip(members(fleet), alone, strict=True):
        for (name, a), b in zip(one.named_buffers(), other.buffers(), strict=True):
            torch.testing.assert_close(a, b, msg=name)


@pytest.mark.parametrize("kind", ["group", "layer", "instance", "none"])
def test_other_norms_stay_with_their_member(kind: str) -> None:
    alone = networks("resnet20", 3)
    for network in alone:
        swap_norms(network, kind)
    check_training_pass(alone, pictures(3, 2, 3, 12))


def test_frozen_statistics_stay_frozen() -> None:
    alone = networks("resnet20", 2)
    for network in alone:
        freeze_statistics(network)
    fleet = stack(alone).train()
    before = copy.deepcopy(dict(fleet.named_buffers()))
    fleet(torch.randn(2, 6, 12, 12))
    assert all(torch.equal(b, before[name]) for name, b in fleet.named_buffers())
    check_training_pass(alone, pictures(2, 2, 3, 12))


def check_training_pass(alone: Sequence[nn.Module], own: Sequence[Tensor]) -> None:
    fleet = stack([each.train() for each in alone]).double()
    found = fleet(torch.cat(list(own), dim=1).double())
    for k, (network, images) in enumerate(zip(alone, own, strict=True)):
        torch.testing.assert_close(found[k], network.double()(images.double()), rtol=1e-10, atol=1e-10)
    assert_same_statistics(fleet, alone)


JOINS: dict[str, Callable[[], nn.Module]] = {
    "branches of different widths": lambda: Branches([nn.Conv2d(4, 2, 3, padding=1), nn.Conv2d(4, 5, 1), nn.Identity()]),
    "append": lambda: Append(nn.Conv2d(4, 3, 1), nn.ReLU(inplace=True)),
    "gate": lambda: Gate(nn.AdaptiveAvgPool2d(1), nn.Conv2d(4, 4, 1), nn.Sigmoid()),
    "padded shortcut": lambda: Residual(nn.Conv2d(4, 6, 3, 2, 1, bias=False), PadShortcut(2, 2)),
    "response norm with k": lambda: nn.LocalResponseNorm(3, alpha=0.5, beta=0.75, k=2.0),
    "grouped, dilated, reflected": lambda: nn.Conv2d(4, 8, 3, padding=2, dilation=2, groups=2, padding_mode="reflect"),
    "transposed": lambda: nn.ConvTranspose2d(4, 6, 3, 2, groups=2),
    "one slope a channel": lambda: nn.PReLU(4),
    "flat": lambda: nn.Sequential(nn.Flatten(), nn.Linear(4 * 36, 3, bias=False), nn.BatchNorm1d(3)),
}


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("name", JOINS)
def test_layers_and_joins_in_either_layout(name: str, layout: torch.memory_format) -> None:
    torch.manual_seed(0)
    alone = [nn.Sequential(nn.BatchNorm2d(4), JOINS[name]()) for _ in range(3)]
    own = pictures(3, 5, 4, 6)
    fleet = stack(alone).to(memory_format=layout)
    wide = fleet.network(torch.cat(own, dim=1).contiguous(memory_format=layout))
    expected = torch.cat([network(images) for network, images in zip(alone, own, strict=True)], dim=1)
    torch.testing.assert_close(wide, expected, rtol=1e-5, atol=1e-5)
    if name in ("append", "padded shortcut", "branches of different widths"):
        assert wide.is_contiguous(memory_format=layout)  # else the next convolution would turn it around


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize(
    "make", [nn.Dropout, nn.Dropout2d, DropPath, lambda p: DropBlock(p, 3)], ids=["pixels", "channels", "paths", "blocks"]
)
def test_each_member_drops_what_it_drops_alone(make: Callable[[float], nn.Module], layout: torch.memory_format) -> None:
    """Bit for bit, over two layers and passes, each with its own rate; the draws of all others are as if none were made."""
    rates = [0.1, 0.5, 0.0]
    alone = [nn.Sequential(make(p), nn.ReLU(), make(p)) for p in rates]
    fleet = stack(alone)
    own = [images.contiguous(memory_format=layout) for images in pictures(3, 4, 3, 8)]
    fleet.seed_draws([3, 1, 2])
    torch.manual_seed(9)
    passes = [fleet.network(torch.cat(own, dim=1)) for _ in range(2)]
    after = torch.rand(())
    torch.manual_seed(9)
    assert torch.equal(after, torch.rand(()))
    for k, (seed, network, images) in enumerate(zip([3, 1, 2], alone, own, strict=True)):
        torch.manual_seed(seed)
        for found in passes:
            assert torch.equal(found[:, 3 * k : 3 * k + 3], network(images))
    assert [each[0].p for each in members(fleet)] == rates  # type: ignore[index]
    assert torch.equal(fleet.eval().network(torch.cat(own, dim=1)), torch.cat(own, dim=1).relu())


def test_draws_without_seeds_differ_between_members() -> None:
    fleet = stack([nn.Sequential(nn.Dropout(0.5))] * 2)
    one, two = fleet(torch.ones(1, 2, 8, 8))
    assert not torch.equal(one, two)
    with pytest.raises(InputError, match="a fleet of 2 takes 2 seeds, not 3"):
        fleet.seed_draws([1, 2, 3])


def test_edits_are_made_before_or_after_stacking() -> None:
    """Names are those of a member, so an edit that puts a layer without values somewhere finds its place."""
    alone = networks("resnet20", 2)
    for network, rate in zip(alone, (0.2, 0.4), strict=True):
        edit.stochastic_depth(network, rate)
        edit.dropout(network, rate)
        edit.drop_blocks(network, rate, 2)
    fleet = stack(alone)
    fleet.seed_draws([0, 1])
    own = pictures(2, 4, 3, 12)
    found = fleet(torch.cat(own, dim=1))
    for k, (network, images) in enumerate(zip(alone, own, strict=True)):
        torch.manual_seed(k)
        assert_close(found[k], network(images))


@pytest.mark.parametrize(
    "words", ["lenet5", "lenet5_1998", "resnet20", pytest.param("densenet40_bc", marks=pytest.mark.slow)]
)
def test_the_gradient_of_one_member_is_exactly_zero_in_the_others(words: str) -> None:
    fleet = stack(networks(words, 3)).train()
    side, channels = NETWORKS[words].size // (2 if words == "resnet20" else 1), NETWORKS[words].channels
    fleet(torch.randn(4, 3 * channels, side, side))[1].square().sum().backward()
    for name, parameter in fleet.named_parameters():
        assert parameter.grad is not None
        first, second, third = parameter.grad.unflatten(0, (3, -1))
        assert not first.any(), name
        assert not third.any(), name
        assert second.any(), name


@pytest.mark.parametrize(
    "words",
    [
        "lenet5",
        "lenet5_1998",
        "resnet20",
        "efficientnet_b0",
        *(pytest.param(words, marks=pytest.mark.slow) for words in ("googlenet_bn", "mobilenet_v2")),
    ],
)
def test_what_is_not_finite_stays_in_its_member(words: str) -> None:
    """In scores, statistics and gradients, even when all losses are summed."""
    alone = networks(words, 3)
    with torch.no_grad():
        next(alone[1].parameters()).fill_(torch.nan)
    fleet = stack(alone).train()
    side, channels = min(32, NETWORKS[words].size), NETWORKS[words].channels
    scores = fleet(torch.randn(2, 3 * channels, side, side))
    scores.sum().backward()
    assert scores[1].isnan().all()
    assert scores[[0, 2]].isfinite().all()
    for name, t in fleet.named_buffers():
        assert t.unflatten(0, (3, -1))[[0, 2]].isfinite().all(), name
    for name, p in fleet.named_parameters():
        assert p.grad is not None
        assert p.grad.unflatten(0, (3, -1))[[0, 2]].isfinite().all(), name


def test_values_are_copied_both_ways() -> None:
    alone = networks("lenet5", 2)
    fleet = stack(alone)
    before = copy.deepcopy(alone)
    back = members(fleet)
    with torch.no_grad():
        for p in fleet.parameters():
            p.zero_()
    assert_same(alone, before)
    assert_same(back, before)
    for p in (p for each in members(fleet) for p in each.parameters()):
        assert not p.any()


def test_a_member_may_be_stacked_again_and_deep_copied() -> None:
    alone = networks("lenet5_1998", 3)
    fleet = copy.deepcopy(stack(alone))
    again = stack([members(fleet)[i] for i in (2, 0)])
    assert_same(members(again), [alone[2], alone[0]])


def test_one_member_is_a_fleet() -> None:
    alone = [each.eval() for each in networks("googlenet_bn", 1)]
    images = torch.randn(2, 3, 32, 32)
    assert_close(stack(alone)(images)[0], alone[0](images))


def test_modules_and_weights_in_several_places_stay_one() -> None:
    def make() -> nn.Module:
        shared, tied = nn.Conv2d(3, 3, 3, padding=1), nn.Conv2d(3, 3, 3, padding=1)
        tied.weight = shared.weight
        act, drop = nn.PReLU(), nn.Dropout(0.0)
        return nn.Sequential(shared, act, shared, drop, tied, act, drop)

    alone = [make() for _ in range(2)]
    fleet = stack(alone)
    assert len(list(fleet.parameters())) == len(list(alone[0].parameters())) == 4
    own = pictures(2, 2, 3, 5)
    torch.testing.assert_close(
        fleet.network(torch.cat(own, dim=1)), torch.cat([n(x) for n, x in zip(alone, own, strict=True)], dim=1)
    )
    back = members(fleet)[1]
    assert back[0] is back[2]  # type: ignore[index]
    assert back[4].weight is back[0].weight  # type: ignore[index]


class Mixes(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.flip(1)


class Routes(nn.Sequential): ...


@pytest.mark.parametrize("module", [Mixes(), nn.ChannelShuffle(2), nn.Softmax(1), nn.LayerNorm(8), Routes(nn.ReLU())])
def test_unknown_modules_are_refused_by_name(module: nn.Module) -> None:
    inside = nn.Sequential(nn.ReLU(), nn.Sequential(nn.ReLU(), module))
    with pytest.raises(InputError, match=rf"^1\.1: a fleet knows no {type(module).__name__}, "):
        stack([inside, inside])
    with pytest.raises(InputError, match=rf"^the network: a fleet knows no {type(module).__name__}, "):
        stack([module])


@pytest.mark.parametrize(
    ("one", "other", "words"),
    [
        (nn.Conv2d(3, 4, 1), nn.Conv2d(3, 5, 1), "0: out_channels is 5 in member 2 and 4 in the first"),
        (nn.Conv2d(3, 4, 1), nn.Conv2d(3, 4, 1, stride=2), r"0: stride is \(2, 2\) in member 2"),
        (nn.ReLU(), nn.GELU(), "0: the kind is GELU in member 2 and ReLU in the first"),
        (nn.BatchNorm2d(3), nn.BatchNorm2d(3, momentum=0.5), "0: momentum is 0.5 in member 2"),
        (nn.Linear(2, 2), nn.Linear(2, 2).double(), "0: weight is .*float64"),
        (nn.Linear(2, 2), nn.Linear(2, 2).requires_grad_(False), "0: weight is .*False.* in member 2"),
        (nn.Linear(2, 2), nn.Linear(2, 2, bias=False), "0: bias is not there in member 2"),
        (nn.ReLU(), nn.Sequential(nn.ReLU()), "0: the kind is Sequential in member 2 and ReLU in the first"),
    ],
)
def test_members_that_differ_are_refused(one: nn.Module, other: nn.Module, words: str) -> None:
    with pytest.raises(InputError, match=words):
        stack([nn.Sequential(one), nn.Sequential(other)])
    with pytest.raises(InputError, match="at least one member"):
        stack([])


def test_training_in_16_bits() -> None:
    """Under autocast, where vmap fails on batch norm on a CPU."""
    alone = networks("resnet20", 2)
    fleet = stack(alone).to(memory_format=torch.channels_last).train()
    own = pictures(2, 4, 3, 16)
    with torch.autocast("cpu", torch.bfloat16):
        found = fleet(torch.cat(own, dim=1).contiguous(memory_format=torch.channels_last))
        expected = torch.stack([network.train()(images) for network, images in zip(alone, own, strict=True)])
    assert found.dtype == torch.bfloat16
    torch.testing.assert_close(found.float(), expected.float(), rtol=0.05, atol=0.05 * expected.abs().max().item())
    found.float().square().sum().backward()
    assert all(p.grad is not None and p.grad.dtype == torch.float32 for p in fleet.parameters())


@pytest.mark.slow
@pytest.mark.parametrize("words", ["lenet5", "resnet20", "densenet40_bc", "efficientnet_b0", "lenet5_1998", "googlenet_bn"])
def test_it_compiles_as_one_graph(words: str) -> None:
    torch._dynamo.reset()
    fleet = stack(networks(words, 2)).eval()
    side, channels = NETWORKS[words].size, NETWORKS[words].channels
    images = torch.randn(4, 2 * channels, min(side, 32), min(side, 32))
    backend = "inductor" if words == "lenet5" else "aot_eager"
    compiled = torch.compile(fleet, fullgraph=True, backend=backend)
    for mode in (False, True):
        twin = copy.deepcopy(fleet.train(mode))
        found = compiled(images)
        if not mode or words not in ("efficientnet_b0", "googlenet_bn"):  # dropout draws otherwise when compiled
            assert_close(found, twin(images))
        found.square().sum().backward()
