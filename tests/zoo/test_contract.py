"""One test a property, for every network of the table in tests/contract.py."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
import torchvision
from contract import ROWS, Row
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from saccade import InputError
from saccade.data.preprocess import Preprocess
from saccade.experiment.export import export_onnx
from saccade.experiment.model import Model
from saccade.inspection.smallest import check, smallest_side
from saccade.inspection.table import layer_table
from saccade.tasks import classify
from saccade.zoo import NETWORKS, find

CLASSES = 7
every = pytest.mark.parametrize("row", [pytest.param(r, id=r.name) for r in ROWS])
costly = pytest.mark.parametrize(
    "row", [pytest.param(r, id=r.name, marks=[] if r.quick else [pytest.mark.slow]) for r in ROWS]
)
LARGE = 20_000_000  # parameters, above which a test of values takes seconds
costliest = pytest.mark.parametrize(
    "row",
    [pytest.param(r, id=r.name, marks=[] if r.quick and r.parameters < LARGE else [pytest.mark.slow]) for r in ROWS],
)
ALIKE = ("googlenet_bn", "plain20")  # what torch's compiler has to follow in them, it has in googlenet, resnet20, resnet18
traced = pytest.mark.parametrize(
    "row",
    [
        pytest.param(
            r, id=r.name, marks=[] if r.quick and r.parameters < LARGE and r.name not in ALIKE else [pytest.mark.slow]
        )
        for r in ROWS
    ],
)
peers = pytest.mark.parametrize(
    "row", [pytest.param(r, id=r.name, marks=[] if r.quick else [pytest.mark.slow]) for r in ROWS if r.peer]
)


def published(row: Row) -> nn.Module:
    """On the meta device, for the classes of its paper."""
    entry = NETWORKS[row.name]
    with torch.device("meta"):
        return entry.build(1000 if entry.size > 64 else 10, entry.channels)


def small(row: Row, seed: int = 0, count: int = 2) -> tuple[nn.Module, Tensor]:
    """With real weights, and images near the smallest that it takes."""
    torch.manual_seed(seed)
    channels, side = NETWORKS[row.name].channels, max(row.smallest, min(32, NETWORKS[row.name].size))
    return find(row.name).build(CLASSES, channels), torch.randn(count, channels, side, side)


def test_every_network_has_a_row() -> None:
    assert [row.name for row in ROWS] == list(NETWORKS)


@every
def test_parameters_multiply_accumulates_and_stages(row: Row) -> None:
    network, entry = published(row), NETWORKS[row.name]
    image = (entry.channels, entry.size, entry.size)
    rows = layer_table(network, image)
    assert sum(each["parameters"] for each in rows) == sum(p.numel() for p in network.parameters()) == row.parameters
    assert sum(each["macs"] for each in rows) == row.macs
    pyramid = network.eval().pyramid(torch.empty(1, *image, device="meta"))  # type: ignore[operator]
    assert tuple((each.shape[1], each.shape[2]) for each in pyramid) == row.stages
    with FlopCounterMode(display=False) as counter:
        network(torch.empty(1, *image, device="meta"))
    assert row.macs == counter.get_total_flops() // 2


@costly
def test_the_smallest_images_pass_and_below_them_the_layer_is_named(row: Row) -> None:
    network, channels = published(row), NETWORKS[row.name].channels
    assert smallest_side(network, channels) == row.smallest
    check(network, (channels, row.smallest, row.smallest))
    if row.smallest > 1:
        with pytest.raises(InputError, match=r"(stem|stages|head|auxiliary)[\w.]* \(\w+\) fails for images of") as met:
            check(network, (channels, row.smallest - 1, row.smallest - 1))
        assert "\n" not in str(met.value)
        assert f"the smallest side that passes is {row.smallest}" in str(met.value)


@peers
def test_logits_are_the_peers_with_its_weights_and_statistics(row: Row) -> None:
    """Random weights and statistics; difference 0.0. The peer's tensors come in the same order."""
    torch.manual_seed(0)
    library, name = row.peer.split(".")
    extra: dict[str, Any] = {"aux_logits": True, "init_weights": False} if name == "googlenet" else {}
    make: Callable[..., nn.Module] = getattr(torchvision.models, name) if library == "torchvision" else timm.create_model
    theirs = make(num_classes=CLASSES, **extra) if library == "torchvision" else make(name, num_classes=CLASSES)
    for module in theirs.modules():
        if isinstance(module, nn.BatchNorm2d):
            assert module.running_mean is not None
            assert module.running_var is not None
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 2)
    words = f"{row.name}:auxiliary=true" if name == "googlenet" else row.name
    ours = find(words).build(CLASSES, 3)
    given, own = theirs.state_dict(), ours.state_dict()
    assert [t.shape for t in given.values()] == [t.shape for t in own.values()]
    ours.load_state_dict(dict(zip(own, given.values(), strict=True)))
    images = torch.randn(2, 3, max(row.smallest, 65), max(row.smallest, 97))
    with torch.inference_mode():
        assert (ours.eval()(images) - theirs.eval()(images)).abs().max() == 0.0


@costly
def test_a_step_reaches_every_parameter(row: Row) -> None:
    network, images = small(row, count=4)
    classify.loss(network.train()(images), torch.tensor([0, 1, 2, 3])).backward()
    for path, parameter in network.named_parameters():
        assert parameter.grad is not None, path
        assert parameter.grad.isfinite().all(), path
        assert parameter.grad.any(), path


@costly
def test_the_same_seed_builds_the_same_network_and_its_state_goes_round(row: Row) -> None:
    one, images = small(row)
    two, _ = small(row)
    other, _ = small(row, seed=1)
    with torch.inference_mode():
        scores = one.eval()(images)
        assert torch.equal(scores, two.eval()(images))
        assert not torch.equal(scores, other.eval()(images))
        other.load_state_dict(one.state_dict())
        assert torch.equal(scores, other(images))


@traced
def test_it_compiles_as_one_graph_and_exports_with_any_batch(row: Row) -> None:
    network, images = small(row)
    network.eval()
    with torch.inference_mode():
        expected = network(images)
    torch._dynamo.reset()
    with torch.no_grad():
        compiled = torch.compile(network, fullgraph=True, backend="eager")(images)
    torch.testing.assert_close(compiled, expected)
    dynamic = ({0: torch.export.Dim("batch")},)
    exported = torch.export.export(network, (images,), dynamic_shapes=dynamic, strict=True).module()
    torch.testing.assert_close(exported(images), expected)
    assert exported(torch.cat([images, images])[:3]).shape == (3, CLASSES)


@costliest
def test_vmap_over_three_members_is_the_loop(row: Row) -> None:
    members = [small(row, seed)[0].eval().double() for seed in range(3)]
    images = small(row)[1].double()
    parameters, buffers = torch.func.stack_module_state(members)

    def one(own: dict[str, Tensor], statistics: dict[str, Tensor], x: Tensor) -> Tensor:
        return torch.func.functional_call(members[0], (own, statistics), (x,))

    with torch.no_grad():
        together = torch.vmap(one, (0, 0, None))(parameters, buffers, images)
        alone = torch.stack([member(images) for member in members])
    torch.testing.assert_close(together, alone)


@pytest.mark.parametrize(
    "row",
    [
        pytest.param(r, id=r.name, marks=[] if r.name in ("lenet5_1998", "resnet20", "nin") else [pytest.mark.slow])
        for r in ROWS
    ],
)
def test_onnx_gives_the_same_scores(row: Row, tmp_path: Path) -> None:
    channels, side = NETWORKS[row.name].channels, max(row.smallest, min(32, NETWORKS[row.name].size))
    preprocess = Preprocess(side, side, (0.5,) * channels, (0.25,) * channels, channels)
    classes = tuple(str(i) for i in range(CLASSES))
    model = Model(small(row)[0].eval(), row.name, classes, preprocess)
    pixels = np.random.default_rng(0).integers(0, 255, (3, side, side, channels), np.uint8)
    assert export_onnx(model, tmp_path / "x.onnx", pixels) < 1e-4
