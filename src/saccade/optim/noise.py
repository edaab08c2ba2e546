"""Noise on weights and on gradients, drawn by the generator that is handed in, on its device."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Generator, Tensor, nn


@contextmanager
def noisy_weights(network: nn.Module, std: float, generator: Generator) -> Iterator[None]:
    """Inside, every weight that learns has gaussian noise on it; afterwards the weights are the old ones, bit for bit.

    For forward and backward: the gradient is taken at the noisy weights and applied to the clean ones, which looks for
    flat minima (Graves 2011, NIPS 24; Goodfellow et al. 2016, section 7.5). `std` is a share of the root mean square of
    each filter, not of the tensor: a ReLU network is the same function when one filter is scaled up and what reads it
    down, and under batch norm any scale is the same (arXiv:1712.09913, section 4), so only a share means the same
    everywhere. Norms and biases are spared, as by weight decay.
    """
    if not std >= 0:
        raise ValueError(f"the noise on weights has a deviation of at least 0, not {std:g}")
    weights: list[Tensor] = [p for p in network.parameters() if p.requires_grad and p.squeeze().dim() > 1]
    clean = [weight.detach().clone() for weight in weights]
    try:
        with torch.no_grad():
            for weight in weights:
                weight.add_(filter_noise(weight, std, generator))
        yield
    finally:
        with torch.no_grad():
            torch._foreach_copy_(weights, clean)


def filter_noise(weight: Tensor, std: float, generator: Generator) -> Tensor:
    """Gaussian noise for a weight (filters, ...), with `std` times the root mean square of each filter as deviation."""
    size = weight.square().mean(tuple(range(1, weight.dim())), keepdim=True).sqrt()
    return normal_like(weight, generator).mul_(size * std)


def add_gradient_noise(parameters: Iterable[nn.Parameter], std: float, generator: Generator) -> None:
    """Gaussian noise of this deviation onto every gradient, in place (arXiv:1511.06807, section 3)."""
    if not std >= 0:
        raise ValueError(f"the noise on gradients has a deviation of at least 0, not {std:g}")
    for parameter in parameters:
        if parameter.grad is not None:
            parameter.grad.add_(normal_like(parameter.grad, generator), alpha=std)


def annealed_std(step: int, eta: float) -> float:
    """The deviation at this step, `sqrt(eta / (1 + step)^0.55)` (arXiv:1511.06807, section 3): the variance falls.

    The paper has eta 0.01, 0.3 or 1 in small networks. The noise on N weights has a length of `sqrt(N * eta)`, so large
    networks want less.
    """
    return (eta / (1 + step) ** 0.55) ** 0.5


def normal_like(tensor: Tensor, generator: Generator) -> Tensor:
    drawn = torch.randn(tensor.shape, generator=generator, device=generator.device, dtype=tensor.dtype)
    return drawn.to(tensor.device)
