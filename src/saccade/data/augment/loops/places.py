"""One image read at other places: nearest pixel or bilinear."""

import numpy as np

from saccade.kernels import kernel


@kernel
def _framed(image: np.ndarray, fill: np.ndarray) -> np.ndarray:
    """The image (C, H, W) with a pixel of fill (C,) around, and one more right and below, as (C, pixels)."""
    channels, height, width = image.shape
    frame = np.empty((channels, height + 3, width + 3), np.float32)
    for c in range(channels):
        frame[c, 0], frame[c, height + 1], frame[c, height + 2] = fill[c], fill[c], fill[c]
        for i in range(height):
            row, line = image[c, i], frame[c, i + 1, 1:]
            frame[c, i + 1, 0], line[width], line[width + 1] = fill[c], fill[c], fill[c]
            for j in range(width):
                line[j] = row[j]
    return frame.reshape((channels, (height + 3) * (width + 3)))


@kernel
def _places(matrix: np.ndarray, i: int, sides: tuple[int, int], across: np.ndarray, down: np.ndarray) -> None:
    """Where row i of the result is read: columns and rows of the image, float64 (W,), at most a pixel outside.

    matrix: (2, 3) of `geometry.affine_matrices`.
    """
    height, width = sides
    y = i - (height - 1) / 2
    for j in range(width):
        x = j - (width - 1) / 2
        across[j] = min(max(matrix[0, 0] * x + matrix[0, 1] * y + matrix[0, 2] + (width - 1) / 2, -1.0), width)
        down[j] = min(max(matrix[1, 0] * x + matrix[1, 1] * y + matrix[1, 2] + (height - 1) / 2, -1.0), height)


@kernel
def nearest(image: np.ndarray, matrix: np.ndarray, fill: np.ndarray, out: np.ndarray) -> None:
    """The image (C, H, W) read at the places of the matrix; fill: (C,), what is outside."""
    channels, height, width = image.shape
    framed = _framed(image, fill)
    across, down, index = np.empty(width), np.empty(width), np.empty(width, np.uint32)
    for i in range(height):
        _places(matrix, i, (height, width), across, down)
        for j in range(width):
            index[j] = (np.int32(np.rint(down[j])) + 1) * (width + 3) + np.int32(np.rint(across[j])) + 1
        for c in range(channels):
            here = framed[c]
            for j in range(width):
                out[c, i, j] = here[index[j]]


@kernel
def bilinear(image: np.ndarray, matrix: np.ndarray, fill: np.ndarray, out: np.ndarray) -> None:
    """As `nearest`, a mean of the four pixels around each place."""
    channels, height, width = image.shape
    framed = _framed(image, fill)
    across, down, index = np.empty(width), np.empty(width), np.empty(width, np.uint32)
    rightward, downward = np.empty(width, np.float32), np.empty(width, np.float32)
    for i in range(height):
        _places(matrix, i, (height, width), across, down)
        for j in range(width):
            left, top = np.floor(across[j]), np.floor(down[j])
            rightward[j], downward[j] = across[j] - left, down[j] - top
            index[j] = (np.int32(top) + 1) * (width + 3) + np.int32(left) + 1
        for c in range(channels):
            here, below = framed[c], framed[c, width + 3 :]
            beside, opposite = here[1:], below[1:]
            for j in range(width):
                at = index[j]
                upper = here[at] + rightward[j] * (beside[at] - here[at])
                lower = below[at] + rightward[j] * (opposite[at] - below[at])
                out[c, i, j] = upper + downward[j] * (lower - upper)
