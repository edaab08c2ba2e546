"""Weighted sums of rows of numbers: what convolutions and dense layers are, images last, forward and backward.

Row r of a result is the sum over taps of a weight of its own times a row of x that all results share. A tile of some rows
of the result, each some vectors long, stays in the registers of the vector unit while the taps go by, so that four loads
and six weights serve 24 fused multiply-adds, and the processor comes near its peak. Loops that numba compiles have no say
in what stays in registers, so the tile is written in LLVM's language.
"""

# mypy: disable-error-code="no-untyped-def"

from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import llvmlite.binding as llvm
import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from saccade.kernels import kernel

FLOAT, INT, WORD = ir.FloatType(), ir.IntType(32), ir.IntType(64)
SIZE = 4  # bytes of a float
# Lanes of a vector, and how many vectors for each row: a tile of 6 x 4 needs the 32 registers of AVX-512 or NEON
REGISTERS = {"avx512f": (16, 4), "avx": (8, 2)}
LANES, VECTORS = next((found for name, found in REGISTERS.items() if llvm.get_host_cpu_features().get(name)), (4, 4))
ROWS = 6
WIDE = LANES * VECTORS  # numbers of a row in one tile
WIDTHS = sorted({(LANES, VECTORS), (LANES, 2), (LANES, 1), (4, 1), (1, 1)}, reverse=True)
LOOPS = 3  # over taps, one in the other
NO_LEAST = np.float32(-np.inf)


class Tile:
    """Code for sums that stay in registers: `rows` times `vectors` of `lanes` each. Addresses are numbers of bytes."""

    def __init__(self, builder: ir.IRBuilder, rows: int, lanes: int, vectors: int):
        self.builder, self.lanes, self.kind = builder, lanes, ir.VectorType(FLOAT, lanes)
        self.sums = [[cgutils.alloca_once(builder, self.kind) for _ in range(vectors)] for _ in range(rows)]

    def load(self, address: Any, kind: Any) -> Any:
        value = self.builder.load(self.builder.inttoptr(address, kind.as_pointer()))
        value.align = SIZE
        return value

    def filled(self, value: Any) -> Any:
        """The value in every lane."""
        nothing = ir.Constant(self.kind, ir.Undefined)
        first = self.builder.insert_element(nothing, value, INT(0))
        return self.builder.shuffle_vector(first, nothing, ir.Constant(ir.VectorType(INT, self.lanes), [0] * self.lanes))

    def beyond(self, address: Any, numbers: Any) -> Any:
        return self.builder.add(address, self.builder.mul(numbers, WORD(SIZE)))

    def multiply_add(self, a: Any, b: Any, c: Any) -> Any:
        name, function = f"llvm.fmuladd.v{self.lanes}f32", ir.FunctionType(self.kind, [self.kind] * 3)
        return self.builder.call(cgutils.get_or_insert_function(self.builder.module, function, name), [a, b, c])

    def vectors_at(self, address: Any) -> list[Any]:
        """Addresses of the vectors of a row that begins here."""
        return [self.beyond(address, WORD(self.lanes * v)) for v in range(len(self.sums[0]))]

    def start(self, bias: Any) -> None:
        for r, row in enumerate(self.sums):
            first = self.filled(self.load(self.beyond(bias, WORD(r)), FLOAT))
            for each in row:
                self.builder.store(first, each)

    def add(self, x: Any, weights: Any, step: Any) -> None:
        """One tap: the weights of the rows lie `step` numbers apart."""
        vectors = [self.load(each, self.kind) for each in self.vectors_at(x)]
        for row in self.sums:
            weight = self.filled(self.load(weights, FLOAT))
            for each, vector in zip(row, vectors, strict=True):
                self.builder.store(self.multiply_add(weight, vector, self.builder.load(each)), each)
            weights = self.beyond(weights, step)

    def add_all(self, x: Any, weights: Any, step: Any, loops: Any) -> None:
        """Every tap; loops: how many taps, and the steps of x and of weights, of each loop in the other."""
        with ExitStack() as inner:
            for count, of_x, of_weights in zip(*loops, strict=True):
                tap = inner.enter_context(cgutils.for_range(self.builder, count)).index
                x = self.beyond(x, self.builder.mul(tap, of_x))
                weights = self.beyond(weights, self.builder.mul(tap, of_weights))
            self.add(x, weights, step)

    def put(self, out: Any, step: Any, least: Any) -> None:
        """The sums, or `least` where they are below it, into rows `step` numbers apart; NaN stays NaN."""
        floor = self.filled(least)
        for row in self.sums:
            for each, address in zip(row, self.vectors_at(out), strict=True):
                value = self.builder.load(each)
                value = self.builder.select(self.builder.fcmp_ordered("<", value, floor), floor, value)
                self.builder.store(value, self.builder.inttoptr(address, self.kind.as_pointer())).align = SIZE
            out = self.beyond(out, step)


def _rows(rows: int) -> Callable[..., None]:
    """`weighted_sums` for so many rows: wide tiles as long as they fit, then narrower ones."""

    @intrinsic
    def of_rows(typing, x, weights, bias, out, taps, steps, count, least):  # noqa: PLR0913 - as `weighted_sums`
        def codegen(context, builder, signature, arguments):
            x, weights, bias, out, taps, steps, count, least = arguments
            loops = [cgutils.unpack_tuple(builder, each, LOOPS) for each in cgutils.unpack_tuple(builder, taps, 3)]
            next_weight, next_row = cgutils.unpack_tuple(builder, steps, 2)
            for lanes, vectors in WIDTHS:
                tile, width = Tile(builder, rows, lanes, vectors), WORD(lanes * vectors)
                tiles = builder.sdiv(count, width)
                with cgutils.for_range(builder, tiles) as along:
                    done = builder.mul(along.index, width)
                    tile.start(bias)
                    tile.add_all(tile.beyond(x, done), weights, next_weight, loops)
                    tile.put(tile.beyond(out, done), next_row, least)
                done = builder.mul(tiles, width)
                x, out, count = tile.beyond(x, done), tile.beyond(out, done), builder.sub(count, done)
            return context.get_dummy_value()

        places, three = [types.int64] * 4, types.UniTuple(types.int64, LOOPS)
        words = types.UniTuple(three, 3), types.UniTuple(types.int64, 2), types.int64, types.float32
        return types.void(*places, *words), codegen

    return of_rows


_together, _alone = _rows(ROWS), _rows(1)


def groups(rows: int) -> int:
    """How many groups of ROWS make up the rows; kernels go through them by `group`."""
    return -(-rows // ROWS)


@kernel
def group(i, rows):
    """The first row of group i, and how many it has: ROWS, if there are as many; some of the last are in two groups."""
    return max(0, min(i * ROWS, rows - ROWS)), min(rows, ROWS)


@kernel
def weighted_sums(x, weights, bias, out, taps, steps, shape, least):  # noqa: PLR0913 - a kernel bundles no arrays
    """out[r, i] = max(least, bias[r] + the sum over taps t of weights[r, t] x[t, i]).

    x, weights, bias and out are addresses. shape: at most ROWS rows, and how many numbers each has. taps: (how many, steps
    of x, steps of weights) of three loops, one in the other, in numbers; steps: from one row to the next, of weights and of
    out. Each number is summed in the order of the taps, wherever it stands.
    """
    rows, count = shape
    if rows == ROWS:
        _together(x, weights, bias, out, taps, steps, count, least)
        return
    for r in range(rows):
        w, b, to = weights + SIZE * r * steps[0], bias + SIZE * r, out + SIZE * r * steps[1]
        _alone(x, w, b, to, taps, steps, count, least)
