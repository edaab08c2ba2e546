"""ResNet-20 against plain-20 on 6,000 images of CIFAR-10, 5 folds of `saccade compare`: do shortcuts help at this depth?

The numbers were fixed before the first run. Command: uv run python benchmarks/residual_plain.py [FOLDER FOR THE STUDY].
Takes about 20 minutes on two cores; interrupted, it goes on where it was, with the same folder.
"""

import sys
import tempfile
from pathlib import Path

import numpy as np
from measure import DATA, keep

import saccade
from saccade.data.sources import open_source
from saccade.data.store import build
from saccade.display import show

IMAGES = 6000


def main(place: Path) -> None:
    store = show(build(open_source(str(DATA / "cifar-10")), 32, 3))
    chosen = np.sort(np.random.default_rng(1).permutation(np.flatnonzero(store.parts == "test"))[:IMAGES])
    data = (np.array(store.pixels[chosen]), store.labels[chosen])
    words = {"network": "resnet20", "epochs": 12, "images": {"size": 32}, "optimizer": {"lr": 0.1}}
    record = saccade.compare(data, folds=5, out=place, b={"network": "plain20"}, **words)
    pair = record["pairs"][0]
    keep(
        "residual_plain",
        {
            "what": f"accuracy of plain-20 minus ResNet-20 on {IMAGES:,} images of CIFAR-10, 5 folds, 12 epochs",
            "verdict": record["headline"],
            "difference": record["difference"],
            "accuracy": {name: row["accuracy"] for name, row in record["recipes"].items()},
            "by_fold": pair["by_fold"],
            "flips": {name: pair["flips"][name] for name in ("wrong_to_right", "right_to_wrong")},
            "seconds_of_a_run": {name: row["seconds_of_a_run"] for name, row in record["recipes"].items()},
            "n": "5 folds, one seed",
        },
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(tempfile.mkdtemp()) / "study")
