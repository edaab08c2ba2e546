"""What a trained network says of images it has not seen."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from saccade.data.batches import Resident
from saccade.data.images import Files
from saccade.data.listing import LeftOut, Listing, Unusable
from saccade.data.resize import fit
from saccade.data.sources import open_source
from saccade.data.sources.folders import image_files
from saccade.data.store import build
from saccade.errors import InputError
from saccade.events import Progress, Work
from saccade.experiment import outcome
from saccade.experiment.model import Model

CHUNK = 1024  # images held in memory at once


@dataclass(frozen=True)
class Predictions:
    """For each image its id and the probability of every class (N, classes); the rest was left out, with the reason."""

    classes: tuple[str, ...]
    ids: list[str]
    probabilities: np.ndarray
    left_out: list[LeftOut]

    @property
    def labels(self) -> list[str]:
        """The most probable class of each image."""
        return [self.classes[i] for i in self.probabilities.argmax(1)]


def predict(model: Model, paths: Sequence[Path]) -> Work[Predictions]:
    """Predict every image file named, and every image file in the folders named."""
    files = [file for path in paths for file in files_of(path)]
    ids: list[str] = []
    rows: list[np.ndarray] = []
    left_out: list[LeftOut] = []
    for i in range(0, len(files), CHUNK):
        pixels = []
        for file in files[i : i + CHUNK]:
            try:
                picture = Files(file.parent, [file.name]).read(0)
            except Unusable as reason:
                left_out.append(LeftOut(str(file), str(reason)))
                continue
            pixels.append(fit(picture.pixels, model.preprocess.stored, model.preprocess.channels))
            ids.append(str(file))
        if pixels:
            resident = Resident(np.stack(pixels), np.zeros(len(pixels), np.int64), torch.device("cpu"))
            rows.append(outcome.probabilities(model.network, model.preprocess, resident, np.arange(len(pixels))))
        yield Progress("predicting", min(i + CHUNK, len(files)), len(files))
    if not ids:
        raise InputError(
            f"none of the {len(files)} images can be used; the first: {left_out[0].file}: {left_out[0].reason}"
        )
    return Predictions(model.classes, ids, np.concatenate(rows), left_out)


def files_of(path: Path) -> list[Path]:
    """The file itself, or the image files of a folder and the folders in it, by name."""
    if path.is_file():
        return [path]
    if not path.exists():
        raise InputError(f"{path}: there is no such file or folder")
    found = image_files(path)
    if not found:
        raise InputError(f"{path}: there is no image in this folder")
    return found


def evaluate(model: Model, data: Any, group: str | None = None) -> Work[tuple[dict[str, Any], Predictions, np.ndarray]]:
    """Scores on labelled data (its test part where it has one, else all of it), with outcomes and labels."""
    listing: Listing = open_source(data, group)
    store = yield from build(listing, model.preprocess.stored, model.preprocess.channels)
    where = np.flatnonzero(store.parts == "test")
    where = where if len(where) else np.arange(len(store.labels))
    missing = sorted(set(store.classes) - set(model.classes))
    if missing:
        raise InputError(f'{data}: the class "{missing[0]}" is not one of the {len(model.classes)} that the run knows')
    labels = np.array([model.classes.index(name) for name in store.classes])[store.labels[where]]
    likely = outcome.probabilities(
        model.network, model.preprocess, Resident(store.pixels, store.labels, torch.device("cpu")), where
    )
    predictions = Predictions(model.classes, list(np.asarray(store.ids)[where]), likely, store.left_out)
    return outcome.describe(labels, likely, model.classes), predictions, labels
