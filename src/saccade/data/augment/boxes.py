"""Boxes in images, one for each: (B, 4) int64 on the CPU, rows of top, left, height, width in pixels."""

import math

import torch
from torch import Generator, Tensor

from saccade.data.augment.draws import uniform

TRIES = 10


def random_sizes(
    count: int, area: float, share: tuple[float, float], ratio: tuple[float, float], generator: Generator
) -> tuple[Tensor, Tensor]:
    """Two sides, each (count, TRIES) int64: their product is a uniform share of the area, and second / first is
    within ratio, uniform in the logarithm."""
    areas = area * uniform((count, TRIES), share, generator)
    ratios = uniform((count, TRIES), (math.log(ratio[0]), math.log(ratio[1])), generator).exp()
    return (areas / ratios).sqrt().round().long(), (areas * ratios).sqrt().round().long()


def first_that_fits(fits: Tensor, tall: Tensor, wide: Tensor) -> tuple[Tensor, Tensor]:
    """Of each row of the sizes (count, TRIES) the first with fits, or the first of all: (count,) each."""
    # argmax gives the first of equal maxima
    first = fits.int().argmax(dim=1, keepdim=True)
    return tall.gather(1, first).squeeze(1), wide.gather(1, first).squeeze(1)


def placed(tall: Tensor, wide: Tensor, sides: tuple[int, int], generator: Generator) -> Tensor:
    """Boxes of these sizes (count,), each at a uniform place within sides, height and width."""
    height, width = sides
    top = (uniform((len(tall),), (0, 1), generator) * (height - tall + 1)).long()
    left = (uniform((len(tall),), (0, 1), generator) * (width - wide + 1)).long()
    return torch.stack([top, left, tall, wide], dim=1)


def centered(tall: Tensor, wide: Tensor, sides: tuple[int, int], generator: Generator) -> Tensor:
    """Boxes of these sizes (count,), each about a uniform pixel, and then cut at the border of the image."""
    height, width = sides
    top = torch.randint(height, (len(tall),), generator=generator) - tall // 2
    left = torch.randint(width, (len(wide),), generator=generator) - wide // 2
    bottom, right = (top + tall).clamp(max=height), (left + wide).clamp(max=width)
    top, left = top.clamp(min=0), left.clamp(min=0)
    return torch.stack([top, left, bottom - top, right - left], dim=1)


def inside(boxes: Tensor, images: Tensor) -> Tensor:
    """(B, 1, H, W) on the images' device and of their type: 1 for the pixels within the boxes, else 0."""
    top, left, tall, wide = boxes.to(images.device).unbind(1)
    rows, columns = (torch.arange(side, device=images.device) for side in images.shape[2:])
    vertical = (rows >= top[:, None]) & (rows < (top + tall)[:, None])
    horizontal = (columns >= left[:, None]) & (columns < (left + wide)[:, None])
    return (vertical.to(images.dtype)[:, :, None] * horizontal.to(images.dtype)[:, None, :]).unsqueeze(1)
