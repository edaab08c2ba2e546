"""Where the paths of a network meet."""

import torch
from torch import Tensor, nn
from torch.nn import functional


class Residual(nn.Module):
    """`act(body(x) + shortcut(x))`, the block of arXiv:1512.03385, equations 1 and 2."""

    def __init__(self, body: nn.Module, shortcut: nn.Module | None = None, act: nn.Module | None = None):
        super().__init__()
        self.body = body
        self.shortcut = shortcut or nn.Identity()
        self.act = act or nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return self.act(self.body(x) + self.shortcut(x))


class Branches(nn.ModuleList):
    """`cat(f(x), g(x), ...)` over the channels: the inception block, the towers of AlexNet."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([branch(x) for branch in self], dim=1)


class Append(nn.Sequential):
    """`cat(x, f(x))` over the channels: the layer of DenseNet."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x, super().forward(x)], dim=1)


class Gate(nn.Sequential):
    """`x * f(x)`, where f gives (B, C, 1, 1) or the shape of x: squeeze-and-excitation."""

    def forward(self, x: Tensor) -> Tensor:
        return x * super().forward(x)


class PadShortcut(nn.Module):
    """A shortcut without parameters: every `stride`-th pixel, and zeros for the channels that x lacks.

    Option A of arXiv:1512.03385, section 3.3: (B, cin, H, W) to (B, cin + more, ceil(H / stride), ceil(W / stride)).
    """

    def __init__(self, more: int, stride: int):
        super().__init__()
        self.more, self.stride = more, stride

    def forward(self, x: Tensor) -> Tensor:
        return functional.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, 0, self.more))

    def extra_repr(self) -> str:
        return f"more={self.more}, stride={self.stride}"
