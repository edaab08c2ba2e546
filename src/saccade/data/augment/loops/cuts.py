"""A piece of each stored image, of the same size everywhere, zeros where it reaches over the border."""

import numpy as np

from saccade.kernels import kernel


@kernel
def cut(pixels: np.ndarray, places: np.ndarray, unit: float, out: np.ndarray) -> None:
    """pixels (B, H, W, C), times unit -> out (B, C, size, size); places (B, 3): top and left, perhaps < 0, and mirrored."""
    count, channels, size, _ = out.shape
    _, height, width, _ = pixels.shape
    for b in range(count):
        top, left, mirrored = places[b]
        # Columns of the piece that lie in the image: none, as last <= first, where all of it is beside the image
        first, last = max(0, -left), min(size, width - left)
        for c in range(channels):
            for i in range(size):
                line = out[b, c, i]
                line[:] = 0
                if not 0 <= top + i < height:
                    continue
                row, inside = pixels[b, top + i, left + first :, c], line[first:]
                if mirrored:
                    for j in range(last - first):
                        line[size - 1 - first - j] = row[j] * unit
                else:
                    for j in range(last - first):
                        inside[j] = row[j] * unit
