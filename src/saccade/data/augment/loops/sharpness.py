"""Sharpness of one image."""

import numpy as np

from saccade.kernels import kernel

ZERO, ONE = np.float32(0), np.float32(1)


@kernel
def sharpen(image: np.ndarray, factor: float, out: np.ndarray) -> None:
    """`sharpness.adjust_sharpness` of (C, H, W)."""
    channels, height, width = image.shape
    away = np.float32(1 - factor)
    out[:] = image
    if min(height, width) < 3:
        return
    for c in range(channels):
        for i in range(1, height - 1):
            above, row, below, line = image[c, i - 1], image[c, i], image[c, i + 1], out[c, i]
            for j in range(width - 2):
                left, middle = above[j] + row[j] + below[j], above[j + 1] + np.float32(5) * row[j + 1] + below[j + 1]
                smooth = (left + middle + above[j + 2] + row[j + 2] + below[j + 2]) * np.float32(1 / 13)
                value = row[j + 1] + away * (smooth - row[j + 1])
                line[j + 1] = min(max(value, ZERO), ONE)
