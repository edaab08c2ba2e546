"""The unit of modern convolutional networks."""

from torch import nn


def conv(cin: int, cout: int, kernel: int = 3, stride: int = 1, *, activate: bool = True) -> nn.Sequential:
    """Convolution, batch norm, ReLU: (B, cin, H, W) to (B, cout, ceil(H / stride), ceil(W / stride)).

    Padded so that only the stride changes the size (odd kernels). The convolution has no bias: batch norm, which follows
    it, would subtract it again (arXiv:1502.03167, section 3.2).
    """
    unit = nn.Sequential()
    unit.add_module("conv", nn.Conv2d(cin, cout, kernel, stride, kernel // 2, bias=False))
    unit.add_module("norm", nn.BatchNorm2d(cout))
    if activate:
        unit.add_module("act", nn.ReLU(inplace=True))
    return unit
