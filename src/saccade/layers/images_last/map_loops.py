"""Convolution and pooling of small maps on a CPU, images last: (C, H, W, N), an image a lane.

A row of W * N numbers is what a vector unit likes: position x of all N images, then position x + 1. A shift by one pixel is
a shift by N numbers, so a convolution of any size is a sum of shifted rows, each times one weight.

Each public function is a kernel of a block: see arguments.py. Indices in inner loops are unsigned: numba lets signed ones
count from the end, and the test for that keeps a loop from being vectorized.
"""

# mypy: disable-error-code="no-untyped-def"

import numpy as np
from numba.cpython.unsafe.tuple import tuple_setitem

from saccade.kernels import kernel
from saccade.layers.images_last.arguments import codes, floats, number, place, sides
from saccade.layers.images_last.products import TAPS, summed_products
from saccade.layers.images_last.sums import NO_LEAST, ROWS, SIZE, group, weighted_sums

NOTHING = np.uint8(4)  # instead of a corner 0 to 3: no number of the four was positive
POSITIONS = 128  # numbers of a row that are pooled together, where maps are so wide


@kernel
def _reach(at, padding, kernel_side, side):
    """How many taps of a kernel meet a gradient of this side when they give number `at` of the maps, and the first."""
    first = max(0, at + padding - side + 1)
    return max(0, min(kernel_side, at + padding + 1) - first), first


def correlate(address):
    """x, weight, bias, out. out = bias + the cross-correlation of x with weight, stride 1.

    x: (C, H, W, N). weight: (O, C, R, S). bias: (O,). out: (O, H', W', N), where H' = H - R + 1 and W' = W - S + 1.
    """
    (_, height, length, images), (maps, channels, tall, wide) = sides(address, 0), sides(address, 1)
    (_, rows, width, _), size, groups = sides(address, 3), channels * tall * wide, (maps + ROWS - 1) // ROWS
    line, row = length * images, width * images
    taps = (channels, tall, wide), (height * line, line, images), (tall * wide, wide, 1)
    for y in range(rows):
        for piece in range(groups):
            o, some = group(piece, maps)
            x, weight = place(address, 0) + SIZE * y * line, place(address, 1) + SIZE * o * size
            bias, out = place(address, 2) + SIZE * o, place(address, 3) + SIZE * (o * rows + y) * row
            weighted_sums(x, weight, bias, out, taps, (size, rows * row), (some, row), NO_LEAST)


def correlate_relu_pool(address):
    """x, weight, bias, out, which. `pool` of the positive part of `correlate`, of which some columns of two rows are held.

    out, which: (O, H', W', N), where H' = (H - R + 1) // 2 and W' = (W - S + 1) // 2.
    """
    (_, height, length, images), (maps, channels, tall, wide) = sides(address, 0), sides(address, 1)
    (_, rows, width, _), size, groups = sides(address, 3), channels * tall * wide, (maps + ROWS - 1) // ROWS
    line, most = length * images, max(1, POSITIONS // (2 * images))
    taps = (channels, tall, wide), (height * line, line, images), (tall * wide, wide, 1)
    out, which, held = floats(address, 3), codes(address, 4), np.empty(ROWS * 4 * most * images, np.float32)
    for y in range(rows):
        for piece in range(groups):
            o, some = group(piece, maps)
            weight, bias = place(address, 1) + SIZE * o * size, place(address, 2) + SIZE * o
            for z in range(0, width, most):
                columns = min(most, width - z)
                row, steps = 2 * columns * images, (size, 4 * columns * images)
                for each in range(2):
                    x = place(address, 0) + SIZE * ((2 * y + each) * line + 2 * z * images)
                    to = held.ctypes.data + SIZE * each * row
                    weighted_sums(x, weight, bias, to, taps, steps, (some, row), NO_LEAST)
                for r in range(some):
                    to = (((o + r) * rows + y) * width + z) * images
                    _pool_rows(held, 2 * r * row, row, np.float32(0), out, which, to, (columns, images))


def spread(address):
    """gradient, weight, zeros, out; above, before. The gradient of what `correlate` read.

    gradient: (O, H', W', N) of what it gave. weight: (O, C, R, S). zeros: (ROWS,). out: (C, H, W, N), without the `above`
    rows and `before` columns of padding on each side.
    """
    (maps, rows, columns, images), (_, channels, tall, wide) = sides(address, 0), sides(address, 1)
    (_, height, width, _), size, groups = sides(address, 3), tall * wide, (channels + ROWS - 1) // ROWS
    above, before, line = number(address, 0), number(address, 1), columns * images
    for y in range(height):
        for piece in range(groups):
            c, some = group(piece, channels)
            many, dy = _reach(y, above, tall, rows)
            z = 0
            while z < width:
                across, dx = _reach(z, before, wide, columns)
                # those columns together that every tap of a row meets
                together = max(1, columns - before - z) if across == wide else 1
                taps = (maps, many, across), (rows * line, -line, -images), (channels * size, wide, 1)
                x = place(address, 0) + SIZE * ((y + above - dy) * line + (z + before - dx) * images)
                weight = place(address, 1) + SIZE * (c * size + dy * wide + dx)
                out = place(address, 3) + SIZE * ((c * height + y) * width + z) * images
                steps = size, height * width * images
                weighted_sums(x, weight, place(address, 2), out, taps, steps, (some, together * images), NO_LEAST)
                z += together


def correlate_weight(address):
    """x, gradient, out. The gradient of a weight.

    x: (C, H, W, N) as `correlate` met it. gradient: (O, H', W', N) of what it gave. out: (O, C, R, S).
    """
    (_, height, length, images), (_, rows, columns, _) = sides(address, 0), sides(address, 1)
    (maps, channels, tall, wide), width = sides(address, 2), columns * images
    size, steps = channels * tall * wide, (rows * width, width, length * images, channels * tall * wide)
    o = 0
    while o < maps:
        done, gradient, out = 0, place(address, 1) + SIZE * o * rows * width, place(address, 2) + SIZE * o * size
        for t in range(0, size, TAPS):
            taps = (t, min(t + 1, size - 1), min(t + 2, size - 1), min(t + 3, size - 1), min(t + 4, size - 1))
            xs = (0, 0, 0, 0, 0)
            outs = (0, 0, 0, 0, 0)
            for j in range(TAPS):
                k = taps[j]
                line = k // (tall * wide) * height + k // wide % tall
                xs = tuple_setitem(xs, j, place(address, 0) + SIZE * (line * length + k % wide) * images)
                outs = tuple_setitem(outs, j, out + SIZE * k)
            done = summed_products(gradient, xs, outs, steps, (maps - o, rows, width))
        o += done


@kernel
def _pool_rows(x, first, row, least, out, which, to, shape):  # noqa: PLR0913
    """W' times N numbers of out and which, from `to` on, of the two rows of `row` numbers of x from `first` on: see `pool`.

    Where nothing is above `least`, that and NOTHING; never where `least` is NaN.
    """
    width, images = shape
    for z in range(width):
        p0, p2, q = np.uintp(first + 2 * z * images), np.uintp(first + row + 2 * z * images), np.uintp(to + z * images)
        p1, p3 = p0 + np.uintp(images), p2 + np.uintp(images)
        for i in range(np.uintp(images)):
            largest, corner = x[p0 + i], np.uint8(0)
            second, third, fourth = x[p1 + i], x[p2 + i], x[p3 + i]
            corner = np.uint8(1) if second > largest or second != second else corner
            largest = second if second > largest or second != second else largest
            corner = np.uint8(2) if third > largest or third != third else corner
            largest = third if third > largest or third != third else largest
            corner = np.uint8(3) if fourth > largest or fourth != fourth else corner
            largest = fourth if fourth > largest or fourth != fourth else largest
            which[q + i] = NOTHING if largest <= least else corner
            out[q + i] = least if largest <= least else largest


def pool(address):
    """x, out, which. The largest of each 2 x 2 numbers and which of the four it is, 0 to 3 by rows.

    The first of equal ones; NaN is the largest, as in torch.max_pool2d. x: (C, H, W, N). out, which:
    (C, H // 2, W // 2, N).
    """
    x, out, which = floats(address, 0), floats(address, 1), codes(address, 2)
    (maps, height, length, images), (_, tall, wide, _) = sides(address, 0), sides(address, 1)
    row = length * images
    for c in range(maps):
        for y in range(tall):
            first, to = (c * height + 2 * y) * row, (c * tall + y) * wide * images
            _pool_rows(x, first, row, np.float32(np.nan), out, which, to, (wide, images))


def unpool(address):
    """gradient, out, which, sums. The gradient where `which` says, else 0.

    gradient, which: (C, H // 2, W // 2, N). out: (C, H, W, N). sums: (C,), of each map of out.
    """
    gradient, out, which, sums = floats(address, 0), floats(address, 1), codes(address, 2), floats(address, 3)
    (maps, tall, wide, images), (_, height, length, _) = sides(address, 0), sides(address, 1)
    for line in range(maps * height):  # what lies beside or below the corners
        end = (line + 1) * length * images
        out[end - (length - 2 * wide if line % height < 2 * tall else length) * images : end] = 0
    for c in range(maps):
        total, first = np.float32(0), np.uintp(c * tall * wide * images)
        for i in range(np.uintp(tall * wide * images)):
            total += gradient[first + i] if which[first + i] != NOTHING else np.float32(0)
        sums[c] = total
    for k in range(maps * tall * wide):
        c, y, z = k // (tall * wide), k // wide % tall, k % wide
        of = np.uintp(k * images)
        for corner in range(4):  # a loop each: two that write to one array are not vectorized
            to = np.uintp(((c * height + 2 * y + corner // 2) * length + 2 * z + corner % 2) * images)
            for i in range(np.uintp(images)):
                out[to + i] = gradient[of + i] if which[of + i] == corner else np.float32(0)
