"""One epoch of LeNet-5 on Fashion-MNIST: Saccade against the usual loop, with the better of 0 and 2 workers.

The usual loop: Dataset + ToTensor + DataLoader + SGD, in torch's defaults.

Command: uv run python benchmarks/lenet_epoch.py. Takes about 3 minutes on two cores.
"""

import gzip
import tempfile
import time
from pathlib import Path

import torch
from measure import DATA, alternate, report
from torch import nn
from torch.utils.data import DataLoader, Dataset, Subset
from torchvision import datasets, transforms

from saccade.events import finish
from saccade.experiment.fit import Fit, Position
from saccade.experiment.recipe import make_recipe
from saccade.experiment.run import choose_plan
from saccade.experiment.setup import prepare
from saccade.zoo import find

BATCH = 64


def fashion_mnist(root: Path) -> Dataset:
    """torchvision's own class and transform, on the files unpacked where it expects them."""
    raw = root / "FashionMNIST" / "raw"
    raw.mkdir(parents=True)
    for file in (DATA / "fashion-mnist").glob("*.gz"):
        (raw / file.stem).write_bytes(gzip.decompress(file.read_bytes()))
    return datasets.FashionMNIST(str(root), train=True, transform=transforms.ToTensor())


def usual_epoch(data: Dataset, workers: int) -> float:
    network = find("lenet5").build(10, 1)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.05, momentum=0.9, nesterov=True)
    loader = DataLoader(data, BATCH, shuffle=True, num_workers=workers)
    start = time.perf_counter()
    for images, labels in loader:
        optimizer.zero_grad()
        nn.functional.cross_entropy(network(images), labels).backward()
        optimizer.step()
    return len(data) / (time.perf_counter() - start)


def main() -> None:
    recipe = make_recipe({"data": str(DATA / "fashion-mnist"), "network": "lenet5", "batch": BATCH, "epochs": 1000})
    prepared = finish(prepare(recipe))
    plan = choose_plan(prepared)
    fit = Fit(prepared, plan, Path(tempfile.mkdtemp()), Position())
    train = prepared.indices("train")
    usual = Subset(fashion_mnist(Path(tempfile.mkdtemp())), train.tolist())

    def ours() -> float:
        start = time.perf_counter()
        for _ in fit.trainer.steps(fit.batches()):
            pass
        fit.position.epoch += 1
        return len(train) / (time.perf_counter() - start)

    pairs = alternate(ours, lambda: max(usual_epoch(usual, 0), usual_epoch(usual, 2)), rounds=3)
    report("LeNet-5 on Fashion-MNIST, one epoch of training", "images/s", pairs, batch=BATCH, plan=str(plan))


if __name__ == "__main__":
    main()
