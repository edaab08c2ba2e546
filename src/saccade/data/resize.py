"""One size for every image: used for training, evaluation and prediction alike."""

import numpy as np
from PIL import Image


def fit(pixels: np.ndarray, side: int, channels: int) -> np.ndarray:
    """uint8 (H, W, 1 or 3) to (side, side, channels): the short side resized to `side`, then the square in the middle.

    Bilinear with antialiasing, as torchvision's Resize and CenterCrop on PIL images. Grey becomes colour by repetition,
    colour grey by ITU-R 601 luma. Images of the right size keep their pixels.
    """
    height, width, found = pixels.shape
    if found == 3 and channels == 1:
        pixels = np.asarray(Image.fromarray(pixels).convert("L"))[:, :, None]
    if (height, width) != (side, side):
        short = min(height, width)
        size = (side * width // short, side * height // short)  # rounded down, as torchvision does
        image = Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)
        left, top = round((size[0] - side) / 2), round((size[1] - side) / 2)
        # resize only what will be kept: the box is the square in the coordinates of the source
        box = (
            left * width / size[0],
            top * height / size[1],
            (left + side) * width / size[0],
            (top + side) * height / size[1],
        )
        pixels = np.asarray(image.resize((side, side), Image.Resampling.BILINEAR, box=box))
        pixels = pixels[:, :, None] if pixels.ndim == 2 else pixels
    return np.repeat(pixels, 3, axis=2) if channels == 3 and pixels.shape[2] == 1 else pixels
