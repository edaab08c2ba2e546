"""Layers with kernels of their own that follow one another: one operation for autograd, as each costs what a kernel does.

Among them tensors are maps (C, H, W, N) or features (I, N), contiguous, an image a lane; outside (N, C, H, W) and (N, I).
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import partial
from itertools import chain, islice
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

Shape = tuple[int, ...]
Gradients = tuple[Tensor | None, Tensor | None, Tensor | None]  # of x, weight and bias


class Kept(NamedTuple):
    """By `ahead` for `back`."""

    tensors: tuple[Tensor, ...] = ()
    shape: Shape = ()


class Own(nn.Module, ABC):
    """A layer that has kernels of its own, and torch's for what those cannot have."""

    weight: Any  # a tensor; None where it has none
    bias: Any
    COMPUTES = True  # and does not give what it was given

    @abstractmethod
    def given(self, shape: Shape, weight: Tensor) -> Shape | None:
        """The shape of what it gives for x of this shape; None where its kernels cannot have that."""

    @abstractmethod
    def ahead(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> tuple[Tensor, Kept]:
        """What it gives, and what `back` needs."""

    @abstractmethod
    def back(self, gradient: Tensor, weight: Tensor, kept: Kept, wanted: bool) -> Gradients:
        """From the gradient of what it gave; that of x only where it is wanted."""

    @abstractmethod
    def plain(self, x: Tensor) -> Tensor:
        """What torch does, outside."""

    def forward(self, x: Tensor) -> Tensor:
        return in_turn([self], x)


class InTurn(nn.Module):
    """Such layers one after the other."""

    def __init__(self, layers: Sequence[nn.Module]):
        super().__init__()
        self.layers = nn.ModuleList(layers)

    def forward(self, x: Tensor) -> Tensor:
        return in_turn(cast("list[Own]", list(self.layers)), x)


def in_turn(layers: list[Own], x: Tensor) -> Tensor:
    """As many as can work by their kernels, the others as torch does it."""
    while layers:
        weights = [(each.weight, each.bias) for each in layers]
        count = how_many(layers, weights, x)
        by_kernels = partial(_InTurn.apply, layers[:count])
        x = by_kernels(x, *chain.from_iterable(weights[:count])) if count else layers[0].plain(x)
        layers = layers[max(1, count) :]
    return x


def how_many(layers: list[Own], weights: list[tuple[Any, Any]], x: Tensor) -> int:
    """Of the first layers can have x, or what those before make of it."""
    if not (layers[0].COMPUTES and fits(x) and x.dim() in (2, 4) and x.numel()) or torch.is_autocast_enabled("cpu"):
        return 0
    shape = (*x.shape[1:], x.shape[0])
    for i, (layer, (weight, bias)) in enumerate(zip(layers, weights, strict=True)):
        fit = fits(weight) and fits(bias) and (bias is None or bias.shape == weight.shape[:1])
        found = layer.given(shape, weight) if fit else None
        if found is None:
            return i
        shape = found
    return len(layers)


def fits(tensor: Tensor | None) -> bool:
    return tensor is None or (tensor.dtype is torch.float32 and tensor.is_cpu)


def bias_of(weight: Tensor, bias: Tensor | None) -> Tensor:
    """The bias, contiguous; zeros where there is none."""
    return weight.new_zeros(weight.shape[0]) if bias is None else bias.contiguous()


def lanes_of(x: Tensor) -> Tensor:
    """(N, C, H, W) -> (C, H, W, N), or (N, I) -> (I, N): the same memory."""
    return x.permute(1, 2, 3, 0) if x.dim() == 4 else x.t()


def images_of(x: Tensor) -> Tensor:
    """(C, H, W, N) -> (N, C, H, W), or (I, N) -> (N, I): the same memory."""
    return x.permute(3, 0, 1, 2) if x.dim() == 4 else x.t()


class _InTurn(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, layers: list[Own], x: Tensor, *weights: Any) -> Tensor:
        ctx.layers, ctx.kept, tensors = layers, [], list[Tensor]()
        value = lanes_of(x).detach().contiguous()
        for layer, weight, bias in zip(layers, weights[::2], weights[1::2], strict=True):
            value, kept = layer.ahead(value, weight, bias)
            ctx.kept.append((len(kept.tensors), kept.shape))
            tensors += kept.tensors
        # autograd notices when they are written to before `backward`, and lets go of them after it
        ctx.save_for_backward(*weights, *tensors)
        return images_of(value).detach()  # what is a view to autograd could not be written to

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        saved = iter(ctx.saved_tensors)
        weights = list(islice(saved, 2 * len(ctx.layers)))
        kept = [Kept(tuple(islice(saved, count)), shape) for count, shape in ctx.kept]
        value, found = lanes_of(gradient).contiguous(), list[Tensor | None]()
        for i in reversed(range(len(ctx.layers))):
            before = any(ctx.needs_input_grad[1 : 2 + 2 * i])  # x or a weight of a layer before
            value, of_weight, of_bias = ctx.layers[i].back(value, weights[2 * i], kept[i], before)
            found += [None if weights[2 * i + 1] is None else of_bias, of_weight]
            if not before:
                break
        found += [None] * (len(weights) - len(found))
        return None, None if value is None else images_of(value), *reversed(found)
