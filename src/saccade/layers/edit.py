"""Variations that belong to no one network: each edits a tree that is already built."""

from collections.abc import Iterable

from torch import nn

from saccade.layers.drop import DropPath
from saccade.layers.joins import Residual


def drop_paths(blocks: Iterable[nn.Module], rate: float) -> None:
    """Stochastic depth: block i of n is dropped with probability `rate * i / n` (arXiv:1603.09382, equation 4)."""
    blocks = list(blocks)
    for i, block in enumerate(blocks):
        if isinstance(block, Residual) and isinstance(block.body, nn.Sequential) and i:
            block.body.append(DropPath(rate * i / len(blocks)))


def norm_last(network: nn.Module) -> int:
    """Convolution, activation, norm in every unit that has all three; how many there were."""
    count = 0
    for unit in network.modules():
        if isinstance(unit, nn.Sequential) and list(unit._modules) == ["conv", "norm", "act"]:
            unit._modules = {name: unit._modules[name] for name in ("conv", "act", "norm")}
            count += 1
    return count


def convolutional(dense: nn.Linear, side: int = 1) -> nn.Conv2d:
    """The convolution that does to every `side` x `side` window of a map what `dense` does to one, flattened.

    Weights are taken over; so a classifier can run over an image of any size (arXiv:1409.1556, section 3.2).
    """
    channels = dense.in_features // side**2
    conv = nn.Conv2d(channels, dense.out_features, side, bias=dense.bias is not None)
    conv.weight.data = dense.weight.data.view(conv.weight.shape)
    if dense.bias is not None:
        conv.bias = dense.bias
    return conv
