"""Each of torch's threads on a core of its own, so that they do not wait for one another behind what else runs.

Beside one busy process Linux puts two of torch's threads on one core and leaves them there: one waits, spinning, until the
scheduler gives the other its turn, and a parallel loop of microseconds takes ten milliseconds. Measured by
benchmarks/busy_core.py.
"""

import os
import threading
from collections.abc import Callable, Iterator, Sequence, Set
from contextlib import contextmanager, suppress
from functools import cache

import torch

from saccade.kernels import Region, parallel_region


@cache
def core_numbers() -> frozenset[int]:
    """Of the cores that this process may use, as it found them."""
    return frozenset(os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else range(os.cpu_count() or 1))


def cores() -> int:
    return len(core_numbers())


@contextmanager
def cores_of_their_own(device: str) -> Iterator[None]:
    """Inside, torch's two threads on a CPU of two cores stay each on one; Linux with libgomp only.

    With more cores libgomp ends threads and starts others as loops take fewer or more of them, and those would start on the
    core of the calling one. So would threads and processes that are started inside: it is for computation alone.
    """
    parallel, both = parallel_region(Region), core_numbers()
    free = hasattr(os, "sched_getaffinity") and os.sched_getaffinity(0) == both  # not yet inside another
    if device != "cpu" or parallel is None or not free or torch.get_num_threads() != 2 or cores() != 2:
        yield
        return
    order = sorted(both, reverse=os.getpid() % 2 == 1)  # the calling threads of two processes had better not meet
    threads = each_to_one(parallel, order)
    try:
        yield
    finally:
        for thread in threads:  # by their numbers, as another thread may end what this one has begun
            move(thread, both)


def each_to_one(parallel: Callable[..., None], cores: Sequence[int]) -> list[int]:
    """Each of torch's threads goes to one of these cores; their numbers."""
    left, gone = list(cores), []

    def go(_: object) -> None:
        gone.append(threading.get_native_id())
        move(gone[-1], {left.pop()})

    parallel(Region(go), None, len(cores), 0)
    return gone


def move(thread: int, where: Set[int]) -> None:
    with suppress(OSError):  # where a container forbids it, or the thread is no more
        os.sched_setaffinity(thread, where)
