"""Convolution and pooling of small maps, images last."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from saccade.layers.images_last import map_loops
from saccade.layers.images_last.in_turn import Gradients, Kept, Own, Shape, bias_of
from saccade.layers.images_last.region import run
from saccade.layers.images_last.sums import ROWS, groups

FEW = 32  # channels read by a convolution: with more of them torch's kernels are the faster ones


class Convolution(Own, nn.Conv2d):
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

    @property
    def around(self) -> tuple[int, int]:
        """Rows of padding above and below, columns before and behind."""
        assert not isinstance(self.padding, str)
        above, before = self.padding
        return above, before

    def given(self, shape: Shape, weight: Tensor) -> Shape | None:
        (maps, channels, tall, wide), (above, before) = weight.shape, self.around
        if len(shape) != 4 or shape[0] != channels:
            return None
        height, width = shape[1] + 2 * above - tall + 1, shape[2] + 2 * before - wide + 1
        return (maps, height, width, shape[3]) if min(height, width) > 0 else None

    def plain(self, x: Tensor) -> Tensor:
        return nn.Conv2d.forward(self, x)

    def padded(self, x: Tensor) -> Tensor:
        above, before = self.around
        return functional.pad(x, (0, 0, before, before, above, above)) if above or before else x

    def ahead(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> tuple[Tensor, Kept]:
        shape = Convolution.given(self, tuple(x.shape), weight)
        assert shape is not None
        x, out = self.padded(x), x.new_empty(shape)
        tensors = x, weight.contiguous(), bias_of(weight, bias), out
        run(map_loops.correlate, tensors, (), shape[1] * groups(shape[0]))
        return out, Kept((x,))

    def back(self, gradient: Tensor, weight: Tensor, kept: Kept, wanted: bool) -> Gradients:
        return *self.gradients(gradient, weight, kept.tensors[0], wanted), gradient.sum((1, 2, 3))

    def gradients(self, gradient: Tensor, weight: Tensor, x: Tensor, wanted: bool) -> tuple[Tensor | None, Tensor]:
        """Of x, which is padded here, if that is wanted, and of the weight."""
        weight, of_x, of_weight = weight.contiguous(), None, torch.empty_like(weight, memory_format=torch.contiguous_format)
        if wanted:
            channels, height, width, images = x.shape
            above, before = self.around
            of_x = x.new_empty(channels, height - 2 * above, width - 2 * before, images)
            tensors = gradient, weight, weight.new_zeros(ROWS), of_x
            run(map_loops.spread, tensors, (above, before), of_x.shape[1] * groups(channels))
        pieces = -(-weight.shape[0] // 2) * -(-weight[0].numel() // map_loops.AT_ONCE)
        run(map_loops.correlate_weight, (x, gradient, of_weight), (), pieces)
        return of_x, of_weight


class ConvolutionReluPool(Convolution):
    """Conv2d of stride 1, ReLU and max-pooling of 2 x 2 in one pass: what lies between is four times as large."""

    def given(self, shape: Shape, weight: Tensor) -> Shape | None:
        found = super().given(shape, weight)
        return _halved(found) if found else None

    def plain(self, x: Tensor) -> Tensor:
        return functional.max_pool2d(functional.relu(super().plain(x)), 2)

    def ahead(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> tuple[Tensor, Kept]:
        between = Convolution.given(self, tuple(x.shape), weight)
        assert between is not None
        out = x.new_empty(_halved(between) or ())
        x, which = self.padded(x), torch.empty_like(out, dtype=torch.uint8)
        tensors = x, weight.contiguous(), bias_of(weight, bias), out, which
        run(map_loops.correlate_relu_pool, tensors, (), out.shape[1] * groups(out.shape[0]))
        return out, Kept((x, which), between)

    def back(self, gradient: Tensor, weight: Tensor, kept: Kept, wanted: bool) -> Gradients:
        (x, which), between = kept
        whole, of_bias = gradient.new_empty(between), gradient.new_empty(between[0])
        run(map_loops.unpool, (gradient, whole, which, of_bias), (), between[0])
        return *self.gradients(whole, weight, x, wanted), of_bias


class MaxPool(Own, nn.MaxPool2d):
    """MaxPool2d of 2 x 2 that do not overlap."""

    weight = bias = None

    @staticmethod
    def suits(module: nn.Module) -> bool:
        if type(module) is not nn.MaxPool2d or module.ceil_mode or module.return_indices:
            return False
        numbers = (module.kernel_size, module.stride, module.padding, module.dilation)
        return all(each in (number, (number, number)) for each, number in zip(numbers, (2, 2, 0, 1), strict=True))

    def given(self, shape: Shape, weight: Tensor) -> Shape | None:
        return _halved(shape) if len(shape) == 4 else None

    def plain(self, x: Tensor) -> Tensor:
        return nn.MaxPool2d.forward(self, x)

    def ahead(self, x: Tensor, weight: Tensor | None, bias: Tensor | None) -> tuple[Tensor, Kept]:
        out = x.new_empty(_halved(tuple(x.shape)) or ())
        which = torch.empty_like(out, dtype=torch.uint8)
        run(map_loops.pool, (x, out, which), (), x.shape[0])
        return out, Kept((which,), tuple(x.shape))

    def back(self, gradient: Tensor, weight: Tensor | None, kept: Kept, wanted: bool) -> Gradients:
        (which,), shape = kept
        out, sums = gradient.new_empty(shape), gradient.new_empty(shape[0])
        run(map_loops.unpool, (gradient, out, which, sums), (), shape[0])
        return out, None, None


def _halved(shape: Shape) -> Shape | None:
    maps, height, width, images = shape
    return (maps, height // 2, width // 2, images) if min(height, width) > 1 else None
