"""The bare recipe against augmentation, mixed images and label smoothing: two studies, several seeds each.

"cifar": ResNet-20 on 5,000 images of CIFAR-10, 20 epochs, CutMix. "fashion": LeNet-5 on 5,000 images of Fashion-MNIST,
100 epochs, mixup. The last epoch of every run is measured on images that no run has seen, the same for all; nothing was
chosen by them: every number is a usual one, fixed before the first run. Weight decay and schedule are the same in both.

Command: uv run python benchmarks/regularizers.py fashion. Takes about 15 minutes on two cores.
"""

import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from measure import DATA, keep

from saccade import statistics
from saccade.data.sources import open_source
from saccade.data.store import build
from saccade.display import show
from saccade.experiment.members import seeded
from saccade.experiment.recipe import make_recipe
from saccade.experiment.study import open_study

SEEDS = 5
IMAGES = 5000
BARE: dict[str, Any] = {
    "data": "arrays",
    "batch": 64,
    "augment": {"crop": "none", "flip": False},
    "optimizer": {"rule": "nesterov", "lr": 0.1, "weight_decay": 5e-4},
    "split": {"validation": 0, "test": 0.5, "seed": 0},
}
STUDIES: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {  # data, the network, what regularizes it
    "cifar": (
        "cifar-10",
        {"network": "resnet20", "epochs": 20, "images": {"size": 32}},
        {"augment": {"crop": "pad", "padding": 4, "flip": True}, "mix": {"cutmix": 1.0}},
    ),
    "fashion": (
        "fashion-mnist",
        {"network": "lenet5", "epochs": 100, "optimizer": {**BARE["optimizer"], "lr": 0.02}},
        {"augment": {"crop": "pad", "padding": 2, "flip": True}, "mix": {"mixup": 0.2}},
    ),
}


def main(name: str) -> None:
    source, network, regularized = STUDIES[name]
    listing = open_source(str(DATA / source))
    store = show(build(listing, 28 if name == "fashion" else 32, None))
    chosen = np.random.default_rng(0).permutation(np.flatnonzero(store.parts == "train"))[: 2 * IMAGES]
    data = (np.array(store.pixels[np.sort(chosen)]), store.labels[np.sort(chosen)])
    bare = make_recipe(BARE | network)
    recipes = {"bare": bare, "regularized": bare.changed(regularize={"label_smoothing": 0.1}, **regularized)}
    study = open_study(Path(tempfile.mkdtemp()) / "study", "regularizers", bare, {}, data)
    found = [show(study.runs(seeded(recipe, key, SEEDS))) for key, recipe in recipes.items()]
    before, after = (study.outcomes(records, "test") for records in found)
    keep(
        "regularizers" if name == "cifar" else f"regularizers_{name}",
        {
            "what": f"test accuracy of {bare.network} on {IMAGES:,} images of {source}, with and without shift, mirroring, "
            f"{'mixup' if name == 'fashion' else 'CutMix'} and label smoothing, {bare.epochs} epochs",
            "bare": statistics.share_over_runs(before).to_dict(),
            "regularized": statistics.share_over_runs(after).to_dict(),
            "difference": statistics.mean_over_runs(after - before).to_dict(),
            "by_seed": {"bare": before.mean(1).tolist(), "regularized": after.mean(1).tolist()},
            "seconds_of_a_run": [round(record["times"]["training"], 1) for records in found for record in records.values()],
            "n": f"{SEEDS} seeds, {before.shape[1]} test images",
        },
    )


if __name__ == "__main__":
    if sys.argv[1:] not in ([name] for name in STUDIES):
        raise SystemExit(f"name a study: {', '.join(STUDIES)}")
    main(sys.argv[1])
