"""Parts of maps that are left out at random in training, and in training alone."""

import torch
from torch import Tensor, nn
from torch.nn import functional


class DropPath(nn.Module):
    """In training, zeroes the whole branch of an image with probability `p`, and scales the others by 1 / (1 - p).

    arXiv:1603.09382, with the scaling in training instead of in evaluation. Any shape (B, ...).
    """

    def __init__(self, p: float):
        super().__init__()
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or not self.p:
            return x
        keep = 1 - self.p
        return x * x.new_empty(len(x), *[1] * (x.dim() - 1)).bernoulli_(keep) / keep

    def extra_repr(self) -> str:
        return f"p={self.p:g}"


class DropBlock(nn.Module):
    """In training, zeroes squares of `block` x `block` in every channel, and scales the rest up to the old mean.

    arXiv:1810.12890, algorithm 1: (B, C, H, W), each channel with its own squares, all of them whole; on a map smaller than
    the block they have the side of the map. `p` is the share that they would cover if none met another; gamma, the chance
    of a square to begin at a pixel, follows from it by equation 1. The scale is 1 / the share of the whole batch that is
    kept, as there: so the mean of an even map stays, while pixels near the border, which fewer squares reach, count more.
    torchvision.ops.DropBlock2d has the same values for an odd block and fails for an even one, and under vmap.
    """

    def __init__(self, p: float, block: int):
        super().__init__()
        self.p, self.block = p, block

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or not self.p:
            return x
        height, width = x.shape[2:]
        tall, wide = min(self.block, height), min(self.block, width)
        places = x.detach()[:, :, : height - tall + 1, : width - wide + 1]  # where a whole square can begin
        gamma = self.p / (tall * wide) * (height * width) / (places.shape[2] * places.shape[3])
        begins = torch.empty_like(places).bernoulli_(min(1.0, gamma))
        padded = functional.pad(begins, (wide - 1, wide - 1, tall - 1, tall - 1))
        kept = 1 - functional.max_pool2d(padded, (tall, wide), stride=1)
        share = kept.mean(dtype=torch.float32).clamp(min=1 / kept.numel())  # none kept: zeros, not NaN
        return x * kept * share.reciprocal()

    def extra_repr(self) -> str:
        return f"p={self.p:g}, block={self.block}"
