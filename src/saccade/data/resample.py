"""Crops of different places and sizes in one batch, resized to one size: on a GPU as two batched matrix products.

The filter is the antialiased bilinear one of `torchvision.transforms.v2.functional.resized_crop(antialias=True)`
(torch's `_upsample_bilinear2d_aa`): a triangle that spans one source pixel to each side, or `scale` of them when the
crop shrinks by `scale`. It is separable and linear: one matrix for the rows and one for the columns of each image.
"""

import numpy as np
import torch
from torch import Tensor

from saccade.data.preprocess import to_float
from saccade.kernels import kernel, on_threads


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

    images: (B, C, H, W) float32, or uint8 as stored. boxes: (B, 4) top, left, height, width in pixels, inside the image.
    mirrored: (B,) bool.
    Returns (B, C, size, size) float32 in the range of the images, or 0..1 of stored ones, as torchvision's
    resized_crop(antialias=True) does. On a CPU, ValueError for boxes that are not inside; a GPU is not waited for.
    """
    known = images.dtype in (torch.uint8, torch.float32) and not images.requires_grad
    crop = one_by_one if images.device.type == "cpu" and known else by_products
    if mirrored is None:
        mirrored = torch.zeros(len(images), dtype=torch.bool)
    return crop(images, boxes, size, mirrored)


def by_products(images: Tensor, boxes: Tensor, size: int, mirrored: Tensor) -> Tensor:
    """`resized_crop` of all images at once, by two matrix products for each."""
    images = to_float(images)
    count, channels, height, width = images.shape
    top, left, tall, wide = boxes.to(images.device, torch.float32).unbind(1)
    rows = triangle_weights(top, tall, size, height)
    columns = triangle_weights(left, wide, size, width)
    columns = torch.where(mirrored.to(images.device).view(-1, 1, 1), columns.flip(1), columns)
    # Autocast would round the pixels to 8 bits of mantissa, and that on some devices only
    with torch.autocast(images.device.type, enabled=False):
        # The channels join the rows for the first product: one large product for each image, no copy of `columns`
        narrowed = torch.bmm(images.reshape(count, channels * height, width).float(), columns.transpose(1, 2))
        return torch.matmul(rows.unsqueeze(1), narrowed.view(count, channels, height, size))


def one_by_one(images: Tensor, boxes: Tensor, size: int, mirrored: Tensor) -> Tensor:
    """`resized_crop` image by image on the CPU: rows that stay in the cache, and no weight that is zero."""
    count, channels, height, width = images.shape
    _check(boxes, mirrored, images.shape)
    # Channels that lie side by side, as in stored pixels, are worked with together; planes are images of one channel
    beside = channels if images.is_contiguous(memory_format=torch.channels_last) else 1
    rows = images.permute(0, 2, 3, 1) if beside == channels else images
    rows = rows.reshape(count * channels // beside, height, width * beside)
    pieces = torch.cat([boxes, mirrored[:, None].long()], dim=1).repeat_interleave(channels // beside, dim=0)
    out = np.empty((len(rows), beside, size, size), np.float32)
    numbers = rows.numpy(), pieces.numpy(), 1.0 if images.is_floating_point() else 1 / 255, out
    on_threads(lambda start, stop: _resize(*numbers, (start, stop)), len(rows))
    return torch.from_numpy(out).view(count, channels, size, size)


def _check(boxes: Tensor, mirrored: Tensor, shape: torch.Size) -> None:
    """ValueError unless each image has its box inside and its side: compiled loops would read other memory."""
    count, _, height, width = shape
    if boxes.shape != (count, 4) or mirrored.shape != (count,):
        raise ValueError(
            f"boxes and mirrored: {count} images have {(count, 4)} and {(count,)}, not {tuple(boxes.shape)} and "
            f"{tuple(mirrored.shape)}"
        )
    places, lengths = boxes.numpy()[:, :2], boxes.numpy()[:, 2:]
    # No sum of place and length, which may be more than an integer holds
    wrong = (places < 0) | (lengths < 1) | (lengths > np.array([height, width]) - places)
    if wrong.any():
        box = boxes[int(wrong.any(axis=1).argmax())].tolist()
        raise ValueError(f"the box {box} (top, left, height, width) leaves its image of {height} x {width} pixels")


@kernel
def _shares(length: int, mirrored: bool, places: np.ndarray, weights: np.ndarray) -> int:
    """The rows of `triangle_weights` in short: from places[i] on weights[:n, i]. Returns n, which is even."""
    size = len(places)
    scale = length / size
    reach = max(scale, 1.0)
    most = 0
    for i in range(size):
        center = (i + 0.5) * scale
        first = max(int(center - reach + 0.5), 0)
        count = min(int(center + reach + 0.5), length) - first
        most = max(most, count)
        total = 0.0
        for k in range(count):
            total += 1 - abs(first + k + 0.5 - center) / reach
        at = size - 1 - i if mirrored else i
        places[at] = first
        for k in range(len(weights)):
            weights[k, at] = (1 - abs(first + k + 0.5 - center) / reach) / total if k < count else 0
    return most + most % 2


@kernel
def _across(row: np.ndarray, places: np.ndarray, weights: np.ndarray, out: np.ndarray) -> None:
    """A row of pixels (W * C) resampled to (C, size), with two weights at a time."""
    channels, size = out.shape
    for k in range(0, len(weights), 2):
        for c in range(channels):
            one, other = row[k * channels + c :], row[(k + 1) * channels + c :]
            for j in range(size):
                value = weights[k, j] * one[places[j]] + weights[k + 1, j] * other[places[j]]
                out[c, j] = value if k == 0 else out[c, j] + value


@kernel
def _across_three(row: np.ndarray, places: np.ndarray, weights: np.ndarray, out: np.ndarray) -> None:
    """`_across` of three channels, which share their weights and places: a sixth less time for the whole crop."""
    for k in range(0, len(weights), 2):
        some = row[3 * k :]
        for j in range(len(places)):
            at, left, right = places[j], weights[k, j], weights[k + 1, j]
            red = left * some[at] + right * some[at + 3]
            green = left * some[at + 1] + right * some[at + 4]
            blue = left * some[at + 2] + right * some[at + 5]
            out[0, j] = red if k == 0 else out[0, j] + red
            out[1, j] = green if k == 0 else out[1, j] + green
            out[2, j] = blue if k == 0 else out[2, j] + blue


@kernel
def _resize(rows: np.ndarray, pieces: np.ndarray, unit: float, out: np.ndarray, part: tuple[int, int]) -> None:
    """rows (N, H, W * C), times unit -> out (N, C, size, size); pieces (N, 5): top, left, height, width, mirrored."""
    channels, size = out.shape[1:3]
    most = 2 * int(np.ceil(max(1, rows.shape[1] / size, rows.shape[2] / (channels * size)))) + 2
    across, columns = np.empty(size, np.int64), np.empty((most, size), np.float32)
    down, lines = np.empty(size, np.int64), np.empty((most, size), np.float32)
    row, ring = np.empty(rows.shape[2] + most * channels, np.float32), np.empty((most, channels, size), np.float32)
    for b in range(part[0], part[1]):
        top, left, tall, wide, mirrored = pieces[b]
        wanted = columns[: _shares(wide, mirrored, across, columns)]
        across *= channels
        taps = _shares(tall, False, down, lines)
        # Weights of zero fall on what is beyond the piece, where no NaN may be
        row[wide * channels :] = 0
        ring[:taps] = 0
        done = 0
        for i in range(size):
            while done < min(down[i] + taps, tall):
                given = rows[b, top + done, left * channels : (left + wide) * channels]
                for x in range(len(given)):
                    # float64 gives the float32 that is nearest to x / 255
                    row[x] = given[x] * unit
                if channels == 3:
                    _across_three(row, across, wanted, ring[done % taps])
                else:
                    _across(row, across, wanted, ring[done % taps])
                done += 1
            for k in range(0, taps, 2):
                one, other = ring[(down[i] + k) % taps], ring[(down[i] + k + 1) % taps]
                for c in range(channels):
                    for j in range(size):
                        value = lines[k, i] * one[c, j] + lines[k + 1, i] * other[c, j]
                        out[b, c, i, j] = value if k == 0 else out[b, c, i, j] + value
