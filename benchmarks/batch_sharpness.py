"""Small and large batches on Fashion-MNIST, trained to the same training loss: how sharp are the minima?

LeNet-5, 4,000 images, plain descent with momentum at a constant rate, no augmentation, decay or other regularizer. Each run
stops at the first epoch whose loss on all training images is below the target; so the comparison is at equal training loss
(Keskar et al. 2017, arXiv:1609.04836, compare at equal training accuracy).

Command: uv run python benchmarks/batch_sharpness.py. Takes about 15 minutes on two cores.
"""

import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from measure import DATA, keep
from torch.nn import functional

from saccade import statistics
from saccade.events import finish
from saccade.experiment import outcome
from saccade.experiment.fit import Fit, Position
from saccade.experiment.recipe import make_recipe
from saccade.experiment.setup import Prepared, prepare
from saccade.optim.hessian import top_eigenvalues
from saccade.optim.sharpness import full_space, keskar_sharpness
from saccade.optim.surface import loss_surface
from saccade.training.plan import Plan

SEEDS = 5
BATCHES = (32, 1024)
IMAGES, TEST = 4000, 4000
TARGET = 0.02
MOST = 3000  # epochs
RATE = 0.02


def recipe(batch: int, seed: int) -> dict[str, Any]:
    return {
        "data": "arrays",
        "network": "lenet5",
        "batch": batch,
        "seed": seed,
        "epochs": MOST,
        "images": {"size": 28},
        "augment": {"crop": "none", "flip": False},
        "optimizer": {"rule": "momentum", "lr": RATE, "weight_decay": 0},
        "schedule": {"name": "constant", "warmup": 0},
        "split": {"validation": 0, "test": TEST / (IMAGES + TEST), "seed": 0},
    }


def run(prepared: Prepared) -> dict[str, float]:
    """Train to the target and measure the minimum."""
    fit = Fit(prepared, Plan("cpu", "fp32", True, False), Path(tempfile.mkdtemp()), Position())
    train, test, labels = prepared.indices("train"), prepared.indices("test"), prepared.store.labels
    loss = np.inf
    while loss > TARGET and fit.position.epoch < MOST:
        for _ in fit.trainer.steps(fit.batches()):
            pass
        fit.position.epoch += 1
        likely = outcome.probabilities(fit.network, prepared.preprocess, fit.resident, train)
        loss = statistics.log_loss(labels[train], likely)
    likely = outcome.probabilities(fit.network, prepared.preprocess, fit.resident, test)
    pixels, truth = fit.resident.take(train)
    surface = loss_surface(fit.network, functional.cross_entropy, [(prepared.preprocess(pixels), truth)])
    generator = torch.Generator().manual_seed(prepared.recipe.seed)
    space = full_space(surface.origin)
    return {
        "epochs": fit.position.epoch,
        "train_loss": loss,
        "test_accuracy": statistics.accuracy(labels[test], likely),
        "keskar_0.001": keskar_sharpness(surface, 1e-3, space),
        "keskar_0.0005": keskar_sharpness(surface, 5e-4, space),
        "largest_eigenvalue": float(top_eigenvalues(surface, generator)[0]),
    }


def main() -> None:
    source = finish(prepare(make_recipe(recipe(32, 0) | {"data": str(DATA / "fashion-mnist")}))).store
    chosen = np.sort(np.random.default_rng(0).permutation(np.flatnonzero(source.parts == "train"))[: IMAGES + TEST])
    data = (np.array(source.pixels[chosen]), source.labels[chosen])
    rows: dict[int, list[dict[str, float]]] = {batch: [] for batch in BATCHES}
    for seed in range(SEEDS):
        for batch in BATCHES:
            rows[batch].append(run(finish(prepare(make_recipe(recipe(batch, seed)), data))))
            print(batch, seed, rows[batch][-1], file=sys.stderr, flush=True)
    small, large = (rows[batch] for batch in BATCHES)
    ratios = {
        name: sorted(round(b[name] / a[name], 3) for a, b in zip(small, large, strict=True))
        for name in ("keskar_0.001", "keskar_0.0005", "largest_eigenvalue")
    }
    keep(
        "batch_sharpness",
        {
            "what": f"LeNet-5 on {IMAGES} images of Fashion-MNIST at a training loss just below {TARGET}: batch "
            f"{BATCHES[1]} over batch {BATCHES[0]}, seed by seed",
            "sharpness_ratio_by_seed": ratios,
            "test_accuracy": {
                str(batch): [round(row["test_accuracy"], 4) for row in found] for batch, found in rows.items()
            },
            "n": SEEDS,
            "runs": {str(batch): found for batch, found in rows.items()},
        },
    )


if __name__ == "__main__":
    main()
