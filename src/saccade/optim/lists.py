"""Arithmetic on whole lists of tensors, with numbers that may differ from member to member of a fleet.

A number is a float, a tensor without dimensions (which a compiled or captured step reads anew each time), or (K,): then
every tensor of the list is (K, ...), and number k belongs to slice k. In place where the name ends in an underscore.
"""

from typing import Any

import torch
from torch import Tensor

Tensors = list[Tensor]
Number = float | Tensor


def spread(number: Number, xs: Tensors) -> Any:
    """A float as it is; a tensor as one factor for each of the list, shaped so that it broadcasts."""
    if not isinstance(number, Tensor):
        return number
    kinds = [(x.dim(), x.dtype, x.device) for x in xs]
    shaped = {}
    for dim, dtype, device in set(kinds):
        shaped[dim, dtype, device] = number.to(device, dtype).reshape(number.shape + (1,) * (dim - number.dim()))
    return [shaped[kind] for kind in kinds]


def scale_(xs: Tensors, c: Number) -> None:
    """x <- c x"""
    torch._foreach_mul_(xs, spread(c, xs))


def shift_(xs: Tensors, c: Number) -> None:
    """x <- x + c"""
    torch._foreach_add_(xs, spread(c, xs))


def add_(xs: Tensors, ys: Tensors, c: Number = 1.0) -> None:
    """x <- x + c y"""
    if isinstance(c, Tensor):
        torch._foreach_addcmul_(xs, ys, spread(c, xs))
    else:
        torch._foreach_add_(xs, ys, alpha=c)


def plus(xs: Tensors, ys: Tensors, c: Number = 1.0) -> Tensors:
    """x + c y"""
    if isinstance(c, Tensor):
        return list(torch._foreach_addcmul(xs, ys, spread(c, xs)))
    return list(torch._foreach_add(xs, ys, alpha=c))


def add_squares_(xs: Tensors, ys: Tensors, c: Number = 1.0) -> None:
    """x <- x + c y^2"""
    if isinstance(c, Tensor):
        torch._foreach_addcmul_(xs, torch._foreach_mul(ys, spread(c, ys)), ys)
    else:
        torch._foreach_addcmul_(xs, ys, ys, value=c)


def approach_(xs: Tensors, ys: Tensors, c: Number) -> None:
    """x <- x + c (y - x), which is (1 - c) x + c y"""
    torch._foreach_lerp_(xs, ys, spread(c, xs))


def between(xs: Tensors, ys: Tensors, c: Number) -> Tensors:
    """x + c (y - x)"""
    return list(torch._foreach_lerp(xs, ys, spread(c, xs)))


def norms(xs: Tensors, fleet: bool) -> Tensors:
    """Euclidean norms, one a tensor; in a fleet one a member, (K, 1, ...)."""
    if fleet:
        return [torch.linalg.vector_norm(x, dim=tuple(range(1, x.dim())), keepdim=True) for x in xs]
    return list(torch._foreach_norm(xs))
