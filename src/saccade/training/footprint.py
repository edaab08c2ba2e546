"""How much memory a process holds for its tensors."""

import threading
from contextlib import suppress
from types import TracebackType

import torch

SECONDS = 0.02


def footprint(device: str) -> int | None:
    """Bytes: on a GPU the most that torch has allocated so far, on Linux what the process holds that is no file.

    None where the system does not tell.
    """
    if torch.device(device).type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    with suppress(OSError, StopIteration), open("/proc/self/status", encoding="utf-8") as lines:
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon"))
    return None


class Peak:
    """While open, the largest footprint met, looked for every 20 ms: the fullest moment lies within a step."""

    def __init__(self, device: str) -> None:
        self.device, self.bytes = device, 0
        self.closing = threading.Event()
        self.thread = threading.Thread(target=self._watch, daemon=True)

    def _watch(self) -> None:
        while not self.closing.wait(SECONDS):
            self.bytes = max(self.bytes, footprint(self.device) or 0)

    def __enter__(self) -> "Peak":
        self.thread.start()
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.closing.set()
        self.thread.join()
        self.bytes = max(self.bytes, footprint(self.device) or 0)
