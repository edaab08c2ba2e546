"""Convolution and pooling of small maps, images last."""

from torch import Tensor, nn
from torch.nn import functional

from saccade.layers.images_last import map_loops
from saccade.layers.images_last.in_turn import Own
from saccade.layers.images_last.passage import Kept, Weights
from saccade.layers.images_last.sums import ROWS
from saccade.layers.images_last.tape import Array, Buffer, Outside, Shape, Tape
from saccade.layers.images_last.totals import map_sums

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
        above, before = self.around
        if len(shape) != 4 or shape[0] != weight.shape[1]:
            return None
        channels, height, width, images = shape
        found = correlated((channels, height + 2 * above, width + 2 * before, images), tuple(weight.shape))
        return found if min(found[1:3]) > 0 else None

    def plain(self, x: Tensor) -> Tensor:
        return nn.Conv2d.forward(self, x)

    def ahead(self, tape: Tape, x: Array | Outside, weights: Weights) -> tuple[Array, Kept]:
        padded = tape.inside(x, self.around)
        out = tape.floats(*correlated(padded.shape, weights.weight.shape))
        tape.call(map_loops.correlate, (padded, weights.weight, weights.bias, out))
        return out, (padded,)

    def back(self, tape: Tape, gradient: Array, weights: Weights, kept: Kept) -> Array | None:
        tape.call(map_sums, (gradient, weights.of_bias))
        return self.gradients(tape, gradient, weights, kept[0])

    def gradients(self, tape: Tape, gradient: Array, weights: Weights, padded: Array) -> Array | None:
        """Of the weight, and of x if that is wanted."""
        tape.call(map_loops.correlate_weight, (padded, gradient, weights.of_weight))
        if not tape.wanted:
            return None
        (channels, height, width, images), (above, before) = padded.shape, self.around
        of_x, zeros = tape.floats(channels, height - 2 * above, width - 2 * before, images), Array(Buffer.ZEROS, 0, (ROWS,))
        tape.call(map_loops.spread, (gradient, weights.weight, zeros, of_x), (above, before))
        return of_x


class ConvolutionReluPool(Convolution):
    """Conv2d of stride 1, ReLU and max-pooling of 2 x 2 in one pass: what lies between is four times as large."""

    def given(self, shape: Shape, weight: Tensor) -> Shape | None:
        found = super().given(shape, weight)
        return halved(found) if found and min(found[1:3]) > 1 else None

    def plain(self, x: Tensor) -> Tensor:
        return functional.max_pool2d(functional.relu(super().plain(x)), 2)

    def ahead(self, tape: Tape, x: Array | Outside, weights: Weights) -> tuple[Array, Kept]:
        padded = tape.inside(x, self.around)
        shape = halved(correlated(padded.shape, weights.weight.shape))
        out, which = tape.floats(*shape), tape.codes(*shape)
        tape.call(map_loops.correlate_relu_pool, (padded, weights.weight, weights.bias, out, which))
        return out, (padded, which)

    def back(self, tape: Tape, gradient: Array, weights: Weights, kept: Kept) -> Array | None:
        padded, which = kept
        whole = tape.floats(*correlated(padded.shape, weights.weight.shape))
        tape.call(map_loops.unpool, (gradient, whole, which, weights.of_bias))
        return self.gradients(tape, whole, weights, padded)


class MaxPool(Own, nn.MaxPool2d):
    """MaxPool2d of 2 x 2 that do not overlap."""

    weight = bias = None

    @staticmethod
    def suits(module: nn.Module) -> bool:
        if type(module) is not nn.MaxPool2d or module.ceil_mode or module.return_indices:
            return False
        numbers = (module.kernel_size, module.stride, module.padding, module.dilation)
        return all(each in (number, (number, number)) for each, number in zip(numbers, (2, 2, 0, 1), strict=True))

    def given(self, shape: Shape, weight: Tensor | None) -> Shape | None:
        return halved(shape) if len(shape) == 4 and min(shape[1:3]) > 1 else None

    def plain(self, x: Tensor) -> Tensor:
        return nn.MaxPool2d.forward(self, x)

    def ahead(self, tape: Tape, x: Array | Outside, weights: Weights) -> tuple[Array, Kept]:
        x = tape.inside(x)
        out, which = tape.floats(*halved(x.shape)), tape.codes(*halved(x.shape))
        tape.call(map_loops.pool, (x, out, which))
        return out, (x._replace(buffer=Buffer.NONE), which)

    def back(self, tape: Tape, gradient: Array, weights: Weights, kept: Kept) -> Array | None:
        x, which = kept
        of_x, sums = tape.floats(*x.shape), tape.floats(x.shape[0])
        tape.call(map_loops.unpool, (gradient, of_x, which, sums))
        return of_x


def correlated(padded: Shape, weight: Shape) -> Shape:
    """The shape of what a convolution of stride 1 gives."""
    (maps, _, tall, wide), (_, height, width, images) = weight, padded
    return maps, height - tall + 1, width - wide + 1, images


def halved(shape: Shape) -> Shape:
    maps, height, width, images = shape
    return maps, height // 2, width // 2, images
