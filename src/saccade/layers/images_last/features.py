"""Dense layers, images last."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from saccade.layers.images_last import feature_loops
from saccade.layers.images_last.in_turn import Gradients, Kept, Own, Shape, bias_of
from saccade.layers.images_last.region import run
from saccade.layers.images_last.sums import ROWS, WIDE, groups

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

    def ahead(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> tuple[Tensor, Kept]:
        outputs = weight.shape[0]
        out = x.new_empty(outputs, x.shape[1])
        tensors = x, weight.contiguous(), bias_of(weight, bias), out
        run(feature_loops.affine, tensors, (self.rectified,), groups(outputs))
        return out, Kept((x, out) if self.rectified else (x,))

    def back(self, gradient: Tensor, weight: Tensor, kept: Kept, wanted: bool) -> Gradients:
        x, out, weight = kept.tensors[0], kept.tensors[-1] if self.rectified else gradient, weight.contiguous()
        (outputs, inputs), images = weight.shape, x.shape[1]
        passed, turned, of_bias = torch.empty_like(gradient), x.new_empty(images, inputs), x.new_empty(outputs)
        tensors = gradient, out, x, passed, turned, of_bias
        run(feature_loops.prepare, tensors, (self.rectified,), outputs + -(-inputs // feature_loops.TOGETHER))
        of_x, of_weight, zeros = torch.empty_like(x), torch.empty_like(weight), x.new_zeros(ROWS)
        pieces = groups(inputs) + groups(outputs) * -(-inputs // WIDE)
        run(feature_loops.affine_gradients, (passed, weight, turned, zeros, of_x, of_weight), (), pieces)
        return of_x, of_weight, of_bias


class DenseRelu(Dense):
    """Linear and ReLU."""

    rectified = True

    def plain(self, x: Tensor) -> Tensor:
        return functional.relu(super().plain(x))
