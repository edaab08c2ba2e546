"""How much memory a process holds for its tensors."""

from contextlib import suppress

import torch


def footprint(device: str) -> int | None:
    """Bytes: on a GPU the most that torch has allocated so far, on Linux what the process holds that is no file.

    None where the system does not tell.
    """
    if torch.device(device).type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    with suppress(OSError, StopIteration), open("/proc/self/status", encoding="utf-8") as lines:
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon"))
    return None
