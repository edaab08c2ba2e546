"""Dense layers, images last."""

from torch import Tensor, nn
from torch.nn import functional

from saccade.layers.images_last import feature_loops
from saccade.layers.images_last.in_turn import Own
from saccade.layers.images_last.passage import Kept, Weights
from saccade.layers.images_last.sums import ROWS
from saccade.layers.images_last.tape import Array, Buffer, Outside, Shape, Tape

SMALL = 2**17  # numbers of a weight: larger ones do not stay in a core's cache, for which torch's kernels take care


class Dense(Own, nn.Linear):
    """Linear."""

    rectified = False

    @staticmethod
    def suits(module: nn.Module) -> bool:
        return type(module) is nn.Linear and module.weight.numel() <= SMALL

    def given(self, shape: Shape, weight: Tensor) -> Shape | None:
        return (weight.shape[0], shape[1]) if len(shape) == 2 and shape[0] == weight.shape[1] else None

    def plain(self, x: Tensor) -> Tensor:
        return nn.Linear.forward(self, x)

    def ahead(self, tape: Tape, x: Array | Outside, weights: Weights) -> tuple[Array, Kept]:
        x = tape.inside(x)
        out = tape.floats(weights.weight.shape[0], x.shape[1])
        tape.call(feature_loops.affine, (x, weights.weight, weights.bias, out), (self.rectified,))
        return out, (x, out if self.rectified else out._replace(buffer=Buffer.NONE))

    def back(self, tape: Tape, gradient: Array, weights: Weights, kept: Kept) -> Array | None:
        x, out = kept
        passed, turned, of_x = tape.floats(*out.shape), tape.floats(*x.shape[::-1]), tape.floats(*x.shape)
        out = out if self.rectified else gradient
        tape.call(feature_loops.prepare, (gradient, out, x, passed, turned, weights.of_bias), (self.rectified,))
        zeros = Array(Buffer.ZEROS, 0, (ROWS,))
        arrays = passed, weights.weight, turned, zeros, of_x, weights.of_weight
        tape.call(feature_loops.affine_gradients, arrays, (tape.wanted,))
        return of_x if tape.wanted else None


class DenseRelu(Dense):
    """Linear and ReLU."""

    rectified = True

    def plain(self, x: Tensor) -> Tensor:
        return functional.relu(super().plain(x))
