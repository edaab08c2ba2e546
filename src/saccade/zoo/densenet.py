"""DenseNet (Huang, Liu, van der Maaten, Weinberger 2016, arXiv:1608.06993)."""

from torch import nn

from saccade.errors import InputError
from saccade.layers import Append, conv, initialize, preactivated, preactivation
from saccade.zoo.network import ConvNet, classifier

# Table 1: growth, layers of each block, channels of the stem
LARGE = {
    "densenet121": (32, (6, 12, 24, 16), 64),
    "densenet169": (32, (6, 12, 32, 32), 64),
    "densenet201": (32, (6, 12, 48, 32), 64),
    "densenet161": (48, (6, 12, 36, 24), 96),
}


def layer(cin: int, growth: int, bottleneck: bool) -> Append:
    """Appends `growth` channels; the bottleneck reduces its input to four times as many first."""
    if bottleneck:
        return Append(preactivated(cin, 4 * growth, 1), preactivated(4 * growth, growth, 3))
    return Append(preactivated(cin, growth, 3))


def transition(cin: int, cout: int) -> list[nn.Module]:
    return [preactivated(cin, cout, 1), nn.AvgPool2d(2)]


def blocks(cin: int, growth: int, depths: tuple[int, ...], compressed: bool) -> tuple[list[nn.Module], int]:
    """The dense blocks, each but the first behind its transition, and the channels that come out."""
    stages: list[nn.Module] = []
    for depth in depths:
        stage = nn.Sequential()
        if stages:
            cout = cin // 2 if compressed else cin
            stage.extend(transition(cin, cout))
            cin = cout
        for _ in range(depth):
            stage.append(layer(cin, growth, compressed))
            cin += growth
        stages.append(stage)
    return stages, cin


def densenet(name: str, classes: int, channels: int = 3) -> ConvNet:
    """DenseNet-BC for ImageNet, with torchvision's shapes: (B, channels, 29 or more, same) to (B, classes)."""
    growth, depths, width = LARGE[name]
    stem = nn.Sequential(conv(channels, width, 7, 2), nn.MaxPool2d(3, 2, 1))
    stages, cin = blocks(width, growth, depths, compressed=True)
    return finished(stem, stages, cin, classes)


def densenet_small(depth: int, compressed: bool, classes: int, channels: int = 3, *, growth: int = 12) -> ConvNet:
    """For 32x32 (section 4.2), L = `depth`; `compressed` is the form BC: bottlenecks, and transitions that halve.

    Three blocks of (depth - 4) / 3 convolutions, in pairs with a bottleneck; the stem has 16 channels, or twice the
    growth in BC. (B, channels, 4 or more, same) to (B, classes).
    """
    if growth < 1:
        raise InputError(f"growth: at least one channel, not {growth}")
    layers = (depth - 4) // (6 if compressed else 3)
    width = 2 * growth if compressed else 16
    stem = nn.Conv2d(channels, width, 3, padding=1, bias=False)
    stages, cin = blocks(width, growth, (layers,) * 3, compressed)
    return finished(stem, stages, cin, classes)


def finished(stem: nn.Module, stages: list[nn.Module], cin: int, classes: int) -> ConvNet:
    stages[-1].extend(preactivation(cin))  # type: ignore[operator]
    network = ConvNet(stem, stages, classifier(cin, classes))
    initialize(network)
    return network
