"""One epoch of LeNet-5 on Fashion-MNIST: Saccade against the usual loop, with the better of 0 and 2 workers.

The usual loop: Dataset + ToTensor + DataLoader + SGD, in torch's defaults; Saccade as `saccade train` does it, with the
crops of its default augmentation, which the usual loop has not. Each epoch in a process of its own, after a few steps to
warm up.

Command: uv run python benchmarks/lenet_epoch.py. Takes about 6 minutes on two cores.
"""

import gzip
import json
import subprocess
import sys
import tempfile
import time
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from measure import DATA, alternate, keep, ratio
from torch import nn
from torch.utils.data import DataLoader, Dataset, Subset
from torchvision import datasets, transforms

from saccade.events import finish
from saccade.experiment.fit import Fit, Position
from saccade.experiment.recipe import make_recipe
from saccade.experiment.run import choose_plan
from saccade.experiment.setup import Prepared, prepare
from saccade.zoo import find

ROUNDS, WARM = 5, 20


def prepared(batch: int) -> Prepared:
    return finish(prepare(make_recipe({"data": str(DATA / "fashion-mnist"), "network": "lenet5", "batch": batch})))


def fashion_mnist(root: Path) -> Dataset:
    """torchvision's own class and transform, on the files unpacked where it expects them."""
    raw = root / "FashionMNIST" / "raw"
    raw.mkdir(parents=True)
    for file in (DATA / "fashion-mnist").glob("*.gz"):
        (raw / file.stem).write_bytes(gzip.decompress(file.read_bytes()))
    return datasets.FashionMNIST(str(root), train=True, transform=transforms.ToTensor())


def usual(batch: int, workers: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as root:
        data = Subset(fashion_mnist(Path(root)), prepared(batch).indices("train").tolist())
        network = find("lenet5").build(10, 1)
        optimizer = torch.optim.SGD(network.parameters(), lr=0.05, momentum=0.9, nesterov=True)

        def train(images: Dataset) -> float:
            start = time.perf_counter()
            for x, labels in DataLoader(images, batch, shuffle=True, num_workers=workers):
                optimizer.zero_grad()
                nn.functional.cross_entropy(network(x), labels).backward()
                optimizer.step()
            return len(images) / (time.perf_counter() - start)

        train(Subset(data, range(WARM * batch)))
        return {"rate": train(data)}


def ours(batch: int) -> dict[str, Any]:
    images = prepared(batch)
    plan = choose_plan(images)
    fit = Fit(images, plan, Path(tempfile.mkdtemp()), Position())
    with plan.on_cores():
        for _ in islice(fit.trainer.steps(fit.batches()), WARM):
            pass
        fit.position = Position()
        start = time.perf_counter()
        for _ in fit.trainer.steps(fit.batches()):
            pass
        return {"rate": len(fit.train) / (time.perf_counter() - start), "plan": str(plan)}


def alone(*words: object) -> dict[str, Any]:
    """What this script prints with these words, in a process of its own."""
    found = subprocess.run([sys.executable, __file__, *map(str, words)], check=True, capture_output=True, text=True)
    return json.loads(found.stdout.splitlines()[-1])


def measured(batch: int) -> dict[str, Any]:
    plans = {alone("ours", batch)["plan"]}  # its first run compiles and measures

    def own() -> float:
        found = alone("ours", batch)
        plans.add(found["plan"])
        return found["rate"]

    pairs = alternate(own, lambda: max(alone("usual", batch, workers)["rate"] for workers in (0, 2)), ROUNDS)
    return {
        "ratio": ratio(pairs),
        "saccade": [round(a) for a, _ in pairs],
        "peer": [round(b) for _, b in pairs],
        "plan": sorted(plans),
    }


def main() -> None:
    if sys.argv[1:]:
        what, *numbers = sys.argv[1:]
        print(json.dumps((ours if what == "ours" else usual)(*map(int, numbers))))
        return
    result = {f"batch {batch}": measured(batch) for batch in (64, 128)}
    title = "LeNet-5 on Fashion-MNIST, one epoch of training, images/s"
    keep("lenet_epoch", {"what": title, "n": ROUNDS, "results": result})


if __name__ == "__main__":
    main()
