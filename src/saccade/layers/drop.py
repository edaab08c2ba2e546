"""Stochastic depth."""

from torch import Tensor, nn


class DropPath(nn.Module):
    """In training, zeroes the whole branch of an image with probability `p`, and scales the others by 1 / (1 - p).

    arXiv:1603.09382, with the scaling in training instead of in evaluation. Any shape (B, ...).
    """

    def __init__(self, p: float):
        super().__init__()
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return x
        keep = 1 - self.p
        return x * x.new_empty(len(x), *[1] * (x.dim() - 1)).bernoulli_(keep) / keep

    def extra_repr(self) -> str:
        return f"p={self.p:g}"
