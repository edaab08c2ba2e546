"""Rectangles of the images taken away: random erasing (arXiv:1708.04896) and Cutout (arXiv:1708.04552)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Generator, Tensor

from saccade.data.augment import boxes
from saccade.data.augment.draws import chance
from saccade.data.augment.step import Step
from saccade.errors import InputError

Fill = float | Sequence[float]  # one number, or one for each channel
Erased = Fill | Literal["noise"]


def erase(images: Tensor, where: Tensor, fill: Fill = 0.0) -> Tensor:
    """The images with `fill` (one number, or one for each channel) inside their boxes.

    images: (B, C, H, W). where: (B, 4) top, left, height, width; a height or width of 0 erases nothing.
    """
    colour = torch.as_tensor(fill, device=images.device, dtype=images.dtype).view(1, -1, 1, 1)
    # A weight of 0 or 1 gives either number exactly, in a sixth of the time of torch.where
    return torch.lerp(images, colour.expand_as(images), boxes.inside(where, images))


def erase_with(images: Tensor, where: Tensor, noise: Tensor) -> Tensor:
    """The images with the first numbers of noise (B, C, largest area), on the CPU, inside their boxes (B, 4)."""
    used = torch.arange(noise.shape[2]) < (where[:, 2] * where[:, 3])[:, None, None]
    numbers = noise[used.expand_as(noise)].to(images.device, images.dtype)
    return images.masked_scatter(boxes.inside(where, images).bool(), numbers)


def with_noise(where: Tensor, channels: int, fill: Erased, generator: Generator) -> tuple[Tensor, ...]:
    """The boxes, and for "noise" uniform numbers of 0..1, (B, C, largest area), on the CPU."""
    if fill != "noise":
        return (where,)
    return where, torch.rand((len(where), channels, int((where[:, 2] * where[:, 3]).max())), generator=generator)


def erase_drawn(images: Tensor, fill: Erased, where: Tensor, *noise: Tensor) -> Tensor:
    """What `with_noise` has drawn, done."""
    return erase(images, where, fill) if not isinstance(fill, str) else erase_with(images, where, *noise)


def _check_fill(fill: Erased) -> None:
    if isinstance(fill, str) and fill != "noise":
        raise InputError(f'fill: a number, one for each channel, or "noise", not "{fill}"')


def random_erasing_boxes(
    count: int, sides: tuple[int, int], scale: tuple[float, float], ratio: tuple[float, float], generator: Generator
) -> Tensor:
    """Boxes (count, 4) int64 on the CPU, distributed as v2.RandomErasing draws them.

    scale: bounds of the box's share of the area, uniform. ratio: bounds of height / width, uniform in the logarithm. The
    first of ten tries that is smaller than the image both ways counts, else the box is empty.
    """
    height, width = sides
    wide, tall = boxes.random_sizes(count, height * width, scale, ratio, generator)
    fits = (tall < height) & (wide < width)
    tall, wide = boxes.first_that_fits(fits, tall, wide)
    found = fits.any(dim=1)
    return boxes.placed(torch.where(found, tall, 0), torch.where(found, wide, 0), sides, generator)


@dataclass(frozen=True)
class RandomErasing(Step):
    """A random rectangle erased with probability p: v2.RandomErasing.

    fill: a number or one for each channel, or "noise": uniform in 0..1 for each pixel, which the paper found best (RE-R;
    v2's "random" is normal, because it comes after the normalization).
    """

    p: float = 0.5
    scale: tuple[float, float] = (0.02, 0.33)
    ratio: tuple[float, float] = (0.3, 3.3)
    fill: Erased = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.p <= 1:
            raise InputError(f"erasing: a probability is 0 to 1, not {self.p}")
        if not 0 <= self.scale[0] <= self.scale[1] <= 1:
            raise InputError(f"erasing: scale goes from a smaller to a larger share of the area, 0 to 1, not {self.scale}")
        if not 0 < self.ratio[0] <= self.ratio[1]:
            raise InputError(f"erasing: ratio goes from a smaller to a larger height / width above 0, not {self.ratio}")
        _check_fill(self.fill)

    def draw(self, shape: torch.Size, generator: Generator) -> tuple[Tensor, ...]:
        """Boxes, empty where nothing is erased, and where wanted the noise (B, C, largest area)."""
        count, channels, height, width = shape
        chosen = chance(count, self.p, generator)
        where = random_erasing_boxes(count, (height, width), self.scale, self.ratio, generator) * chosen[:, None]
        return with_noise(where, channels, self.fill, generator)

    def apply(self, images: Tensor, *drawn: Tensor) -> Tensor:
        return erase_drawn(images, self.fill, *drawn)


@dataclass(frozen=True)
class Cutout(Step):
    """A square of `size` pixels about a uniform pixel, cut at the border, filled with `fill` (the paper: the mean)."""

    size: int
    fill: Erased = 0.0

    def __post_init__(self) -> None:
        if self.size < 0:
            raise InputError(f"cutout: a size is at least 0 pixels, not {self.size}")
        _check_fill(self.fill)

    def draw(self, shape: torch.Size, generator: Generator) -> tuple[Tensor, ...]:
        """Boxes, and where wanted the noise."""
        side = torch.full((shape[0],), self.size)
        where = boxes.centered(side, side, (shape[2], shape[3]), generator)
        return with_noise(where, shape[1], self.fill, generator)

    def apply(self, images: Tensor, *drawn: Tensor) -> Tensor:
        return erase_drawn(images, self.fill, *drawn)
