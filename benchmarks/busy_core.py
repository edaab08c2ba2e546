"""Training steps with each of torch's threads on a core of its own, against threads that the system places.

On a quiet machine and beside one busy process, on black images of 28 px, batch 64; each measurement in a process of its
own.

Command: uv run python benchmarks/busy_core.py. Takes about 3 minutes on two cores, which nothing else must use.
"""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from measure import alternate, keep, ratio
from torch import nn

from saccade.training.cores import cores_of_their_own
from saccade.training.plan import IMAGES_LAST, Plan
from saccade.zoo import find

ROUNDS, SECONDS, BATCH = 5, 4.0, 64
PLANS = {"lenet5": IMAGES_LAST, "resnet20": Plan("cpu", "fp32", channels_last=True, compiled=False)}


def images_a_second(name: str, placed: bool) -> float:
    network = find(name).build(10, 1).to(memory_format=PLANS[name].memory_format)
    called, optimizer = PLANS[name].form(network), torch.optim.SGD(network.parameters(), 0.01, momentum=0.9)
    images, labels = torch.zeros(BATCH, 1, 28, 28), torch.zeros(BATCH, dtype=torch.long)
    with nullcontext() if placed else cores_of_their_own("cpu"):
        start, steps = 0.0, -2  # two to warm up
        while steps < 1 or time.perf_counter() - start < SECONDS:
            if steps == 0:
                start = time.perf_counter()
            nn.functional.cross_entropy(called(images), labels).backward()
            optimizer.step()
            optimizer.zero_grad()
            steps += 1
    return steps * BATCH / (time.perf_counter() - start)


def alone(name: str, placed: bool) -> float:
    words = [sys.executable, __file__, name, str(int(placed))]
    return json.loads(subprocess.run(words, check=True, capture_output=True, text=True).stdout)


@contextmanager
def beside(busy: int) -> Iterator[None]:
    """So many other processes that do nothing but compute."""
    others = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(busy)]
    try:
        yield
    finally:
        for other in others:
            other.kill()
            other.wait()


def main() -> None:
    if sys.argv[1:]:
        name, placed = sys.argv[1:]
        print(images_a_second(name, placed == "1"))
        return
    found: dict[str, Any] = {}
    for name in PLANS:
        for busy, where in enumerate(("quiet", "beside a busy process")):
            with beside(busy):
                pairs = alternate(lambda name=name: alone(name, False), lambda name=name: alone(name, True), ROUNDS)
            rates = {"own cores": [round(a) for a, _ in pairs], "placed by the system": [round(b) for _, b in pairs]}
            found[f"{name}, {where}"] = {"ratio": ratio(pairs), **rates}
    keep("busy_core", {"what": "training on cores of their own", "n": ROUNDS, "unit": "images/s", **found})


if __name__ == "__main__":
    main()
