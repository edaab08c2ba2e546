"""Loops compiled for this machine's processor by numba: for small images, which torch's kernels on a CPU are not made for.

A kernel takes numpy arrays and scalars and writes into arrays. It is compiled when it is first called (about a second) and
kept on disk; it runs without the interpreter's lock, so that `on_threads` can give parts of a batch to several threads.
"""

import ctypes
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numba
import numpy as np
import torch
from llvmlite import ir
from numba import carray, types
from numba.extending import intrinsic

# Sums may be taken in another order and multiplications fused, which vector units need; NaN and infinity stay what they are
ALLOWED = {"reassoc", "contract", "arcp", "nsz"}

kernel: Callable[..., Any] = numba.njit(nogil=True, cache=True, fastmath=ALLOWED, error_model="numpy")

Work = Callable[[int, int], None]
Region = ctypes.CFUNCTYPE(None, ctypes.c_void_p)
DIMENSIONS, NUMBERS = 4, 6  # of an array, and at most of a region
PARTS = 4  # for each thread: one that is held up leaves its rest to the others
HEAD = 3  # words before the numbers: the next part, the parts, and over what they go


def on_threads(work: Work, count: int) -> None:
    """work(start, stop) on parts that make up range(count), one a thread of torch's own; all at once without OpenMP.

    What work writes must not depend on how the range is cut. An error of any part is raised when all have ended. Costs 50
    microseconds, because each thread waits for the interpreter's lock; `run` costs 10.
    """
    parts, parallel = min(count, torch.get_num_threads()), _parallel(Region)
    if parts < 2 or parallel is None:
        work(0, count)
        return
    edges = [count * i // parts for i in range(parts + 1)]
    left, errors = iter(range(parts)), []

    def part(_: object) -> None:
        try:
            for i in left:  # each part once, perhaps on fewer threads than were asked for
                work(edges[i], edges[i + 1])
        except BaseException as error:  # cannot cross the C library
            errors.append(error)

    parallel(Region(part), None, parts, 0)
    if errors:
        raise errors[0]


def run(region: Callable[[int], None], arrays: tuple[np.ndarray, ...], numbers: tuple[int, ...], count: int) -> None:
    """A region on torch's threads, over parts of range(count), with contiguous arrays of at most four dimensions.

    A region is a function of an address, where its arguments lie. It reads arrays by `floats(address, i)` or `codes` and
    `sides`, numbers by `number(address, i)`, and works on `next_part(address)` until that is empty, on every thread; none
    needs the interpreter's lock.
    """
    threads, parallel = torch.get_num_threads(), _parallel(ctypes.c_void_p)
    parts = min(count, PARTS * threads)
    words = [0, parts, count, *numbers, *[0] * (NUMBERS - len(numbers))]
    for each in arrays:
        assert each.flags.c_contiguous
        words += [each.ctypes.data, *each.shape, *[1] * (DIMENSIONS - each.ndim)]
    data = (ctypes.c_int64 * len(words))(*words)
    if threads < 2 or parallel is None:
        _compiled(region).ctypes(data)
    else:
        parallel(_compiled(region).address, data, threads, 0)


@cache
def _compiled(region: Callable[[int], None]) -> Any:
    return numba.cfunc("void(voidptr)", cache=True, fastmath=ALLOWED, error_model="numpy")(region)


@intrinsic
def _pointer(typing, address):  # type: ignore[no-untyped-def]
    """An address as a pointer, for carray."""

    def codegen(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        return builder.inttoptr(arguments[0], context.get_value_type(types.voidptr))

    return types.voidptr(types.int64), codegen


@intrinsic
def _counted(typing, pointer):  # type: ignore[no-untyped-def]
    """The number at a pointer, which goes up by one at the same time, whichever thread asks."""

    def codegen(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        word = ir.IntType(64)
        place = builder.bitcast(arguments[0], word.as_pointer())
        return builder.atomic_rmw("add", place, ir.Constant(word, 1), "seq_cst")

    return types.int64(types.voidptr), codegen


@kernel
def next_part(address):  # type: ignore[no-untyped-def]
    """start, stop of a part that no thread has had; start = stop when all are given out."""
    words = carray(address, (HEAD,), np.int64)
    i, parts, count = _counted(address), words[1], words[2]
    return (count * i // parts, count * (i + 1) // parts) if i < parts else (0, 0)


@kernel
def number(address, i):  # type: ignore[no-untyped-def]
    return carray(address, (HEAD + NUMBERS,), np.int64)[HEAD + i]


@kernel
def sides(address, i):  # type: ignore[no-untyped-def]
    """The four sides of the array of number i; those that it lacks are 1."""
    first = HEAD + NUMBERS + i * (1 + DIMENSIONS)
    w = carray(address, (first + 1 + DIMENSIONS,), np.int64)
    return w[first + 1], w[first + 2], w[first + 3], w[first + 4]


@kernel
def _place(address, i):  # type: ignore[no-untyped-def]
    first = HEAD + NUMBERS + i * (1 + DIMENSIONS)
    a, b, c, d = sides(address, i)
    return _pointer(carray(address, (first + 1,), np.int64)[first]), a * b * c * d


@kernel
def floats(address, i):  # type: ignore[no-untyped-def]
    """The numbers of array i, float32, flat."""
    pointer, size = _place(address, i)
    return carray(pointer, (size,), np.float32)


@kernel
def codes(address, i):  # type: ignore[no-untyped-def]
    """The numbers of array i, uint8, flat."""
    pointer, size = _place(address, i)
    return carray(pointer, (size,), np.uint8)


@cache
def _parallel(region: Any) -> Any:
    """GOMP_parallel for regions of this type of ctypes, of the OpenMP library that torch loaded; None where it has none.

    Threads of our own would share the cores with torch's, which spin for a while. Seen: a kernel and a matrix product in
    turn 370 us with torch's threads, 700 us with others, 630 us with one thread.
    """
    file = Path(torch.__file__).parent / "lib" / "libgomp.so.1"
    try:
        found = ctypes.CDLL(str(file))["GOMP_parallel"] if file.exists() else None  # another object for each type
    except (OSError, AttributeError):
        return None
    if found is not None:
        found.argtypes, found.restype = [region, ctypes.c_void_p, ctypes.c_uint, ctypes.c_uint], None
    return found
