"""Maps as features, images last: the same memory."""

from torch import Tensor, nn

from saccade.layers.images_last.in_turn import Gradients, Kept, Own, Shape


class Flattening(Own):
    """What gives its maps as features."""

    weight = bias = None
    COMPUTES = False

    def ahead(self, x: Tensor, weight: Tensor | None, bias: Tensor | None) -> tuple[Tensor, Kept]:
        return x.view(-1, x.shape[-1]), Kept(shape=tuple(x.shape))

    def back(self, gradient: Tensor, weight: Tensor | None, kept: Kept, wanted: bool) -> Gradients:
        return gradient.view(kept.shape), None, None


class Flatten(Flattening, nn.Flatten):
    """Flatten of all but the images."""

    @staticmethod
    def suits(module: nn.Module) -> bool:
        return type(module) is nn.Flatten and (module.start_dim, module.end_dim) == (1, -1)

    def given(self, shape: Shape, weight: Tensor | None) -> Shape | None:
        return _flat(shape) if len(shape) == 4 else shape

    def plain(self, x: Tensor) -> Tensor:
        return nn.Flatten.forward(self, x)


class AveragePoolFlatten(Flattening, nn.AdaptiveAvgPool2d):
    """AdaptiveAvgPool2d and Flatten: maps of the wanted size stay as they are, where torch copies them."""

    def given(self, shape: Shape, weight: Tensor | None) -> Shape | None:
        wanted = self.output_size if isinstance(self.output_size, tuple) else (self.output_size,) * 2
        return _flat(shape) if len(shape) == 4 and shape[1:3] == wanted else None

    def plain(self, x: Tensor) -> Tensor:
        return nn.AdaptiveAvgPool2d.forward(self, x).flatten(1)


def _flat(shape: Shape) -> Shape:
    maps, height, width, images = shape
    return maps * height * width, images
