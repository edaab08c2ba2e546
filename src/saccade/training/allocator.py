"""Memory that a training step frees is kept for the next one, which asks for the same again."""

import ctypes
import sys
from typing import Any

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # glibc's malloc.h
LARGEST = 32 * 2**20  # what glibc takes as a threshold; larger blocks are mapped anew each time
MOST = 2**31 - 1


def keep_freed_memory() -> None:
    """Tell glibc to give no freed memory back to the system, which hands it out again as zeroed pages at each step.

    ResNet-18 on photos trains 1.2 times as fast by it (0.96 to 1.5) and is evaluated 1.24 times as fast (1.23 to 1.34; two
    cores, n = 5, benchmarks/freed_memory.py). Does nothing where the C library is another one.
    """
    if (mallopt := _of_glibc("mallopt")) is not None:
        mallopt(M_MMAP_THRESHOLD, LARGEST)
        mallopt(M_TRIM_THRESHOLD, MOST)


def give_back() -> None:
    """What is free goes back to the system after all: the process may live on and train no more."""
    if (malloc_trim := _of_glibc("malloc_trim")) is not None:
        malloc_trim(0)


def _of_glibc(name: str) -> Any:
    return getattr(ctypes.CDLL(None), name, None) if sys.platform.startswith("linux") else None
