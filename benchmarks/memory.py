"""Memory of training on a store of 100,000 images of 64x64, beyond what the same process holds with torch alone.

The store is mapped, so its pages belong to the system's cache; what counts is the anonymous memory of the process
(RssAnon, Linux). Command: uv run python benchmarks/memory.py. Takes about a minute on two cores and 1.2 GB of disk.
"""

import tempfile
from pathlib import Path

import numpy as np
import torch
from measure import keep

from saccade.data.batches import Resident
from saccade.tasks import classify
from saccade.training.steps import Trainer
from saccade.zoo import find

IMAGES, SIDE, BATCH, STEPS = 100_000, 64, 64, 40


def anonymous() -> int:
    with open("/proc/self/status", encoding="utf-8") as lines:
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon"))


def main() -> None:
    network = find("resnet20").build(10, 3)
    trainer = Trainer(
        network,
        torch.optim.SGD(network.parameters(), lr=0.01, momentum=0.9),
        classify.loss,
        classify.correct,
        lambda: torch.autocast("cpu", torch.bfloat16),
        BATCH,
    )
    before = anonymous()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "pixels.npy"
        generator = np.random.default_rng(0)
        stored = np.lib.format.open_memmap(file, "w+", np.uint8, (IMAGES, SIDE, SIDE, 3))
        for start in range(0, IMAGES, 1000):
            stored[start : start + 1000] = generator.integers(0, 255, (1000, SIDE, SIDE, 3), np.uint8)
        del stored
        pixels = np.load(file, mmap_mode="c")
        resident = Resident(pixels, generator.integers(0, 10, IMAGES), torch.device("cpu"))
        order = generator.permutation(IMAGES)
        batches = (resident.take(order[i * BATCH : (i + 1) * BATCH]) for i in range(STEPS))
        scaled = ((images.permute(0, 3, 1, 2).float() / 255, labels) for images, labels in batches)
        most = max(anonymous() for _ in trainer.steps(scaled))
    keep(
        "memory",
        {
            "what": "anonymous memory while training ResNet-20 on a mapped store of 100,000 images of 64x64",
            "store_bytes": IMAGES * SIDE * SIDE * 3,
            "beyond_torch_bytes": most - before,
            "steps": STEPS,
            "batch": BATCH,
        },
    )


if __name__ == "__main__":
    main()
