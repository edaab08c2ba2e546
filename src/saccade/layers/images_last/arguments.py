"""How kernels of a block of images get their arguments.

A kernel is a function of an address, where its numbers and then its arrays lie: its docstring names the arrays, then the
numbers. It reads arrays by `floats(address, i)`, `codes` or `place`, and `sides`; numbers by `number(address, i)`. None
needs the interpreter's lock. Arrays are flat: slices and shapes multiply the time of compilation.
"""

# mypy: disable-error-code="no-untyped-def"

import numpy as np
from llvmlite import ir
from numba import carray, types
from numba.extending import intrinsic

from saccade.kernels import kernel

NUMBERS, ARRAYS, DIMENSIONS = 10, 6, 4  # at most, of a kernel, and of an array
WORDS = NUMBERS + ARRAYS * (1 + DIMENSIONS)  # of 64 bits


@intrinsic
def pointer(typing, address):
    """An address as a pointer, for carray."""

    def codegen(context, builder, signature, arguments):
        return builder.inttoptr(arguments[0], context.get_value_type(types.voidptr))

    return types.voidptr(types.int64), codegen


@intrinsic
def counted(typing, address):
    """The number at an address, which goes up by one at the same time, whichever thread asks."""

    def codegen(context, builder, signature, arguments):
        word = ir.IntType(64)
        at = builder.inttoptr(arguments[0], word.as_pointer())
        return builder.atomic_rmw("add", at, ir.Constant(word, 1), "seq_cst")

    return types.int64(types.int64), codegen


@intrinsic
def call(typing, function, address):
    """The kernel at the first address, with its arguments at the second."""

    def codegen(context, builder, signature, arguments):
        argument = ir.IntType(8).as_pointer()
        kind = ir.FunctionType(ir.VoidType(), [argument])
        found = builder.inttoptr(arguments[0], kind.as_pointer())
        builder.call(found, [builder.inttoptr(arguments[1], argument)])
        return context.get_dummy_value()

    return types.void(types.int64, types.int64), codegen


@kernel
def words(address, count):
    """So many numbers of 64 bits from an address on."""
    return carray(pointer(address), (count,), np.int64)


@kernel
def number(address, i):
    return carray(address, (NUMBERS,), np.int64)[i]


@kernel
def sides(address, i):
    """The four sides of the array of number i; those that it lacks are 1."""
    w = carray(address, (WORDS,), np.int64)
    first = NUMBERS + i * (1 + DIMENSIONS)
    return w[first + 1], w[first + 2], w[first + 3], w[first + 4]


@kernel
def place(address, i):
    """Where array i lies."""
    return carray(address, (WORDS,), np.int64)[NUMBERS + i * (1 + DIMENSIONS)]


@kernel
def floats(address, i):
    """The numbers of array i, float32, flat."""
    a, b, c, d = sides(address, i)
    return carray(pointer(place(address, i)), (a * b * c * d,), np.float32)


@kernel
def codes(address, i):
    """The numbers of array i, uint8, flat."""
    a, b, c, d = sides(address, i)
    return carray(pointer(place(address, i)), (a * b * c * d,), np.uint8)
