"""Network in Network (Lin, Chen, Yan 2013, arXiv:1312.4400)."""

from torch import nn

from saccade.errors import InputError
from saccade.layers import conv, initialize
from saccade.zoo.network import ConvNet


def mlpconv(cin: int, widths: tuple[int, int, int], kernel: int) -> nn.Sequential:
    """A convolution and two 1x1 convolutions: at every position a small perceptron of its own (section 3.1)."""
    first, second, third = widths
    return nn.Sequential(
        conv(cin, first, kernel, norm=None), conv(first, second, 1, norm=None), conv(second, third, 1, norm=None)
    )


def nin(classes: int, channels: int = 3, *, last: str = "linear") -> ConvNet:
    """The network for CIFAR: 966,986 parameters for ten classes, none of them in a dense layer.

    (B, channels, any, any) to (B, classes); made for 32x32. The paper prints three mlpconv layers and global average
    pooling; widths, kernels and the average pooling after the second are those of the authors' published configuration.
    Unlike there, no ReLU stands before the last pooling: with it (`last="relu"`), scores that are all zero never learn
    again (met on three classes of Fashion-MNIST at every rate tried).
    """
    if last not in ("linear", "relu"):
        raise InputError(f'last is linear or, as published, relu, not "{last}"')
    stem = mlpconv(channels, (192, 160, 96), 5)
    scores = mlpconv(192, (192, 192, classes), 3)
    if last == "linear":
        del scores[-1].act
    stages = [
        nn.Sequential(nn.MaxPool2d(3, 2, 1), nn.Dropout(0.5), mlpconv(96, (192, 192, 192), 5)),
        nn.Sequential(nn.AvgPool2d(3, 2, 1), nn.Dropout(0.5), scores),
    ]
    network = ConvNet(stem, stages, nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()))
    initialize(network)
    return network
