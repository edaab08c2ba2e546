"""ResNet-18 on photos, where the C library keeps the memory that a step frees, against where it gives it back.

bf16, channels-last, 176 px, batch 32, as the photos of the front door are trained on a CPU. Each in a process of its own:
what the C library was told cannot be taken back.

Command: uv run python benchmarks/freed_memory.py. Takes about 3 minutes on two cores.
"""

import json
import subprocess
import sys
import time
from collections.abc import Callable

import torch
from measure import alternate, keep, ratio
from torch import nn

from saccade.training.allocator import keep_freed_memory
from saccade.zoo import find

ROUNDS, STEPS, BATCH, SIDE = 5, 12, 32, 176


def steps_a_second(kind: str, kept: bool) -> float:
    if kept:
        keep_freed_memory()
    torch.manual_seed(0)
    network = find("resnet18").build(10, 3).to(memory_format=torch.channels_last)
    images = torch.randn(BATCH, 3, SIDE, SIDE).to(memory_format=torch.channels_last)
    labels, optimizer = torch.zeros(BATCH, dtype=torch.long), torch.optim.SGD(network.parameters(), 0.01, momentum=0.9)

    def train() -> None:
        optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16):
            loss = nn.functional.cross_entropy(network(images), labels)
        loss.backward()
        optimizer.step()

    def evaluate() -> None:
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
            network.eval()(images)

    work: Callable[[], None] = {"training": train, "evaluation": evaluate}[kind]
    work()
    start = time.perf_counter()
    for _ in range(STEPS):
        work()
    return STEPS / (time.perf_counter() - start)


def alone(kind: str, kept: bool) -> float:
    words = [sys.executable, __file__, kind, str(int(kept))]
    return json.loads(subprocess.run(words, check=True, capture_output=True, text=True).stdout)


def main() -> None:
    if sys.argv[1:]:
        kind, kept = sys.argv[1:]
        print(steps_a_second(kind, kept == "1"))
        return
    found = {}
    for kind in ("training", "evaluation"):
        pairs = alternate(lambda: alone(kind, True), lambda: alone(kind, False), ROUNDS)  # noqa: B023 - called at once
        found[kind] = ratio(pairs)
    what = f"ResNet-18, batch {BATCH}, {SIDE} px, bf16: freed memory kept over given back"
    keep("freed_memory", {"what": what, "n": ROUNDS, "ratio": found})


if __name__ == "__main__":
    main()
