"""Maps as features, images last: the same memory."""

from math import prod

from torch import Tensor, nn

from saccade.layers.images_last.in_turn import Own
from saccade.layers.images_last.passage import Kept, Weights
from saccade.layers.images_last.tape import Array, Buffer, Outside, Shape, Tape


class Flattening(Own):
    """What gives its maps as features."""

    weight = bias = None
    COMPUTES = False

    def ahead(self, tape: Tape, x: Array | Outside, weights: Weights) -> tuple[Array, Kept]:
        x = tape.inside(x)
        return x._replace(shape=flat(x.shape)), (x._replace(buffer=Buffer.NONE),)

    def back(self, tape: Tape, gradient: Array, weights: Weights, kept: Kept) -> Array | None:
        return gradient._replace(shape=kept[0].shape)


class Flatten(Flattening, nn.Flatten):
    """Flatten of all but the images."""

    @staticmethod
    def suits(module: nn.Module) -> bool:
        return type(module) is nn.Flatten and (module.start_dim, module.end_dim) == (1, -1)

    def given(self, shape: Shape, weight: Tensor | None) -> Shape | None:
        return flat(shape)

    def plain(self, x: Tensor) -> Tensor:
        return nn.Flatten.forward(self, x)


class AveragePoolFlatten(Flattening, nn.AdaptiveAvgPool2d):
    """AdaptiveAvgPool2d and Flatten: maps of the wanted size stay as they are, where torch copies them."""

    def given(self, shape: Shape, weight: Tensor | None) -> Shape | None:
        wanted = self.output_size if isinstance(self.output_size, tuple) else (self.output_size,) * 2
        return flat(shape) if len(shape) == 4 and shape[1:3] == wanted else None

    def plain(self, x: Tensor) -> Tensor:
        return nn.AdaptiveAvgPool2d.forward(self, x).flatten(1)


def flat(shape: Shape) -> Shape:
    return prod(shape[:-1]), shape[-1]
