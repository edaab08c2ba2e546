"""Sharpness-aware minimization: the gradient is taken where the loss is highest nearby."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from saccade.optim.lists import Number, Tensors, add_, norms
from saccade.optim.ranges import check

T = TypeVar("T")


def sam_step(
    optimizer: torch.optim.Optimizer, gradients: Callable[[], T], rho: Number = 0.05, network: nn.Module | None = None
) -> T:
    """One step of any optimizer with the gradient at w + rho g / |g| instead of at w (arXiv:2010.01412, algorithm 1).

    gradients: sets the gradients anew, of the same batch each time it is called (with the same draws of dropout, if the
    gradient is to be of the same function), and gives anything, such as the loss. rho: at least 0; 0 is the optimizer's
    own step, with one pass. In a fleet rho may be (K,), and |g| is each member's own, over all its parameters. network:
    its buffers, such as the running statistics of batch norms, stay as the pass at w left them.

    Returns what `gradients` gave at w. The second pass doubles the cost.
    """
    members = optimizer.param_groups[0].get("members", 1)
    check("rho", rho, members)
    weights = [p for group in optimizer.param_groups for p in group["params"]]
    found = sharpness_aware(weights, gradients, rho, list(network.buffers()) if network is not None else (), members)
    optimizer.step()
    return found


def sharpness_aware(
    weights: Sequence[Tensor], gradients: Callable[[], T], rho: Number, buffers: Sequence[Tensor] = (), members: int = 1
) -> T:
    """The gradients of such a step, without the step; weights and buffers are as one pass at w leaves them."""
    found = gradients()
    if isinstance(rho, Tensor) or rho > 0:
        there = [w for w in weights if w.grad is not None]
        with unchanged(list(buffers)), unchanged(there):
            ascend(there, rho, members)
            gradients()
    return found


@torch.no_grad()
def ascend(weights: Tensors, rho: Number, members: int = 1) -> None:
    """w <- w + rho g / |g|, with one norm over all the weights of a network."""
    gradients: Tensors = [w.grad for w in weights if w.grad is not None]
    if members > 1:
        weights, gradients = ([x.unflatten(0, (members, -1)) for x in xs] for xs in (weights, gradients))
        rho = torch.as_tensor(rho, dtype=torch.float64, device=weights[0].device)
    parts = torch.stack([norm.flatten() for norm in norms(gradients, members > 1)])
    norm = torch.linalg.vector_norm(parts, dim=0).clamp(min=torch.finfo(parts.dtype).tiny)
    add_(weights, gradients, rho / (norm if members > 1 else norm.squeeze(0)))


@contextmanager
def unchanged(tensors: Tensors) -> Iterator[Any]:
    """Whatever happens to them inside, afterwards they have the very bits from before."""
    before = [tensor.detach().clone() for tensor in tensors]
    try:
        yield
    finally:
        with torch.no_grad():
            for tensor, old in zip(tensors, before, strict=True):
                tensor.copy_(old)
