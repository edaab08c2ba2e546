"""5-fold cross_val_score of LeNet-5 on 10,000 images of Fashion-MNIST: ImageClassifier against skorch.

Both train the same network on the same folds for 5 epochs at batch 128, every image of a fold, from scikit-learn alone:
Saccade from uint8 arrays, skorch from what ToTensor gives, floats in memory already, with torch's Nesterov momentum.
Each one fold after another, and with n_jobs=2. Every run begins with an empty cache and without waiting processes, so
that decoding, measuring the plan and starting processes are in its time.

Command: uv run --with skorch python benchmarks/estimator_folds.py [IMAGES]. Takes about 4 minutes on two cores; with
other than 10,000 images it is a trial of one round, and nothing is kept.
"""

import json
import os
import sys
import tempfile
import time
from importlib.metadata import version

import numpy as np
import torch
from joblib.externals.loky import get_reusable_executor
from measure import DATA, keep, ratio
from sklearn.model_selection import StratifiedKFold, cross_val_score
from skorch import NeuralNetClassifier

from saccade import ImageClassifier, commands
from saccade.data.sources import open_source
from saccade.events import finish
from saccade.zoo import find

IMAGES, FOLDS, EPOCHS, BATCH, ROUNDS = 10_000, 5, 5, 128, 3
Run = tuple[float, float]


def fashion_mnist(count: int) -> tuple[np.ndarray, np.ndarray]:
    """uint8 (count, 28, 28) and labels (count,): the first training images."""
    listing = open_source(str(DATA / "fashion-mnist"))
    pixels = np.stack([listing.images.read(i).pixels[..., 0] for i in range(count)])
    return pixels, listing.labels[:count]


def skorch_classifier() -> NeuralNetClassifier:
    torch.manual_seed(0)
    return NeuralNetClassifier(
        find("lenet5").build(10, 1),
        criterion=torch.nn.CrossEntropyLoss,
        optimizer=torch.optim.SGD,
        optimizer__momentum=0.9,
        optimizer__nesterov=True,
        lr=0.05,
        max_epochs=EPOCHS,
        batch_size=BATCH,
        train_split=None,
        iterator_train__shuffle=True,
        verbose=0,
    )


def run(classifier: ImageClassifier | NeuralNetClassifier, data: tuple[np.ndarray, np.ndarray], jobs: int) -> Run:
    """Seconds and mean accuracy of cross_val_score with all that it does."""
    get_reusable_executor().shutdown(wait=True)
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=0)
    with tempfile.TemporaryDirectory() as cache:
        os.environ["SACCADE_CACHE"] = cache
        start = time.perf_counter()
        scores = cross_val_score(classifier, *data, cv=folds, n_jobs=jobs, error_score="raise")
        seconds = time.perf_counter() - start
    print(f"{type(classifier).__name__}, n_jobs={jobs}: {seconds:.1f} s", file=sys.stderr, flush=True)
    return round(seconds, 2), round(float(scores.mean()), 4)


def crossval(data: tuple[np.ndarray, np.ndarray]) -> Run:
    """The same by `saccade crossval`, to its report."""
    get_reusable_executor().shutdown(wait=True)
    with tempfile.TemporaryDirectory() as place:
        os.environ["SACCADE_CACHE"] = f"{place}/cache"
        start = time.perf_counter()
        words = {"network": "lenet5", "epochs": EPOCHS, "batch": BATCH, "split": {"validation": 0}, "out": f"{place}/study"}
        record = finish(commands.crossval(data, folds=FOLDS, **words))
        seconds = time.perf_counter() - start
    print(f"crossval: {seconds:.1f} s", file=sys.stderr, flush=True)
    return round(seconds, 2), round(record["scores"]["out_of_fold"]["accuracy"]["value"], 4)


def times_as_fast(ours: list[Run], peer: list[Run]) -> dict[str, float]:
    return ratio([(1 / own[0], 1 / other[0]) for own, other in zip(ours, peer, strict=True)])


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else IMAGES
    pixels, labels = fashion_mnist(count)
    floats = (pixels[:, None] / np.float32(255)).astype(np.float32)  # torchvision's ToTensor
    runs: dict[str, list[Run]] = {}
    for _ in range(ROUNDS if count == IMAGES else 1):
        runs.setdefault("saccade crossval", []).append(crossval((pixels, labels)))
        for jobs in (1, 2):
            ours = ImageClassifier("lenet5", epochs=EPOCHS, batch=BATCH)
            runs.setdefault(f"saccade, n_jobs={jobs}", []).append(run(ours, (pixels, labels), jobs))
            runs.setdefault(f"peer, n_jobs={jobs}", []).append(run(skorch_classifier(), (floats, labels), jobs))
    ratios = {
        f"saccade n_jobs={own} over peer n_jobs={other}": times_as_fast(
            runs[f"saccade, n_jobs={own}"], runs[f"peer, n_jobs={other}"]
        )
        for own, other in ((1, 1), (2, 2), (2, 1))
    } | {"saccade crossval over peer n_jobs=1": times_as_fast(runs["saccade crossval"], runs["peer, n_jobs=1"])}
    result = {
        "what": f"{FOLDS}-fold cross_val_score of LeNet-5, {count:,} images of Fashion-MNIST, {EPOCHS} epochs",
        "ratio": ratios,
        "n": len(runs["peer, n_jobs=1"]),
        "unit": "times as fast",
        "seconds": {name: [each[0] for each in found] for name, found in runs.items()},
        "accuracy": {name: [each[1] for each in found] for name, found in runs.items()},
        "batch": BATCH,
        "skorch": version("skorch"),
    }
    if count == IMAGES:
        keep("estimator_folds", result)
    else:
        print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
