"""Random numbers for one parameter of a whole batch, from a CPU generator: the same on every device."""

import torch
from torch import Generator, Tensor


def uniform(shape: tuple[int, ...], bounds: tuple[float, float], generator: Generator) -> Tensor:
    """float64 draws from [low, high) on the CPU."""
    low, high = bounds
    return low + (high - low) * torch.rand(shape, generator=generator, dtype=torch.float64)


def coin(count: int, generator: Generator) -> Tensor:
    """(count,) bool on the CPU, each true with probability 1/2."""
    return torch.rand(count, generator=generator) < 0.5


def chance(count: int, p: float, generator: Generator) -> Tensor:
    """(count,) bool on the CPU, each true with probability p, 0 <= p <= 1."""
    return torch.rand(count, generator=generator, dtype=torch.float64) < p


def dirichlet(count: int, kinds: int, alpha: float, generator: Generator) -> Tensor:
    """(count, kinds) float64 on the CPU: rows of Dirichlet(alpha, ..., alpha), each sums to 1; alpha > 0.

    With two kinds each column is Beta(alpha, alpha). Gamma variables divided by their sum, in logarithms, as those of a
    small alpha are below any float: Gamma(alpha) is Gamma(alpha + 1) * U^(1 / alpha) (Marsaglia and Tsang 2000, section
    6). torch.distributions draws from the global generator only; _standard_gamma, which it uses, takes one.
    """
    above = torch._standard_gamma(torch.full((count, kinds), alpha + 1, dtype=torch.float64), generator)
    # 1 - U, because U may be 0
    power = torch.log1p(-torch.rand((count, kinds), generator=generator, dtype=torch.float64)) / alpha
    return (above.log() + power).softmax(dim=1)
