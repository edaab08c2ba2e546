"""One image read at other places: nearest pixel or bilinear."""

import numpy as np

from saccade.kernels import kernel

ONE = np.int32(1)  # a Python number among them would make the arithmetic of places int64


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
def _shift(image: np.ndarray, matrix: np.ndarray, fill: np.ndarray, out: np.ndarray) -> bool:
    """Whether the matrix only shifts by whole pixels: the rows are copied then, in half the time of looking pixels up."""
    _, height, width = image.shape
    across, down = matrix[0, 2], matrix[1, 2]
    turned = matrix[0, 0] != 1 or matrix[0, 1] != 0 or matrix[1, 0] != 0 or matrix[1, 1] != 1
    if turned or across != np.rint(across) or down != np.rint(down):
        return False
    left, top = int(min(max(across, -width), width)), int(min(max(down, -height), height))
    first, last = max(0, -left), min(width, width - left)  # columns of the result that lie in the image
    for c in range(len(image)):
        for i in range(height):
            line = out[c, i]
            line[:] = fill[c]
            if 0 <= top + i < height:
                row, inside = image[c, top + i, left + first :], line[first:]
                for j in range(last - first):
                    inside[j] = row[j]
    return True


@kernel
def _within(place: float, side: int) -> float:
    """The place, or -1 or the side where it is farther out; -1 of NaN, of which no comparison is true."""
    return min(place, side) if place > -1 else -1.0


@kernel
def _place(matrix: np.ndarray, i: int, j: int, sides: tuple[int, int]) -> tuple[float, float]:
    """Where pixel (i, j) of the result is read: column and row of the image, float64, at most a pixel outside.

    matrix: (2, 3) of `geometry.affine_matrices`.
    """
    height, width = sides
    x, y = j - (width - 1) / 2, i - (height - 1) / 2
    across = matrix[0, 0] * x + matrix[0, 1] * y + matrix[0, 2] + (width - 1) / 2
    down = matrix[1, 0] * x + matrix[1, 1] * y + matrix[1, 2] + (height - 1) / 2
    return _within(across, width), _within(down, height)


@kernel
def nearest(image: np.ndarray, matrix: np.ndarray, fill: np.ndarray, out: np.ndarray) -> None:
    """The image (C, H, W) read at the places of the matrix; fill: (C,), what is outside."""
    if _shift(image, matrix, fill, out):
        return
    channels, height, width = image.shape
    framed, index, stride = _framed(image, fill), np.empty(width, np.uint32), np.int32(width + 3)
    for i in range(height):
        for j in range(width):
            across, down = _place(matrix, i, j, (height, width))
            index[j] = (np.int32(np.rint(down)) + ONE) * stride + np.int32(np.rint(across)) + ONE
        for c in range(channels):
            here = framed[c]
            for j in range(width):
                out[c, i, j] = here[index[j]]


@kernel
def bilinear(image: np.ndarray, matrix: np.ndarray, fill: np.ndarray, out: np.ndarray) -> None:
    """As `nearest`, a mean of the four pixels around each place."""
    if _shift(image, matrix, fill, out):
        return
    channels, height, width = image.shape
    framed, index, stride = _framed(image, fill), np.empty(width, np.uint32), np.int32(width + 3)
    rightward, downward = np.empty(width, np.float32), np.empty(width, np.float32)
    for i in range(height):
        for j in range(width):
            across, down = _place(matrix, i, j, (height, width))
            left, top = np.floor(across), np.floor(down)
            rightward[j], downward[j] = across - left, down - top
            index[j] = (np.int32(top) + ONE) * stride + np.int32(left) + ONE
        for c in range(channels):
            here, below = framed[c], framed[c, stride:]
            beside, opposite = here[1:], below[1:]
            for j in range(width):
                at = index[j]
                upper = here[at] + rightward[j] * (beside[at] - here[at])
                lower = below[at] + rightward[j] * (opposite[at] - below[at])
                out[c, i, j] = upper + downward[j] * (lower - upper)
