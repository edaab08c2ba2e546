"""Brightness, contrast, saturation and hue of one image."""

import numpy as np

from saccade.kernels import kernel

BRIGHTNESS, CONTRAST, SATURATION, HUE = range(4)
# ITU-R 601 luma, rounded as in torchvision's rgb_to_grayscale
GREY = (0.2989, 0.587, 0.114)
RED, GREEN, BLUE = (np.float32(share) for share in GREY)
# In float32 as the images are: one float64 among the numbers would make all of the arithmetic float64
ZERO, ONE, TWO, FOUR, SIX = (np.float32(number) for number in (0, 1, 2, 4, 6))
LEAST_CHROMA = np.float32(1e-12)  # of grey pixels, whose sextant means nothing
BLOCK = 1024  # pixels whose luma is summed in float32


@kernel
def _mean_luma(image: np.ndarray) -> float:
    """The mean of the grey image of (C, pixels)."""
    total = 0.0
    for start in range(0, image.shape[1], BLOCK):
        luma = np.float32(0)
        if len(image) == 3:
            red, green, blue = image[0, start:], image[1, start:], image[2, start:]
            for i in range(min(len(red), BLOCK)):
                luma += RED * red[i] + GREEN * green[i] + BLUE * blue[i]
        else:
            plane = image[0, start:]
            for i in range(min(len(plane), BLOCK)):
                luma += plane[i]
        total += float(luma)
    return total / image.shape[1]


@kernel
def _blend(image: np.ndarray, shares: tuple[np.float32, np.float32, np.float32]) -> None:
    """clamp(factor * x + of_luma * luma + rest), in place."""
    factor, of_luma, rest = shares
    if len(image) == 3:
        for i in range(image.shape[1]):
            red, green, blue = image[0, i], image[1, i], image[2, i]
            other = of_luma * (RED * red + GREEN * green + BLUE * blue) + rest
            image[0, i] = min(max(factor * red + other, ZERO), ONE)
            image[1, i] = min(max(factor * green + other, ZERO), ONE)
            image[2, i] = min(max(factor * blue + other, ZERO), ONE)
    else:
        for i in range(image.shape[1]):
            image[0, i] = min(max((factor + of_luma) * image[0, i] + rest, ZERO), ONE)


@kernel
def _turn_hue(image: np.ndarray, shift: np.float32) -> None:
    """`colour.adjust_hue` of (3, pixels), in place."""
    for i in range(image.shape[1]):
        red, green, blue = image[0, i], image[1, i], image[2, i]
        value = max(red, max(green, blue))
        chroma = value - min(red, min(green, blue))
        share = ONE / max(chroma, LEAST_CHROMA)
        sextant = (red - green) * share + FOUR
        sextant = (blue - red) * share + TWO if value == green else sextant
        sextant = (green - blue) * share if value == red else sextant
        sextant += SIX * shift
        for c in range(3):
            k = sextant + np.float32(5 - 2 * c)
            k -= SIX * np.floor(k / SIX)
            image[c, i] = value - chroma * min(max(min(k, FOUR - k), ZERO), ONE)


@kernel
def tint(image: np.ndarray, code: int, factor: float) -> None:
    """One operation of `colour.recolour` on (C, pixels), in place: a loop from one array to another, which might be the
    same one, would not be given to vector units."""
    number = np.float32(factor)
    if code == HUE:
        if number != 0 and len(image) == 3:
            _turn_hue(image, number)
    else:
        of_luma = ONE - number if code == SATURATION else ZERO
        rest = (ONE - number) * np.float32(_mean_luma(image)) if code == CONTRAST else ZERO
        _blend(image, (number, of_luma, rest))


@kernel
def recolour(image: np.ndarray, codes: np.ndarray, factors: np.ndarray) -> None:
    """`colour.recolour` of (C, pixels), in place; codes and factors (K,)."""
    for k in range(len(codes)):
        tint(image, codes[k], factors[k])
