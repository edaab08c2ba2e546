"""The loss over fixed images as a function of the weights alone, with its derivatives."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.func import functional_call

Objective = Callable[[Tensor, Tensor], Tensor]  # of scores and labels, the mean over them


@dataclass(frozen=True)
class Surface:
    """f(x) = the sum of `terms` at x, a vector (n,) of all weights; `origin` is where the weights stand.

    A term is the share of one micro-batch. Derivatives go through one term at a time, so they take the memory of one.
    """

    terms: Sequence[Callable[[Tensor], Tensor]]
    origin: Tensor

    @torch.no_grad()
    def value(self, x: Tensor) -> Tensor:
        """f(x), a scalar left on its device."""
        with exact():
            return sum((term(x) for term in self.terms), x.new_zeros(()))

    @torch.enable_grad()
    def gradient(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """f(x) and its gradient (n,)."""
        x = x.detach().requires_grad_()
        value, total = x.new_zeros(()), torch.zeros_like(x)
        with exact():
            for term in self.terms:
                part = term(x)
                value += part.detach()
                total += slope(part, x)
        return value, total

    @torch.enable_grad()
    def curvature(self, x: Tensor, v: Tensor) -> Tensor:
        """H(x) v (n,), the Hessian times a vector: the gradient of the slope along v (Pearlmutter, 1994)."""
        x = x.detach().requires_grad_()
        total = torch.zeros_like(x)
        with exact():
            for term in self.terms:
                along = slope(term(x), x, create_graph=True) @ v
                if along.requires_grad:  # where f is linear there is nothing left to derive
                    total += slope(along, x)
        return total


def slope(f: Tensor, x: Tensor, create_graph: bool = False) -> Tensor:
    return torch.autograd.grad(f, x, create_graph=create_graph, materialize_grads=True)[0]


def exact() -> AbstractContextManager:
    """A GPU's convolutions in full float32: TensorFloat-32 keeps 10 bits, fewer than small steps of the weights need."""
    return torch.backends.cudnn.flags(enabled=True, allow_tf32=False)


def loss_surface(
    network: nn.Module,
    loss: Objective,
    batches: Sequence[tuple[Tensor, Tensor]],
    dtype: torch.dtype = torch.float32,
) -> Surface:
    """The mean loss over all images of `batches`, in evaluation mode, as a function of the weights that learn.

    Batch norm takes its running statistics and dropout is off. The network is never written to: the vector takes the
    place of its weights for the length of a call, so they are the same bits afterwards, whatever happens.
    """
    if not batches:
        raise ValueError("a loss surface needs at least one batch")
    weights = learning(network)
    shapes = {name: weight.shape for name, weight in weights.items()}
    fixed = {
        name: tensor.detach().to(dtype) if tensor.is_floating_point() else tensor.detach()
        for name, tensor in (*network.named_parameters(), *network.named_buffers())
        if name not in weights
    }
    images = sum(len(labels) for _, labels in batches)

    def term(pixels: Tensor, labels: Tensor) -> Callable[[Tensor], Tensor]:
        pixels, share = pixels.to(dtype), len(labels) / images

        def of(x: Tensor) -> Tensor:
            parts = x.split([shape.numel() for shape in shapes.values()])
            tensors = {name: part.view(shapes[name]) for name, part in zip(shapes, parts, strict=True)}
            with evaluating(network):
                return loss(functional_call(network, {**fixed, **tensors}, (pixels,)), labels) * share

        return of

    return Surface([term(*batch) for batch in batches], flat(list(weights.values())).to(dtype))


def learning(network: nn.Module) -> dict[str, nn.Parameter]:
    """The parameters that learn, by name, in the order in which they stand in the vector."""
    found = {name: weight for name, weight in network.named_parameters() if weight.requires_grad}
    if not found:
        raise ValueError("the network has no weight that learns")
    return found


def flat(tensors: Sequence[Tensor]) -> Tensor:
    return torch.cat([tensor.detach().reshape(-1) for tensor in tensors])


@contextmanager
def evaluating(network: nn.Module) -> Iterator[None]:
    """Evaluation mode, and back to whatever mode each module was in."""
    modes = [(module, module.training) for module in network.modules()]
    network.eval()
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode
