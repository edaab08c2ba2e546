"""From a recipe to images ready for training: source, store, split, and the fields that the data decides."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from saccade.data.class_map import pinned
from saccade.data.decode import unwarned
from saccade.data.listing import PARTS, Listing, in_words
from saccade.data.preprocess import Preprocess, statistics_of
from saccade.data.sources import open_source
from saccade.data.store import Store, build
from saccade.errors import InputError
from saccade.events import Note, Work
from saccade.experiment.division import divide
from saccade.experiment.pretrained import statistics_for
from saccade.experiment.recipe import IN_MEMORY, Recipe
from saccade.experiment.recipe_sections import HYPERPARAMETERS, AugmentSection
from saccade.experiment.schedule import check_schedule, shortened
from saccade.optim import find_rule
from saccade.training.plan import device_of
from saccade.zoo import find

SMALL = 64  # up to this side images are used as they are, by networks for small images
PHOTO = 224
FEW_STEPS = 20
WEIGHT_DECAY, DECOUPLED_DECAY = 5e-4, 0.01  # the second is multiplied by the rate alone, not by what momentum adds up


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
        again = "saccade.train((X, y), recipe=...), or saccade.resume(run, data=(X, y))"
        raise InputError(f"the images of this recipe were in memory, not in files; give them again: {again}")
    listing = pinned(open_source(recipe.data if data is None else data, recipe.split.group))
    recipe = complete(recipe, listing)
    size = recipe.images.size
    assert size is not None
    store = yield from build(listing, stored_side(recipe), recipe.images.channels)
    recipe = augmented(recipe, colour=store.pixels.shape[3] == 3)
    shared, parts, split_by = divide(recipe, store)
    train = np.flatnonzero(parts == "train")
    if recipe.batch == "full":
        recipe = recipe.changed(batch=max(1, len(train)))
    classes = np.unique(store.labels[train])
    parts = np.where(np.isin(store.labels, classes), parts, "")  # of the others nothing can be learned
    if len(classes) < 2:
        there = f"; only {store.classes[classes[0]]} is left" if len(classes) else ""
        raise InputError(
            f"{recipe.data}: training needs usable images of two classes at least{there} (see `saccade doctor`)"
        )
    check_validation(recipe, parts)
    check_schedule(recipe, steps_of_epoch(recipe, len(train)))
    recipe, (mean, std) = normalized(recipe, store, train)
    preprocess = Preprocess(size, store.pixels.shape[1], mean, std, store.pixels.shape[3])
    of_data = (
        *remarks(store, parts, recipe),
        *not_scored(store, shared, parts),
        *not_held_back(recipe, parts),
        *without_test(store, parts),
    )
    for text in (*of_data, *few_steps(recipe, len(train)), *shortened(recipe)):
        yield Note(text)
    return Prepared(recipe, store, parts, split_by, preprocess)


def complete(recipe: Recipe, listing: Listing) -> Recipe:
    """The recipe with size, network and augmentation decided, before any image is decoded."""
    with unwarned():
        native = listing.images.usual_side()
    size = recipe.images.size
    if size is None:
        entry = find(recipe.network) if recipe.network else None
        size = entry.size if entry and entry.fixed else native or PHOTO
    small = size <= SMALL
    network = recipe.network or ("resnet20" if small else "resnet18")
    crop = recipe.augment.crop or ("pad" if small else "resized")
    check_crop(recipe, crop, size)
    recipe = settled(recipe)
    source = recipe.data if listing.source in ("digits", "arrays") else str(Path(listing.source).absolute())
    return recipe.changed(
        data=source if Path(source).exists() else recipe.data,
        network=network,
        images={"size": size},
        augment={"crop": crop},
    )


def check_crop(recipe: Recipe, crop: str, size: int) -> None:
    """InputError for a number of the other way to crop than the one that the size decides."""
    settings = recipe.augment
    numbers = {
        "pad": ("scale", settings.scale != AugmentSection().scale),
        "resized": ("padding", settings.padding is not None),
    }
    name, given = numbers.get(crop, ("", False))
    if given and settings.crop is None:
        other = "resized" if crop == "pad" else "pad"
        raise InputError(
            f"augment.{name}: it has no effect without augment.crop {other}, and at {size} px that is {crop}; set it too, "
            f"or leave {name} out"
        )


def settled(recipe: Recipe) -> Recipe:
    """The recipe with what its rule of update decides; InputError for a number that the rule does not have."""
    settings, rule = recipe.optimizer, find_rule(recipe.optimizer.rule)
    for name in HYPERPARAMETERS:
        if getattr(settings, name) is not None and name not in rule.hyperparameters:
            has = ", ".join(each for each in HYPERPARAMETERS if each in rule.hyperparameters) or "a rate alone"
            raise InputError(f"optimizer.{name}: {settings.rule} has none, it has {has}")
    if rule.decay == "own" and settings.decay is not None:
        raise InputError(
            f"optimizer.decay: {settings.rule} has a place of its own for weight decay, neither l2 nor decoupled; "
            "leave it out"
        )
    usual = {name: value for name, value in rule.hyperparameters.items() if name in HYPERPARAMETERS}
    kind = settings.decay or rule.decay
    usual |= {"lr": rule.default_lr, "weight_decay": DECOUPLED_DECAY if kind == "decoupled" else WEIGHT_DECAY}
    usual |= {"decay": kind} if kind != "own" else {}
    return recipe.changed(optimizer={name: value for name, value in usual.items() if getattr(settings, name) is None})


def normalized(recipe: Recipe, store: Store, train: np.ndarray) -> tuple[Recipe, tuple[tuple[float, ...], ...]]:
    """The recipe with mean and deviation of the pixels where they are not those of the training images."""
    images, channels = recipe.images, store.pixels.shape[3]
    if recipe.weights is not None and images.mean is None and images.std is None:
        mean, std = statistics_for(recipe.weights, recipe.network or "")
        if len(mean) != channels:
            raise InputError(
                f"{recipe.weights}: these weights are for images of {len(mean)} channels; set --images.channels"
            )
        recipe = recipe.changed(images={"mean": mean, "std": std})
        return recipe, (mean, std)
    mean, std = statistics_of(store.pixels, train)
    mean, std = images.mean or mean, images.std or std
    if len(mean) != channels or len(std) != channels or min(std) <= 0:
        raise InputError(
            f"images.mean and images.std: {channels} numbers each, and deviations above 0, not {mean} and {std}"
        )
    return recipe, (mean, std)


def augmented(recipe: Recipe, colour: bool) -> Recipe:
    """The recipe with shift and mirroring decided: grey images are mostly centred, and have a direction.

    A sixteenth was chosen on validation images of Fashion-MNIST: LeNet-5, 10 epochs, accuracy 0.915 against 0.904 for
    the eighth that suits CIFAR and 0.915 without shift (log loss 0.232, 0.255, 0.242; n = 9,000, one seed each).
    """
    settings, size = recipe.augment, recipe.images.size
    assert size is not None
    padding = max(1, size // (8 if colour else 16)) if settings.padding is None else settings.padding
    return recipe.changed(augment={"padding": padding, "flip": colour if settings.flip is None else settings.flip})


def stored_side(recipe: Recipe) -> int:
    """Photos that are cropped at random keep a margin: 8/7 of the side, as ImageNet's 256 for 224."""
    size = recipe.images.size
    assert size is not None
    return round(size * 8 / 7) if recipe.augment.crop == "resized" else size


def not_scored(store: Store, shared: np.ndarray, parts: np.ndarray) -> Iterable[str]:
    """Images that are in an earlier part too, or of a class without a training image."""
    untrained = ~np.isin(store.labels, store.labels[parts == "train"])
    for part in PARTS[1:]:
        if count := int(((shared == part) & (parts == "") & ~untrained).sum()):
            images = "image is" if count == 1 else "images are"
            yield f"not scored: {count:,} {part} {images} in a part before it too, pixel for pixel"
    if untrained.any():
        names = ", ".join(store.classes[i] for i in np.unique(store.labels[untrained]))
        yield f"not scored: {int(untrained.sum()):,} images of {names}, of which no training image can be used"


def check_validation(recipe: Recipe, parts: np.ndarray) -> None:
    """InputError where something is to be decided by validation images and there are none."""
    deciding = {
        "stop.patience": recipe.stop.patience is not None,
        "schedule.name plateau": recipe.schedule.name == "plateau",
    }
    for field, asked in deciding.items():
        if asked and not (parts == "validation").any():
            raise InputError(
                f"{field}: there are no validation images to decide by; leave it out, or set --split.validation"
            )


def not_held_back(recipe: Recipe, parts: np.ndarray) -> Iterable[str]:
    """A part that was asked for and could not be made."""
    for part in ("validation", "test"):
        if getattr(recipe.split, part) and not (parts == part).any():
            yield f"NOTHING IS HELD BACK for {part}: too few images, or all of a class are duplicates or of one group"


def without_test(store: Store, parts: np.ndarray) -> Iterable[str]:
    """Classes that are too small for the test part that is made here; of one that the data give `missing` speaks."""
    test = parts == "test"
    there = np.setdiff1d(store.labels[parts == "train"], store.labels[test])
    if test.any() and not (store.parts == "test").any() and len(there):
        names = ", ".join(store.classes[i] for i in there)
        whom = "it" if len(there) == 1 else "them"
        yield f"no test image of {names}: too few to hold one back, so no score speaks of {whom}"


def steps_of_epoch(recipe: Recipe, images: int) -> int:
    return -(-images // recipe.images_per_step)


def few_steps(recipe: Recipe, images: int) -> Iterable[str]:
    """A remark where a network would hardly have begun to learn."""
    epoch = steps_of_epoch(recipe, images)
    steps = recipe.epochs * epoch
    if steps < FEW_STEPS:
        more = "a smaller --batch or more --epochs would learn more"
        yield f"only {steps} {'step' if steps == 1 else 'steps'} of training in all, {epoch} an epoch; {more}"


def remarks(store: Store, parts: np.ndarray, recipe: Recipe) -> Iterable[str]:
    """What a person should hear about the data before training."""
    yield (
        f"{store.name}: {len(store.labels):,} images of {len(store.classes)} classes ({counts(store, parts, recipe)})"
        f"{', read from the cache' if store.warm else ''}"
    )
    if store.left_out:
        yield f"{in_words(store.left_out)}; all are listed in the report"
    for finding in store.findings:
        yield f"{finding.kind}: {finding.text}"


def counts(store: Store, parts: np.ndarray, recipe: Recipe) -> str:
    """How many images each part has, which add up to all: a fold that is held out is not what the data give as test."""
    outer = recipe.split.outer
    aside = (parts == "") & (store.parts == "test") & (outer is not None)
    held = "test" if outer is None else f"held out as one of {outer} folds"
    used = {"train": parts == "train", "validation": parts == "validation", held: parts == "test"}
    others = {"test, not read": aside, "not used": (parts == "") & ~aside}
    named = used | {name: where for name, where in others.items() if where.any()}
    return ", ".join(f"{int(where.sum()):,} {name}" for name, where in named.items())
