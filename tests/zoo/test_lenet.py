"""LeNet-5 against the numbers of the paper, section II.B."""

import pytest
import torch
from torch import Tensor, nn

from saccade import InputError
from saccade.zoo import NETWORKS, find
from saccade.zoo.lenet import TABLE, RadialOutput, Subsampling, TableConv2d, lenet5_1998


def test_parameters_and_connections_are_the_papers() -> None:
    network = lenet5_1998(10)
    c1, s2, c3 = network.stem[0], network.stages[0][0], network.stages[0][2]
    s4, c5, f6 = network.stages[1][0], network.stages[1][2], network.head[1]
    counts = [sum(p.numel() for p in layer.parameters()) for layer in (c1, s2, c3, s4, c5, f6)]
    assert counts == [156, 12, 1516, 32, 48_120, 10_164]
    assert sum(p.numel() for p in network.parameters()) == 60_000


def test_the_connections_are_the_papers() -> None:
    """Counted in the network itself: each output value of a layer has one connection to the bias and one to each pixel."""
    network = lenet5_1998(10)
    found: list[int] = []

    def count(layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        positions = output[0, 0].numel() if output.dim() == 4 else 1
        parameters = sum(p.numel() for p in layer.parameters())
        if isinstance(
            layer, Subsampling
        ):  # a map's one coefficient serves four pixels: five connections for two parameters
            parameters = output.shape[1] * (4 + 1)
        if isinstance(layer, RadialOutput):
            parameters = layer.codes.numel()
        found.append(positions * parameters)

    kinds = (nn.Conv2d, nn.Linear, Subsampling, TableConv2d, RadialOutput)
    for layer in network.modules():
        if isinstance(layer, kinds):
            layer.register_forward_hook(count)
    network(torch.zeros(1, 1, 32, 32))
    assert found == [122_304, 5_880, 151_600, 2_000, 48_120, 10_164, 840]  # section II.B
    assert sum(found) == 340_908


def test_the_linear_output_has_850_parameters_more() -> None:
    assert sum(p.numel() for p in lenet5_1998(10, output="linear").parameters()) == 60_850


def test_a_map_of_c3_reads_only_its_row_of_the_table() -> None:
    torch.manual_seed(0)
    layer = TableConv2d(TABLE, 6)
    torch.nn.init.normal_(layer.weight)
    for i, row in enumerate(TABLE):
        images = torch.randn(1, 6, 14, 14, requires_grad=True)
        layer(images)[0, i].sum().backward()
        read = {j for j in range(6) if images.grad[0, j].abs().sum() > 0}  # type: ignore[index]
        assert read == set(row)


def test_the_modern_variant_has_61706_parameters_and_takes_28_and_32() -> None:
    network = find("lenet5").build(10, 1)
    assert sum(p.numel() for p in network.parameters()) == 61_706
    assert network(torch.zeros(2, 1, 28, 28)).shape == network(torch.zeros(2, 1, 32, 32)).shape == (2, 10)


def test_subsampling_multiplies_the_sum_of_four_pixels() -> None:
    layer = lenet5_1998(10).stages[0][0]
    torch.nn.init.constant_(layer.weight, 0.5)
    assert layer(torch.ones(1, 6, 4, 4)).unique().item() == 2.0


def test_a_name_with_a_typo_is_answered_with_the_nearest() -> None:
    with pytest.raises(InputError, match='no network "resnet81", did you mean "resnet18"'):
        find("resnet81")
    assert "resnet18" in NETWORKS
