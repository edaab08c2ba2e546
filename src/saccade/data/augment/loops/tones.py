"""Solarize, autocontrast, posterize and equalize of one image."""

import numpy as np

from saccade.kernels import kernel

LEVELS = 256
# In float32 as the images are: one float64 among the numbers would make all of the arithmetic float64
TOP = np.float32(LEVELS - 1e-3)
ZERO, ONE = np.float32(0), np.float32(1)


@kernel
def solarize(image: np.ndarray, threshold: float, out: np.ndarray) -> None:
    """`tones.solarize` of (C, pixels)."""
    least = np.float32(threshold)
    for c in range(len(image)):
        for i in range(image.shape[1]):
            value = image[c, i]
            out[c, i] = ONE - value if value >= least else value


@kernel
def autocontrast(image: np.ndarray, out: np.ndarray) -> None:
    """`tones.autocontrast` of (C, H, W)."""
    for c in range(len(image)):
        # A row of extremes, because processors compare many numbers at once, but not with one another
        lows, highs = image[c, 0].copy(), image[c, 0].copy()
        for i in range(1, image.shape[1]):
            row = image[c, i]
            for j in range(len(row)):
                lows[j] = min(lows[j], row[j])
                highs[j] = max(highs[j], row[j])
        low, high = lows.min(), highs.max()
        low, scale = (low, ONE / (high - low)) if high > low else (ZERO, ONE)
        for i in range(image.shape[1]):
            row, line = image[c, i], out[c, i]
            for j in range(len(row)):
                line[j] = min(max((row[j] - low) * scale, ZERO), ONE)


@kernel
def _levels(plane: np.ndarray, out: np.ndarray) -> None:
    """0 to 255 of any number: 0 of NaN, of which no comparison is true and which would be an index anywhere."""
    for i in range(len(plane)):
        out[i] = np.uint32(min(plane[i] * TOP, TOP)) if plane[i] > ZERO else np.uint32(0)


@kernel
def _look_up(levels: np.ndarray, table: np.ndarray, out: np.ndarray) -> None:
    for i in range(len(levels)):
        out[i] = table[levels[i]]


@kernel
def posterize(image: np.ndarray, bits: float, out: np.ndarray) -> None:
    """`tones.posterize` of (C, pixels), bits < 8."""
    levels, table = np.empty(image.shape[1], np.uint8), np.empty(LEVELS, np.float32)
    step = 2 ** (8 - int(bits))
    for level in range(LEVELS):
        table[level] = (level - level % step) / 255
    for c in range(len(image)):
        _levels(image[c], levels)
        _look_up(levels, table, out[c])


@kernel
def _count(levels: np.ndarray, counts: np.ndarray) -> None:
    """counts (4, LEVELS): how often each level is met, in four places at once, as equal levels in a row wait for one
    another; their sum counts."""
    counts[:] = 0
    first, second, third, fourth = counts
    quarter = len(levels) // 4
    one, two, three, four = levels, levels[quarter:], levels[2 * quarter :], levels[3 * quarter :]
    for i in range(quarter):
        first[one[i]] += 1
        second[two[i]] += 1
        third[three[i]] += 1
        fourth[four[i]] += 1
    for i in range(quarter, len(four)):
        fourth[four[i]] += 1


@kernel
def equalize(image: np.ndarray, out: np.ndarray) -> None:
    """`tones.equalize` of (C, pixels)."""
    pixels = image.shape[1]
    levels, parts, table = np.empty(pixels, np.uint8), np.empty((4, LEVELS), np.int64), np.empty(LEVELS, np.float32)
    for c in range(len(image)):
        _levels(image[c], levels)
        _count(levels, parts)
        counts, brightest = parts.sum(axis=0), LEVELS - 1
        while counts[brightest] == 0 and brightest > 0:
            brightest -= 1
        step = (pixels - counts[brightest]) // 255
        below = 0
        for level in range(LEVELS):
            table[level] = (min((below + step // 2) // step, 255) if step else level) / 255
            below += counts[level]
        _look_up(levels, table, out[c])
