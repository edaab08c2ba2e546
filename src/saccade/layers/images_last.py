"""A network of small maps in another memory layout, images last, in which its convolutions have kernels of their own.

The form of a network in which a CPU trains it fastest, as a compiled network is another form of it: it shares parameters
and buffers with the tree it was made from, takes and gives tensors of the same shapes, and differs by roundings.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

from saccade.layers import small_maps

FEW = 32  # channels read by a convolution: with more of them torch's kernels are the faster ones
Sides = tuple[int, int]


def suits(network: nn.Module) -> bool:
    """Whether this form can be the faster one: every convolution has a kernel here and reads few channels."""
    found = [each for each in network.modules() if isinstance(each, nn.modules.conv._ConvNd)]
    return bool(found) and all(Convolution.suits(each) for each in found)


def images_last(network: nn.Module) -> nn.Sequential:
    """The same network with the same parameters and buffers, for float32 on a CPU; what else it keeps is a copy.

    It is for `forward` alone: its parts that follow one another are taken out of what they lie in, and some become one.
    """
    form = deepcopy(network, {id(each): each for each in (*network.parameters(), *network.buffers())})
    for own, module in zip(network.modules(), form.modules(), strict=True):
        module._buffers = own._buffers  # so that one which is put in the place of another counts for both
        for kind in (Convolution, MaxPool):
            if kind.suits(module):
                module.__class__ = kind
    often = Counter(id(module) for _, module in form.named_modules(remove_duplicate=False))
    return nn.Sequential(*fused(list(one_after_the_other(form)), often))


def one_after_the_other(network: nn.Module) -> Iterator[nn.Module]:
    """The parts of which each takes what the one before gives: sequences are taken apart.

    So is what names its parts IN_TURN beside its `forward`; a class with a `forward` of its own stays whole, and what
    has a hook.
    """
    owner = next(each for each in type(network).__mro__ if "forward" in vars(each))
    names = network._modules if owner is nn.Sequential else vars(owner).get("IN_TURN")
    if names is None or is_watched(network):
        yield network
        return
    for name in names:
        yield from one_after_the_other(getattr(network, name))


def fused(parts: list[nn.Module], often: Counter[int]) -> Iterator[nn.Module]:
    """Convolution, ReLU and pooling that follow one another become one; not where the convolution comes more `often`."""
    while parts:
        first, *after = parts[:3]
        kinds = [type(each) for each in (first, *after)]
        if kinds[:2] == [nn.AdaptiveAvgPool2d, nn.Flatten]:  # which copies, so it may be given the input
            first.__class__ = AveragePool
        whole = kinds == [Convolution, nn.ReLU, MaxPool] and often[id(first)] == 1
        if whole and not any(map(is_watched, (first, *after))):
            first.__class__ = ConvolutionReluPool
            parts = parts[2:]
        yield first
        parts = parts[1:]


def is_watched(module: nn.Module) -> bool:
    """Whether somebody wants to see, or to change, what goes in or out of it."""
    hooks = module._forward_hooks, module._forward_pre_hooks, module._backward_hooks, module._backward_pre_hooks
    return any(hooks)


def takes(x: Tensor, *weights: Tensor | None) -> bool:
    """Whether the kernels can have these: float32 on the CPU, some images of maps."""
    for each in (x, *weights):
        if each is not None and not (each.dtype is torch.float32 and each.is_cpu):
            return False
    return x.dim() == 4 and x.numel() > 0 and not torch.is_autocast_enabled("cpu")


def is_images_last(x: Tensor) -> bool:
    """Whether (N, C, H, W) lies in memory as (C, H, W, N)."""
    return maps_of(x).is_contiguous()


def maps_of(x: Tensor) -> Tensor:
    """(N, C, H, W) -> (C, H, W, N), the same memory: what the kernels work on, where it is contiguous."""
    return x.permute(1, 2, 3, 0)


def images_of(maps: Tensor) -> Tensor:
    """(C, H, W, N) -> (N, C, H, W), the same memory."""
    return maps.permute(3, 0, 1, 2)


class Convolution(nn.Conv2d):
    """Conv2d of stride 1."""

    @staticmethod
    def suits(module: nn.Module) -> bool:
        return (
            type(module) is nn.Conv2d
            and module.in_channels <= FEW
            and module.groups == 1
            and {*module.stride, *module.dilation} == {1}
            and module.padding_mode == "zeros"
            and not isinstance(module.padding, str)
            and all(pad < side for pad, side in zip(module.padding, module.kernel_size, strict=True))
        )

    def fits(self, x: Tensor, least: int = 1) -> bool:
        """Whether the kernels can have x, and give maps of at least so many rows and columns."""
        if not takes(x, self.weight, self.bias) or x.shape[1] != self.in_channels:
            return False
        return min(_sides(x, self.weight, self.padding)[1:]) >= least

    def forward(self, x: Tensor) -> Tensor:
        if not self.fits(x):
            return super().forward(x)
        return _Correlation.apply(x, self.weight, self.bias, self.padding)


class ConvolutionReluPool(Convolution):
    """Conv2d of stride 1, ReLU and max-pooling of 2 x 2 in one pass: what lies between is four times as large."""

    def forward(self, x: Tensor) -> Tensor:
        if not self.fits(x, 2):
            return functional.max_pool2d(functional.relu(super().forward(x)), 2)
        return _CorrelationReluPool.apply(x, self.weight, self.bias, self.padding)


class MaxPool(nn.MaxPool2d):
    """MaxPool2d of 2 x 2 that do not overlap."""

    @staticmethod
    def suits(module: nn.Module) -> bool:
        if type(module) is not nn.MaxPool2d or module.ceil_mode or module.return_indices:
            return False
        numbers = (module.kernel_size, module.stride, module.padding, module.dilation)
        return all(each in (number, (number, number)) for each, number in zip(numbers, (2, 2, 0, 1), strict=True))

    def forward(self, x: Tensor) -> Tensor:
        if not takes(x) or min(x.shape[2:]) < 2:
            return super().forward(x)
        return _Pool.apply(x)


class AveragePool(nn.AdaptiveAvgPool2d):
    """AdaptiveAvgPool2d that gives maps of the wanted size back as they are, where torch copies them."""

    def forward(self, x: Tensor) -> Tensor:
        wanted = self.output_size if isinstance(self.output_size, tuple) else (self.output_size,) * 2
        return x if tuple(x.shape[2:]) == wanted else super().forward(x)


class _Correlation(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, padding: Sides) -> Tensor:
        maps, (channels, height, width) = _padded(x, padding), _sides(x, weight, padding)
        out = maps.new_empty(channels, height, width, len(x))
        small_maps.run(small_maps.correlate, (maps, weight.contiguous(), _biases(bias, weight), out), (0,), height)
        ctx.save_for_backward(maps, weight)
        ctx.padding = padding
        return images_of(out)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        maps, weight = ctx.saved_tensors
        before = weight.shape[3] - 1 - ctx.padding[1]
        of_bias = gradient.sum((0, 2, 3)) if ctx.needs_input_grad[2] else None
        return *_gradients(ctx, maps, weight, _padded(gradient, (0, before))), of_bias, None


class _CorrelationReluPool(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, padding: Sides) -> Tensor:
        maps, (channels, height, width) = _padded(x, padding), _sides(x, weight, padding)
        out = maps.new_empty(channels, height // 2, width // 2, len(x))
        which = torch.empty_like(out, dtype=torch.uint8)
        tensors = maps, weight.contiguous(), _biases(bias, weight), out, which
        small_maps.run(small_maps.correlate_relu_pool, tensors, (), height // 2 * -(-channels // 2))
        ctx.save_for_backward(maps, weight, which)
        ctx.padding, ctx.height, ctx.width = padding, height, width
        return images_of(out)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        maps, weight, which = ctx.saved_tensors
        channels, before = len(weight), weight.shape[3] - 1 - ctx.padding[1]
        whole = gradient.new_empty(channels, ctx.height, ctx.width + 2 * before, len(gradient))
        of_bias = gradient.new_empty(channels)
        small_maps.run(small_maps.unpool, (maps_of(gradient).contiguous(), whole, which, of_bias), (before,), channels)
        return *_gradients(ctx, maps, weight, whole), of_bias if ctx.needs_input_grad[2] else None, None


class _Pool(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        maps = maps_of(x).contiguous()
        channels, height, width, count = ctx.shape = maps.shape
        out = maps.new_empty(channels, height // 2, width // 2, count)
        which = torch.empty_like(out, dtype=torch.uint8)
        small_maps.run(small_maps.pool, (maps, out, which), (), channels)
        ctx.save_for_backward(which)
        return images_of(out)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        out, sums = gradient.new_empty(ctx.shape), gradient.new_empty(ctx.shape[0])
        tensors = maps_of(gradient).contiguous(), out, *ctx.saved_tensors, sums
        small_maps.run(small_maps.unpool, tensors, (0,), ctx.shape[0])
        return images_of(out)


def _padded(x: Tensor, padding: Sides) -> Tensor:
    """(N, C, H, W) -> (C, H', W', N), contiguous, with zeros around."""
    above, before = padding
    maps = maps_of(x)
    return (functional.pad(maps, (0, 0, before, before, above, above)) if above or before else maps).contiguous()


def _sides(x: Tensor, weight: Tensor, padding: Any) -> tuple[int, int, int]:
    """Channels, height and width of the result."""
    channels, _, tall, wide = weight.shape
    _, _, height, width = x.shape
    return channels, height + 2 * padding[0] - tall + 1, width + 2 * padding[1] - wide + 1


def _biases(bias: Tensor | None, weight: Tensor) -> Tensor:
    return weight.new_zeros(len(weight)) if bias is None else bias.contiguous()


def _gradients(ctx: Any, maps: Tensor, weight: Tensor, gradient: Tensor) -> tuple[Tensor | None, Tensor | None]:
    """Of the input and of the weight; the gradient has the columns of 0 on both sides that the first needs."""
    (channels, height, width, count), (tall, wide) = maps.shape, weight.shape[2:]
    above, before = tall - 1 - ctx.padding[0], wide - 1 - ctx.padding[1]
    of_x = of_weight = None
    if ctx.needs_input_grad[0]:
        turned, nothing = weight.flip(2, 3).transpose(0, 1).contiguous(), weight.new_zeros(channels)
        out = maps.new_empty(channels, height - 2 * ctx.padding[0], width - 2 * ctx.padding[1], count)
        small_maps.run(small_maps.correlate, (gradient, turned, nothing, out), (above,), out.shape[1])
        of_x = images_of(out)
    if ctx.needs_input_grad[1]:
        of_weight = weight.new_empty(weight.shape)
        pieces = -(-len(weight) // 2) * -(-channels * tall * wide // small_maps.TAPS)
        small_maps.run(small_maps.correlate_weight, (maps, gradient, of_weight), (before,), pieces)
    return of_x, of_weight
