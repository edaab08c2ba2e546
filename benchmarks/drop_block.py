"""DropBlock forward and backward on a map of ResNet-50's third stage: Saccade against torchvision.ops.DropBlock2d.

Command: uv run python benchmarks/drop_block.py. Takes about a minute on two cores.
"""

import time

import torch
from measure import alternate, report
from torch import nn
from torchvision.ops import DropBlock2d

from saccade.layers import DropBlock

PASSES = 10
SHAPE = (32, 1024, 14, 14)


def rate(layer: nn.Module) -> float:
    images = torch.randn(SHAPE).to(memory_format=torch.channels_last).requires_grad_()
    layer(images).sum().backward()
    start = time.perf_counter()
    for _ in range(PASSES):
        layer(images).sum().backward()
    return PASSES * SHAPE[0] / (time.perf_counter() - start)


def main() -> None:
    ours, theirs = DropBlock(0.1, 7).train(), DropBlock2d(0.1, 7).train()
    pairs = alternate(lambda: rate(ours), lambda: rate(theirs), rounds=7)
    report("DropBlock of 7 x 7, forward and backward, channels last", "images/s", pairs, shape=SHAPE)


if __name__ == "__main__":
    main()
