"""ResNet-18 on clothing photos at 176 px: Saccade with a warm store against ImageFolder + v2 + DataLoader(2 workers).

Command: uv run python benchmarks/photos_resnet18.py. Takes about 4 minutes on two cores.
"""

import tempfile
import time
from pathlib import Path

import torch
from measure import DATA, alternate, report
from torch import nn
from torch.utils.data import DataLoader
from torchvision.datasets import ImageFolder
from torchvision.models import resnet18
from torchvision.transforms import v2

from saccade.events import finish
from saccade.experiment.fit import Fit, Position
from saccade.experiment.recipe import make_recipe
from saccade.experiment.run import choose_plan
from saccade.experiment.setup import prepare

SIZE, BATCH = 176, 32


def main() -> None:
    source = DATA / "clothing-small"
    words = {"data": str(source), "network": "resnet18", "batch": BATCH, "epochs": 1000, "images": {"size": SIZE}}
    prepared = finish(prepare(make_recipe(words)))
    plan = choose_plan(prepared)
    fit = Fit(prepared, plan, Path(tempfile.mkdtemp()), Position())
    transform = v2.Compose(
        [
            v2.ToImage(),
            v2.RandomResizedCrop(SIZE, (0.35, 1), antialias=True),
            v2.RandomHorizontalFlip(),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize(prepared.preprocess.mean, prepared.preprocess.std),
        ]
    )
    loader = DataLoader(ImageFolder(source / "train", transform), BATCH, shuffle=True, num_workers=2)
    network = resnet18(num_classes=10)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.05, momentum=0.9, nesterov=True, weight_decay=5e-4)

    def ours() -> float:
        start = time.perf_counter()
        for _ in fit.trainer.steps(fit.batches()):
            pass
        fit.position.epoch += 1
        return len(fit.train) / (time.perf_counter() - start)

    def peer() -> float:
        start = time.perf_counter()
        for images, labels in loader:
            optimizer.zero_grad()
            nn.functional.cross_entropy(network(images), labels).backward()
            optimizer.step()
        return len(loader.dataset) / (time.perf_counter() - start)

    pairs = alternate(ours, peer, rounds=3)
    report("ResNet-18, 176 px, clothing photos, one epoch of training", "images/s", pairs, batch=BATCH, plan=str(plan))


if __name__ == "__main__":
    main()
