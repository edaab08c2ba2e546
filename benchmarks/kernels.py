"""Saccade's own loops on a CPU: LeNet-5's layers against torch's, and torch's threads against others.

Command: uv run python benchmarks/kernels.py. Takes about 2 minutes on two cores.
"""

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from measure import alternate, keep, ratio
from torch import Tensor, nn

from saccade import kernels
from saccade.layers.images_last import features, images_last
from saccade.zoo import find

ROUNDS, STEPS, BATCH = 9, 300, 64
PARTS = {  # what it reads, and the part
    "convolution, ReLU and pooling of 1 map to 6": (
        (1, 28, 28),
        [nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2)],
    ),
    "convolution, ReLU and pooling of 6 maps to 16": ((6, 14, 14), [nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2)]),
}


def per_second(work: Callable[[], object], times: int = STEPS) -> float:
    for _ in range(times // 10):
        work()
    start = time.perf_counter()
    for _ in range(times):
        work()
    return times / (time.perf_counter() - start)


def both_ways(network: nn.Module, shape: tuple[int, ...]) -> Callable[[], None]:
    """Forward and backward; the gradients of what is read too, but not of grey images."""
    images = torch.randn(BATCH, *shape, requires_grad=shape[0] > 1)
    ones = torch.ones_like(network(images))

    def step() -> None:
        network.zero_grad()
        network(images).backward(ones)

    return step


def against_torch(shape: tuple[int, ...], layers: list[nn.Module]) -> list[tuple[float, float]]:
    network = nn.Sequential(*layers)
    own, theirs = both_ways(images_last(network), shape), both_ways(network, shape)
    return alternate(lambda: per_second(own), lambda: per_second(theirs), ROUNDS)


def of_dense_layers() -> list[tuple[float, float]]:
    """Steps of LeNet-5 of which the dense layers are own kernels too, against one where they are torch's."""
    network = find("lenet5").build(10, 1)
    own, small = both_ways(images_last(network), (1, 28, 28)), features.SMALL
    features.SMALL = 0
    theirs, features.SMALL = both_ways(images_last(network), (1, 28, 28)), small
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


def main() -> None:
    found = {f"{name}, against torch": ratio(against_torch(*part)) for name, part in PARTS.items()}
    found["LeNet-5 with own dense layers, against torch's among own convolutions"] = ratio(of_dense_layers())
    threads = alternate(lambda: in_turn(kernels.parallel_region), lambda: in_turn(lambda region: None), ROUNDS)
    found["a loop and a matrix product in turn, torch's threads against others"] = ratio(threads)
    keep("kernels", {"what": f"ratios of speed, batch {BATCH}, forward and backward", "n": ROUNDS, "ratio": found})


if __name__ == "__main__":
    main()
