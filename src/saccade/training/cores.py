"""Each of torch's threads on a core of its own, so that they do not wait for one another behind what else runs.

Beside one busy process Linux puts two of torch's threads on one core and leaves them there: one waits, spinning, until the
scheduler gives the other its turn, and a parallel loop of microseconds takes ten milliseconds.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import torch

from saccade.kernels import Region, parallel_region


@contextmanager
def cores_of_their_own() -> Iterator[None]:
    """Inside, OpenMP's threads stay each on its core, where there are as many as cores; Linux with libgomp only.

    What is started inside, threads and processes, would stay on the first core: it is for computation alone.
    """
    cores = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set()
    parallel, left = parallel_region(Region), sorted(cores, key=lambda core: (core + os.getpid()) % len(cores))
    if parallel is None or len(cores) < 2 or torch.get_num_threads() != len(cores):
        yield
        return

    def keep_to_one(_: object) -> None:
        with suppress(OSError):  # where a container forbids it
            os.sched_setaffinity(0, {left.pop()})  # of the thread that calls; which one is first differs between processes

    try:
        parallel(Region(keep_to_one), None, len(cores), 0)
        yield
    finally:
        os.sched_setaffinity(0, cores)
