"""What a network says of every image of a part, and the scores that follow from it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from saccade import statistics
from saccade.data.augment import mean_probabilities, views
from saccade.data.batches import Resident, evaluation_batches
from saccade.data.preprocess import Preprocess, pixels_to_float
from saccade.experiment import folder
from saccade.reading import read_npz
from saccade.tasks import classify
from saccade.training.cores import cores_of_their_own
from saccade.training.steps import is_out_of_memory
from saccade.writing import replacing

EVALUATION_BATCH = 32


def probabilities(network: nn.Module, preprocess: Preprocess, resident: Resident, indices: np.ndarray) -> np.ndarray:
    """(N, classes) float32, in full precision whatever the plan of training: what evaluate, predict and export share."""
    size = EVALUATION_BATCH
    while True:
        try:
            with cores_of_their_own(resident.pixels.device.type):
                return in_batches(network, preprocess, resident, indices, size)
        except RuntimeError as error:
            if not is_out_of_memory(error) or size == 1:
                raise
            size //= 2


@torch.inference_mode()
def in_batches(
    network: nn.Module, preprocess: Preprocess, resident: Resident, indices: np.ndarray, size: int
) -> np.ndarray:
    network.eval()
    with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):  # a GPU's convolutions would round to 10 bits
        rows = [
            mean_probabilities(lambda view: classify.probabilities(network(view)), shown(preprocess, pixels))[:count].cpu()
            for pixels, _, count in evaluation_batches(resident, indices, size)
        ]
    return torch.cat(rows).numpy()


def shown(preprocess: Preprocess, pixels: Tensor) -> Iterator[Tensor]:
    """What the network sees of the stored images (B, H, W, C): a batch (B, C, size, size) for each view."""
    if preprocess.views == "center":
        yield preprocess(pixels)
        return
    for view in views(pixels_to_float(pixels), preprocess.size, preprocess.views):
        yield preprocess.normalize(view)


def save(run: Path, columns: dict[str, np.ndarray]) -> None:
    """predictions.npz: parts, ids, labels and probabilities of every image that was held back."""
    with replacing(run / folder.PREDICTIONS, folder.advice(run)) as file, file.open("wb") as stream:
        np.savez(stream, allow_pickle=False, **columns)


def of_part(run: Path, part: str) -> dict[str, np.ndarray]:
    """Ids, labels and probabilities of the images of this part, as `save` wrote them; InputError for a damaged file."""
    why = "it holds what was said of each image"
    kept = read_npz(run / folder.PREDICTIONS, why, "parts", "ids", "labels", "probabilities")
    there = kept.pop("parts") == part
    return {name: column[there] for name, column in kept.items()}


def describe(
    labels: np.ndarray, likely: np.ndarray, classes: tuple[str, ...], units: np.ndarray | None = None
) -> dict[str, Any]:
    """Scores with intervals, the per-class table, the confusion matrix and the reliability bins, as the record has them.

    `units` (N,): images that belong together, groups and duplicates, which the intervals draw together.
    """
    confusion = statistics.confusion_matrix(labels, likely.argmax(1), len(classes))
    rows = zip(classes, statistics.per_class(confusion), strict=True)
    scores = statistics.classification_scores(labels, likely, groups=units)
    return {
        "scores": {name: score.to_dict() for name, score in scores.items()},
        "per_class": [
            {"class": name, "precision": row.precision, "recall": row.recall, "f1": row.f1, "n": row.n}
            for name, row in rows
        ],
        "confusion": confusion.tolist(),
        "reliability": [
            {"low": b.low, "high": b.high, "confidence": b.confidence, "accuracy": b.accuracy, "n": b.n}
            for b in statistics.reliability(labels, likely)
        ],
    }
