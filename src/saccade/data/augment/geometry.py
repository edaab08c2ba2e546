"""Affine maps of whole batches, each image with its own: v2.functional.affine and rotate.

On a GPU all images are resampled by one look-up, on a CPU one after the other. Where the map is the identity the image
stays as it is, bit for bit.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from saccade.data.augment import loops
from saccade.data.augment.draws import uniform
from saccade.data.augment.loops import places
from saccade.data.augment.rows import Parameter, of_each, where_chosen
from saccade.data.augment.step import Step
from saccade.errors import InputError, suggestion

INTERPOLATIONS = ("nearest", "bilinear")
Fill = float | Sequence[float]


@dataclass(frozen=True)
class Sampling:
    """How a pixel is read between pixels, and what is outside the image: one number, or one for each channel.

    Beyond the border lies one more pixel of `fill`, so that "bilinear" blends into it. torchvision does so with
    fill=None (black); with a fill it weighs the outermost pixels by the square of their share.
    """

    interpolation: str = "nearest"
    fill: Fill = 0.0

    def __post_init__(self) -> None:
        if self.interpolation not in INTERPOLATIONS:
            known = ", ".join(INTERPOLATIONS)
            near = suggestion(self.interpolation, INTERPOLATIONS)
            raise InputError(f'interpolation: "{self.interpolation}" is none of {known}{near}')

    def loop(self, channels: int) -> Callable[[np.ndarray, np.ndarray, np.ndarray], None]:
        """read(image, matrix, out) of one float32 image of so many channels."""
        read = {"nearest": places.nearest, "bilinear": places.bilinear}[self.interpolation]
        fill = np.full(channels, self.fill, np.float32)
        return lambda image, matrix, out: read(image, matrix, fill, out)


def affine_matrices(
    angles: Tensor, shifts: Tensor, scales: Tensor, shears: Tensor, center: tuple[float, float] | Tensor = (0.0, 0.0)
) -> Tensor:
    """(B, 2, 3) float64: from a place in the result to its place in the image, (x, y) in pixels from the middle.

    angles: (B,) degrees, clockwise. shifts: (B, 2) pixels to the right and down. scales: (B,) > 0. shears: (B, 2)
    degrees along x and along y. center: of rotation, scale and shear, (x, y) from the middle, one or (B, 2). The inverse of
    shift * center * rotation * scale * shear y * shear x * center^-1.
    """
    angle, (shear_x, shear_y) = angles.double().deg2rad(), shears.double().deg2rad().unbind(1)
    a, c = (angle - shear_y).cos() / shear_y.cos(), (angle - shear_y).sin() / shear_y.cos()
    b, d = -(a * shear_x.tan() + angle.sin()), angle.cos() - c * shear_x.tan()
    # The determinant of rotation and shear is 1
    linear = torch.stack([d, -b, -c, a], dim=1).view(-1, 2, 2) / scales.double().view(-1, 1, 1)
    middle = torch.as_tensor(center, dtype=torch.float64)
    offset = middle - (linear @ (middle + shifts.double()).unsqueeze(2)).squeeze(2)
    return torch.cat([linear, offset.unsqueeze(2)], dim=2)


def _places(matrices: Tensor, images: Tensor) -> Tensor:
    """(B, H, W, 2) float32 on the images' device: where to look, in F.grid_sample's units."""
    height, width = images.shape[2:]
    scaled = matrices / torch.tensor([width / 2, height / 2], dtype=torch.float64).view(1, 2, 1)
    # A place is a complex number x + iy: one addition writes both coordinates side by side, where a product of
    # matrices with an inner side of three (F.affine_grid) takes thirty times as long
    numbers = torch.view_as_complex(scaled.transpose(1, 2).contiguous()).to(torch.complex64)
    across, down, offset = numbers.to(images.device).unsqueeze(2).unbind(1)
    rows, columns = (torch.arange(side, device=images.device) - (side - 1) / 2 for side in (height, width))
    return torch.view_as_real((down * rows + offset).unsqueeze(2) + (across * columns).unsqueeze(1))


def _sampled(sampling: Sampling, images: Tensor, matrices: Tensor) -> Tensor:
    fill = torch.as_tensor(sampling.fill, dtype=images.dtype).view(1, -1, 1, 1)
    black = not fill.any()
    fill = fill.to(images.device)
    # What is outside counts as 0
    source = images if black else images - fill
    found = F.grid_sample(source, _places(matrices, images), mode=sampling.interpolation, align_corners=False)
    return found if black else found.add_(fill)


def warp(images: Tensor, matrices: Tensor, sampling: Sampling) -> Tensor:
    """(B, C, H, W) float32, image b read at the places of matrices[b] (see affine_matrices), which are on the CPU."""
    return (one_by_one if loops.fit(images) else at_once)(images, matrices, sampling)


def one_by_one(images: Tensor, matrices: Tensor, sampling: Sampling) -> Tensor:
    """`warp` on a CPU."""
    maps, moved = matrices.double().numpy(), _moved(matrices).tolist()
    read = sampling.loop(images.shape[1])

    def work(given: np.ndarray, out: np.ndarray, start: int, stop: int) -> None:
        for b in range(start, stop):
            if moved[b]:
                read(given[b], maps[b], out[b])
            else:
                out[b] = given[b]

    return loops.on_images(images, work)


def at_once(images: Tensor, matrices: Tensor, sampling: Sampling) -> Tensor:
    """`warp` on any device."""
    return where_chosen(images, _moved(matrices), partial(_sampled, sampling), matrices)


def _moved(matrices: Tensor) -> Tensor:
    """(B,) which of the maps are not the identity."""
    return (matrices != torch.eye(2, 3, dtype=matrices.dtype)).any(dim=2).any(dim=1)


def rotate(images: Tensor, angles: Parameter, sampling: Sampling) -> Tensor:
    """(B, C, H, W) turned about the middle by degrees, counter-clockwise as in v2.functional.rotate."""
    angles = of_each(angles, images)
    still = torch.zeros(len(images), 2)
    return warp(images, affine_matrices(-angles, still, torch.ones(len(images)), still), sampling)


NEAREST, BILINEAR = Sampling("nearest"), Sampling("bilinear")


@dataclass(frozen=True)
class RandomAffine(Step):
    """Random rotation, shift, scale and shear about the middle, each uniform within its bounds: v2.RandomAffine.

    degrees: low, high. translate: largest shift as a share of the width and of the height; shifts are whole pixels.
    scale: low, high, > 0. shear: low, high along x and low, high along y, in degrees.
    """

    degrees: tuple[float, float] = (0.0, 0.0)
    translate: tuple[float, float] = (0.0, 0.0)
    scale: tuple[float, float] = (1.0, 1.0)
    shear: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)
    sampling: Sampling = NEAREST

    def __post_init__(self) -> None:
        if not all(0 <= share <= 1 for share in self.translate):
            raise InputError(f"translate: a share of the width and of the height is 0 to 1, not {self.translate}")
        if not 0 < self.scale[0] <= self.scale[1]:
            raise InputError(f"scale: goes from above 0 to as much or more, not {self.scale}")

    def draw(self, shape: torch.Size, generator: Generator) -> tuple[Tensor, ...]:
        """The maps, see affine_matrices."""
        count, _, height, width = shape
        angles = uniform((count,), self.degrees, generator)
        reach = torch.tensor([self.translate[0] * width, self.translate[1] * height], dtype=torch.float64)
        shifts = (uniform((count, 2), (-1.0, 1.0), generator) * reach).round()
        scales = uniform((count,), self.scale, generator)
        shears = [uniform((count,), bounds, generator) for bounds in (self.shear[:2], self.shear[2:])]
        return (affine_matrices(angles, shifts, scales, torch.stack(shears, dim=1)),)

    def apply(self, images: Tensor, *drawn: Tensor) -> Tensor:
        return warp(images, drawn[0], self.sampling)
