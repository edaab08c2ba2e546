"""Crops of different places and sizes in one batch, resized to one size as two batched matrix products.

The filter is the antialiased bilinear one of `torchvision.transforms.v2.functional.resized_crop(antialias=True)`
(torch's `_upsample_bilinear2d_aa`): a triangle that spans one source pixel to each side, or `scale` of them when the
crop shrinks by `scale`. It is separable and linear: one matrix for the rows and one for the columns of each image.
"""

import torch
from torch import Tensor


def triangle_weights(starts: Tensor, lengths: Tensor, size: int, side: int) -> Tensor:
    """Row i says how much each of `side` source pixels gives to output pixel i of the piece [start, start + length).

    starts, lengths: (B,) float32 in source pixels, 0 <= start, 0 < length, start + length <= side.
    Returns (B, size, side) float32: rows of non-negative weights that sum to 1, zero outside the piece.
    """
    starts, lengths = starts.view(-1, 1, 1), lengths.view(-1, 1, 1)
    scale = lengths / size
    pixels = torch.arange(side, device=starts.device, dtype=torch.float32)
    centers = starts + (torch.arange(size, device=starts.device, dtype=torch.float32).view(1, -1, 1) + 0.5) * scale
    weights = (1 - (pixels + 0.5 - centers).abs() / scale.clamp(min=1)).clamp_(min=0)
    # A pixel counts when the piece covers any of it, so that a piece thinner than a pixel still has one
    weights *= (pixels + 1 > starts) & (pixels < starts + lengths)
    return weights / weights.sum(dim=2, keepdim=True)


def resized_crop(images: Tensor, boxes: Tensor, size: int, mirrored: Tensor | None = None) -> Tensor:
    """Image b cut to boxes[b] and resized to size x size, mirrored left to right where mirrored[b].

    images: (B, C, H, W) float32. boxes: (B, 4) top, left, height, width in pixels, inside the image.
    mirrored: (B,) bool.
    Returns (B, C, size, size) float32 in the range of the images, as torchvision's resized_crop(antialias=True) does.
    """
    count, channels, height, width = images.shape
    top, left, tall, wide = boxes.to(images.device, torch.float32).unbind(1)
    rows = triangle_weights(top, tall, size, height)
    columns = triangle_weights(left, wide, size, width)
    if mirrored is not None:
        columns = torch.where(mirrored.to(images.device).view(-1, 1, 1), columns.flip(1), columns)
    # Autocast would round the pixels to 8 bits of mantissa, and that on some devices only
    with torch.autocast(images.device.type, enabled=False):
        # The channels join the rows for the first product: one large product for each image, no copy of `columns`
        narrowed = torch.bmm(images.reshape(count, channels * height, width).float(), columns.transpose(1, 2))
        return torch.matmul(rows.unsqueeze(1), narrowed.view(count, channels, height, size))
