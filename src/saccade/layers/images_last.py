"""A network of small maps in another memory layout, images last, in which its convolutions have kernels of their own.

The form of a network in which a CPU trains it fastest, as a compiled network is another form of it: it shares parameters
and buffers with the tree it was made from, takes and gives tensors of the same shapes, and differs by roundings.
"""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from saccade.kernels import run
from saccade.layers import small_maps
from saccade.layers.parts import put

FEW = 32  # channels read by a convolution: with more of them torch's kernels are the faster ones
Sides = tuple[int, int]


def suits(network: nn.Module) -> bool:
    """Whether this form can be the faster one: every convolution has a kernel here and reads few channels."""
    found = [each for each in network.modules() if isinstance(each, nn.modules.conv._ConvNd)]
    return bool(found) and all(Convolution.suits(each) for each in found)


def images_last(network: nn.Module) -> nn.Module:
    """The same network with the same parameters and buffers, for float32 on a CPU."""
    shared = {id(each): each for each in (*network.parameters(), *network.buffers())}
    form = deepcopy(network, shared)
    for module in form.modules():
        for kind in (Convolution, MaxPool, AveragePool):
            if kind.suits(module):
                module.__class__ = kind
    leaves = list(one_after_the_other(form))
    for (_, first), (relu_name, relu), (pool_name, pool) in zip(leaves, leaves[1:], leaves[2:], strict=False):
        if type(first) is Convolution and type(relu) is nn.ReLU and type(pool) is MaxPool:
            first.__class__ = ConvolutionReluPool
            put(form, relu_name, nn.Identity())
            put(form, pool_name, nn.Identity())
    return form


def one_after_the_other(network: nn.Module, prefix: str = "") -> Iterator[tuple[str, nn.Module]]:
    """The parts of which each takes what the one before gives, with their names: sequences and ConvNets are taken apart."""
    if type(network) is nn.Sequential or hasattr(network, "pyramid"):
        for name, child in network.named_children():
            yield from one_after_the_other(child, f"{prefix}.{name}" if prefix else name)
    else:
        yield prefix, network


def is_images_last(x: Tensor) -> bool:
    """Whether (N, C, H, W) lies in memory as (C, H, W, N)."""
    return x.permute(1, 2, 3, 0).is_contiguous()


def empty(count: int, channels: int, height: int, width: int) -> Tensor:
    """(N, C, H, W) float32, images last."""
    return torch.empty_strided((count, channels, height, width), (1, height * width * count, width * count, count))


def laid_out(x: Tensor) -> Tensor:
    """x itself where it lies so already, else a copy."""
    return x if is_images_last(x) else empty(*x.shape).copy_(x)


def array(x: Tensor) -> np.ndarray:
    """(N, C, H, W), images last -> (C, H, W, N), the same memory."""
    return x.detach().permute(1, 2, 3, 0).numpy()


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

    def forward(self, x: Tensor) -> Tensor:
        return _Correlation.apply(x, self.weight, self.bias, self.padding)


class ConvolutionReluPool(Convolution):
    """Conv2d of stride 1, ReLU and max-pooling of 2 x 2 in one pass: what lies between is four times as large."""

    def forward(self, x: Tensor) -> Tensor:
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
        return _Pool.apply(x)


class AveragePool(nn.AdaptiveAvgPool2d):
    """AdaptiveAvgPool2d that leaves maps of the wanted size alone, of which torch makes a copy."""

    @staticmethod
    def suits(module: nn.Module) -> bool:
        return type(module) is nn.AdaptiveAvgPool2d

    def forward(self, x: Tensor) -> Tensor:
        wanted = self.output_size if isinstance(self.output_size, tuple) else (self.output_size,) * 2
        return x if tuple(x.shape[2:]) == wanted else super().forward(x)


class _Correlation(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, padding: Sides) -> Tensor:
        padded = _padded(x, padding)
        ctx.save_for_backward(padded, weight)
        ctx.padding = padding
        out = empty(len(x), *_sides(padded, weight))
        arrays = array(padded), _numbers(weight), _biases(bias, weight), array(out)
        run(small_maps.correlate, arrays, (0,), out.shape[2])
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        padded, weight = ctx.saved_tensors
        before = weight.shape[3] - 1 - ctx.padding[1]
        of_bias = gradient.sum((0, 2, 3)) if ctx.needs_input_grad[2] else None
        return *_of_both(ctx, padded, weight, _padded(gradient, (0, before))), of_bias, None


class _CorrelationReluPool(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, padding: Sides) -> Tensor:
        padded = _padded(x, padding)
        ctx.save_for_backward(padded, weight)
        ctx.padding = padding
        channels, ctx.height, ctx.width = _sides(padded, weight)
        out = empty(len(x), channels, ctx.height // 2, ctx.width // 2)
        to = array(out)
        ctx.which = np.empty(to.shape, np.uint8)
        arrays = array(padded), _numbers(weight), _biases(bias, weight), to, ctx.which
        run(small_maps.correlate_relu_pool, arrays, (), out.shape[2] * -(-channels // 2))
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        padded, weight = ctx.saved_tensors
        before = weight.shape[3] - 1 - ctx.padding[1]
        whole = empty(len(gradient), len(weight), ctx.height, ctx.width + 2 * before)
        of_bias = torch.empty(len(weight))
        arrays = array(laid_out(gradient)), array(whole), ctx.which, of_bias.numpy()
        run(small_maps.unpool, arrays, (before,), len(weight))
        return *_of_both(ctx, padded, weight, whole), of_bias if ctx.needs_input_grad[2] else None, None


class _Pool(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        count, channels, height, width = ctx.shape = x.shape
        out = empty(count, channels, height // 2, width // 2)
        to = array(out)
        ctx.which = np.empty(to.shape, np.uint8)
        run(small_maps.pool, (array(laid_out(x)), to, ctx.which), (), channels)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        out = empty(*ctx.shape)
        arrays = array(laid_out(gradient)), array(out), ctx.which, np.empty(ctx.shape[1], np.float32)
        run(small_maps.unpool, arrays, (0,), ctx.shape[1])
        return out


def _padded(x: Tensor, padding: Sides) -> Tensor:
    """Zeros around, images last."""
    if not any(padding):
        return laid_out(x)
    count, channels, height, width = x.shape
    out = empty(count, channels, height + 2 * padding[0], width + 2 * padding[1]).zero_()
    out[:, :, padding[0] : padding[0] + height, padding[1] : padding[1] + width] = x
    return out


def _sides(padded: Tensor, weight: Tensor) -> tuple[int, int, int]:
    """Channels, height and width of the result."""
    return len(weight), padded.shape[2] - weight.shape[2] + 1, padded.shape[3] - weight.shape[3] + 1


def _numbers(weight: Tensor) -> np.ndarray:
    return np.ascontiguousarray(weight.detach().numpy())


def _biases(bias: Tensor | None, weight: Tensor) -> np.ndarray:
    return np.zeros(len(weight), np.float32) if bias is None else bias.detach().numpy()


def _of_both(ctx: Any, padded: Tensor, weight: Tensor, gradient: Tensor) -> tuple[Tensor | None, Tensor | None]:
    """Of the input and of the weight; the gradient has the columns of 0 on both sides that the first needs."""
    above, before = (side - 1 - pad for side, pad in zip(weight.shape[2:], ctx.padding, strict=True))
    back, of_x, of_weight = array(gradient), None, None
    if ctx.needs_input_grad[0]:
        turned, nothing = _numbers(weight.flip(2, 3).transpose(0, 1)), np.zeros(weight.shape[1], np.float32)
        of_x = empty(len(padded), weight.shape[1], *(padded.shape[i] - 2 * ctx.padding[i - 2] for i in (2, 3)))
        run(small_maps.correlate, (back, turned, nothing, array(of_x)), (above,), of_x.shape[2])
    if ctx.needs_input_grad[1]:
        of_weight = _of_weight(array(padded), back, before, tuple(weight.shape))
    return of_x, of_weight


def _of_weight(x: np.ndarray, gradient: np.ndarray, before: int, shape: tuple[int, ...]) -> Tensor:
    taps = int(np.prod(shape[1:]))
    pairs, groups = -(-shape[0] // 2), -(-taps // small_maps.TAPS)
    out = np.empty((pairs, groups, 2, small_maps.TAPS), np.float32)
    run(small_maps.correlate_weight, (x, gradient, out), (before, *shape), pairs * groups)
    flat = out.transpose(0, 2, 1, 3).reshape(2 * pairs, -1)
    return torch.from_numpy(np.ascontiguousarray(flat[: shape[0], :taps])).view(shape)
