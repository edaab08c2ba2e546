"""What runs a program on every thread that enters it."""

# mypy: disable-error-code="no-untyped-def"

import numpy as np
from numba import carray

from saccade.layers.images_last.arguments import WORDS, call, counted, words


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
