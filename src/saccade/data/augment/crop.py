"""Crops of each image's own place and size, and mirroring: v2.RandomResizedCrop, RandomCrop, RandomHorizontalFlip."""

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from saccade.data.augment import boxes
from saccade.data.augment.draws import coin


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


def pad_and_crop(images: Tensor, size: int, padding: int, generator: Generator, mirrored: Tensor | None = None) -> Tensor:
    """(B, C, H, W) with `padding` zeros on each side, cut to (B, C, size, size) at a uniform place: v2.RandomCrop."""
    count, _, height, width = images.shape
    spare_rows, spare_columns = height + 2 * padding - size, width + 2 * padding - size
    if min(spare_rows, spare_columns) < 0:
        raise ValueError(f"cannot cut {size} x {size} pixels out of {height} x {width} padded by {padding}")
    tops = torch.randint(spare_rows + 1, (count,), generator=generator)
    lefts = torch.randint(spare_columns + 1, (count,), generator=generator)
    return crop_at(F.pad(images, (padding,) * 4), tops, lefts, size, mirrored)


def flip(images: Tensor, generator: Generator) -> Tensor:
    """(B, C, H, W), each image mirrored left to right with probability 1/2."""
    mirrored = coin(len(images), generator).to(images.device)
    return torch.where(mirrored[:, None, None, None], images.flip(3), images)
