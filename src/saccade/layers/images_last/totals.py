"""Sums of maps, and of what blocks of images have made. Each function is a kernel: see arguments.py."""

# mypy: disable-error-code="no-untyped-def"

import numpy as np

from saccade.layers.images_last.arguments import floats, number, sides


def map_sums(address):
    """x, sums. x: (C, H, W, N). sums: (C,)."""
    x, sums, (maps, height, width, images) = floats(address, 0), floats(address, 1), sides(address, 0)
    for c in range(maps):
        total, first = np.float32(0), np.uintp(c * height * width * images)
        for i in range(np.uintp(height * width * images)):
            total += x[first + i]
        sums[c] = total


def added(address):
    """parts, out; how many parts, numbers from one to the next. out: (n,), their sum."""
    parts, out, count, step = floats(address, 0), floats(address, 1), number(address, 0), np.uintp(number(address, 1))
    for i in range(np.uintp(len(out))):
        out[i] = parts[i]
    for k in range(1, count):
        for i in range(np.uintp(len(out))):
            out[i] += parts[np.uintp(k) * step + i]
