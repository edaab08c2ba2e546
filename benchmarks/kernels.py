"""Saccade's own loops on a CPU: LeNet-5's convolutions against torch's, torch's threads against others, freed memory kept.

Command: uv run python benchmarks/kernels.py. Takes about 2 minutes on two cores.
"""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from measure import alternate, keep, ratio
from torch import Tensor, nn

from saccade import kernels
from saccade.layers.images_last import images_last
from saccade.training.allocator import keep_freed_memory
from saccade.zoo import find

ROUNDS, STEPS, BATCH = 9, 300, 64
BLOCKS = {
    "1 to 6 maps, 5 x 5 padded": ((1, 28, 28), nn.Conv2d(1, 6, 5, padding=2)),
    "6 to 16 maps, 5 x 5": ((6, 14, 14), nn.Conv2d(6, 16, 5)),
}


def per_second(work: Callable[[], object], times: int = STEPS) -> float:
    for _ in range(times // 10):
        work()
    start = time.perf_counter()
    for _ in range(times):
        work()
    return times / (time.perf_counter() - start)


def both_ways(network: nn.Module, shape: tuple[int, ...]) -> Callable[[], None]:
    """Forward and backward of a convolution, ReLU and pooling; the gradients of images too, but not of grey ones."""
    images = torch.randn(BATCH, *shape, requires_grad=shape[0] > 1)
    ones = torch.ones_like(network(images))

    def step() -> None:
        network.zero_grad()
        network(images).backward(ones)

    return step


def against_torch(shape: tuple[int, ...], convolution: nn.Module) -> list[tuple[float, float]]:
    network = nn.Sequential(convolution, nn.ReLU(), nn.MaxPool2d(2))
    own, theirs = both_ways(images_last(network), shape), both_ways(network, shape)
    return alternate(lambda: per_second(own), lambda: per_second(theirs), ROUNDS)


def in_turn(threads: Callable[[Any], Any]) -> float:
    """A loop without the interpreter's lock and a matrix product of torch's, in turn, on threads found by `threads`."""
    left, right = torch.randn(256, 400), torch.randn(400, 120)
    numbers = np.zeros((2, 400_000), np.float32)

    def halves(start: int, stop: int) -> None:
        for i in range(start, stop):
            np.sqrt(numbers[i], out=numbers[i])

    def step() -> Tensor:
        kernels.on_threads(halves, 2)
        return left @ right

    before, kernels.parallel_region = kernels.parallel_region, threads
    try:
        return per_second(step)
    finally:
        kernels.parallel_region = before


def steps_of_lenet(kept: bool) -> float:
    """Steps a second of LeNet-5 in torch at batch 128, where the C library keeps what is freed, and where it does not."""
    if kept:
        keep_freed_memory()
    network, images, labels = find("lenet5").build(10, 1), torch.randn(128, 1, 28, 28), torch.zeros(128, dtype=torch.long)
    optimizer = torch.optim.SGD(network.parameters(), 0.01, momentum=0.9)

    def step() -> None:
        optimizer.zero_grad()
        nn.functional.cross_entropy(network(images), labels).backward()
        optimizer.step()

    return per_second(step)


def alone(kept: bool) -> float:
    """That in a process of its own: what the C library was told cannot be taken back."""
    words = [sys.executable, __file__, str(int(kept))]
    return json.loads(subprocess.run(words, check=True, capture_output=True, text=True).stdout)


def main() -> None:
    if sys.argv[1:]:
        print(steps_of_lenet(sys.argv[1] == "1"))
        return
    found = {f"{name}, against torch": ratio(against_torch(*block)) for name, block in BLOCKS.items()}
    threads = alternate(lambda: in_turn(kernels.parallel_region), lambda: in_turn(lambda region: None), ROUNDS)
    found["a loop and a matrix product in turn, torch's threads against others"] = ratio(threads)
    memory = alternate(lambda: alone(True), lambda: alone(False), ROUNDS)
    found["a step of torch's LeNet-5 at batch 128, freed memory kept against given back"] = ratio(memory)
    keep("kernels", {"what": f"ratios of speed, batch {BATCH}, forward and backward", "n": ROUNDS, "ratio": found})


if __name__ == "__main__":
    main()
