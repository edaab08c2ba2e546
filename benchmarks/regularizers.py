"""ResNet-20 on 5,000 images of CIFAR-10: the bare recipe against augmentation, CutMix and label smoothing, five seeds.

The last epoch of every run is measured on 5,000 other images, the same for all; nothing was chosen by them: every number
is a usual one, fixed before the first run. Weight decay and schedule are the same in both.

Command: uv run python benchmarks/regularizers.py. Takes about 15 minutes on two cores.
"""

import tempfile
from pathlib import Path

import numpy as np
from measure import DATA, keep

from saccade import statistics
from saccade.data.sources import open_source
from saccade.data.store import build
from saccade.display import show
from saccade.experiment.recipe import make_recipe
from saccade.experiment.study import open_study, seeded

SEEDS = 5
IMAGES = 5000
BARE = {
    "data": "arrays",
    "network": "resnet20",
    "epochs": 20,
    "batch": 64,
    "images": {"size": 32},
    "augment": {"crop": "none", "flip": False},
    "optimizer": {"rule": "nesterov", "lr": 0.1, "weight_decay": 5e-4},
    "split": {"validation": 0, "test": 0.5, "seed": 0},
}
REGULARIZED = BARE | {
    "augment": {"crop": "pad", "padding": 4, "flip": True},
    "mix": {"cutmix": 1.0},
    "regularize": {"label_smoothing": 0.1},
}


def main() -> None:
    store = show(build(open_source(str(DATA / "cifar-10")), 32, 3))
    chosen = np.random.default_rng(0).permutation(np.flatnonzero(store.parts == "train"))[: 2 * IMAGES]
    data = (np.array(store.pixels[np.sort(chosen)]), store.labels[np.sort(chosen)])
    bare, regularized = make_recipe(BARE), make_recipe(REGULARIZED)
    study = open_study(Path(tempfile.mkdtemp()) / "study", "regularizers", bare, {}, data)
    groups = [seeded(recipe, name, SEEDS) for name, recipe in (("bare", bare), ("regularized", regularized))]
    found = [show(study.runs(members)) for members in groups]
    before, after = (study.outcomes(records, "test") for records in found)
    keep(
        "regularizers",
        {
            "what": "test accuracy of ResNet-20 on 5,000 images of CIFAR-10, with and without shift, mirroring, CutMix and "
            "label smoothing, 20 epochs",
            "bare": statistics.share_over_runs(before).to_dict(),
            "regularized": statistics.share_over_runs(after).to_dict(),
            "difference": statistics.mean_over_runs(after - before).to_dict(),
            "by_seed": {"bare": before.mean(1).tolist(), "regularized": after.mean(1).tolist()},
            "seconds_of_a_run": [round(record["times"]["training"], 1) for records in found for record in records.values()],
            "n": f"{SEEDS} seeds, {before.shape[1]} test images",
        },
    )


if __name__ == "__main__":
    main()
