"""Residual networks, their plain counterparts, and the pre-activation form.

He et al. 2015, arXiv:1512.03385; He et al. 2016, arXiv:1603.05027.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from torch import nn

from saccade.errors import InputError
from saccade.layers import PadShortcut, Residual, conv, initialize, preactivated, preactivation
from saccade.layers.edit import norm_last
from saccade.zoo.network import ConvNet, classifier

Unit = Callable[..., nn.Sequential]


def basic(cin: int, planes: int, stride: int, unit: Unit) -> tuple[list[nn.Sequential], int]:
    """Figure 5, left: the units beside the shortcut, and the channels that they end with."""
    return [unit(cin, planes, 3, stride), unit(planes, planes, 3)], planes


def bottleneck(cin: int, planes: int, stride: int, unit: Unit) -> tuple[list[nn.Sequential], int]:
    """Figure 5, right, with the stride in the 3x3 as torchvision has it."""
    return [unit(cin, planes, 1), unit(planes, planes, 3, stride), unit(planes, 4 * planes, 1)], 4 * planes


def bottleneck_as_published(cin: int, planes: int, stride: int, unit: Unit) -> tuple[list[nn.Sequential], int]:
    """The stride in the first 1x1."""
    return [unit(cin, planes, 1, stride), unit(planes, planes, 3), unit(planes, 4 * planes, 1)], 4 * planes


def projection(cin: int, cout: int, stride: int) -> nn.Module:
    """Option B of section 3.3: a strided 1x1 convolution where the shapes differ."""
    return conv(cin, cout, 1, stride, act=None)


def padding(cin: int, cout: int, stride: int) -> nn.Module:
    """Option A of section 3.3."""
    return PadShortcut(cout - cin, stride)


@dataclass(frozen=True)
class Variant:
    """What distinguishes the members of the family; `shortcut` is None in a plain network."""

    block: Callable[[int, int, int, Unit], tuple[list[nn.Sequential], int]]
    depths: Sequence[int]
    width: int
    shortcut: Callable[[int, int, int], nn.Module] | None


# Table 1; plain-18 and plain-34 are those of section 4.1
LARGE = {
    "resnet18": Variant(basic, (2, 2, 2, 2), 64, projection),
    "resnet34": Variant(basic, (3, 4, 6, 3), 64, projection),
    "resnet50": Variant(bottleneck, (3, 4, 6, 3), 64, projection),
    "resnet101": Variant(bottleneck, (3, 4, 23, 3), 64, projection),
    "resnet152": Variant(bottleneck, (3, 8, 36, 3), 64, projection),
    "plain18": Variant(basic, (2, 2, 2, 2), 64, None),
    "plain34": Variant(basic, (3, 4, 6, 3), 64, None),
}
# Section 4.2: 6n + 2 layers for images of 32x32
SMALL = {
    f"{kind}{6 * n + 2}": Variant(basic, (n, n, n), 16, shortcut)
    for kind, shortcut in (("resnet", padding), ("plain", None))
    for n in (3, 5, 7, 9, 18)
}


def block(cin: int, planes: int, stride: int, variant: Variant) -> tuple[nn.Module, int]:
    units, cout = variant.block(cin, planes, stride, conv)
    act = nn.ReLU(inplace=True)
    del units[-1].act  # the last activation follows the sum
    if variant.shortcut is None:
        return nn.Sequential(*units, act), cout
    changes = stride > 1 or cin != cout
    return Residual(nn.Sequential(*units), variant.shortcut(cin, cout, stride) if changes else None, act), cout


def preactivated_block(cin: int, planes: int, stride: int, variant: Variant) -> tuple[nn.Module, int]:
    """Figure 4e of arXiv:1603.05027. Where the shapes differ, the first norm and ReLU serve both paths."""
    units, cout = variant.block(cin, planes, stride, preactivated)
    if stride == 1 and cin == cout:
        return Residual(nn.Sequential(*units)), cout
    shared = preactivation(cin)
    del units[0].norm, units[0].act
    shortcut = (
        nn.Conv2d(cin, cout, 1, stride, bias=False) if variant.shortcut is projection else PadShortcut(cout - cin, stride)
    )
    return shared.append(Residual(nn.Sequential(*units), shortcut)), cout


def share_first(stage: nn.Sequential) -> None:
    """The first activation of the network comes before its paths part (arXiv:1603.05027, appendix)."""
    first = stage[0]
    if isinstance(first, Residual):
        assert isinstance(first.body, nn.Sequential)
        unit = first.body[0]
        shared = nn.Sequential()
        for name in ("norm", "act"):
            shared.add_module(name, unit.get_submodule(name))
            delattr(unit, name)
        stage[0] = shared.append(first)


def tower(variant: Variant, make: Callable[..., tuple[nn.Module, int]]) -> tuple[list[nn.Sequential], int]:
    """The stages, and the channels that come out."""
    stages, cin = [], variant.width
    for i, depth in enumerate(variant.depths):
        stage = nn.Sequential()
        for j in range(depth):
            module, cin = make(cin, variant.width * 2**i, 2 if i > 0 and j == 0 else 1, variant)
            stage.append(module)
        stages.append(stage)
    return stages, cin


def resnet(name: str, classes: int, channels: int = 3, *, stride: str = "3x3", norm: str = "before") -> ConvNet:
    """A member of the family: (B, channels, H, W) to (B, classes), initialized as the paper says (section 3.4).

    `stride`: in the "3x3" of a bottleneck, as torchvision has it, or in its first "1x1", as published.
    `norm`: "before" the activation, as published, or "after" it (units without an activation stay as they are).
    """
    variant = (LARGE | SMALL)[name]
    if stride not in ("3x3", "1x1") or (stride == "1x1" and variant.block is basic):
        raise InputError(f'{name}: stride is 3x3 or, in a bottleneck, 1x1, not "{stride}"')
    if norm not in ("before", "after"):
        raise InputError(f'{name}: norm is before or after the activation, not "{norm}"')
    if stride == "1x1":
        variant = replace(variant, block=bottleneck_as_published)
    stem = conv(channels, variant.width)
    if name in LARGE:
        stem = nn.Sequential(conv(channels, variant.width, 7, 2), nn.MaxPool2d(3, 2, 1))
    stages, cin = tower(variant, block)
    network = ConvNet(stem, stages, classifier(cin, classes))
    if norm == "after":
        norm_last(network)
    initialize(network)
    return network


def preresnet(name: str, classes: int, channels: int = 3) -> ConvNet:
    """The pre-activation form of a residual network (He et al. 2016): (B, channels, H, W) to (B, classes)."""
    variant = (LARGE | SMALL)[name]
    stem: nn.Module = nn.Conv2d(channels, variant.width, 3, padding=1, bias=False)
    if name in LARGE:
        stem = nn.Sequential(nn.Conv2d(channels, variant.width, 7, 2, 3, bias=False), nn.MaxPool2d(3, 2, 1))
    stages, cin = tower(variant, preactivated_block)
    share_first(stages[0])
    stages[-1].extend(preactivation(cin))
    network = ConvNet(stem, stages, classifier(cin, classes))
    initialize(network)
    return network
