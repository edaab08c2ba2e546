"""From stored pixels to what a network sees when it is not training: one code path for evaluate, predict and export."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from saccade.errors import InputError

STATISTICS_IMAGES = 5000
CHUNK = 128
# One step of an 8-bit pixel: images that differ by less than that hold nothing to be scaled up
LEAST_STD = 1 / 255


def pixels_to_float(pixels: Tensor) -> Tensor:
    """uint8 (B, H, W, C) -> float32 (B, C, H, W) in 0..1 (strides as stored, so already channels_last)."""
    return to_float(pixels.permute(0, 3, 1, 2))


def to_float(images: Tensor) -> Tensor:
    """uint8 of any shape -> float32 in 0..1; floating-point images are that already."""
    # In place: fresh memory for each intermediate batch costs far more time than the arithmetic
    return images if images.is_floating_point() else images.float().div_(255)


def center_crop(images: Tensor, size: int) -> Tensor:
    """The middle size x size of (..., H, W), at the offsets of torchvision's center_crop; a view, no copy."""
    height, width = images.shape[-2:]
    if height == width == size:
        return images
    if size > min(height, width):
        raise ValueError(f"cannot cut {size} x {size} pixels out of {height} x {width}")
    # round, not floor: an odd rest puts the crop at the even neighbour, as torchvision does
    top, left = round((height - size) / 2), round((width - size) / 2)
    return images[..., top : top + size, left : left + size]


@dataclass(frozen=True)
class Preprocess:
    """Centre crop from `stored` to `size` pixels a side, then (x - mean) / std per channel, all in 0..1 units.

    `views`: what of each image is looked at, by a name of data/augment/views.py; "center" is the crop alone.
    """

    size: int
    stored: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    channels: int
    views: str = "center"

    def __post_init__(self) -> None:
        if not 0 < self.size <= self.stored:
            raise InputError(f"size: {self.size} pixels cannot be cut out of stored images of {self.stored} pixels a side")
        if not len(self.mean) == len(self.std) == self.channels:
            raise InputError(f"mean and std: {self.channels} values each are needed, one for each channel")

    @property
    def bytes(self) -> int:
        """Of an image that is ready for the network."""
        return 4 * self.channels * self.size**2

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values; `from_dict` reads them back exactly."""
        return asdict(self) | {"mean": list(self.mean), "std": list(self.std)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Preprocess":
        """The inverse of `to_dict`."""
        mean, std = (tuple(float(v) for v in values[name]) for name in ("mean", "std"))
        return cls(int(values["size"]), int(values["stored"]), mean, std, int(values["channels"]))

    def pixels_to_float(self, pixels: Tensor) -> Tensor:
        """uint8 (B, H, W, C) -> float32 (B, C, H, W) in 0..1."""
        return pixels_to_float(pixels)

    def center(self, images: Tensor) -> Tensor:
        """(..., H, W) -> (..., size, size), the middle."""
        return center_crop(images, self.size)

    def normalize(self, images: Tensor) -> Tensor:
        """float32 (B, C, H, W) in 0..1 -> (x - mean) / std, in channels_last memory format."""
        # Made anew each time: a tensor kept from inference mode or from a traced export would not be usable elsewhere
        mean = torch.tensor(self.mean, device=images.device, dtype=images.dtype).view(1, -1, 1, 1)
        std = torch.tensor(self.std, device=images.device, dtype=images.dtype).view(1, -1, 1, 1)
        return (images.contiguous(memory_format=torch.channels_last) - mean).div_(std)

    def __call__(self, pixels: Tensor) -> Tensor:
        """uint8 (B, stored, stored, C) -> normalized float32 (B, C, size, size), channels_last."""
        # Cut before the conversion: fewer pixels to convert, same result
        middle = self.center(pixels.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        return self.normalize(self.pixels_to_float(middle))


def statistics_of(pixels: np.ndarray, indices: np.ndarray) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of each channel, in 0..1 units, over at most 5,000 of the images, evenly spaced.

    pixels: (N, H, W, C) uint8, possibly memory-mapped: no more than CHUNK images are in memory at once. The sums are
    whole numbers, so the result is exact and the same on every machine. std is at least one step of a pixel, 1/255.
    """
    if not len(indices):
        raise InputError("there are no images to take the mean and standard deviation of")
    spaced = np.linspace(0, len(indices) - 1, min(STATISTICS_IMAGES, len(indices))).round().astype(np.int64)
    chosen = np.sort(np.asarray(indices)[spaced])
    shape = pixels.shape[1:]
    # 5,000 * 255^2 < 2^32: sums over images at one position fit into 32 bits, which is twice as fast as 64
    total, squares = np.zeros(shape, np.uint32), np.zeros(shape, np.uint32)
    for start in range(0, len(chosen), CHUNK):
        chunk = pixels[chosen[start : start + CHUNK]]
        total += chunk.sum(axis=0, dtype=np.uint32)
        squares += np.square(chunk, dtype=np.uint16).sum(axis=0, dtype=np.uint32)
    values = len(chosen) * shape[0] * shape[1]
    mean = total.sum(axis=(0, 1), dtype=np.uint64) / values
    variance = squares.sum(axis=(0, 1), dtype=np.uint64) / values - mean**2
    std = np.sqrt(np.maximum(variance, 0)) / 255
    return tuple((mean / 255).tolist()), tuple(np.maximum(std, LEAST_STD).tolist())
