"""Programs: the calls of kernels that take a batch through layers, block by block of images, on torch's threads.

What Python does for a call costs as much as a small kernel. So the calls are written down once for each shape of a batch,
as a table of words; a step adds the addresses of its tensors and hands it over. A block of images goes through all layers
by itself, on one thread, so that what it writes stays in that core's cache, and no thread waits for another between two
layers. How a batch is cut into blocks depends on the number of its images alone: no bit depends on the number of threads.
"""

# mypy: disable-error-code="no-untyped-def"

import ctypes
from array import array
from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import IntEnum, auto
from functools import cache
from math import prod
from typing import Any, NamedTuple

import numba
import numpy as np
import torch
from numba import carray

from saccade.kernels import kept_on_disk, parallel_region
from saccade.layers.images_last.arguments import ARRAYS, DIMENSIONS, NUMBERS, WORDS, call, counted, words
from saccade.layers.images_last.copies import laid

Shape = tuple[int, ...]
Kernel = Callable[[int], None]

BLOCK = 32  # images: with fewer a dense layer's weights come from memory too often, with more the maps leave the cache
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


class Program:
    """The calls of each block on a tape of its own, and of one tape when all blocks are through.

    steps: bytes from one block to the next in a buffer, 0 where not given.
    """

    def __init__(self, tapes: Sequence[Tape], steps: Mapping[int, int], end: Tape | None = None):
        calls = [[(each, i) for each in tape.calls] for i, tape in enumerate(tapes)]
        each_call = [pair for block in (*calls, [(each, 0) for each in end.calls] if end else []) for pair in block]
        self.blocks, self.size = len(tapes), len(calls[0]) * (1 + WORDS)
        self.words = np.array([word for each, i in each_call for word in words_of(each, i, steps)])
        self.which = np.array([buffer for each, _ in each_call for buffer in buffers_of(each)])
        self.moved = np.flatnonzero(self.which[: self.size] == Buffer.SCRATCH)
        self.scratch = max(tape.bytes[Buffer.SCRATCH] for tape in tapes)

    def run(self, addresses: Sequence[int]) -> None:
        """With the buffers at these addresses, SCRATCH apart."""
        threads, parallel = torch.get_num_threads(), parallel_region(ctypes.c_void_p)
        threads = 1 if parallel is None else min(threads, self.blocks)
        scratch = torch.empty(threads * self.scratch, dtype=torch.uint8, device="cpu")
        bases = np.array(addresses)
        bases[Buffer.SCRATCH] = scratch.data_ptr()
        table, moved = self.words + bases[self.which], self.moved
        places = table.ctypes.data, len(table), moved.ctypes.data, len(moved)
        head = array("q", [0, 0, 0, self.blocks, self.size, *places, self.scratch])
        if threads < 2:
            compiled(in_blocks).ctypes(head.buffer_info()[0])
        else:
            parallel(compiled(in_blocks).address, head.buffer_info()[0], threads, 0)


def buffers_of(each: Call) -> list[int]:
    """What the words of a call are relative to."""
    found = [int(Buffer.NONE)] * (1 + NUMBERS)
    for x in each.arrays:
        found += [int(x.buffer), *[int(Buffer.NONE)] * DIMENSIONS]
    return found + [int(Buffer.NONE)] * (1 + WORDS - len(found))


def words_of(each: Call, block: int, steps: Mapping[int, int]) -> list[int]:
    """The kernel and its arguments, see arguments.py."""
    found = [compiled(each.kernel).address, *each.numbers, *[0] * (NUMBERS - len(each.numbers))]
    for x in each.arrays:
        found += [x.offset + block * steps.get(x.buffer, 0), *x.shape, *[1] * (DIMENSIONS - len(x.shape))]
    return found + [0] * (1 + WORDS - len(found))


@cache
def compiled(function: Kernel) -> Any:
    return kept_on_disk(numba.cfunc, "void(voidptr)")(function)


def in_blocks(address):
    """The calls of one block after the other, each block on one of the threads that enter here; the last one has the end.

    Words: threads so far, blocks given out and finished so far, blocks, words of each; where all words lie, how many; which
    of a block are moved, how many, and by how many bytes for each thread.
    """
    head = carray(address, (10,), np.int64)
    blocks, size = head[3], head[4]
    table, moved = words(head[5], head[6]), words(head[7], head[8])
    thread, block = counted(head.ctypes.data), counted(head.ctypes.data + 8)
    while block < blocks:
        first = block * size
        for i in range(head[8]):
            table[first + moved[i]] += thread * head[9]
        for i in range(first, first + size, 1 + WORDS):
            call(table[i], table.ctypes.data + 8 * (i + 1))
        if counted(head.ctypes.data + 16) == blocks - 1:
            for i in range(blocks * size, head[6], 1 + WORDS):
                call(table[i], table.ctypes.data + 8 * (i + 1))
        block = counted(head.ctypes.data + 8)
