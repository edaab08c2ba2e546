"""Dense layers on a CPU, images last: (features, N), an image a lane. Each function is a kernel: see arguments.py."""

# mypy: disable-error-code="no-untyped-def"

import numpy as np

from saccade.layers.images_last.arguments import floats, number, place, sides
from saccade.layers.images_last.sums import NO_LEAST, ROWS, SIZE, WIDE, group, weighted_sums

TOGETHER = 16  # features that are turned at once: a cache line of each image


def affine(address):
    """x, weight, bias, out; rectified. out = weight x + bias, or its positive part.

    x: (I, N). weight: (O, I). bias: (O,). out: (O, N).
    """
    (outputs, inputs, _, _), (_, images, _, _) = sides(address, 1), sides(address, 0)
    least = np.float32(0) if number(address, 0) else NO_LEAST
    taps = (1, 1, inputs), (0, 0, images), (0, 0, 1)
    for piece in range((outputs + ROWS - 1) // ROWS):
        o, some = group(piece, outputs)
        weight, out = place(address, 1) + SIZE * o * inputs, place(address, 3) + SIZE * o * images
        bias, shape = place(address, 2) + SIZE * o, (some, images)
        weighted_sums(place(address, 0), weight, bias, out, taps, (inputs, images), shape, least)


def prepare(address):
    """gradient, out, x, passed, turned, sums; rectified. What `affine_gradients` reads.

    gradient, out: (O, N), of what `affine` gave; out is read where rectified. x: (I, N). passed: (O, N), what of the
    gradient passes the ReLU. turned: (N, I), x. sums: (O,), of passed.
    """
    gradient, out, x = floats(address, 0), floats(address, 1), floats(address, 2)
    passed, turned, sums = floats(address, 3), floats(address, 4), floats(address, 5)
    (outputs, images, _, _), (inputs, _, _, _), rectified = sides(address, 0), sides(address, 2), number(address, 0)
    for o in range(outputs):
        total, first = np.float32(0), np.uintp(o * images)
        for i in range(np.uintp(images)):
            value = np.float32(0) if rectified and out[first + i] <= 0 else gradient[first + i]
            passed[first + i] = value
            total += value
        sums[o] = total
    for feature in range(0, inputs, TOGETHER):
        some = np.uintp(min(TOGETHER, inputs - feature))
        for n in range(images):
            to, of = np.uintp(n * inputs + feature), np.uintp(feature * images + n)
            for i in range(some):
                turned[to + i] = x[of + i * np.uintp(images)]


def affine_gradients(address):
    """passed, weight, turned, zeros, of_x, of_weight; wanted. The gradients of `affine`, that of x where it is wanted.

    passed: (O, N). weight, of_weight: (O, I). turned: (N, I). zeros: (ROWS,). of_x: (I, N).
    """
    (outputs, inputs, _, _), (_, images, _, _) = sides(address, 1), sides(address, 0)
    passed, weight, turned, zeros = place(address, 0), place(address, 1), place(address, 2), place(address, 3)
    of_x, of_weight = place(address, 4), place(address, 5)
    for piece in range((inputs + ROWS - 1) // ROWS if number(address, 0) else 0):
        i, some = group(piece, inputs)
        taps = (1, 1, outputs), (0, 0, images), (0, 0, inputs)
        weighted_sums(
            passed, weight + SIZE * i, zeros, of_x + SIZE * i * images, taps, (1, images), (some, images), NO_LEAST
        )
    for i in range(0, inputs, WIDE):
        for piece in range((outputs + ROWS - 1) // ROWS):
            o, some = group(piece, outputs)
            taps = (1, 1, images), (0, 0, inputs), (0, 0, 1)
            out, shape = of_weight + SIZE * (o * inputs + i), (some, min(WIDE, inputs - i))
            weighted_sums(
                turned + SIZE * i, passed + SIZE * o * images, zeros, out, taps, (images, inputs), shape, NO_LEAST
            )
