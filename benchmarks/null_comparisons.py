"""A against A, a hundred times: how often a winner is named where there is none. Real trainings, real images.

Each comparison draws 300 other images of Fashion-MNIST and trains LeNet-5 on 5 folds twice, with other seeds: for 8 epochs,
and for 3, after which one start has learned much more than another. Beside the verdict stand what McNemar's test and a
plain t test over the folds would have said of the same outcomes.

Command: uv run python benchmarks/null_comparisons.py. Takes about 15 minutes on two cores.
"""

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from comparison import images
from measure import keep
from scipy import stats

from saccade import commands, statistics
from saccade.events import finish

COMPARISONS, IMAGES = 100, 300
RECIPE: dict[str, Any] = {
    "network": "lenet5",
    "batch": 32,
    "optimizer": {"lr": 0.05},
    "plan": {"precision": "fp32", "channels_last": True},
}


def named(data: tuple[np.ndarray, np.ndarray], epochs: int) -> dict[str, Any]:
    """Of all comparisons, the share in which each test names a winner."""
    pixels, labels = data
    found: dict[str, list[bool]] = {"verdict": [], "mcnemar": [], "plain_t": []}
    for i in range(COMPARISONS):
        chosen = np.random.default_rng(i).permutation(len(labels))[:IMAGES]
        place = Path(tempfile.mkdtemp()) / "study"
        words = {**RECIPE, "epochs": epochs, "engine": "serial", "out": place, "seed": 1000 + 100 * i, "split": {"seed": i}}
        record = finish(commands.compare((pixels[chosen], labels[chosen]), b={"seed": 50_000 + 100 * i}, **words))
        pair = record["pairs"][0]
        folds = [np.ravel(pair["by_fold"][name]) for name in ("a", "b")]
        found["verdict"].append(pair["verdict"] in ("a", "b"))
        found["mcnemar"].append(pair["mcnemar"]["p"] <= 0.05)
        found["plain_t"].append(float(np.nan_to_num(stats.ttest_rel(*folds).pvalue, nan=1.0)) <= 0.05)
        print(f"{epochs} epochs, {i + 1}: " + ", ".join(f"{name} {sum(each)}" for name, each in found.items()), flush=True)
    return {name: statistics.wilson(sum(values), COMPARISONS).to_dict() for name, values in found.items()}


def main() -> None:
    data = images()
    what = "comparisons of LeNet-5 with itself, 5 folds of 300 images of Fashion-MNIST, that name a winner"
    keep("null_comparisons", {"what": what, **{f"{epochs} epochs": named(data, epochs) for epochs in (8, 3)}})


if __name__ == "__main__":
    main()
