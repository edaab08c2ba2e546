"""What goes between torch's tensors and blocks of images; a kernel: see arguments.py."""

# mypy: disable-error-code="no-untyped-def"

import numpy as np

from saccade.layers.images_last.arguments import floats, number, sides


def laid(address):
    """x, out; four strides of x, four of out, above, before. out = x with so many rows and columns of zeros around it.

    x: (C, H, W, N). out: (C, H + 2 above, W + 2 before, N). Strides are in numbers.
    """
    (channels, height, width, images), (_, rows, columns, _) = sides(address, 0), sides(address, 1)
    x, out, above, before = floats(address, 0), floats(address, 1), number(address, 8), number(address, 9)
    of_map, of_line, of_column, step = (
        number(address, 0),
        number(address, 1),
        number(address, 2),
        np.uintp(number(address, 3)),
    )
    to_map, to_line, to_column, stride = (
        number(address, 4),
        number(address, 5),
        number(address, 6),
        np.uintp(number(address, 7)),
    )
    for c in range(channels):
        for y in range(rows):
            for z in range(columns):
                line, column, to = y - above, z - before, np.uintp(c * to_map + y * to_line + z * to_column)
                if not (0 <= line < height and 0 <= column < width):
                    for i in range(np.uintp(images)):
                        out[to + i * stride] = 0
                    continue
                of = np.uintp(c * of_map + line * of_line + column * of_column)
                if step == 1 and stride == 1:
                    for i in range(np.uintp(images)):
                        out[to + i] = x[of + i]
                else:
                    for i in range(np.uintp(images)):
                        out[to + i * stride] = x[of + i * step]
