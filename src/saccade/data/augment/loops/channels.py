"""Channels that lie side by side put into planes, one behind the other."""

import numpy as np

from saccade.kernels import kernel


@kernel
def apart(pixels: np.ndarray, unit: float, planes: np.ndarray, part: tuple[int, int]) -> None:
    """These images (B, H, W * 3), times unit and written as (B, 3, H, W)."""
    for b in range(part[0], part[1]):
        for i in range(pixels.shape[1]):
            row, red, green, blue = pixels[b, i], planes[b, 0, i], planes[b, 1, i], planes[b, 2, i]
            for j in range(len(red)):
                red[j] = row[3 * j] * unit
                green[j] = row[3 * j + 1] * unit
                blue[j] = row[3 * j + 2] * unit
