"""LeNet-5 (LeCun, Bottou, Bengio, Haffner: Gradient-based learning applied to document recognition, 1998).

The layers keep the paper's names (section II.B): C1, S2, C3, S4, C5, F6, output.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from saccade.errors import InputError
from saccade.zoo.network import ConvNet

# Table I: the maps of S2 that each of the 16 maps of C3 reads.
TABLE = (
    (0, 1, 2), (1, 2, 3), (2, 3, 4), (3, 4, 5), (0, 4, 5), (0, 1, 5),
    (0, 1, 2, 3), (1, 2, 3, 4), (2, 3, 4, 5), (0, 3, 4, 5), (0, 1, 4, 5), (0, 1, 2, 5),
    (0, 1, 3, 4), (1, 2, 4, 5), (0, 2, 3, 5), (0, 1, 2, 3, 4, 5),
)  # fmt: skip


class ScaledTanh(nn.Module):
    """`1.7159 tanh(2/3 x)`: f(1) = 1 and f(-1) = -1 (appendix A)."""

    def forward(self, x: Tensor) -> Tensor:
        return 1.7159 * torch.tanh(x * (2 / 3))


class Subsampling(nn.Module):
    """The sum of every 2x2 square times a trainable coefficient, plus a trainable bias, for each map (layers S2, S4)."""

    def __init__(self, maps: int):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(maps, 1, 1))
        self.bias = nn.Parameter(torch.zeros(maps, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return functional.avg_pool2d(x, 2) * (4 * self.weight) + self.bias


class TableConv2d(nn.Module):
    """A 5x5 convolution whose output map i reads only the input maps `table[i]` (layer C3).

    `weight` holds one kernel for each connection of the table, so that nothing absent is counted, decayed or trained.
    """

    position: Tensor

    def __init__(self, table: tuple[tuple[int, ...], ...], cin: int, kernel: int = 5):
        super().__init__()
        self.table, self.cin, self.kernel = table, cin, kernel
        position = [i * cin + j for i, row in enumerate(table) for j in row]
        self.register_buffer("position", torch.tensor(position), persistent=False)
        self.weight = nn.Parameter(torch.empty(len(position), kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(len(table)))

    def forward(self, x: Tensor) -> Tensor:
        dense = self.weight.new_zeros(len(self.table) * self.cin, self.kernel, self.kernel)
        dense = dense.index_copy(0, self.position, self.weight)
        return functional.conv2d(x, dense.unflatten(0, (len(self.table), self.cin)), self.bias)


class RadialOutput(nn.Module):
    """Minus the squared distance to the code of each class: (B, 84) to (B, classes); nothing of it is trained.

    With cross entropy on top this is the paper's maximum a posteriori criterion (equation 9) without its constant for
    rubbish. The paper's codes are pictures of the ten digits, 7x12; for any number of classes the codes here are random
    signs, drawn once and the same in every network.
    """

    codes: Tensor

    def __init__(self, features: int, classes: int):
        super().__init__()
        signs = torch.randint(2, (classes, features), generator=torch.Generator().manual_seed(1998))
        self.register_buffer("codes", 2.0 * signs - 1.0)

    def forward(self, x: Tensor) -> Tensor:
        return -(x[:, None, :] - self.codes).square().sum(2)


def start_as_published(network: nn.Module) -> None:
    """Uniform between -2.4 / fan-in and 2.4 / fan-in (appendix A)."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            bound = 2.4 / module.weight[0].numel()
            nn.init.uniform_(module.weight, -bound, bound)
            assert module.bias is not None
            nn.init.zeros_(module.bias)
        elif isinstance(module, Subsampling):
            nn.init.uniform_(module.weight, -2.4 / 4, 2.4 / 4)
        elif isinstance(module, TableConv2d):
            for kernel, fan in zip(module.weight, (len(row) for row in module.table for _ in row), strict=True):
                bound = 2.4 / (fan * module.kernel**2)
                nn.init.uniform_(kernel, -bound, bound)


def lenet5_1998(classes: int, channels: int = 1, *, output: str = "radial") -> ConvNet:
    """As published: 32x32 images, 60,000 trainable parameters and 340,908 connections for one channel, ten classes.

    `output` is "radial" (the paper's) or "linear", a dense layer in place of the codes, as it is mostly taught: 60,850.
    (B, channels, 32, 32) to (B, classes).
    """
    if output not in ("radial", "linear"):
        raise InputError(f'lenet5_1998: output is radial or linear, not "{output}"')
    stem = nn.Sequential(nn.Conv2d(channels, 6, 5), ScaledTanh())
    stages = [
        nn.Sequential(Subsampling(6), ScaledTanh(), TableConv2d(TABLE, 6), ScaledTanh()),
        nn.Sequential(Subsampling(16), ScaledTanh(), nn.Conv2d(16, 120, 5), ScaledTanh()),
    ]
    last = RadialOutput(84, classes) if output == "radial" else nn.Linear(84, classes)
    network = ConvNet(stem, stages, nn.Sequential(nn.Flatten(), nn.Linear(120, 84), ScaledTanh(), last))
    start_as_published(network)
    return network


def lenet5(classes: int, channels: int = 1) -> ConvNet:
    """The modern variant: ReLU, max-pooling, every map of C3 reading all of S2; 61,706 parameters for ten classes.

    C1 is padded so that the usual 28x28 images fit without the paper's frame. C5 reads the 5x5 positions that are left of
    them all at once; maps of larger images are averaged to 5x5. (B, channels, 28 or more, same) to (B, classes).
    """
    stem = nn.Sequential(nn.Conv2d(channels, 6, 5, padding=2), nn.ReLU(inplace=True))
    stages = [
        nn.Sequential(nn.MaxPool2d(2), nn.Conv2d(6, 16, 5), nn.ReLU(inplace=True)),
        nn.MaxPool2d(2),
    ]
    c5, f6 = nn.Linear(16 * 5 * 5, 120), nn.Linear(120, 84)
    head = nn.Sequential(
        nn.AdaptiveAvgPool2d(5), nn.Flatten(), c5, nn.ReLU(inplace=True), f6, nn.ReLU(inplace=True), nn.Linear(84, classes)
    )
    return ConvNet(stem, stages, head)
