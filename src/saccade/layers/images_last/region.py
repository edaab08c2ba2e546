"""Loops of our own on torch's threads: how they get their arguments, and share the work out among them.

A region is a function of an address, where its arguments lie: its docstring names its arrays, then its numbers. It reads
arrays by `floats(address, i)`, `codes` or `place`, and `sides`; numbers by `number(address, i)`; and works on
`next_part(address)` until that is empty, on every thread; none needs the interpreter's lock. Arrays are flat: slices and
shapes multiply the time of compilation.
"""

# mypy: disable-error-code="no-untyped-def"

import ctypes
from array import array
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

DIMENSIONS, NUMBERS = 4, 2  # of an array, and at most of a region
HEAD = 3  # words before the numbers: the next part, the parts, and over what they go
PARTS = 16  # for each thread: one that is held up leaves its rest to the others

Region = Callable[[int], None]


def run(region: Region, tensors: tuple[Tensor, ...], numbers: tuple[int, ...], count: int) -> None:
    """A region on torch's threads, over parts of range(count), with contiguous tensors of at most four dimensions."""
    threads, parallel = torch.get_num_threads(), parallel_region(ctypes.c_void_p)
    parts = min(count, PARTS * threads)
    words = [0, parts, count, *numbers, *[0] * (NUMBERS - len(numbers))]
    for each in tensors:
        assert each.is_contiguous()
        words += [each.data_ptr(), *each.shape, *[1] * (DIMENSIONS - each.dim())]
    arguments = array("q", words)
    address, _ = arguments.buffer_info()
    if threads < 2 or parallel is None:
        _compiled(region).ctypes(address)
    else:
        parallel(_compiled(region).address, address, threads, 0)


@cache
def _compiled(region: Region) -> Any:
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
        at = builder.bitcast(arguments[0], word.as_pointer())
        return builder.atomic_rmw("add", at, ir.Constant(word, 1), "seq_cst")

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
def place(address, i):
    """Where array i lies."""
    first = HEAD + NUMBERS + i * (1 + DIMENSIONS)
    return carray(address, (first + 1,), np.int64)[first]


@kernel
def floats(address, i):
    """The numbers of array i, float32, flat."""
    a, b, c, d = sides(address, i)
    return carray(_pointer(place(address, i)), (a * b * c * d,), np.float32)


@kernel
def codes(address, i):
    """The numbers of array i, uint8, flat."""
    a, b, c, d = sides(address, i)
    return carray(_pointer(place(address, i)), (a * b * c * d,), np.uint8)
