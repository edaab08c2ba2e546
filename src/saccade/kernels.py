"""Loops compiled for this machine's processor by numba: for small images, which torch's kernels on a CPU are not made for.

A kernel takes numpy arrays and scalars and writes into arrays. It is compiled when it is first called (about a second) and
kept on disk; it runs without the interpreter's lock, so that `on_threads` can give parts of a batch to several.
"""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache
from typing import Any

import numba
import torch

# Sums may be taken in another order and multiplications fused, which vector units need; NaN and infinity stay what they are
ALLOWED = {"reassoc", "contract", "arcp", "nsz"}

kernel: Callable[..., Any] = numba.njit(nogil=True, cache=True, fastmath=ALLOWED, error_model="numpy")


def on_threads(work: Callable[[int, int], None], count: int) -> None:
    """work(start, stop) on parts that make up range(count), one a thread of those that torch may use.

    What work writes must not depend on how the range is cut. An error of any part is raised when all have ended.
    """
    parts = min(count, torch.get_num_threads())
    edges = [count * i // max(1, parts) for i in range(parts + 1)]
    others: list[Future[None]] = [_pool(parts - 1).submit(work, edges[i], edges[i + 1]) for i in range(1, parts)]
    try:
        if parts:
            work(edges[0], edges[1])
    finally:
        for other in others:
            other.exception()
    for other in others:
        other.result()


@cache
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, thread_name_prefix="kernels")
