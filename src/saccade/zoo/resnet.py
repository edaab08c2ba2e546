"""Residual networks and their plain counterparts (He et al. 2015, arXiv:1512.03385)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import nn

from saccade.layers import PadShortcut, Residual, conv, initialize
from saccade.zoo.network import ConvNet, classifier

Body = tuple[nn.Sequential, int]  # the layers beside the shortcut, and the channels that they end with


def basic(cin: int, planes: int, stride: int) -> Body:
    """Figure 5, left."""
    return nn.Sequential(conv(cin, planes, 3, stride), conv(planes, planes, 3, activate=False)), planes


def bottleneck(cin: int, planes: int, stride: int) -> Body:
    """Figure 5, right, with the stride in the 3x3 as torchvision has it (the paper puts it in the first 1x1)."""
    cout = 4 * planes
    return nn.Sequential(conv(cin, planes, 1), conv(planes, planes, 3, stride), conv(planes, cout, 1, activate=False)), cout


def projection(cin: int, cout: int, stride: int) -> nn.Module:
    """Option B of section 3.3: a strided 1x1 convolution where the shapes differ."""
    return conv(cin, cout, 1, stride, activate=False)


def padding(cin: int, cout: int, stride: int) -> nn.Module:
    """Option A of section 3.3."""
    return PadShortcut(cout - cin, stride)


@dataclass(frozen=True)
class Variant:
    """What distinguishes the members of the family; `shortcut` is None in a plain network."""

    block: Callable[[int, int, int], Body]
    depths: Sequence[int]
    width: int
    shortcut: Callable[[int, int, int], nn.Module] | None


# Table 1; plain-18 and plain-34 are those of section 4.1.
LARGE = {
    "resnet18": Variant(basic, (2, 2, 2, 2), 64, projection),
    "resnet34": Variant(basic, (3, 4, 6, 3), 64, projection),
    "resnet50": Variant(bottleneck, (3, 4, 6, 3), 64, projection),
    "resnet101": Variant(bottleneck, (3, 4, 23, 3), 64, projection),
    "resnet152": Variant(bottleneck, (3, 8, 36, 3), 64, projection),
    "plain18": Variant(basic, (2, 2, 2, 2), 64, None),
    "plain34": Variant(basic, (3, 4, 6, 3), 64, None),
}
# Section 4.2: 6n + 2 layers for images of 32x32.
SMALL = {
    f"{kind}{6 * n + 2}": Variant(basic, (n, n, n), 16, shortcut)
    for kind, shortcut in (("resnet", padding), ("plain", None))
    for n in (3, 5, 7, 9, 18)
}


def block(cin: int, planes: int, stride: int, variant: Variant) -> tuple[nn.Module, int]:
    body, cout = variant.block(cin, planes, stride)
    act = nn.ReLU(inplace=True)
    if variant.shortcut is None:
        return body.append(act), cout
    changes = stride > 1 or cin != cout
    return Residual(body, variant.shortcut(cin, cout, stride) if changes else None, act), cout


def resnet(name: str, classes: int, channels: int = 3) -> ConvNet:
    """A member of the family: (B, channels, H, W) to (B, classes), initialized as the paper says (section 3.4)."""
    variant = (LARGE | SMALL)[name]
    cin = variant.width
    stem = conv(channels, cin)
    if name in LARGE:
        stem = nn.Sequential(conv(channels, cin, 7, 2), nn.MaxPool2d(3, 2, 1))
    stages = []
    for i, depth in enumerate(variant.depths):
        stage = nn.Sequential()
        for j in range(depth):
            stride = 2 if i > 0 and j == 0 else 1
            module, cin = block(cin, variant.width * 2**i, stride, variant)
            stage.append(module)
        stages.append(stage)
    network = ConvNet(stem, stages, classifier(cin, classes))
    initialize(network)
    return network
