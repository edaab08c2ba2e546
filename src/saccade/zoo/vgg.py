"""VGG (Simonyan and Zisserman 2014, arXiv:1409.1556)."""

from torch import nn

from saccade.errors import InputError
from saccade.layers import conv, initialize
from saccade.layers.edit import convolutional
from saccade.zoo.network import ConvNet

WIDTHS = (64, 128, 256, 512, 512)
# Table 1, columns A, B, D, E: 3x3 convolutions in each stage
DEPTHS = {"vgg11": (1, 1, 2, 2, 2), "vgg13": (2, 2, 2, 2, 2), "vgg16": (2, 2, 3, 3, 3), "vgg19": (2, 2, 4, 4, 4)}
SIDE = 7  # of the map that the dense layers read


def vgg(name: str, norm: bool, classes: int, channels: int = 3, *, dense: str = "flat") -> ConvNet:
    """A column of table 1, with batch norm or, as published, without: (B, channels, 32 or more, same) to (B, classes).

    `dense`: "flat", on the 7x7 map, to which the maps of other images are averaged; or "convolutional", the same weights
    run over the whole map and their scores averaged, as the paper tests (section 3.2; images of 224 px or more).
    Weights start as in torchvision, by He's rule; the paper's own start, from a trained shallower network, is not needed
    with it.
    """
    if dense not in ("flat", "convolutional"):
        raise InputError(f'{name}: dense is flat or convolutional, not "{dense}"')
    stages, cin = [], channels
    for width, depth in zip(WIDTHS, DEPTHS[name], strict=True):
        stage = nn.Sequential()
        for _ in range(depth):
            stage.append(unit(cin, width, norm))
            cin = width
        stages.append(stage.append(nn.MaxPool2d(2)))
    layers = [nn.Linear(cin * SIDE**2, 4096), nn.Linear(4096, 4096), nn.Linear(4096, classes)]
    for layer in layers:
        nn.init.normal_(layer.weight, 0, 0.01)
        nn.init.zeros_(layer.bias)
    network = ConvNet(nn.Identity(), stages, flat(layers) if dense == "flat" else over_the_map(layers))
    initialize(network.stages)
    return network


def unit(cin: int, cout: int, norm: bool) -> nn.Sequential:
    made = conv(cin, cout, norm=nn.BatchNorm2d if norm else None)
    if norm:  # torchvision's convolutions keep their bias before the norm
        made.conv = nn.Conv2d(cin, cout, 3, padding=1)
    return made


def flat(layers: list[nn.Linear]) -> nn.Sequential:
    return nn.Sequential(nn.AdaptiveAvgPool2d(SIDE), nn.Flatten(), *with_dropout(layers))


def over_the_map(layers: list[nn.Linear]) -> nn.Sequential:
    first, *others = layers
    maps = [convolutional(first, SIDE), *(convolutional(other) for other in others)]
    return nn.Sequential(*with_dropout(maps), nn.AdaptiveAvgPool2d(1), nn.Flatten())


def with_dropout(layers: list) -> list[nn.Module]:
    first, second, last = layers
    return [first, nn.ReLU(inplace=True), nn.Dropout(0.5), second, nn.ReLU(inplace=True), nn.Dropout(0.5), last]
