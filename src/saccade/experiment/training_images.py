"""The images of a run, found again, and those of them that it was trained on."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from saccade.data.preprocess import Preprocess
from saccade.data.sources import open_grouped
from saccade.data.store import Store, build, open_stored
from saccade.errors import InputError
from saccade.events import Note, Work
from saccade.experiment import folder
from saccade.experiment.recipe import make_recipe
from saccade.experiment.recipe_files import read_recipe
from saccade.reading import read_npz

Record = dict[str, Any]


@dataclass(frozen=True)
class TrainingImages:
    """The rows of the store that trained the run, with their labels as the run knows them."""

    store: Store
    rows: np.ndarray
    labels: np.ndarray


def training_images(run: Path, record: Record, preprocess: Preprocess, data: Any) -> Work[TrainingImages]:
    """The images that trained the run, recognized by their pixels; never one that selected its weights or scored it."""
    digests, labels = trained_on(run)
    store = yield from images_of(run, record, preprocess, data)
    known, first = np.unique(store.digests, return_index=True)
    there = np.isin(digests, known)
    if not there.any():
        raise InputError(f"{store.source}: none of the {len(digests):,} images that trained the run is there")
    if not there.all():
        yield Note(f"{(~there).sum():,} of the {len(digests):,} images that trained the run are not in {store.source}")
    return TrainingImages(store, first[np.searchsorted(known, digests[there])], labels[there])


def images_of(run: Path, record: Record, preprocess: Preprocess, data: Any) -> Work[Store]:
    """All images of the run: from the cache, or decoded again from where the recipe says, or from `data`."""
    store = open_stored(record["images"]["fingerprint"]) if data is None else None
    if store is not None:
        return store
    recipe = make_recipe(read_recipe(run / folder.RECIPE), str(run / folder.RECIPE))
    try:
        listing = open_grouped(recipe.data if data is None else data, recipe.split.group)
    except InputError as error:
        raise InputError(
            f"{error}; the images of the run are needed: name them, or other labelled ones, with --data"
        ) from error
    return (yield from build(listing, preprocess.stored, preprocess.channels))


def trained_on(run: Path) -> tuple[np.ndarray, np.ndarray]:
    """Digests of pixels, and labels, of the training images of a run."""
    split = read_npz(run / folder.SPLIT, "it says which images trained the run", "digests", "labels", "parts")
    train = split["parts"] == "train"
    return split["digests"][train], split["labels"][train]
