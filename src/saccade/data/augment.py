"""Training augmentation of whole batches on their device, each image with its own draw.

Every draw is made by one CPU generator, one call for each parameter and batch, and then moved to the images: so the
same seed gives the same crops on every device. Distributions are those of torchvision's v2.RandomResizedCrop,
v2.RandomCrop(padding), v2.RandomHorizontalFlip and v2.ColorJitter.
"""

import math
from dataclasses import dataclass

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from saccade.data.preprocess import center_crop
from saccade.data.resample import resized_crop
from saccade.errors import InputError, suggestion

CROPS = ("none", "pad", "resized")
TRIES = 10
BRIGHTNESS, CONTRAST, SATURATION = range(3)
# ITU-R 601 luma, rounded as in torchvision's rgb_to_grayscale
GREY = (0.2989, 0.587, 0.114)


def _uniform(shape: tuple[int, ...], bounds: tuple[float, float], generator: Generator) -> Tensor:
    """float64 draws from [low, high) on the CPU."""
    low, high = bounds
    return low + (high - low) * torch.rand(shape, generator=generator, dtype=torch.float64)


def coin(count: int, generator: Generator) -> Tensor:
    """(count,) bool on the CPU, each true with probability 1/2."""
    return torch.rand(count, generator=generator) < 0.5


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
    area = height * width * _uniform((count, TRIES), scale, generator)
    aspect = _uniform((count, TRIES), (math.log(ratio[0]), math.log(ratio[1])), generator).exp()
    wide, tall = (area * aspect).sqrt().round().long(), (area / aspect).sqrt().round().long()
    fits = (wide > 0) & (wide <= width) & (tall > 0) & (tall <= height)
    # argmax gives the first of equal maxima
    first = fits.int().argmax(dim=1, keepdim=True)
    tall, wide = tall.gather(1, first).squeeze(1), wide.gather(1, first).squeeze(1)
    top = (_uniform((count,), (0, 1), generator) * (height - tall + 1)).long()
    left = (_uniform((count,), (0, 1), generator) * (width - wide + 1)).long()
    central = torch.tensor(_central_box(height, width, ratio))
    return torch.where(fits.any(dim=1, keepdim=True), torch.stack([top, left, tall, wide], dim=1), central)


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


def grey(images: Tensor) -> Tensor:
    """(B, 1, H, W): the luma of three channels; one channel is grey already."""
    if images.shape[1] == 1:
        return images
    red, green, blue = images.unbind(1)
    return (red * GREY[0]).add_(green, alpha=GREY[1]).add_(blue, alpha=GREY[2]).unsqueeze(1)


def recolour(images: Tensor, operations: Tensor, factors: Tensor) -> Tensor:
    """Apply to image b the operations[b] in turn, each clamp(f * x + (1 - f) * other) with its factors[b].

    images: (B, 1 or 3, H, W) in 0..1. operations: (B, K) of BRIGHTNESS (other = 0), CONTRAST (the mean of the grey
    image), SATURATION (the grey image). factors: (B, K) >= 0. Equal to v2.functional.adjust_* one after the other.
    """
    operations, factors = operations.to(images.device), factors.to(images.device, images.dtype)
    # One copy, then in place: fresh memory for each round costs more time than the arithmetic
    images = images.clone()
    for operation, factor in zip(operations.T[..., None, None, None], factors.T[..., None, None, None], strict=True):
        luma = grey(images)
        other = torch.where(operation == SATURATION, luma, luma.mean(dim=(1, 2, 3), keepdim=True))
        other = other * ((1 - factor) * (operation != BRIGHTNESS))
        torch.addcmul(other, images, factor, out=images).clamp_(0, 1)
    return images


def jitter(images: Tensor, brightness: float, contrast: float, saturation: float, generator: Generator) -> Tensor:
    """(B, 1 or 3, H, W) in 0..1 with random brightness, contrast and saturation in a random order: v2.ColorJitter.

    Each factor is uniform in [max(0, 1 - strength), 1 + strength]; a strength of 0 leaves that operation out, and grey
    images have no saturation to change.
    """
    strengths = {BRIGHTNESS: brightness, CONTRAST: contrast, SATURATION: saturation if images.shape[1] > 1 else 0}
    active = {operation: strength for operation, strength in strengths.items() if strength > 0}
    if not active:
        return images
    count = len(images)
    drawn = [_uniform((count,), (max(0.0, 1 - s), 1 + s), generator) for s in active.values()]
    # The ranks of independent uniform numbers are a uniformly random order
    order = torch.rand((count, len(active)), generator=generator, dtype=torch.float64).argsort(dim=1)
    return recolour(images, torch.tensor(list(active))[order], torch.stack(drawn, dim=1).gather(1, order))


@dataclass(frozen=True)
class Augment:
    """What is done to training images: a crop to size x size, perhaps mirrored, then jittered colours.

    crop: "none" (the centre, as in evaluation), "pad" (`padding` zeros around, then a random place) or "resized" (a
    random box of `scale` of the area and `ratio` of width to height, resized). The strengths of jitter are >= 0.
    """

    crop: str
    size: int
    padding: int = 4
    scale: tuple[float, float] = (0.35, 1.0)
    ratio: tuple[float, float] = (3 / 4, 4 / 3)
    flip: bool = False
    brightness: float = 0
    contrast: float = 0
    saturation: float = 0

    def __post_init__(self) -> None:
        if self.crop not in CROPS:
            raise InputError(f'crop: "{self.crop}" is none of {", ".join(CROPS)}{suggestion(self.crop, CROPS)}')

    def __call__(self, images: Tensor, generator: Generator) -> Tensor:
        """float32 (B, C, H, W) in 0..1 -> (B, C, size, size) in 0..1; generator: a CPU generator."""
        cropped = self._cropped(images, generator)
        return jitter(cropped, self.brightness, self.contrast, self.saturation, generator)

    def _cropped(self, images: Tensor, generator: Generator) -> Tensor:
        if self.crop == "none":
            middle = center_crop(images, self.size)
            return flip(middle, generator) if self.flip else middle
        count, _, height, width = images.shape
        # Mirroring costs nothing when it is part of the crop
        mirrored = coin(count, generator) if self.flip else None
        if self.crop == "pad":
            return pad_and_crop(images, self.size, self.padding, generator, mirrored)
        boxes = random_resized_crop_boxes(count, (height, width), self.scale, self.ratio, generator)
        return resized_crop(images, boxes, self.size, mirrored)
