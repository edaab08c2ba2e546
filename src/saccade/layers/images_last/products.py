"""Sums of products of rows of numbers: what the gradient of a convolution's weight is, images last.

Each number of it is the sum of the products of the rows of a gradient's map and the shifted rows of a map of x. Those of
some maps and TAPS shifts are summed at once, in the registers of the vector unit: a load for each map and each shift serves
as many multiply-adds as their product. See sums.py for why this is written in LLVM's language.
"""

# mypy: disable-error-code="no-untyped-def"

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from saccade.kernels import kernel
from saccade.layers.images_last.sums import FLOAT, LANES, VECTORS, WORD, Tile

TAPS = 5
MAPS = VECTORS  # together with TAPS: sums, a row of x each and one of the gradient need 26 of 32 registers, or 16 of 16


class _Products(Tile):
    """Sums of products, of some maps with TAPS rows each."""

    def clear(self) -> None:
        for row in self.sums:
            for each in row:
                self.builder.store(ir.Constant(self.kind, [0.0] * self.lanes), each)

    def add_products(self, gradient: Any, step: Any, places: list[Any]) -> None:
        """Of a vector of each map, `step` numbers apart, with one at each place."""
        vectors = [self.load(each, self.kind) for each in places]
        for row in self.sums:
            value = self.load(gradient, self.kind)
            for each, vector in zip(row, vectors, strict=True):
                self.builder.store(self.multiply_add(value, vector, self.builder.load(each)), each)
            gradient = self.beyond(gradient, step)

    def keep(self, places: list[Any], step: Any, more: bool) -> None:
        """The sums over the lanes, at each place and `step` numbers on for each further map; added to what is there."""
        builder, kind = self.builder, ir.FunctionType(FLOAT, [FLOAT, self.kind])
        total = cgutils.get_or_insert_function(builder.module, kind, f"llvm.vector.reduce.fadd.v{self.lanes}f32")
        where = [[self.beyond(each, builder.mul(step, WORD(m))) for each in places] for m in range(len(self.sums))]
        first = [[self.load(each, FLOAT) if more else ir.Constant(FLOAT, 0.0) for each in row] for row in where]
        for addresses, starts, row in zip(where, first, self.sums, strict=True):
            for address, start, each in zip(addresses, starts, row, strict=True):
                found = builder.call(total, [start, builder.load(each)], fastmath=["reassoc"])
                builder.store(found, builder.inttoptr(address, FLOAT.as_pointer())).align = 4


def _of(maps: int) -> Callable[..., None]:
    """`summed_products` of so many maps: whole vectors, then what is left, number by number."""

    @intrinsic
    def of_maps(typing, gradient, xs, outs, steps, shape):  # noqa: PLR0913 - as `summed_products`
        def codegen(context, builder, signature, arguments):
            gradient, xs, outs, steps, shape = arguments
            xs, outs = (cgutils.unpack_tuple(builder, each, TAPS) for each in (xs, outs))
            (next_map, next_row, next_line, next_out), (rows, count) = (
                cgutils.unpack_tuple(builder, each, size) for each, size in ((steps, 4), (shape, 2))
            )
            for lanes in (LANES, 1):
                tile, tiles = _Products(builder, maps, lanes, TAPS), builder.sdiv(count, WORD(lanes))
                tile.clear()
                with cgutils.for_range(builder, rows) as down, cgutils.for_range(builder, tiles) as along:
                    done = builder.mul(along.index, WORD(lanes))
                    line = builder.add(done, builder.mul(down.index, next_line))
                    places = [tile.beyond(each, line) for each in xs]
                    row = builder.add(done, builder.mul(down.index, next_row))
                    tile.add_products(tile.beyond(gradient, row), next_map, places)
                tile.keep(outs, next_out, more=lanes == 1)
                done = builder.mul(tiles, WORD(lanes))
                xs, gradient = [tile.beyond(each, done) for each in xs], tile.beyond(gradient, done)
                count = builder.sub(count, done)
            return context.get_dummy_value()

        places = types.UniTuple(types.int64, TAPS)
        words = types.UniTuple(types.int64, 4), types.UniTuple(types.int64, 2)
        return types.void(types.int64, places, places, *words), codegen

    return of_maps


_of_maps, _of_two, _of_one = _of(MAPS), _of(2), _of(1)


@kernel
def summed_products(gradient, xs, outs, steps, shape):
    """Out of map m and tap t: the sum, over rows and numbers, of the products of the map's rows and those at xs[t].

    gradient: the address of the first map's first row. xs, outs: for each of TAPS taps the addresses of its first row, and
    of its sum for the first map; two taps may be the same. steps: numbers from one map and from one row of the gradient to
    the next, from one row of x to the next, and from one map's sums to the next. shape: maps, rows, numbers of a row. Gives
    how many maps it has summed: the most that go at once.
    """
    maps, rows, count = shape
    if maps >= MAPS:
        _of_maps(gradient, xs, outs, steps, (rows, count))
        return MAPS
    if maps >= 2:
        _of_two(gradient, xs, outs, steps, (rows, count))
        return 2
    _of_one(gradient, xs, outs, steps, (rows, count))
    return 1
