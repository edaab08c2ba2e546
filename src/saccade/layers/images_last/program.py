"""Programs: the calls of kernels that take a batch through layers, block by block of images, on torch's threads.

What Python does for a call costs as much as a small kernel. So the calls are written down once for each shape of a batch,
as a table of words; a step adds the addresses of its tensors and hands it over. A block of images goes through all layers
by itself, on one thread, so that what it writes stays in that core's cache, and no thread waits for another between two
layers. How a batch is cut into blocks depends on the number of its images alone: no bit depends on the number of threads.
"""

import ctypes
from array import array
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import numba
import numpy as np
import torch

from saccade.kernels import kept_on_disk, parallel_region
from saccade.layers.images_last.arguments import DIMENSIONS, NUMBERS, WORDS
from saccade.layers.images_last.blocks import in_blocks
from saccade.layers.images_last.tape import Buffer, Call, Kernel, Tape

BLOCK = 32  # images: with fewer a dense layer's weights come from memory too often, with more the maps leave the cache


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
