"""Blurring and sharpening of whole batches: v2.functional.gaussian_blur and adjust_sharpness."""

import math
from dataclasses import dataclass

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from saccade.data.augment.draws import chance, uniform
from saccade.data.augment.rows import Parameter, beside, of_each, where_chosen
from saccade.data.augment.step import Step
from saccade.errors import InputError


def adjust_sharpness(images: Tensor, factors: Parameter) -> Tensor:
    """clamp(f * x + (1 - f) * smoothed): 0 is smooth, 1 the image, 2 sharp.

    smoothed: each pixel 5/13, its eight neighbours 1/13 each; the outermost pixels stay, and images of less than 3
    pixels a side stay whole. images: (B, C, H, W) in 0..1. factors: (B,) or one, >= 0.
    """
    if min(images.shape[2:]) < 3:
        return images
    out = images.clone()
    middle = out[..., 1:-1, 1:-1]
    # Sums of shifted copies, first down, then across: a convolution with three groups takes a hundred times as long
    down = (images[..., :-2, :] + images[..., 2:, :]).add_(images[..., 1:-1, :])
    away = (down[..., :-2] + down[..., 2:]).add_(down[..., 1:-1])
    away.add_(middle, alpha=4).div_(13).sub_(middle)
    middle.addcmul_(away, beside(1 - of_each(factors, images), images))
    return out.clamp_(0, 1)


def gaussian_blur(images: Tensor, kernel: int, sigmas: Parameter) -> Tensor:
    """Each image convolved with its own Gaussian, cut off at `kernel` pixels (odd), the border reflected.

    images: (B, C, H, W). sigmas: (B,) or one, > 0. The samples of the Gaussian are torchvision's: a step is
    1 / sqrt(2) of a pixel in exp(-(x / sigma)^2).
    """
    count, channels, height, width = images.shape
    reach = kernel // 2
    places = torch.arange(-reach, reach + 1, dtype=torch.float64) / math.sqrt(2)
    weights = torch.softmax(-((places / of_each(sigmas, images)[:, None].double()) ** 2), dim=1)
    weights = weights.to(images.device, images.dtype).repeat_interleave(channels, dim=0)
    padded = F.pad(images, (reach,) * 4, mode="reflect").view(1, count * channels, height + 2 * reach, width + 2 * reach)
    with torch.autocast(images.device.type, enabled=False):
        across = F.conv2d(padded, weights[:, None, None, :], groups=count * channels)
        blurred = F.conv2d(across, weights[:, None, :, None], groups=count * channels)
    return blurred.view(images.shape)


@dataclass(frozen=True)
class GaussianBlur(Step):
    """A Gaussian of uniform sigma within bounds (pixels) with probability p: v2.GaussianBlur within v2.RandomApply."""

    kernel: int
    sigma: tuple[float, float] = (0.1, 2.0)
    p: float = 1.0

    def __post_init__(self) -> None:
        if self.kernel < 1 or self.kernel % 2 == 0:
            raise InputError(f"blur: the kernel is an odd number of pixels, not {self.kernel}")
        if not 0 < self.sigma[0] <= self.sigma[1]:
            raise InputError(f"blur: sigma goes from above 0 to as much or more, not {self.sigma}")

    def draw(self, shape: torch.Size, generator: Generator) -> tuple[Tensor, ...]:
        """Whether, and sigma."""
        return chance(shape[0], self.p, generator), uniform((shape[0],), self.sigma, generator)

    def apply(self, images: Tensor, *drawn: Tensor) -> Tensor:
        """Every side is longer than half the kernel."""
        chosen, sigmas = drawn
        return where_chosen(images, chosen, lambda some, each: gaussian_blur(some, self.kernel, each), sigmas)
