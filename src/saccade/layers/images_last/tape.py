"""Tapes: the calls of kernels for a block of images, written down."""

from collections.abc import Callable, Iterable, Sequence
from enum import IntEnum, auto
from math import prod
from typing import NamedTuple

from saccade.layers.images_last.arguments import ARRAYS, DIMENSIONS, NUMBERS
from saccade.layers.images_last.copies import laid

Shape = tuple[int, ...]
Kernel = Callable[[int], None]

LINE = 64  # bytes, of a cache: arrays begin with one


class Buffer(IntEnum):
    """Where arrays lie: tensors of which a step knows the addresses. Weights are numbered from WEIGHTS on."""

    NONE = 0  # for words that are no address, and what is a shape alone
    UNPLACED = auto()  # of a tape that is being written
    X = auto()
    OUT = auto()
    KEPT = auto()  # from the way ahead for the way back, of each block its own
    SCRATCH = auto()  # of each thread its own
    GRADIENT = auto()  # of OUT
    OF_X = auto()  # the gradient of X
    PARTS = auto()  # the gradients of the weights, of each block its own
    OF_WEIGHTS = auto()  # their sum
    ZEROS = auto()
    WEIGHTS = auto()


class Array(NamedTuple):
    """Numbers in a buffer from so many bytes on, contiguous, an image a lane: (C, H, W, n) or (I, n)."""

    buffer: int
    offset: int
    shape: Shape


class Outside(NamedTuple):
    """The images of a block in a tensor of torch's: (C, H, W, n) or (I, n) with these strides in numbers."""

    buffer: int
    shape: Shape
    strides: Shape


class Call(NamedTuple):
    kernel: Kernel
    arrays: tuple[Array, ...]
    numbers: tuple[int, ...]


class Tape:
    """The calls for a block of images, as layers write them down. Where their arrays lie is decided when all is written."""

    def __init__(self) -> None:
        self.calls, self.sizes = list[Call](), list[int]()
        self.bytes = {Buffer.KEPT: 0, Buffer.SCRATCH: 0}
        self.wanted = True  # whether the gradient of what the layer at hand was given is

    def floats(self, *shape: int) -> Array:
        return self._array(shape, 4)

    def codes(self, *shape: int) -> Array:
        return self._array(shape, 1)

    def _array(self, shape: Shape, size: int) -> Array:
        self.sizes.append(-(-prod(shape) * size // LINE) * LINE)
        return Array(Buffer.UNPLACED, len(self.sizes) - 1, shape)

    def call(self, kernel: Kernel, arrays: Sequence[Array], numbers: Sequence[int] = ()) -> None:
        assert len(arrays) <= ARRAYS
        assert len(numbers) <= NUMBERS
        self.calls.append(Call(kernel, tuple(arrays), tuple(numbers)))

    def inside(self, x: Array | Outside, around: tuple[int, int] = (0, 0)) -> Array:
        """x itself, or a copy of it where it is not inside yet; with so many rows and columns of zeros around it."""
        if isinstance(x, Array) and around == (0, 0):
            return x
        above, before = around
        *maps, height, width, images = x.shape if len(x.shape) == DIMENSIONS else (x.shape[0], 1, 1, x.shape[1])
        padded = self.floats(*maps, height + 2 * above, width + 2 * before, images)
        self.copy(x, padded, around)
        return padded if len(x.shape) == DIMENSIONS else padded._replace(shape=x.shape)

    def put(self, x: Array, out: Outside) -> None:
        self.copy(x, out, (0, 0))

    def copy(self, x: Array | Outside, out: Array | Outside, around: tuple[int, int]) -> None:
        (source, strides), (target, steps) = four_sides(x), four_sides(out)
        self.call(laid, (source, target), (*strides, *steps, *around))

    def place(self, kept: Iterable[Array] = ()) -> Callable[[Array], Array]:
        """Give every array its place: in KEPT what is kept, each by itself; in SCRATCH the others, where a call needs it.

        Gives what says where an array lies.
        """
        stay = {x.offset for x in kept if x.buffer == Buffer.UNPLACED}
        last = {x.offset: i for i, each in enumerate(self.calls) for x in each.arrays if x.buffer == Buffer.UNPLACED}
        places: dict[int, tuple[Buffer, int]] = {}
        free: list[tuple[int, int]] = []  # offset and bytes
        for i, each in enumerate(self.calls):
            met = {x.offset for x in each.arrays if x.buffer == Buffer.UNPLACED}
            for number in sorted(met - places.keys()):
                buffer = Buffer.KEPT if number in stay else Buffer.SCRATCH
                places[number] = buffer, self._offset(buffer, self.sizes[number], free)
            free += [(places[number][1], self.sizes[number]) for number in sorted(met - stay) if last[number] == i]

        def placed(x: Array) -> Array:
            return Array(*places[x.offset], x.shape) if x.buffer == Buffer.UNPLACED else x

        self.calls = [each._replace(arrays=tuple(map(placed, each.arrays))) for each in self.calls]
        return placed

    def _offset(self, buffer: Buffer, size: int, free: list[tuple[int, int]]) -> int:
        """Of so many new bytes in a buffer: in SCRATCH those of an array that no later call needs, if they are enough."""
        found = next((each for each in free if buffer == Buffer.SCRATCH and each[1] >= size), None)
        if found is None:
            self.bytes[buffer] += size
            return self.bytes[buffer] - size
        free.remove(found)
        if found[1] > size:
            free.append((found[0] + size, found[1] - size))
        return found[0]


def four_sides(x: Array | Outside) -> tuple[Array, Shape]:
    """As an array of four dimensions, and its strides."""
    strides = x.strides if isinstance(x, Outside) else tuple(prod(x.shape[i + 1 :]) for i in range(len(x.shape)))
    offset = x.offset if isinstance(x, Array) else 0
    if len(x.shape) == DIMENSIONS:
        return Array(x.buffer, offset, x.shape), strides
    return Array(x.buffer, offset, (x.shape[0], 1, 1, x.shape[1])), (strides[0], 0, 0, strides[1])
