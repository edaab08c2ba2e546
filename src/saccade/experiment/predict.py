"""What a trained network says of images it has not seen."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from saccade import statistics
from saccade.data.batches import Resident
from saccade.data.class_map import known_to
from saccade.data.decode import unwarned
from saccade.data.images import Pairs, Paths, Subset
from saccade.data.listing import Finding, Images, LeftOut
from saccade.data.sources import is_table, open_grouped
from saccade.data.sources.folders import image_files
from saccade.data.split import units_of
from saccade.data.store import Store, build, decoded
from saccade.errors import InputError
from saccade.events import Note, Progress, Work
from saccade.experiment import folder, outcome
from saccade.experiment.model import Model
from saccade.experiment.recipe import make_recipe
from saccade.experiment.recipe_files import read_recipe
from saccade.experiment.seen import digests_seen, near_seen
from saccade.layers.ensemble import Ensemble, Observed
from saccade.statistics import Uncertainty

CHUNK = 1024  # images held in memory at once


@dataclass(frozen=True)
class Predictions:
    """For each image its id and the probability of every class (N, classes); the rest was left out, with the reason.

    `members` (N, classes, members): what each of an ensemble says; `shares` (members,): how much it counts.
    """

    classes: tuple[str, ...]
    ids: list[str]
    probabilities: np.ndarray
    left_out: list[LeftOut]
    members: np.ndarray | None = None
    shares: np.ndarray | None = None

    @property
    def labels(self) -> list[str]:
        """The most probable class of each image."""
        return [self.classes[i] for i in self.probabilities.argmax(1)]

    @property
    def uncertainty(self) -> Uncertainty | None:
        """Of an ensemble: entropy, mutual information and spread of each image; None for a single network."""
        if self.members is None:
            return None
        return statistics.uncertainty(self.members, self.probabilities.argmax(1), self.shares)


@dataclass(frozen=True)
class ClassProbabilities:
    """(N, classes) probabilities, and (N, classes, members) those of each where an ensemble says them."""

    probabilities: np.ndarray
    members: np.ndarray | None = None


def predict(model: Model, paths: Sequence[Path]) -> Work[Predictions]:
    """Predict every image file named, and every image file in the folders named."""
    left_out: list[LeftOut] = []
    files = [file for path in paths for file in files_of(path, left_out)]
    if not files:
        raise InputError("there is no image to predict")
    return (yield from predicted(model, Paths(files), [str(file) for file in files], left_out))


def predict_pictures(model: Model, pictures: Sequence[Any]) -> Work[Predictions]:
    """Predict images in memory, PIL images or arrays; their ids are their places."""
    if not len(pictures):
        raise InputError("there is no image to predict")
    pairs = Pairs([(picture, 0) for picture in pictures])
    return (yield from predicted(model, pairs, [str(i) for i in range(len(pictures))], []))


def predicted(model: Model, images: Images, names: list[str], left_out: list[LeftOut]) -> Work[Predictions]:
    ids: list[str] = []
    rows: list[ClassProbabilities] = []
    for i in range(0, len(names), CHUNK):
        part = names[i : i + CHUNK]
        pixels = []
        with unwarned():
            pictures = list(decoded(Subset(images, np.arange(i, i + len(part))), model.preprocess))
        for name, picture in zip(part, pictures, strict=True):
            if isinstance(picture, str):
                left_out.append(LeftOut(name, picture))
            else:
                pixels.append(picture)
                ids.append(name)
        if pixels:
            rows.append(class_probabilities(model, resident(model, np.stack(pixels)), np.arange(len(pixels))))
        yield Progress("predicting", min(i + CHUNK, len(names)), len(names))
    if not ids:
        first = left_out[0]
        raise InputError(f"none of the images can be used; the first of {len(left_out)}: {first.file}: {first.reason}")
    likely = np.concatenate([each.probabilities for each in rows])
    several = [each.members for each in rows if each.members is not None]
    members = np.concatenate(several) if several else None
    return Predictions(model.classes, ids, likely, left_out, members, shares(model))


def resident(model: Model, pixels: np.ndarray) -> Resident:
    """Stored images (N, H, W, C), to be looked at on the device of the model."""
    return Resident(pixels, np.zeros(len(pixels), np.int64), torch.device(model.device))


def class_probabilities(model: Model, images: Resident, where: np.ndarray) -> ClassProbabilities:
    """What the model says of these images: the one way for evaluate, predict and the record of an ensemble."""
    if not isinstance(model.network, Ensemble):
        return ClassProbabilities(outcome.probabilities(model.network, model.preprocess, images, where))
    found = outcome.probabilities(Observed(model.network), model.preprocess, images, where)
    return ClassProbabilities(np.ascontiguousarray(found[:, :, 0]), found[:, :, 1:])


def shares(model: Model) -> np.ndarray | None:
    """(members,) how much each of an ensemble counts; None for a single network."""
    return model.network.shares().cpu().numpy() if isinstance(model.network, Ensemble) else None


def files_of(path: Path, left_out: list[LeftOut]) -> list[Path]:
    """The file itself, or the image files of a folder and the folders in it, by name."""
    if path.is_file():
        return [path]
    if not path.exists():
        raise InputError(f"{path}: there is no such file or folder")
    found = image_files(path, left_out)
    if not found:
        raise InputError(f"{path}: there is no image in this folder")
    return found


@dataclass(frozen=True)
class Evaluated:
    """Scores on labelled data as the record has them, what was said of each image, what was not scored or is odd."""

    described: dict[str, Any]
    predictions: Predictions
    labels: np.ndarray
    findings: list[Finding] = field(default_factory=list)


def evaluate(run: Path, model: Model, data: Any) -> Work[Evaluated]:
    """Scores on labelled data: its test part where it has one, else all of it, but no image that the run has trained on.

    Nor one of a class that it does not know, as in training.
    """
    group = group_of(run) if is_table(data) else None
    listing = known_to(open_grouped(data, group), model.classes)
    if group is not None and listing.groups is None:
        yield Note(
            f'{listing.source} has no column "{group}", which kept images of the run together: each counts for itself'
        )
    store = yield from build(listing, model.preprocess.stored, model.preprocess.channels)
    where = np.flatnonzero(store.parts == "test")
    where = where if len(where) else np.arange(len(store.labels))
    seen = np.isin(store.digests[where], digests_seen(run))
    if seen.all():
        raise InputError(f"{data}: the run has trained or selected on every one of these images, so they measure nothing")
    found = scored(model, store, where[~seen], where[seen])
    return replace(found, findings=near_seen(run, store, where[~seen]))


def group_of(run: Path) -> str | None:
    """The column whose equal values the run kept on one side."""
    return make_recipe(read_recipe(run / folder.RECIPE), str(run / folder.RECIPE)).split.group


def scored(model: Model, store: Store, where: np.ndarray, seen: np.ndarray) -> Evaluated:
    labels = np.array([model.classes.index(name) for name in store.classes])[store.labels[where]]
    found = class_probabilities(model, resident(model, store.pixels), where)
    likely = found.probabilities
    left_out = [*store.left_out, *(LeftOut(str(store.ids[i]), "the run has trained or selected on it") for i in seen)]
    predictions = Predictions(
        model.classes, [str(name) for name in store.ids[where]], likely, left_out, found.members, shares(model)
    )
    units = units_of(store.clusters, store.groups)[where]
    return Evaluated(outcome.describe(labels, likely, model.classes, units), predictions, labels)
