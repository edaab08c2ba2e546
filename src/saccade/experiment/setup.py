"""From a recipe to images ready for training: source, store, split, and the fields that the data decides."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from saccade.data.class_map import pinned
from saccade.data.listing import Listing
from saccade.data.preprocess import Preprocess, statistics_of
from saccade.data.sources import open_source
from saccade.data.split import Fractions, split, units_of
from saccade.data.store import Store, build
from saccade.errors import InputError
from saccade.events import Note, Work
from saccade.experiment.recipe import Recipe
from saccade.training.plan import device_of
from saccade.zoo import find

SMALL = 64  # up to this side images are used as they are, by networks for small images
PHOTO = 224
IN_MEMORY = "arrays"  # recipe.data of images that no file holds


@dataclass(frozen=True)
class Prepared:
    """A complete recipe (nothing left to be decided by the data) and the images that it trains on."""

    recipe: Recipe
    store: Store
    parts: np.ndarray
    split_by: str
    preprocess: Preprocess

    def indices(self, part: str) -> np.ndarray:
        return np.flatnonzero(self.parts == part)


def prepare(recipe: Recipe, data: Any = None) -> Work[Prepared]:
    """Read the data of the recipe (or `data`, arrays or pairs in memory) and complete the recipe by it."""
    if recipe.network is not None:
        find(recipe.network)
    device_of(recipe.plan.device)
    if recipe.data == IN_MEMORY and data is None:
        raise InputError("these images were in memory, not in files; give them again: saccade.resume(run, data=(X, y))")
    listing = pinned(open_source(recipe.data if data is None else data, recipe.split.group))
    recipe = complete(recipe, listing)
    size = recipe.images.size
    assert size is not None
    store = yield from build(listing, stored_side(recipe), recipe.images.channels)
    if recipe.augment.flip is None:
        recipe = recipe.changed(augment={"flip": store.pixels.shape[3] == 3})
    fractions = Fractions(validation=recipe.split.validation, test=recipe.split.test)
    parts, split_by = split(store.labels, store.parts, units_of(store.clusters, store.groups), fractions, recipe.seed)
    train = np.flatnonzero(parts == "train")
    classes = np.unique(store.labels[train])
    if len(classes) < 2:
        there = f"; only {store.classes[classes[0]]} is left" if len(classes) else ""
        raise InputError(
            f"{recipe.data}: training needs usable images of two classes at least{there} (see `saccade doctor`)"
        )
    mean, std = statistics_of(store.pixels, train)
    preprocess = Preprocess(size, store.pixels.shape[1], mean, std, store.pixels.shape[3])
    for text in remarks(store, parts):
        yield Note(text)
    return Prepared(recipe, store, parts, split_by, preprocess)


def complete(recipe: Recipe, listing: Listing) -> Recipe:
    """The recipe with size, network and augmentation decided, before any image is decoded."""
    native = listing.images.usual_side()
    size = recipe.images.size
    if size is None:
        entry = find(recipe.network) if recipe.network else None
        size = entry.size if entry and entry.fixed else native or PHOTO
    small = size <= SMALL
    network = recipe.network or ("resnet20" if small else "resnet18")
    crop = recipe.augment.crop or ("pad" if small else "resized")
    padding = recipe.augment.padding if recipe.augment.padding is not None else max(1, size // 8)
    source = recipe.data if listing.source in ("digits", "arrays") else str(Path(listing.source).absolute())
    return recipe.changed(
        data=source if Path(source).exists() else recipe.data,
        network=network,
        images={"size": size},
        augment={"crop": crop, "padding": padding},
    )


def stored_side(recipe: Recipe) -> int:
    """Photos that are cropped at random keep a margin: 8/7 of the side, as ImageNet's 256 for 224."""
    size = recipe.images.size
    assert size is not None
    return round(size * 8 / 7) if recipe.augment.crop == "resized" else size


def remarks(store: Store, parts: np.ndarray) -> Iterable[str]:
    """What a person should hear about the data before training."""
    counts = {part: int((parts == part).sum()) for part in ("train", "validation", "test")}
    yield (
        f"{store.name}: {len(store.labels):,} images of {len(store.classes)} classes "
        f"({counts['train']:,} train, {counts['validation']:,} validation, {counts['test']:,} test)"
        f"{', read from the cache' if store.warm else ''}"
    )
    if store.left_out:
        first = store.left_out[0]
        yield f"left out: {len(store.left_out):,} (such as {first.file}: {first.reason}); all are listed in the report"
    for finding in store.findings:
        yield f"{finding.kind}: {finding.text}"
