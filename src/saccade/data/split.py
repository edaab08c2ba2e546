"""Which images train, which select, which measure."""

from dataclasses import dataclass
from itertools import islice

import numpy as np

from saccade.data.listing import PARTS
from saccade.data.near_duplicates import clusters_of
from saccade.errors import InputError
from saccade.seeds import derive


@dataclass(frozen=True)
class Fractions:
    """Shares to be held back: `test` of all images, `validation` of what is left."""

    validation: float
    test: float


@dataclass(frozen=True)
class Fold:
    """One of `count` parts that validate in turn, by its number from 0 on."""

    number: int
    count: int

    def __post_init__(self) -> None:
        if not 0 <= self.number < self.count or self.count < 2:
            raise InputError(f"folds: two at least, numbered from 0 on, not number {self.number} of {self.count}")


def units_of(clusters: np.ndarray, groups: np.ndarray | None) -> np.ndarray:
    """(N,) numbers of inseparable images: duplicates, and images of one group, stay on one side of every split."""
    if groups is None:
        return clusters
    nobody = np.char.add("\0", np.arange(len(groups)).astype(str))  # an image without a group stands for itself
    pairs = []
    for values in (clusters, np.where(groups == "", nobody, groups)):
        _, number = np.unique(values, return_inverse=True)
        _, first = np.unique(number, return_index=True)
        pairs.append(np.stack([first[number], np.arange(len(number))], 1))
    return clusters_of(len(clusters), np.concatenate(pairs))


def split(
    labels: np.ndarray, parts: np.ndarray, units: np.ndarray, fractions: Fractions, seed: int
) -> tuple[np.ndarray, str]:
    """(N,) of "train", "validation", "test", and how they came about.

    What the source says stays. What it does not hold back is split off the training images: stratified by class, whole
    units at a time, a function of the seed; no class loses its last training image.
    """
    result = with_their_units(parts, units)
    said = []
    for part, share in (("test", fractions.test), ("validation", fractions.validation)):
        if share and not (result == part).any():
            free = (result == "train") & ~np.isin(units, units[result != "train"])  # others have a twin in another part
            chosen = stratified(labels, np.flatnonzero(free), units, share, derive(seed, "split", len(part)))
            result[chosen] = part
            if len(chosen):
                said.append(f"{len(chosen):,} for {part}")
    given = [part for part in PARTS if (parts == part).any()]
    how = f"given by the data: {', '.join(given)}" if given else ""
    if said:
        how += f"{'; ' if how else ''}split off the training images by class and seed {seed}: {', '.join(said)}"
    return result, how or "nothing is held back"


def folded(labels: np.ndarray, parts: np.ndarray, units: np.ndarray, fold: Fold, seed: int) -> np.ndarray:
    """(N,) the parts, where validation is this fold of all that trains or validates; test stays as it is.

    Stratified by class, whole units at a time, a function of the seed; every image is in exactly one fold. InputError
    where a class has fewer units than there are folds.
    """
    from sklearn.model_selection import (
        StratifiedGroupKFold,
        StratifiedKFold,
    )  # takes a second, for folds alone

    pool = np.flatnonzero(np.isin(parts, ("train", "validation")))
    fewest = min((len(np.unique(units[pool][labels[pool] == label])) for label in np.unique(labels[pool])), default=0)
    if fewest < fold.count:
        images = "image (or group)" if fewest == 1 else "images (or groups)"
        raise InputError(f"{fold.count} folds: the rarest class has only {fewest} {images} to divide among them")
    # For thousands of images that each stand alone the grouped splitter takes seconds, the other none
    alone = len(np.unique(units[pool])) == len(pool)
    kind = StratifiedKFold if alone else StratifiedGroupKFold
    splitter = kind(fold.count, shuffle=True, random_state=derive(seed, "folds") % 2**32)
    groups = None if alone else units[pool]
    result = parts.astype("<U10")  # room for the longest word
    result[pool] = "train"
    divided = list(splitter.split(pool, labels[pool], groups))
    for train, held in divided:
        if not len(held) or len(np.unique(labels[pool[train]])) < len(np.unique(labels[pool])):
            raise InputError(
                f"{fold.count} folds: with duplicates and groups kept together, one would hold all images of a class, "
                "or none at all; use fewer folds, or another seed"
            )
    _, chosen = divided[fold.number]
    result[pool[chosen]] = "validation"
    return result


def once(parts: np.ndarray, digests: np.ndarray) -> np.ndarray:
    """(N,) the parts, where an image that an earlier part has too, to the pixel, is in "" instead.

    So that no score is of an image that trained or selected. Only parts that the data gives can share images.
    """
    result = parts.copy()
    for i, part in enumerate(PARTS[1:], 1):
        earlier = np.isin(result, PARTS[:i])
        result[(result == part) & np.isin(digests, digests[earlier])] = ""
    return result


def with_their_units(parts: np.ndarray, units: np.ndarray) -> np.ndarray:
    """(N,) the parts, where an image without one joins the rest of its unit: train first, and train when there is none."""
    result = np.where(parts == "", "train", parts).astype("<U10")
    for part in reversed(PARTS):
        result[(parts == "") & np.isin(units, units[parts == part])] = part
    return result


def stratified(labels: np.ndarray, images: np.ndarray, units: np.ndarray, share: float, seed: int) -> np.ndarray:
    """The images to hold back: from every class about `share`, at least one unit of three or more."""
    if not len(images):
        return images
    generator = np.random.default_rng(seed)
    order = images[np.argsort(units[images], kind="stable")]
    by_class: dict[int, list[np.ndarray]] = {}
    for unit in np.split(order, np.flatnonzero(np.diff(units[order])) + 1):
        by_class.setdefault(int(np.bincount(labels[unit]).argmax()), []).append(unit)
    left = np.bincount(labels[images])
    held: list[np.ndarray] = []
    for label in sorted(by_class):
        own = by_class[label]
        held += drawn([own[i] for i in generator.permutation(len(own))], labels, left, share)
    return np.sort(np.concatenate(held)) if held else np.zeros(0, np.int64)


def drawn(own: list[np.ndarray], labels: np.ndarray, left: np.ndarray, share: float) -> list[np.ndarray]:
    """The first of the units of one class that make up the share; `left`, training images by class, is counted down."""
    several = len(own) >= 3
    wanted = max(round(share * sum(len(unit) for unit in own)), int(several))
    taken: list[np.ndarray] = []
    count = 0
    for unit in own:
        if count >= wanted:
            break
        # a unit that would overshoot by more than the draw falls short without it is passed over
        if count + len(unit) / 2 <= wanted and take(unit, labels, left):
            taken.append(unit)
            count += len(unit)
    if several and not taken:  # all units are large: better the smallest than a class that is never measured
        smallest = (unit for unit in sorted(own, key=len) if take(unit, labels, left))
        taken = list(islice(smallest, 1))
    return taken


def take(unit: np.ndarray, labels: np.ndarray, left: np.ndarray) -> bool:
    """Count the unit's images down from `left`; False, and nothing counted, when a class would have none left.

    A unit may hold several classes (duplicates with contradicting labels), so its own class is not enough to look at.
    """
    after = left - np.bincount(labels[unit], minlength=len(left))
    if (after[labels[unit]] <= 0).any():
        return False
    left[:] = after
    return True
