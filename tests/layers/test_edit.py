"""Edits that drop something, on one small network of every family."""

from collections.abc import Callable
from copy import deepcopy
from functools import partial

import pytest
import torch
from contract import ROWS, Row
from torch import Tensor, nn

from saccade import InputError
from saccade.layers import DropBlock, DropPath
from saccade.layers.edit import drop_blocks, dropout, spatial_dropout, stochastic_depth
from saccade.layers.joins import Residual
from saccade.tasks import classify
from saccade.zoo import find

CLASSES = 4
QUICK = "lenet5 lenet5_1998 nin googlenet_bn:auxiliary=true plain20 densenet40_bc mobilenet_v1".split()
QUICK_RESIDUAL = "resnet20 resnet20:norm=after preresnet20 mobilenet_v2 efficientnet_b0".split()
LARGE = "alexnet alexnet_one_tower vgg11_bn vgg11:dense=convolutional googlenet".split()
LARGE_RESIDUAL = "resnet50 preresnet50".split()
SMALLEST = {row.name: row.smallest for row in ROWS}

DROPS: dict[str, Callable[[nn.Module], int]] = {
    "dropout": partial(dropout, rate=0.2),
    "spatial dropout": partial(spatial_dropout, rate=0.2),
    "dropblock": partial(drop_blocks, rate=0.2, block=3),
    "stochastic depth": partial(stochastic_depth, rate=0.2),
}
CASES = [
    pytest.param(name, edit, id=f"{name}-{edit}", marks=[pytest.mark.slow] if name in LARGE + LARGE_RESIDUAL else [])
    for name in QUICK + QUICK_RESIDUAL + LARGE + LARGE_RESIDUAL
    for edit in DROPS
    if edit != "stochastic depth" or name in QUICK_RESIDUAL + LARGE_RESIDUAL
]
every = pytest.mark.parametrize(("name", "edit"), CASES)


def built(name: str, count: int = 8) -> tuple[nn.Module, Tensor]:
    torch.manual_seed(0)
    plain = name.partition(":")[0]
    side = 224 if "convolutional" in name else max(SMALLEST[plain], 32)
    entry = find(name)
    return entry.build(CLASSES, entry.channels), torch.randn(count, entry.channels, side, side)


def scored(network: nn.Module, images: Tensor, seed: int) -> Tensor:
    torch.manual_seed(seed)
    scores = network(images)
    return scores if isinstance(scores, Tensor) else torch.cat([scores.main, *scores.auxiliary])


@every
def test_evaluation_stays_bit_for_bit_and_training_drops(name: str, edit: str) -> None:
    """What is left of the randomness is torch's own generator, which the training loop seeds for every step."""
    network, images = built(name)
    edited = deepcopy(network)
    assert DROPS[edit](edited) > 0
    assert list(edited.state_dict()) == list(network.state_dict())
    with torch.no_grad():
        assert torch.equal(edited.eval()(images), network.eval()(images))
        copy = deepcopy(edited).train()
        one, other, again = scored(edited.train(), images, 1), scored(edited, images, 2), scored(copy, images, 1)
    assert not torch.equal(one, other)
    assert torch.equal(one, again)


@every
def test_every_parameter_gets_its_gradient_and_twice_is_once(name: str, edit: str) -> None:
    network, images = built(name)
    count = DROPS[edit](network)
    places = len(list(network.modules()))
    assert DROPS[edit](network) == count
    assert len(list(network.modules())) == places
    torch.manual_seed(1)
    classify.loss(network.train()(images), torch.arange(8) % CLASSES).backward()
    for path, parameter in network.named_parameters():
        assert parameter.grad is not None, path
        assert parameter.grad.isfinite().all(), path
        assert parameter.grad.any(), path


@pytest.mark.slow
@pytest.mark.parametrize("row", [pytest.param(row, id=row.name) for row in ROWS])
def test_every_network_of_the_zoo_takes_them(row: Row) -> None:
    """On the meta device, where a training pass costs nothing; two images, as batch norm has no variance of one."""
    entry = find(row.name)
    with torch.device("meta"):
        network = entry.build(CLASSES, entry.channels)
        names = list(network.state_dict())
        for name, edit in DROPS.items():
            if name != "stochastic depth" or any(isinstance(each, Residual) for each in network.modules()):
                assert edit(network) > 0
        scores = network.train()(torch.empty(2, entry.channels, entry.size, entry.size))
    assert list(network.state_dict()) == names
    assert (scores if isinstance(scores, Tensor) else scores.main).shape == (2, CLASSES)


@pytest.mark.parametrize("name", ["lenet5", "resnet20"])
def test_edited_networks_train_in_16_bits_compile_as_one_graph_and_keep_their_pyramid(name: str) -> None:
    network, images = built(name)
    shapes = [each.shape for each in network.eval().pyramid(images)]  # type: ignore[operator]
    for edit in DROPS.values() if name == "resnet20" else list(DROPS.values())[:-1]:
        edit(network)
    assert [each.shape for each in network.pyramid(images)] == shapes  # type: ignore[operator]
    network = network.to(memory_format=torch.channels_last)
    torch._dynamo.reset()
    compiled = torch.compile(network.train(), fullgraph=True, backend="aot_eager")
    with torch.autocast("cpu", torch.bfloat16):
        scores = compiled(images.contiguous(memory_format=torch.channels_last))
    classify.loss(scores, torch.arange(8) % CLASSES).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())


@pytest.mark.parametrize("edit", ["dropout", "spatial dropout"])
def test_the_mean_of_the_scores_is_kept_where_all_that_follows_is_linear(edit: str) -> None:
    """Behind the last stage of a ResNet come the mean over positions and a dense layer."""
    network, images = built("resnet20", count=4)
    assert (dropout(network, 0.2) if edit == "dropout" else spatial_dropout(network, 0.2, ["stages.2"])) == 1
    dropping = next(each for each in network.modules() if isinstance(each, nn.Dropout | nn.Dropout2d))
    network.eval()
    with torch.no_grad():
        images = images[:, :, :8, :8]
        expected = network(images)
        dropping.train()
        torch.manual_seed(0)
        draws = torch.cat([network(images) for _ in range(250)]).unflatten(0, (250, 4))
    z = (draws.mean(0) - expected) / (draws.std(0) / len(draws) ** 0.5)
    assert z.abs().max().item() < 4  # of 16 scores


def test_dropout_takes_the_place_that_a_network_has_for_it() -> None:
    for name, count in (("nin", 2), ("mobilenet_v2", 1), ("googlenet_bn:auxiliary=true", 3)):
        network, _ = built(name)
        own = [each for each in network.modules() if isinstance(each, nn.Dropout)]
        assert dropout(network, 0.35) == len(own) == count
        assert {each.p for each in own} == {0.35}
    for name, last in (("lenet5", nn.Linear), ("lenet5_1998", None), ("resnet20", nn.Linear)):
        network, _ = built(name)
        assert dropout(network, 0.35) == 1
        order = list(network.head.children())  # type: ignore[operator]
        assert [type(each) for each in order].index(nn.Dropout) == len(order) - 2
        assert last is None or type(order[-1]) is last


def test_the_last_block_is_dropped_most_and_the_first_least() -> None:
    """p_l = 1 - l / L * (1 - p_L) survives, arXiv:1603.09382, equation 4."""
    for name, blocks in (("resnet20", 9), ("preresnet20", 9), ("mobilenet_v2", 10), ("efficientnet_b0", 9)):
        network, _ = built(name)
        assert stochastic_depth(network, 0.5) == blocks
        rates = [each.body[-1].p for each in network.modules() if isinstance(each, Residual)]  # type: ignore[index]
        assert rates == pytest.approx([0.5 * i / blocks for i in range(1, blocks + 1)])
        assert sum(isinstance(each, DropPath) for each in network.modules()) == blocks


def test_chosen_parts_alone_are_dropped_from() -> None:
    network, images = built("resnet20")
    assert drop_blocks(network, 0.1, 3, ["stages.1", "stages.2.0", "stages.2.1.body.0"]) == 3
    found = [name for name, each in network.named_modules() if isinstance(each, DropBlock)]
    assert found == ["stages.1.dropblock", "stages.2.0.act.dropblock", "stages.2.1.body.0.dropblock"]
    network.train()(images).sum().backward()


@pytest.mark.parametrize(
    ("edit", "name", "words"),
    [
        (partial(stochastic_depth, rate=0.1), "vgg11", "the network has no residual block to drop"),
        (partial(stochastic_depth, rate=1), "resnet20", "stochastic depth: a rate of at least 0 and below 1, not 1"),
        (partial(dropout, rate=-0.1), "resnet20", "dropout: a rate"),
        (partial(dropout, rate=float("nan")), "resnet20", "dropout: a rate"),
        (partial(drop_blocks, rate=0.1, block=0), "resnet20", "one pixel at least"),
        (partial(drop_blocks, rate=0.1, parts=["stages.9"]), "resnet20", 'no part "stages.9", did you mean "stages'),
        (partial(spatial_dropout, rate=0.1, parts=["stem.conv"]), "resnet20", "stem.conv is a Conv2d, behind which"),
    ],
)
def test_edits_that_cannot_be(edit: Callable[[nn.Module], int], name: str, words: str) -> None:
    with torch.device("meta"):
        network = find(name).build(3, 3)
    with pytest.raises(InputError, match=words):
        edit(network)
