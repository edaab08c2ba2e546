"""Convolution and pooling of small maps on a CPU, images last: (C, H, W, N), an image a lane.

A row of W * N numbers is what a vector unit likes: position x of all N images, then position x + 1. A shift by one pixel is
a shift by N numbers, so a convolution of any size is a sum of shifted rows, each times one weight. Those of LeNet-5 on 64
images, with ReLU and pooling, forward and backward, are 3.6 and 1.7 times as fast as torch's on two threads of Zen 5
(benchmarks/kernels.py).

Each public function but `run` is a region; its docstring names its arrays, then its numbers. Arrays are flat here:
slices and shapes multiply the time of compilation. Indices in inner loops are unsigned: numba lets signed ones count from
the end, and the test for that keeps a loop from being vectorized.
"""

# mypy: disable-error-code="no-untyped-def"

import ctypes
from collections.abc import Callable
from functools import cache
from typing import Any

import numba
import numpy as np
import torch
from llvmlite import ir
from numba import carray, types
from numba.extending import intrinsic
from torch import Tensor

from saccade.kernels import kept_on_disk, kernel, parallel_region

# Rows read at once, for two maps written: ten fused multiply-adds for seven loads keep both units of AVX-512 busy
TAPS = 5
NOTHING = np.uint8(4)  # instead of a corner 0 to 3: no number of the four was positive
DIMENSIONS, NUMBERS = 4, 6  # of an array, and at most of a region
HEAD = 3  # words before the numbers: the next part, the parts, and over what they go
PARTS = 4  # for each thread: one that is held up leaves its rest to the others


def run(region: Callable[[int], None], tensors: tuple[Tensor, ...], numbers: tuple[int, ...], count: int) -> None:
    """A region on torch's threads, over parts of range(count), with contiguous tensors of at most four dimensions.

    A region is a function of an address, where its arguments lie. It reads arrays by `floats(address, i)` or `codes` and
    `sides`, numbers by `number(address, i)`, and works on `next_part(address)` until that is empty, on every thread; none
    needs the interpreter's lock.
    """
    threads, parallel = torch.get_num_threads(), parallel_region(ctypes.c_void_p)
    parts = min(count, PARTS * threads)
    words = [0, parts, count, *numbers, *[0] * (NUMBERS - len(numbers))]
    for each in tensors:
        assert each.is_contiguous()
        words += [each.data_ptr(), *each.shape, *[1] * (DIMENSIONS - each.dim())]
    data = (ctypes.c_int64 * len(words))(*words)
    if threads < 2 or parallel is None:
        _compiled(region).ctypes(data)
    else:
        parallel(_compiled(region).address, data, threads, 0)


@cache
def _compiled(region: Callable[[int], None]) -> Any:
    return kept_on_disk(numba.cfunc, "void(voidptr)")(region)


@intrinsic
def _pointer(typing, address):
    """An address as a pointer, for carray."""

    def codegen(context, builder, signature, arguments):
        return builder.inttoptr(arguments[0], context.get_value_type(types.voidptr))

    return types.voidptr(types.int64), codegen


@intrinsic
def _counted(typing, pointer):
    """The number at a pointer, which goes up by one at the same time, whichever thread asks."""

    def codegen(context, builder, signature, arguments):
        word = ir.IntType(64)
        place = builder.bitcast(arguments[0], word.as_pointer())
        return builder.atomic_rmw("add", place, ir.Constant(word, 1), "seq_cst")

    return types.int64(types.voidptr), codegen


@kernel
def next_part(address):
    """start, stop of a part that no thread has had; start = stop when all are given out."""
    words = carray(address, (HEAD,), np.int64)
    i, parts, count = _counted(address), words[1], words[2]
    return (count * i // parts, count * (i + 1) // parts) if i < parts else (0, 0)


@kernel
def number(address, i):
    return carray(address, (HEAD + NUMBERS,), np.int64)[HEAD + i]


@kernel
def sides(address, i):
    """The four sides of the array of number i; those that it lacks are 1."""
    first = HEAD + NUMBERS + i * (1 + DIMENSIONS)
    w = carray(address, (first + 1 + DIMENSIONS,), np.int64)
    return w[first + 1], w[first + 2], w[first + 3], w[first + 4]


@kernel
def _place(address, i):
    first = HEAD + NUMBERS + i * (1 + DIMENSIONS)
    a, b, c, d = sides(address, i)
    return _pointer(carray(address, (first + 1,), np.int64)[first]), a * b * c * d


@kernel
def floats(address, i):
    """The numbers of array i, float32, flat."""
    pointer, size = _place(address, i)
    return carray(pointer, (size,), np.float32)


@kernel
def codes(address, i):
    """The numbers of array i, uint8, flat."""
    pointer, size = _place(address, i)
    return carray(pointer, (size,), np.uint8)


@kernel
def _weights(flat, shape):
    """(O, C * R * S + 1) of a flat weight (O, C, R, S); the last of each row is 0."""
    size = shape[1] * shape[2] * shape[3]
    out = np.zeros((shape[0], size + 1), np.float32)
    for o in range(shape[0]):
        for k in range(size):
            out[o, k] = flat[o * size + k]
    return out


@kernel
def _taps(y, x_shape, shape):
    """Where in x each weight meets the first number of row y of the result, which weight it is, and how many there are.

    Rows outside x have none. Behind them are TAPS that look where the first does, with the weight after the last, which is
    0: only what is infinite there becomes NaN.
    """
    _, height, length, images = x_shape
    _, channels, tall, wide = shape
    size = channels * tall * wide
    places, which, met = np.zeros(size + TAPS, np.uintp), np.full(size + TAPS, np.uintp(size)), 0
    for c in range(channels):
        for dy in range(max(0, -y), min(tall, height - y)):
            for dx in range(wide):
                places[met] = ((c * height + y + dy) * length + dx) * images
                which[met] = (c * tall + dy) * wide + dx
                met += 1
    for k in range(met, met + TAPS):
        places[k] = places[0]
    return places, which, met


@kernel
def _add(x, taps, weights, o, p, to, beside, first, count):  # noqa: PLR0913 - arrays are not bundled in a kernel
    """Add to `count` numbers of `to` and `beside`, from `first` on, what the weights of maps o and p make of x."""
    places, which, met = taps
    for t in range(0, met, TAPS):
        p0, p1, p2, p3, p4 = places[t], places[t + 1], places[t + 2], places[t + 3], places[t + 4]
        w0, w1, w2, w3, w4 = which[t], which[t + 1], which[t + 2], which[t + 3], which[t + 4]
        a0, a1, a2, a3, a4 = weights[o, w0], weights[o, w1], weights[o, w2], weights[o, w3], weights[o, w4]
        b0, b1, b2, b3, b4 = weights[p, w0], weights[p, w1], weights[p, w2], weights[p, w3], weights[p, w4]
        for i in range(count):
            v0, v1, v2, v3, v4 = x[p0 + i], x[p1 + i], x[p2 + i], x[p3 + i], x[p4 + i]
            to[first + i] += a0 * v0 + a1 * v1 + a2 * v2 + a3 * v3 + a4 * v4
            beside[first + i] += b0 * v0 + b1 * v1 + b2 * v2 + b3 * v3 + b4 * v4


def correlate(address):
    """x, weight, bias, out; above. out = bias + the cross-correlation of x with weight, stride 1; parts of H'.

    x: (C, H, W, N), met as if `above` rows of 0 were above and below it. weight: (O, C, R, S). bias: (O,). out:
    (O, H', W', N), where H' = H + 2 above - R + 1 and W' = W - S + 1.
    """
    x, bias, out, shape = floats(address, 0), floats(address, 2), floats(address, 3), sides(address, 1)
    weights, (_, height, width, images) = _weights(floats(address, 1), shape), sides(address, 3)
    count, spare = np.uintp(width * images), np.empty(2 * width * images, np.float32)
    one, two = spare[: width * images], spare[width * images :]
    start, stop = next_part(address)
    while start < stop:
        for y in range(start, stop):
            taps = _taps(y - number(address, 0), sides(address, 0), shape)
            for o in range(0, shape[0], 2):
                p = min(o + 1, shape[0] - 1)  # the last of an odd number is computed twice
                one[:], two[:] = bias[o], bias[p]
                _add(x, taps, weights, o, p, one, two, np.uintp(0), count)
                to, beside = np.uintp((o * height + y) * width * images), np.uintp((p * height + y) * width * images)
                for i in range(count):
                    out[to + i] = one[i]
                for i in range(count):
                    out[beside + i] = two[i]
        start, stop = next_part(address)


def correlate_relu_pool(address):
    """x, weight, bias, out, which. `pool` of the positive part of `correlate`, of which two rows are held.

    Parts of H' times pairs of maps.

    out, which: (O, H', W', N), where H' = (H - R + 1) // 2 and W' = (W - S + 1) // 2.
    """
    x, bias, out, which = floats(address, 0), floats(address, 2), floats(address, 3), codes(address, 4)
    shape, x_shape, (_, height, width, images) = sides(address, 1), sides(address, 0), sides(address, 3)
    weights, row = _weights(floats(address, 1), shape), (x_shape[2] - shape[3] + 1) * images
    count, spare, pairs = np.uintp(row), np.empty(4 * row, np.float32), (shape[0] + 1) // 2
    one, two = spare[: 2 * row], spare[2 * row :]
    upper = lower = _taps(0, x_shape, shape)
    start, stop = next_part(address)
    while start < stop:
        for piece in range(start, stop):
            y, o = piece // pairs, piece % pairs * 2
            if o == 0 or piece == start:
                upper, lower = _taps(2 * y, x_shape, shape), _taps(2 * y + 1, x_shape, shape)
            p = min(o + 1, shape[0] - 1)
            one[:], two[:] = bias[o], bias[p]
            _add(x, upper, weights, o, p, one, two, np.uintp(0), count)
            _add(x, lower, weights, o, p, one, two, count, count)
            _pool_rows(one, 0, row, np.float32(0), out, which, (o * height + y) * width * images, (width, images))
            _pool_rows(two, 0, row, np.float32(0), out, which, (p * height + y) * width * images, (width, images))
        start, stop = next_part(address)


def correlate_weight(address):
    """x, gradient, out; before. The gradient of a weight; parts of pairs of maps times groups of TAPS weights of a map.

    x: (C, H, W, N) as `correlate` met it with nothing above. gradient: (O, H - R + 1, W - S + 1 + 2 before, N) of what it
    gave, with `before` columns more on both sides, which are not read. out: (O, C, R, S).
    """
    x, gradient, out, before = floats(address, 0), floats(address, 1), floats(address, 2), number(address, 0)
    shape, x_shape, (_, rows, length, images) = sides(address, 2), sides(address, 0), sides(address, 1)
    line, row = length * images, np.uintp(x_shape[2] * images)
    width, size = np.uintp(line - 2 * before * images), shape[1] * shape[2] * shape[3]
    places, _, _ = _taps(0, x_shape, shape)
    groups = (size + TAPS - 1) // TAPS
    start, stop = next_part(address)
    while start < stop:
        for piece in range(start, stop):
            t, o = piece % groups * TAPS, piece // groups * 2
            p = min(o + 1, shape[0] - 1)
            p0, p1, p2, p3, p4 = places[t], places[t + 1], places[t + 2], places[t + 3], places[t + 4]
            a0 = a1 = a2 = a3 = a4 = b0 = b1 = b2 = b3 = b4 = np.float32(0)
            for y in range(rows):
                of = np.uintp((o * rows + y) * line + before * images)
                beside = np.uintp((p * rows + y) * line + before * images)
                for i in range(width):
                    v0, v1, v2, v3, v4 = x[p0 + i], x[p1 + i], x[p2 + i], x[p3 + i], x[p4 + i]
                    g, h = gradient[of + i], gradient[beside + i]
                    a0, a1, a2, a3, a4 = a0 + g * v0, a1 + g * v1, a2 + g * v2, a3 + g * v3, a4 + g * v4
                    b0, b1, b2, b3, b4 = b0 + h * v0, b1 + h * v1, b2 + h * v2, b3 + h * v3, b4 + h * v4
                p0, p1, p2, p3, p4 = p0 + row, p1 + row, p2 + row, p3 + row, p4 + row
            for j in range(min(TAPS, size - t)):
                out[o * size + t + j] = (a0, a1, a2, a3, a4)[j]
                out[p * size + t + j] = (b0, b1, b2, b3, b4)[j]
        start, stop = next_part(address)


@kernel
def _pool_rows(x, first, row, least, out, which, to, shape):  # noqa: PLR0913
    """W' times N numbers of out and which, from `to` on, of the two rows of `row` numbers of x from `first` on: see `pool`.

    Where nothing is above `least`, that and NOTHING.
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
    """x, out, which. The largest of each 2 x 2 numbers and which of the four it is, 0 to 3 by rows; parts of C.

    The first of equal ones; NaN is the largest, as in torch.max_pool2d. x: (C, H, W, N). out, which:
    (C, H // 2, W // 2, N).
    """
    x, out, which = floats(address, 0), floats(address, 1), codes(address, 2)
    (_, height, length, images), (_, tall, wide, _) = sides(address, 0), sides(address, 1)
    row = length * images
    start, stop = next_part(address)
    while start < stop:
        for c in range(start, stop):
            for y in range(tall):
                first, to = (c * height + 2 * y) * row, (c * tall + y) * wide * images
                _pool_rows(x, first, row, np.float32(-np.inf), out, which, to, (wide, images))
        start, stop = next_part(address)


def unpool(address):
    """gradient, out, which, sums; before. The gradient where `which` says, else 0; parts of C.

    gradient, which: (C, H // 2, W // 2, N). out: (C, H, W + 2 before, N), of which the first and last `before` columns
    are 0. sums: (C,), of each map of out.
    """
    gradient, out, which, before = floats(address, 0), floats(address, 1), codes(address, 2), number(address, 0)
    sums = floats(address, 3)
    (_, tall, wide, images), (_, height, length, _) = sides(address, 0), sides(address, 1)
    start, stop = next_part(address)
    while start < stop:
        for line in range(start * height, stop * height):  # what lies beside or below the corners
            end = (line + 1) * length * images
            out[end - length * images : end - (length - before) * images if line % height < 2 * tall else end] = 0
            out[end - (length - before - 2 * wide) * images : end] = 0
        for c in range(start, stop):
            total, first = np.float32(0), np.uintp(c * tall * wide * images)
            for i in range(np.uintp(tall * wide * images)):
                total += gradient[first + i] if which[first + i] != NOTHING else np.float32(0)
            sums[c] = total
        for k in range(start * tall * wide, stop * tall * wide):
            c, y, z = k // (tall * wide), k // wide % tall, k % wide
            of = np.uintp(k * images)
            for corner in range(4):  # a loop each: two that write to one array are not vectorized
                row, column = 2 * y + corner // 2, before + 2 * z + corner % 2
                to = np.uintp(((c * height + row) * length + column) * images)
                for i in range(np.uintp(images)):
                    out[to + i] = gradient[of + i] if which[of + i] == corner else np.float32(0)
        start, stop = next_part(address)
