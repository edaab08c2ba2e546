"""ResNets against torchvision and against the paper's numbers."""

import pytest
import torch
import torchvision
from torch.utils.flop_counter import FlopCounterMode

from saccade.inspection.table import layer_table
from saccade.zoo import NETWORKS


@pytest.mark.parametrize("name", ["resnet18", "resnet34", "resnet50", "resnet101", "resnet152"])
def test_logits_are_torchvisions_with_its_weights_and_statistics(name: str) -> None:
    torch.manual_seed(0)
    theirs = getattr(torchvision.models, name)(num_classes=7).eval()
    for module in theirs.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
    ours = NETWORKS[name].build(7, 3).eval()
    given, own = theirs.state_dict(), ours.state_dict()
    # torchvision registers a block's shortcut last, as we do
    assert [t.shape for t in given.values()] == [t.shape for t in own.values()]
    ours.load_state_dict(dict(zip(own, given.values(), strict=True)))
    images = torch.randn(2, 3, 96, 80)
    with torch.inference_mode():
        assert (ours(images) - theirs(images)).abs().max() == 0.0


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("resnet18", 11_689_512),
        ("resnet34", 21_797_672),
        ("resnet50", 25_557_032),
        ("resnet101", 44_549_160),
        ("resnet152", 60_192_808),
    ],
)
def test_parameters_are_torchvisions(name: str, parameters: int) -> None:
    with torch.device("meta"):
        assert sum(p.numel() for p in NETWORKS[name].build(1000, 3).parameters()) == parameters


@pytest.mark.parametrize(
    ("depth", "millions"), [(20, 0.27), (32, 0.46), (44, 0.66), (56, 0.85), (110, 1.7)]
)  # table 6 of the paper
def test_small_networks_have_the_papers_size_and_the_plain_ones_the_same(depth: int, millions: float) -> None:
    counts = {sum(p.numel() for p in NETWORKS[f"{kind}{depth}"].build(10, 3).parameters()) for kind in ("resnet", "plain")}
    assert len(counts) == 1
    assert counts.pop() / 1e6 == pytest.approx(millions, abs=0.03)


def test_the_stages_of_resnet20_halve_the_map_and_double_the_channels() -> None:
    network = NETWORKS["resnet20"].build(10, 1)
    shapes = [tuple(x.shape[1:]) for x in network.pyramid(torch.zeros(1, 1, 32, 32))]
    assert shapes == [(16, 32, 32), (32, 16, 16), (64, 8, 8)]


@pytest.mark.parametrize(("name", "size"), [("resnet18", 224), ("resnet50", 97), ("resnet20", 32), ("lenet5", 28)])
def test_macs_of_the_layer_table_are_half_of_torchs_flops(name: str, size: int) -> None:
    network = NETWORKS[name].build(10, 3).eval()
    with FlopCounterMode(display=False) as counter:
        network(torch.zeros(1, 3, size, size))
    rows = layer_table(network, (3, size, size))
    assert sum(row["macs"] for row in rows) == counter.get_total_flops() // 2
    assert sum(row["parameters"] for row in rows) == sum(p.numel() for p in network.parameters())


@pytest.mark.parametrize("name", ["resnet20", "plain20", "resnet18", "resnet50", "lenet5", "lenet5_1998"])
def test_every_parameter_learns(name: str) -> None:
    torch.manual_seed(0)
    size = NETWORKS[name].size if "lenet" in name else 32
    network = NETWORKS[name].build(3, 1)
    torch.nn.functional.cross_entropy(network(torch.randn(4, 1, size, size)), torch.tensor([0, 1, 2, 0])).backward()
    for path, parameter in network.named_parameters():
        assert parameter.grad is not None, path
        assert parameter.grad.abs().sum() > 0, path
