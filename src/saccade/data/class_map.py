"""The class map of a classifier: pinned on the images that train it, and applied to others."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from saccade.data.images import Subset
from saccade.data.listing import PARTS, Finding, LeftOut, Listing
from saccade.errors import InputError


def pinned(listing: Listing) -> Listing:
    """The listing with the classes that have training images; images of other classes are left out by name.

    So a class that a part lacks shifts no label. InputError where nothing, or one class only, is there to train on.
    """
    trains = np.isin(listing.parts, ("train", ""))
    if not len(listing.labels):
        raise InputError(f"{listing.source}: there are no images")
    if not trains.any():
        raise InputError(f"{listing.source}: there is {' and '.join(sorted(set(listing.parts)))} but no train part")
    learned = np.unique(listing.labels[trains])
    names = tuple(listing.classes[i] for i in learned)
    if len(learned) < 2:
        others = [name for name in listing.classes if name not in names]
        beside = f" in train ({', '.join(others[:3])} elsewhere)" if others else ""
        raise InputError(f"{listing.source}: one class only ({names[0]}){beside}; a classifier needs at least two")
    findings = [*listing.findings, *missing(listing, learned), *alike(listing.classes)]
    return replace(restricted(listing, learned, "is not in train"), findings=findings)


def known_to(listing: Listing, classes: Sequence[str]) -> Listing:
    """The listing for a network that knows these classes: images of others are left out by name.

    InputError where nothing is left of what is to be scored: the test part, where there is one.
    """
    known = np.flatnonzero([name in classes for name in listing.classes])
    parts = ("test",) if (listing.parts == "test").any() else ("", *PARTS)
    if not (np.isin(listing.labels, known) & np.isin(listing.parts, parts)).any():
        such, same = ", ".join(listing.classes[:3]), next(alike((*classes, *listing.classes)), None)
        raise InputError(
            f"{listing.source}: no image to score is of the {len(classes)} classes that the run knows "
            f"({', '.join(classes[:3])}...); met {such}{f'; {same.text}' if same else ''}"
        )
    return restricted(listing, known, "is not one that the run knows")


def restricted(listing: Listing, classes: np.ndarray, why: str) -> Listing:
    """The listing with these classes alone, by ascending number; the images of others are left out by name."""
    known = np.isin(listing.labels, classes)
    kept, others = np.flatnonzero(known), np.flatnonzero(~known).tolist()
    left_out = [LeftOut(listing.ids[i], f'class "{listing.classes[listing.labels[i]]}" {why}') for i in others]
    return replace(
        listing,
        classes=tuple(listing.classes[i] for i in classes),
        images=Subset(listing.images, kept) if others else listing.images,
        ids=[listing.ids[i] for i in kept.tolist()] if others else listing.ids,
        labels=np.searchsorted(classes, listing.labels[kept]),
        parts=listing.parts[kept],
        groups=None if listing.groups is None else listing.groups[kept],
        left_out=[*listing.left_out, *left_out],
    )


def missing(listing: Listing, learned: np.ndarray) -> Iterator[Finding]:
    """Classes that a part has and train lacks, or the other way round."""
    for part in PARTS:
        labels = listing.labels[listing.parts == part]
        if not len(labels):
            continue
        if absent := [listing.classes[i] for i in learned if i not in labels]:
            yield Finding("classes differ", f"{part} has no images of {', '.join(absent)}")
        if extra := [listing.classes[i] for i in np.setdiff1d(labels, learned)]:
            yield Finding("classes differ", f"{part} has {', '.join(extra)}, which train lacks: left out")


def alike(names: Sequence[str]) -> Iterator[Finding]:
    """Names of classes that differ only in case."""
    folded = defaultdict(list)
    for name in names:
        folded[name.casefold()].append(name)
    for same in folded.values():
        if len(same) > 1:
            yield Finding("similar names", f"{' and '.join(same)} differ only in case; are they one class?")
