"""Loops compiled for this machine's processor by numba: for small images, which torch's kernels on a CPU are not made for.

A kernel takes numpy arrays and scalars and writes into arrays. It is compiled when it is first called (about a second) and
kept on disk; it runs without the interpreter's lock, so that `on_threads` can give parts of a batch to several threads.
numba compiles anew what lies in a changed file and looks at no other: who changes a kernel that is called from other files
removes the `*.nbi` beside those (the tests do).
"""

import ctypes
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from pathlib import Path
from typing import Any

import numba
import torch

# Sums may be taken in another order and multiplications fused, which vector units need; NaN and infinity stay what they are
ALLOWED = {"reassoc", "contract", "arcp", "nsz"}

Work = Callable[[int, int], None]
Region = ctypes.CFUNCTYPE(None, ctypes.c_void_p)


def kept_on_disk(compiler: Callable[..., Any], *words: Any) -> Callable[..., Any]:
    """The decorator that numba's compiler makes of these words, with its cache where a folder can be written to."""

    def decorate(loop: Callable[..., Any]) -> Any:
        try:
            return compiler(*words, cache=True, fastmath=ALLOWED, error_model="numpy")(loop)
        except RuntimeError:  # no folder; then each process compiles for itself
            return compiler(*words, fastmath=ALLOWED, error_model="numpy")(loop)

    return decorate


kernel = kept_on_disk(partial(numba.njit, nogil=True))


def on_threads(work: Work, count: int) -> None:
    """work(start, stop) on parts that make up range(count), one a thread of torch's own, or of others without OpenMP.

    What work writes must not depend on how the range is cut. An error of any part is raised when all have ended. Costs 50
    microseconds, because each thread waits for the interpreter's lock.
    """
    parts, parallel = min(count, torch.get_num_threads()), parallel_region(Region)
    edges = [count * i // max(1, parts) for i in range(parts + 1)]
    if parts < 2:
        work(0, count)
        return
    if parallel is None:
        with ThreadPoolExecutor(parts) as pool:
            list(pool.map(work, edges[:-1], edges[1:]))
        return
    left, errors = iter(range(parts)), []

    def part(_: object) -> None:
        try:
            for i in left:  # each part once, perhaps on fewer threads than were asked for
                work(edges[i], edges[i + 1])
        except BaseException as error:  # cannot cross the C library
            errors.append(error)

    parallel(Region(part), None, parts, 0)
    if errors:
        raise errors[0]


@cache
def parallel_region(region: Any) -> Any:
    """GOMP_parallel for regions of this type of ctypes, of the OpenMP library that torch loaded; None where it has none.

    Threads of our own would share the cores with torch's, which spin for a while. A loop and a matrix product in
    turn are 1.8 times as fast on torch's (1.6 to 5.6, n = 9, benchmarks/kernels.py).
    """
    file = Path(torch.__file__).parent / "lib" / "libgomp.so.1"
    try:
        found = ctypes.CDLL(str(file))["GOMP_parallel"] if file.exists() else None  # another object for each type
    except (OSError, AttributeError):
        return None
    if found is not None:
        found.argtypes, found.restype = [region, ctypes.c_void_p, ctypes.c_uint, ctypes.c_uint], None
    return found
