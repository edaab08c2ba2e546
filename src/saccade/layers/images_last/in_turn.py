"""Layers with kernels of their own that follow one another: one operation for autograd."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn

from saccade.layers.images_last.passage import Layer, Passage
from saccade.layers.images_last.tape import Shape

SHAPES = 64  # of batches, for which passages are kept


class Passages(dict[tuple[Any, ...], tuple[int, Passage | None]]):
    """How many layers a passage takes, and the passage, of each kind of batch.

    A copy has none, in another process either: they hold addresses of this one.
    """

    def __reduce__(self) -> tuple[type["Passages"], tuple[()]]:
        return Passages, ()


class Own(Layer):
    """A layer that has kernels of its own, and torch's for what those cannot have."""

    weight: Any  # a tensor; None where it has none
    bias: Any
    passages: Passages
    COMPUTES = True  # and does not give what it was given

    @abstractmethod
    def given(self, shape: Shape, weight: Tensor) -> Shape | None:
        """The shape of what it gives for x of this shape, (C, H, W, N) or (I, N); None where its kernels cannot do it."""

    @abstractmethod
    def plain(self, x: Tensor) -> Tensor:
        """What torch does."""

    def forward(self, x: Tensor) -> Tensor:
        return in_turn([self], x, self.passages)


class InTurn(nn.Module):
    """Such layers one after the other."""

    def __init__(self, layers: Sequence[nn.Module]):
        super().__init__()
        self.layers = nn.ModuleList(layers)
        self.passages = Passages()

    def forward(self, x: Tensor) -> Tensor:
        return in_turn(cast("list[Own]", list(self.layers)), x, self.passages)


def in_turn(layers: list[Own], x: Tensor, passages: Passages) -> Tensor:
    """As many as can work by their kernels, the others as torch does it."""
    while layers:
        weights = [tensor for each in layers for tensor in (each.weight, each.bias)]
        wanted = torch.is_grad_enabled() and any(each is not None and each.requires_grad for each in (x, *weights))
        key = (len(layers), wanted, torch.is_autocast_enabled("cpu"), x.is_neg(), x.stride(), *map(kind, (x, *weights)))
        if (found := passages.get(key)) is None:
            if len(passages) >= SHAPES:
                passages.clear()
            count = how_many(layers, weights, x)
            found = count, Passage(layers[:count], weights[: 2 * count], x, wanted) if count else None
            passages[key] = found
        count, passage = found
        if passage is None:
            x, count = layers[0].plain(x), 1
        elif wanted:
            x = _InTurn.apply(passage, x, *weights[: 2 * count])
        else:
            x, _ = passage.ahead(x, weights[: 2 * count])
        layers = layers[count:]
    return x


def kind(tensor: Tensor | None) -> tuple[Any, ...] | None:
    """What a passage depends on."""
    return None if tensor is None else (tensor.shape, tensor.dtype, tensor.device)


def how_many(layers: list[Own], weights: list[Any], x: Tensor) -> int:
    """Of the first layers can have x, or what those before make of it."""
    plain = x.dim() in (2, 4) and x.numel() and not x.is_neg()
    if not (layers[0].COMPUTES and fits(x) and plain) or torch.is_autocast_enabled("cpu"):
        return 0
    shape = (*x.shape[1:], x.shape[0])
    for i, (layer, weight, bias) in enumerate(zip(layers, weights[::2], weights[1::2], strict=True)):
        fit = fits(weight) and fits(bias) and (bias is None or bias.shape == weight.shape[:1])
        found = layer.given(shape, weight) if fit else None
        if found is None:
            return i
        shape = found
    return len(layers)


def fits(tensor: Tensor | None) -> bool:
    return tensor is None or (tensor.dtype is torch.float32 and tensor.is_cpu)


class _InTurn(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, passage: Passage, x: Tensor, *weights: Any) -> Tensor:
        ctx.passage = passage
        out, kept = passage.ahead(x, weights)
        # autograd notices when they are written to before `backward`, and lets go of them after it
        ctx.save_for_backward(kept, *weights)
        return out

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        if torch.is_grad_enabled():
            raise RuntimeError(
                "the images-last form of a network has no second derivatives; take them of the network itself"
            )
        kept, *weights = ctx.saved_tensors
        return None, *ctx.passage.back(ctx.needs_input_grad[1:], gradient, weights, kept)
