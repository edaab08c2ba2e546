"""Noise on weights and on gradients, drawn by the generator that is handed in, on its device.

In a fleet of K networks, whose tensors are (K n, ...), each member has a deviation and a generator of its own, and gets
from it what it would get alone; nothing is drawn for one whose deviation is 0.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Generator, Tensor, nn

from saccade.optim.lists import add_
from saccade.optim.sam import unchanged


@contextmanager
def noisy_weights(network: nn.Module, std: float, generator: Generator) -> Iterator[None]:
    """Inside, every weight that learns has gaussian noise on it; afterwards the weights are the old ones, bit for bit.

    For forward and backward: the gradient is taken at the noisy weights and applied to the clean ones, which looks for
    flat minima (Graves 2011, NIPS 24; Goodfellow et al. 2016, section 7.5). `std` is a share of the root mean square of
    each filter, not of the tensor: a ReLU network is the same function when one filter is scaled up and what reads it
    down, and under batch norm any scale is the same (arXiv:1712.09913, section 4), so only a share means the same
    everywhere. Norms and biases are spared, as by weight decay.
    """
    check([std], "weights")
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


@contextmanager
def noisy_members(network: nn.Module, stds: Sequence[float], generators: Sequence[Generator]) -> Iterator[None]:
    """`noisy_weights` for each member of a fleet."""
    check(stds, "weights")
    rows = [p.detach().unflatten(0, (len(stds), -1)) for p in network.parameters() if p.requires_grad]
    weights = [each for each in rows if each[0].squeeze().dim() > 1]
    with unchanged(weights):
        noise = [normal_rows(each, stds, generators).mul_(sizes(each, filters=2)) for each in weights]
        add_(weights, noise, torch.tensor(stds, dtype=torch.float64))
        yield


def filter_noise(weight: Tensor, std: float, generator: Generator) -> Tensor:
    """Gaussian noise for a weight (filters, ...), with `std` times the root mean square of each filter as deviation."""
    return normal_like(weight, generator).mul_(sizes(weight) * std)


def sizes(weight: Tensor, filters: int = 1) -> Tensor:
    """The root mean square of each filter, which are counted by so many dimensions, the first ones."""
    return weight.square().mean(tuple(range(filters, weight.dim())), keepdim=True).sqrt()


def add_gradient_noise(parameters: Iterable[nn.Parameter], std: float, generator: Generator) -> None:
    """Gaussian noise of this deviation onto every gradient, in place (arXiv:1511.06807, section 3)."""
    check([std], "gradients")
    for parameter in parameters:
        if parameter.grad is not None:
            parameter.grad.add_(normal_like(parameter.grad, generator), alpha=std)


def add_members_gradient_noise(
    parameters: Iterable[nn.Parameter], stds: Sequence[float], generators: Sequence[Generator]
) -> None:
    """`add_gradient_noise` for each member of a fleet."""
    check(stds, "gradients")
    gradients = [p.grad.unflatten(0, (len(stds), -1)) for p in parameters if p.grad is not None]
    noise = [normal_rows(each, stds, generators) for each in gradients]
    add_(gradients, noise, torch.tensor(stds, dtype=torch.float64))


def annealed_std(step: int, eta: float) -> float:
    """The deviation at this step, `sqrt(eta / (1 + step)^0.55)` (arXiv:1511.06807, section 3): the variance falls.

    The paper has eta 0.01, 0.3 or 1 in small networks. The noise on N weights has a length of `sqrt(N * eta)`, so large
    networks want less.
    """
    return (eta / (1 + step) ** 0.55) ** 0.5


def normal_like(tensor: Tensor, generator: Generator) -> Tensor:
    drawn = torch.randn(tensor.shape, generator=generator, device=generator.device, dtype=tensor.dtype)
    return drawn.to(tensor.device)


def normal_rows(rows: Tensor, stds: Sequence[float], generators: Sequence[Generator]) -> Tensor:
    """For (K, n, ...), what each member's generator draws for (n, ...); zeros where the deviation is 0."""
    drawn = torch.zeros(rows.shape, dtype=rows.dtype, device=generators[0].device)
    for own, std, generator in zip(drawn, stds, generators, strict=True):
        if std:
            own.normal_(generator=generator)
    return drawn.to(rows.device)


def check(stds: Sequence[float], of: str) -> None:
    for std in stds:
        if not std >= 0:
            raise ValueError(f"the noise on {of} has a deviation of at least 0, not {std:g}")
