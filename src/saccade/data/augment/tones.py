"""Operations on tones alone: invert, solarize, posterize, autocontrast, equalize, as in v2.functional.

Images are (B, C, H, W) in 0..1. PIL and the papers define posterize and equalize on 8-bit values, so here a value is
first put on one of 256 levels, floor(255.999 x), as torchvision's conversion to uint8 does: values that are multiples of
1/255 give what torchvision gives for the uint8 image, divided by 255.
"""

import torch
from torch import Tensor

from saccade.data.augment.rows import Parameter, beside, of_each, where_chosen

BITS = 8
LEVELS = 2**BITS


def levels(images: Tensor) -> Tensor:
    """The 8-bit value of each pixel, 0 to 255, still floating-point."""
    # Sums of weights that are 1 but for rounding may have led to values just below 0 or above 1; levels are indices, which
    # NaN cannot be
    return (images * (LEVELS - 1e-3)).floor_().nan_to_num_(0).clamp_(0, LEVELS - 1)


def invert(images: Tensor) -> Tensor:
    """1 - x."""
    return 1 - images


def solarize(images: Tensor, thresholds: Parameter) -> Tensor:
    """1 - x where x >= threshold, 0 to 1."""
    bright = torch.ge(images, beside(of_each(thresholds, images), images), out=torch.empty_like(images))
    # A weight of 0 or 1 gives either number exactly, in a sixth of the time of torch.where
    return torch.lerp(images, 1 - images, bright)


def posterize(images: Tensor, bits: Parameter) -> Tensor:
    """Only the leading bits, 0 to 8, of each 8-bit value; all 8 of them are the image itself, bit for bit."""
    bits = of_each(bits, images)
    return where_chosen(images, bits < BITS, _leading_bits, bits)


def _leading_bits(images: Tensor, bits: Tensor) -> Tensor:
    step = beside(2.0 ** (BITS - bits), images)
    return levels(images).div_(step).floor_().mul_(step).div_(LEVELS - 1)


def autocontrast(images: Tensor) -> Tensor:
    """Each channel stretched to 0..1, (x - min) / (max - min); an even channel stays."""
    low, high = images.amin(dim=(2, 3), keepdim=True), images.amax(dim=(2, 3), keepdim=True)
    even = low == high
    low, span = low.masked_fill(even, 0), (high - low).masked_fill(even, 1)
    return (images - low).div_(span).clamp_(0, 1)


def equalize(images: Tensor) -> Tensor:
    """Each channel's histogram made flat by PIL's integer rule (ImageOps.equalize), on 8-bit values.

    step = (pixels - pixels of the brightest level) // 255; level v becomes (pixels below v + step // 2) // step. With a
    step of 0 the levels stay.
    """
    count, channels, height, width = images.shape
    index = levels(images).long().view(count, channels, -1)
    histogram = index.new_zeros((count, channels, LEVELS), dtype=torch.int32)
    histogram.scatter_add_(2, index, histogram.new_ones(1).expand_as(index))
    brightest = histogram.cumsum(2).argmax(dim=2, keepdim=True)
    step = (height * width - histogram.gather(2, brightest)).div_(LEVELS - 1, rounding_mode="floor")
    below = histogram.cumsum(2) - histogram
    table = (below + step // 2).div_(step.clamp(min=1), rounding_mode="floor").clamp_(max=LEVELS - 1)
    table = torch.where(step > 0, table, torch.arange(LEVELS, device=images.device))
    return (table.to(images.dtype) / (LEVELS - 1)).gather(2, index).view(count, channels, height, width)
