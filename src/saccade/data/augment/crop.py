"""Crops of each image's own place and size, and mirroring: v2.RandomResizedCrop, RandomCrop, RandomHorizontalFlip.

They take images in 0..1 as every step does, and uint8 as stored too: so only what is left of an image is made float.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from saccade.data.augment import boxes
from saccade.data.augment.draws import coin
from saccade.data.augment.loops import planes
from saccade.data.augment.loops.cuts import cut
from saccade.data.augment.step import Step
from saccade.data.preprocess import center_crop, to_float
from saccade.data.resample import resized_crop

CROPS = ("none", "pad", "resized")


def _central_box(height: int, width: int, ratio: tuple[float, float]) -> tuple[int, int, int, int]:
    """The largest central box whose width / height lies within ratio (up to rounding): top, left, height, width."""
    tall, wide = height, width
    if width / height < min(ratio):
        tall = round(width / min(ratio))
    elif width / height > max(ratio):
        wide = round(height * max(ratio))
    return (height - tall) // 2, (width - wide) // 2, tall, wide


def random_resized_crop_boxes(
    count: int, sides: tuple[int, int], scale: tuple[float, float], ratio: tuple[float, float], generator: Generator
) -> Tensor:
    """Boxes (count, 4) int64 on the CPU, top, left, height, width, distributed as v2.RandomResizedCrop draws them.

    sides: height and width of the images. scale: bounds of the box's share of the area, uniform. ratio: bounds of
    width / height, uniform in the logarithm. The first of ten tries that fits counts, else the largest central box.
    """
    height, width = sides
    tall, wide = boxes.random_sizes(count, height * width, scale, ratio, generator)
    fits = (wide > 0) & (wide <= width) & (tall > 0) & (tall <= height)
    tall, wide = boxes.first_that_fits(fits, tall, wide)
    found = boxes.placed(tall, wide, sides, generator)
    return torch.where(fits.any(dim=1, keepdim=True), found, torch.tensor(_central_box(height, width, ratio)))


def crop_at(images: Tensor, tops: Tensor, lefts: Tensor, size: int, mirrored: Tensor | None = None) -> Tensor:
    """The size x size pixels at (tops[b], lefts[b]) of image b, mirrored left to right where mirrored[b].

    images: (B, C, H, W). tops, lefts: (B,) int64. Returns (B, C, size, size) in channels_last memory format.
    """
    steps = torch.arange(size, device=images.device)
    columns = steps.expand(len(images), size)
    if mirrored is not None:
        columns = torch.where(mirrored.to(images.device)[:, None], steps.flip(0), columns)
    rows = tops.to(images.device)[:, None] + steps
    columns = lefts.to(images.device)[:, None] + columns
    which = torch.arange(len(images), device=images.device)[:, None, None]
    # One look-up fetches all channels of a pixel, which lie side by side
    pixels = images.permute(0, 2, 3, 1).contiguous()[which, rows[:, :, None], columns[:, None, :]]
    return pixels.permute(0, 3, 1, 2)


def _mirrored(images: Tensor, mirrored: Tensor) -> Tensor:
    return torch.where(mirrored.to(images.device)[:, None, None, None], images.flip(3), images)


def _cut(shape: torch.Size, size: int) -> torch.Size:
    return torch.Size((*shape[:2], size, size))


@dataclass(frozen=True)
class CenterCrop(Step):
    """The middle size x size, with `flip` mirrored with probability 1/2."""

    size: int
    flip: bool = False

    def draw(self, shape: torch.Size, generator: Generator) -> tuple[Tensor, ...]:
        """Whether to mirror."""
        return (coin(shape[0], generator),) if self.flip else ()

    def apply(self, images: Tensor, *drawn: Tensor) -> Tensor:
        middle = center_crop(images, self.size)
        middle = middle if middle.is_floating_point() else planes(middle)
        return _mirrored(middle, *drawn) if drawn else middle

    def after(self, shape: torch.Size) -> torch.Size:
        return _cut(shape, self.size)


@dataclass(frozen=True)
class RandomCrop(Step):
    """`padding` zeros on each side, cut to size x size at a uniform place, perhaps mirrored: v2.RandomCrop."""

    size: int
    padding: int = 4
    flip: bool = False

    def draw(self, shape: torch.Size, generator: Generator) -> tuple[Tensor, ...]:
        """Top, left, and whether to mirror. ValueError where the size is too large."""
        count, _, height, width = shape
        # Mirroring costs nothing when it is part of the crop
        mirrored = coin(count, generator) if self.flip else torch.zeros(count, dtype=torch.bool)
        spare_rows, spare_columns = (side + 2 * self.padding - self.size for side in (height, width))
        if min(spare_rows, spare_columns) < 0:
            raise ValueError(
                f"cannot cut {self.size} x {self.size} pixels out of {height} x {width} padded by {self.padding}"
            )
        tops = torch.randint(spare_rows + 1, (count,), generator=generator)
        return tops, torch.randint(spare_columns + 1, (count,), generator=generator), mirrored

    def apply(self, images: Tensor, *drawn: Tensor) -> Tensor:
        padded = self.one_by_one if images.device.type == "cpu" and images.dtype == torch.uint8 else self.at_once
        return padded(images, *drawn)

    def at_once(self, images: Tensor, tops: Tensor, lefts: Tensor, mirrored: Tensor) -> Tensor:
        return to_float(crop_at(F.pad(images, (self.padding,) * 4), tops, lefts, self.size, mirrored))

    def one_by_one(self, images: Tensor, tops: Tensor, lefts: Tensor, mirrored: Tensor) -> Tensor:
        """The same of stored images on the CPU."""
        pixels = images.permute(0, 2, 3, 1).contiguous().numpy()
        places = torch.stack([tops - self.padding, lefts - self.padding, mirrored.long()], dim=1).numpy()
        out = np.empty((len(images), images.shape[1], self.size, self.size), np.float32)
        cut(pixels, places, 1 / 255, out)  # float64, which gives the float32 that is nearest to x / 255
        return torch.from_numpy(out)

    def after(self, shape: torch.Size) -> torch.Size:
        return _cut(shape, self.size)


@dataclass(frozen=True)
class RandomResizedCrop(Step):
    """A random box, see random_resized_crop_boxes, resized to size x size, perhaps mirrored: v2.RandomResizedCrop."""

    size: int
    scale: tuple[float, float] = (0.08, 1.0)
    ratio: tuple[float, float] = (3 / 4, 4 / 3)
    flip: bool = False

    def draw(self, shape: torch.Size, generator: Generator) -> tuple[Tensor, ...]:
        """Boxes, and whether to mirror."""
        count, _, height, width = shape
        mirrored = coin(count, generator) if self.flip else torch.zeros(count, dtype=torch.bool)
        return random_resized_crop_boxes(count, (height, width), self.scale, self.ratio, generator), mirrored

    def apply(self, images: Tensor, *drawn: Tensor) -> Tensor:
        where, mirrored = drawn
        return resized_crop(images, where, self.size, mirrored)

    def after(self, shape: torch.Size) -> torch.Size:
        return _cut(shape, self.size)
