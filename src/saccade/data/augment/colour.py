"""Colours of whole batches, each image with its own factor: v2.functional's adjust_* and rgb_to_grayscale.

Images are (B, 1 or 3, H, W) in 0..1. A factor is one number for all images or (B,) on the CPU.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Generator, Tensor

from saccade.data.augment import loops
from saccade.data.augment.draws import uniform
from saccade.data.augment.loops import colours
from saccade.data.augment.loops.colours import BRIGHTNESS, CONTRAST, GREY, HUE, SATURATION
from saccade.data.augment.rows import Parameter, of_each, where_chosen
from saccade.data.augment.step import Step
from saccade.errors import InputError


def check_channels(channels: int) -> None:
    """ValueError for images that are neither grey nor red, green and blue."""
    if channels not in (1, 3):
        raise ValueError(f"colours are those of images of 1 or 3 channels, not {channels}")


def grey(images: Tensor) -> Tensor:
    """(B, 1, H, W): the luma of three channels; one channel is grey already."""
    check_channels(images.shape[1])
    if images.shape[1] == 1:
        return images
    red, green, blue = images.unbind(1)
    return (red * GREY[0]).add_(green, alpha=GREY[1]).add_(blue, alpha=GREY[2]).unsqueeze(1)


def grayscale(images: Tensor) -> Tensor:
    """The luma in every channel: v2.functional.rgb_to_grayscale with as many channels as there were."""
    return grey(images).expand_as(images)


def recolour(images: Tensor, operations: Tensor, factors: Tensor) -> Tensor:
    """Apply to image b the operations[b] in turn, each clamp(f * x + (1 - f) * other) with its factors[b].

    images: (B, 1 or 3, H, W) in 0..1. operations: (B, K) of BRIGHTNESS (other = 0), CONTRAST (the mean of the grey
    image), SATURATION (the grey image), and HUE, whose factor is the shift of `adjust_hue`. factors: (B, K), >= 0 but
    for HUE. Equal to v2.functional.adjust_* one after the other.
    """
    return (one_by_one if loops.fit(images) else at_once)(images, operations, factors)


def one_by_one(images: Tensor, operations: Tensor, factors: Tensor) -> Tensor:
    """`recolour` on a CPU."""
    check_channels(images.shape[1])
    codes, numbers = (each.numpy() for each in torch.broadcast_tensors(operations, factors))

    def work(given: np.ndarray, out: np.ndarray, start: int, stop: int) -> None:
        for b in range(start, stop):
            out[b] = given[b]
            colours.recolour(out[b].reshape(len(out[b]), -1), codes[b], numbers[b])

    return loops.on_images(images, work)


def at_once(images: Tensor, operations: Tensor, factors: Tensor) -> Tensor:
    """`recolour` on any device."""
    hue = operations == HUE
    hued, shifts = hue.any(dim=0).tolist(), factors
    factors = torch.where(hue, 1.0, factors).to(images.dtype)
    # The other image is luma * luma's share + mean * mean's share, of which one is 0 and the other 1 - f
    rest = torch.where(operations == BRIGHTNESS, 0, 1 - factors)
    of_luma = rest * (operations == SATURATION)
    shares = torch.stack([factors, of_luma, rest - of_luma]).to(images.device)
    # One result, then in place: less memory for the whole batch
    images = images.contiguous()
    out = torch.empty_like(images)
    for k, (factor, luma_share, mean_share) in enumerate(shares[..., None, None, None].unbind(2)):
        luma = grey(images)
        other = (luma * luma_share).add_(luma.mean(dim=(1, 2, 3), keepdim=True) * mean_share)
        images = torch.addcmul(other, images, factor, out=out).clamp_(0, 1)
        if hued[k]:
            images = where_chosen(images, hue[:, k], adjust_hue, shifts[:, k])
    return images


def _alone(images: Tensor, operation: int, factors: Parameter) -> Tensor:
    factors = of_each(factors, images)[:, None]
    return recolour(images, torch.full_like(factors, operation, dtype=torch.int64), factors)


def adjust_brightness(images: Tensor, factors: Parameter) -> Tensor:
    """clamp(f * x): 0 is black, 1 the image."""
    return _alone(images, BRIGHTNESS, factors)


def adjust_contrast(images: Tensor, factors: Parameter) -> Tensor:
    """clamp(f * x + (1 - f) * mean of the grey image): 0 is even grey, 1 the image."""
    return _alone(images, CONTRAST, factors)


def adjust_saturation(images: Tensor, factors: Parameter) -> Tensor:
    """clamp(f * x + (1 - f) * grey image): 0 is grey, 1 the image. One channel has no saturation and stays."""
    return images if images.shape[1] == 1 else _alone(images, SATURATION, factors)


def adjust_hue(images: Tensor, shifts: Parameter) -> Tensor:
    """The hue turned by a share of the whole circle, -0.5 to 0.5; lightness and saturation (of HSV) stay.

    One channel has no hue, and a shift of 0 is no change, bit for bit.
    """
    check_channels(images.shape[1])
    if images.shape[1] == 1:
        return images
    shifts = of_each(shifts, images)
    return where_chosen(images, shifts != 0, _turn_hue, shifts)


def _turn_hue(images: Tensor, shifts: Tensor) -> Tensor:
    """Each channel from the hexagon of HSV: value - chroma * clamp(min(k, 4 - k), 0, 1), k = (n + 6 hue) mod 6."""
    red, green, blue = images.unbind(1)
    value = images.amax(dim=1)
    chroma = value - images.amin(dim=1)
    divisor = chroma.clamp(min=1e-12)  # of grey pixels, whose sextant means nothing
    in_red, in_green = (torch.eq(value, each, out=torch.empty_like(value)) for each in (red, green))
    sextant = torch.lerp((red - green).div_(divisor).add_(4), (blue - red).div_(divisor).add_(2), in_green)
    sextant = sextant.lerp_((green - blue).div_(divisor), in_red).add_(6 * shifts.to(images).view(-1, 1, 1))
    out = torch.empty_like(images)
    for channel, n in enumerate((5, 3, 1)):
        k = sextant + n
        k.sub_((k / 6).floor_(), alpha=6)
        torch.addcmul(value, chroma, torch.minimum(k, 4 - k).clamp_(0, 1), value=-1, out=out[:, channel])
    return out


@dataclass(frozen=True)
class ColorJitter(Step):
    """Random brightness, contrast, saturation and hue in a random order: v2.ColorJitter.

    Each factor is uniform in [max(0, 1 - strength), 1 + strength], the shift of the hue in [-hue, hue], hue <= 0.5. A
    strength of 0 leaves that operation out, and grey images have no saturation and hue to change.
    """

    brightness: float = 0
    contrast: float = 0
    saturation: float = 0
    hue: float = 0

    def __post_init__(self) -> None:
        if min(self.brightness, self.contrast, self.saturation) < 0 or not 0 <= self.hue <= 0.5:
            raise InputError(f"brightness, contrast and saturation are at least 0, and hue is 0 to 0.5, not {self}")

    def bounds(self, channels: int) -> dict[int, tuple[float, float]]:
        """Of the operations that do something: between what their factor is drawn."""
        strengths = {BRIGHTNESS: self.brightness, CONTRAST: self.contrast}
        if channels > 1:
            strengths[SATURATION] = self.saturation
        found = {operation: (max(0.0, 1 - s), 1 + s) for operation, s in strengths.items() if s > 0}
        return found | ({HUE: (-self.hue, self.hue)} if self.hue and channels > 1 else {})

    def draw(self, shape: torch.Size, generator: Generator) -> tuple[Tensor, ...]:
        """Operations and factors (B, K) of `recolour`."""
        count, bounds = shape[0], self.bounds(shape[1])
        if not bounds:
            return ()
        drawn = [uniform((count,), each, generator) for each in bounds.values()]
        # The ranks of independent uniform numbers are a uniformly random order
        order = torch.rand((count, len(bounds)), generator=generator, dtype=torch.float64).argsort(dim=1)
        return torch.tensor(list(bounds))[order], torch.stack(drawn, dim=1).gather(1, order)

    def apply(self, images: Tensor, *drawn: Tensor) -> Tensor:
        return recolour(images, *drawn) if drawn else images
