"""Directions in which a loss surface can be looked at, comparable between networks (arXiv:1712.09913)."""

from collections.abc import Iterator, Sequence

import torch
from torch import Generator, Tensor, nn

from saccade.optim.surface import Surface, flat, learning


def filter_normalized(network: nn.Module, generator: Generator) -> Tensor:
    """A random direction (n,) with each filter as long as the network's own filter (section 4).

    A filter is what gives one output channel or one neuron. Biases and the scales of norms, one value an output, stay
    where they are: 0.
    """
    drawn = []
    for weight in learning(network).values():
        noise = torch.randn(weight.shape, generator=generator).to(weight)
        filters = weight.dim() > 1 and weight[0].numel() > 1
        drawn.append(as_long_as(weight.detach(), noise) if filters else torch.zeros_like(noise))
    return flat(drawn)


def as_long_as(weight: Tensor, noise: Tensor) -> Tensor:
    """`noise` with the norm of each of its filters, along the first dimension, replaced by that of the weight's."""
    lengths = [tensor.flatten(1).norm(dim=1) for tensor in (weight, noise)]
    return noise * (lengths[0] / lengths[1]).view(-1, *[1] * (weight.dim() - 1))


def heights(surface: Surface, directions: Sequence[Tensor], places: Sequence[Sequence[float]]) -> Iterator[Tensor]:
    """f(x + a d + b e + ...) for each place (a, b, ...); scalars left on their device."""
    for place in places:
        x = surface.origin
        for step, direction in zip(place, directions, strict=True):
            x = x + step * direction.to(x)
        yield surface.value(x)
