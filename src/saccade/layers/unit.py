"""The unit of modern convolutional networks, in its two orders."""

from collections.abc import Callable

from torch import nn

Make = Callable[..., nn.Module]


def conv(  # noqa: PLR0913 (what units differ in, and no more)
    cin: int,
    cout: int,
    kernel: int = 3,
    stride: int = 1,
    *,
    groups: int = 1,
    norm: Make | None = nn.BatchNorm2d,
    act: Make | None = nn.ReLU,
) -> nn.Sequential:
    """Convolution, norm, activation: (B, cin, H, W) to (B, cout, ceil(H / stride), ceil(W / stride)).

    Padded so that only the stride changes the size (odd kernels). Before a norm the convolution has no bias: batch norm
    would subtract it again (arXiv:1502.03167, section 3.2). `norm` is made of the channels, `act` with `inplace=True`.
    """
    unit = nn.Sequential()
    unit.add_module("conv", nn.Conv2d(cin, cout, kernel, stride, kernel // 2, groups=groups, bias=norm is None))
    if norm is not None:
        unit.add_module("norm", norm(cout))
    if act is not None:
        unit.add_module("act", act(inplace=True))
    return unit


def preactivated(cin: int, cout: int, kernel: int = 3, stride: int = 1) -> nn.Sequential:
    """Batch norm, ReLU, convolution: (B, cin, H, W) to (B, cout, ceil(H / stride), ceil(W / stride)).

    The order of arXiv:1603.05027 (figure 4e) and of DenseNet.
    """
    unit = preactivation(cin)
    unit.add_module("conv", nn.Conv2d(cin, cout, kernel, stride, kernel // 2, bias=False))
    return unit


def preactivation(cin: int) -> nn.Sequential:
    """Batch norm and ReLU alone."""
    unit = nn.Sequential()
    unit.add_module("norm", nn.BatchNorm2d(cin))
    unit.add_module("act", nn.ReLU(inplace=True))
    return unit
