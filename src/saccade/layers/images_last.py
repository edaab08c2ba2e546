"""A network of small maps in another memory layout, images last, in which its convolutions have kernels of their own.

The form of a network in which a CPU trains it fastest, as a compiled network is another form of it: it shares parameters
and buffers with the tree it was made from, takes and gives tensors of the same shapes, and differs by roundings.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from copy import deepcopy
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

from saccade.layers import small_maps
from saccade.layers.parts import put

FEW = 32  # channels read by a convolution: with more of them torch's kernels are the faster ones
Sides = tuple[int, int]


def suits(network: nn.Module) -> bool:
    """Whether this form can be the faster one: every convolution has a kernel here and reads few channels."""
    found = [each for each in network.modules() if isinstance(each, nn.modules.conv._ConvNd)]
    return bool(found) and all(Convolution.suits(each) for each in found)


def images_last(network: nn.Module) -> nn.Module:
    """The same network with the same parameters and buffers, for float32 on a CPU; what else it keeps is a copy.

    It is for `forward`: the `pyramid` of a ConvNet may have the end of a stage computed with the beginning of the next.
    """
    form = deepcopy(network, {id(each): each for each in (*network.parameters(), *network.buffers())})
    for own, module in zip(network.modules(), form.modules(), strict=True):
        module._buffers = own._buffers  # so that one which is put in the place of another counts for both
        for kind in (Convolution, MaxPool):
            if kind.suits(module):
                module.__class__ = kind
    leaves = list(one_after_the_other(form))
    fuse(form, leaves)
    for (_, first), (_, second) in pairwise(leaves):
        if type(first) is nn.AdaptiveAvgPool2d and type(second) is nn.Flatten:  # which copies, so it may be given the input
            first.__class__ = AveragePool
    return form


def fuse(form: nn.Module, leaves: list[tuple[str, nn.Module]]) -> None:
    """Convolution, ReLU and pooling that follow one another become one; what comes twice or has a hook stays apart."""
    often = Counter(id(module) for _, module in form.named_modules(remove_duplicate=False))
    for (_, first), (second_name, second), (third_name, third) in zip(leaves, leaves[1:], leaves[2:], strict=False):
        alone = all(often[id(each)] == 1 and not each._forward_hooks for each in (first, second, third))
        if alone and [type(each) for each in (first, second, third)] == [Convolution, nn.ReLU, MaxPool]:
            first.__class__ = ConvolutionReluPool
            put(form, second_name, nn.Identity())
            put(form, third_name, nn.Identity())


def one_after_the_other(network: nn.Module, prefix: str = "") -> Iterator[tuple[str, nn.Module]]:
    """The parts of which each takes what the one before gives, with their names: sequences are taken apart.

    So is what names its parts IN_TURN beside its `forward`; a class with a `forward` of its own stays whole.
    """
    owner = next(each for each in type(network).__mro__ if "forward" in vars(each))
    names = network._modules if owner is nn.Sequential else vars(owner).get("IN_TURN")
    if names is None:
        yield prefix, network
        return
    for name in names:
        yield from one_after_the_other(getattr(network, name), f"{prefix}.{name}" if prefix else name)


def takes(x: Tensor, *weights: Tensor | None) -> bool:
    """Whether the kernels can have these: float32 on the CPU, some images of maps."""
    tensors = [x, *(weight for weight in weights if weight is not None)]
    known = all(each.dtype == torch.float32 and each.device.type == "cpu" for each in tensors)
    return known and x.dim() == 4 and x.numel() > 0 and not torch.is_autocast_enabled("cpu")


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
        padded = _kept(ctx, x, weight, padding)
        out = empty(len(x), *_sides(padded, weight))
        arrays = array(padded), _contiguous(weight), _biases(bias, weight), array(out)
        small_maps.run(small_maps.correlate, arrays, (0,), out.shape[2])
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        padded, weight = ctx.saved_tensors
        before = weight.shape[3] - 1 - ctx.padding[1]
        of_bias = gradient.sum((0, 2, 3)) if ctx.needs_input_grad[2] else None
        return *_gradients(ctx, padded, weight, _padded(gradient, (0, before))), of_bias, None


class _CorrelationReluPool(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, padding: Sides) -> Tensor:
        padded = _kept(ctx, x, weight, padding)
        channels, ctx.height, ctx.width = _sides(padded, weight)
        out = empty(len(x), channels, ctx.height // 2, ctx.width // 2)
        to = array(out)
        ctx.which = np.empty(to.shape, np.uint8)
        arrays = array(padded), _contiguous(weight), _biases(bias, weight), to, ctx.which
        small_maps.run(small_maps.correlate_relu_pool, arrays, (), out.shape[2] * -(-channels // 2))
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        padded, weight = ctx.saved_tensors
        before = weight.shape[3] - 1 - ctx.padding[1]
        whole = empty(len(gradient), len(weight), ctx.height, ctx.width + 2 * before)
        of_bias = torch.empty(len(weight))
        arrays = array(laid_out(gradient)), array(whole), ctx.which, of_bias.numpy()
        small_maps.run(small_maps.unpool, arrays, (before,), len(weight))
        return *_gradients(ctx, padded, weight, whole), of_bias if ctx.needs_input_grad[2] else None, None


class _Pool(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        count, channels, height, width = ctx.shape = x.shape
        out = empty(count, channels, height // 2, width // 2)
        to = array(out)
        ctx.which = np.empty(to.shape, np.uint8)
        small_maps.run(small_maps.pool, (array(laid_out(x)), to, ctx.which), (), channels)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        out = empty(*ctx.shape)
        arrays = array(laid_out(gradient)), array(out), ctx.which, np.empty(ctx.shape[1], np.float32)
        small_maps.run(small_maps.unpool, arrays, (0,), ctx.shape[1])
        return out


def _kept(ctx: Any, x: Tensor, weight: Tensor, padding: Sides) -> Tensor:
    """x padded, which the way back needs, with the weight and the padding."""
    padded = _padded(x, padding)
    ctx.save_for_backward(padded, weight)
    ctx.padding = padding
    return padded


def _padded(x: Tensor, padding: Sides) -> Tensor:
    """Zeros around, images last."""
    if not any(padding):
        return laid_out(x)
    count, channels, height, width = x.shape
    out = empty(count, channels, height + 2 * padding[0], width + 2 * padding[1]).zero_()
    out[:, :, padding[0] : padding[0] + height, padding[1] : padding[1] + width] = x
    return out


def _sides(x: Tensor, weight: Tensor, padding: Any = (0, 0)) -> tuple[int, int, int]:
    """Channels, height and width of the result."""
    height, width = (x.shape[i] + 2 * padding[i - 2] - weight.shape[i] + 1 for i in (2, 3))
    return len(weight), height, width


def _contiguous(weight: Tensor) -> np.ndarray:
    return np.ascontiguousarray(weight.detach().numpy())


def _biases(bias: Tensor | None, weight: Tensor) -> np.ndarray:
    return np.zeros(len(weight), np.float32) if bias is None else np.ascontiguousarray(bias.detach().numpy())


def _gradients(ctx: Any, padded: Tensor, weight: Tensor, gradient: Tensor) -> tuple[Tensor | None, Tensor | None]:
    """Of the input and of the weight; the gradient has the columns of 0 on both sides that the first needs."""
    above, before = (side - 1 - pad for side, pad in zip(weight.shape[2:], ctx.padding, strict=True))
    back, of_x, of_weight = array(gradient), None, None
    if ctx.needs_input_grad[0]:
        turned, nothing = _contiguous(weight.flip(2, 3).transpose(0, 1)), np.zeros(weight.shape[1], np.float32)
        of_x = empty(len(padded), weight.shape[1], *(padded.shape[i] - 2 * ctx.padding[i - 2] for i in (2, 3)))
        small_maps.run(small_maps.correlate, (back, turned, nothing, array(of_x)), (above,), of_x.shape[2])
    if ctx.needs_input_grad[1]:
        of_weight = _weight_gradient(array(padded), back, before, tuple(weight.shape))
    return of_x, of_weight


def _weight_gradient(x: np.ndarray, gradient: np.ndarray, before: int, shape: tuple[int, ...]) -> Tensor:
    taps = int(np.prod(shape[1:]))
    pairs, groups = -(-shape[0] // 2), -(-taps // small_maps.TAPS)
    out = np.empty((pairs, groups, 2, small_maps.TAPS), np.float32)
    small_maps.run(small_maps.correlate_weight, (x, gradient, out), (before, *shape), pairs * groups)
    flat = out.transpose(0, 2, 1, 3).reshape(2 * pairs, -1)
    return torch.from_numpy(np.ascontiguousarray(flat[: shape[0], :taps])).view(shape)
