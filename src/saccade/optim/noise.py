"""Noise on gradients."""

from collections.abc import Iterable, Sequence

import torch
from torch import Generator, Tensor, nn

from saccade.optim.lists import Number
from saccade.optim.ranges import check


def noise_deviation(step: int, eta: float, gamma: float = 0.55) -> float:
    """Standard deviation sqrt(eta / (1 + step)^gamma), step 0 being the first (arXiv:1511.06807, equation 1).

    The paper tries eta of 0.01, 0.3 and 1.
    """
    return (eta / (1 + step) ** gamma) ** 0.5


@torch.no_grad()
def add_gradient_noise(parameters: Iterable[nn.Parameter], deviation: Number, generators: Sequence[Generator]) -> None:
    """Add normal noise of this standard deviation, at least 0, to the gradients (arXiv:1511.06807).

    generators: CPU generators, one, or in a fleet of K members K, so that each has the draws it would have alone.
    deviation: in a fleet it may be (K,). One call a parameter and member; the draws do not depend on the device.
    """
    members = len(generators)
    check("deviation", deviation, members)
    deviations = torch.as_tensor(deviation, dtype=torch.float64).expand(members)
    for parameter in parameters:
        if parameter.grad is not None:
            for part, own, generator in zip(parameter.grad.chunk(members), deviations, generators, strict=True):
                part.add_(normal(part, generator) * own.to(part))


def normal(like: Tensor, generator: Generator) -> Tensor:
    """Standard normal draws of the same shape, type and device."""
    return torch.randn(like.shape, generator=generator, dtype=like.dtype).to(like.device)
