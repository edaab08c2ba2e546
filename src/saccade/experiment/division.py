"""Which images train, select and measure in a run: the recipe's split, its folds, and folds within folds."""

import numpy as np

from saccade.data.cache import cache_folder
from saccade.data.split import Fold, Fractions, folded, once, split, stratified, units_of
from saccade.data.store import Store, open_stored
from saccade.errors import InputError
from saccade.experiment.recipe import Recipe
from saccade.experiment.recipe_sections import SplitSection
from saccade.seeds import derive


def divide(recipe: Recipe, store: Store) -> tuple[np.ndarray, np.ndarray, str]:
    """(N,) the parts that images belong to, (N,) those that they are used in, and how they came about.

    An image that an earlier part has too, to the pixel, belongs to its part and is used in none, "".
    """
    settings = recipe.split
    seed = recipe.seed if settings.seed is None else settings.seed
    units = units_of(store.clusters, store.groups)
    if settings.outer is not None:
        parts, how = outer(store, units, settings, seed)
    else:
        fractions = Fractions(validation=settings.validation, test=settings.test)
        parts, how = split(store.labels, store.parts, units, fractions, seed)
    if settings.folds is not None:
        fold = Fold(settings.fold, settings.folds)
        parts = folded(store.labels, parts, units, fold, seed)
        how += f"; validation is fold {fold.number} of {fold.count} by seed {seed}"
    if settings.images is not None:
        parts = fewer(store.labels, parts, settings.images, recipe.seed)
        how += f"; {int((parts == 'train').sum()):,} of the training images by seed {recipe.seed}"
    return parts, once(parts, store.digests), how


def outer(store: Store, units: np.ndarray, settings: SplitSection, seed: int) -> tuple[np.ndarray, str]:
    """Test is one fold of all images, validation is split off the rest; what the data give as test is left alone."""
    assert settings.outer is not None
    fold = Fold(settings.outer_fold, settings.outer)
    parts = folded(store.labels, np.where(store.parts == "test", "", "train"), units, fold, seed)
    parts = np.where(parts == "validation", "test", parts).astype("<U10")
    train = np.flatnonzero(parts == "train")
    if settings.validation and settings.folds is None:
        chosen = stratified(store.labels, train, units, settings.validation, derive(seed, "inner", fold.number))
        parts[chosen] = "validation"
    how = f"test is fold {fold.number} of {fold.count} by seed {seed}"
    if aside := int((store.parts == "test").sum()):
        how += f"; {aside:,} images that the data give as test are left alone"
    return parts, how


def fewer(labels: np.ndarray, parts: np.ndarray, count: int, seed: int) -> np.ndarray:
    """(N,) the parts with about `count` training images, by class, the others in none; a larger count holds a smaller."""
    train = np.random.default_rng(derive(seed, "images")).permutation(np.flatnonzero(parts == "train"))
    if count >= len(train):
        return parts
    result = parts.copy()
    for label in np.unique(labels[train]):
        own = train[labels[train] == label]
        result[own[max(1, round(count * len(own) / len(train))) :]] = ""
    return result


def bootstrap_sample(train: np.ndarray, seed: int) -> np.ndarray:
    """As many of the images, drawn with replacement (Efron 1979); about 37 % are not drawn. A function of the seed."""
    return np.sort(np.random.default_rng(derive(seed, "bootstrap")).choice(train, len(train)))


def units_among(ids: np.ndarray, fingerprint: str) -> np.ndarray:
    """(N,) the groups and duplicates of the store that these images are of; InputError where the store is gone.

    Taken each for itself instead, images of groups would have intervals that are too narrow.
    """
    store = open_stored(fingerprint)
    if store is None:
        raise InputError(
            f"{cache_folder()}: the decoded images are gone, and with them which images belong together; "
            "the same words with --out decode them again and go on"
        )
    order = np.argsort(store.ids)
    return units_of(store.clusters, store.groups)[order[np.searchsorted(store.ids, ids, sorter=order)]]


def check_scored(store: Store, scored: np.ndarray, kind: str) -> None:
    """InputError where there is none of the validation images (indices) that a study measures on, or only one group."""
    if not len(scored):
        raise InputError(f"{kind}: it is measured on validation images, and there are none; set --split.validation")
    if len(np.unique(units_of(store.clusters, store.groups)[scored])) < 2:
        raise InputError(
            f"{kind}: the images that it is measured on are all of one group, which tells nothing of others; hold back more"
        )
