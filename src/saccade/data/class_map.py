"""The class map of a classifier, pinned on the images that train it."""

from collections import defaultdict
from collections.abc import Iterator
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
        raise InputError(f"{listing.source}: one class only ({names[0]}); a classifier needs at least two")
    known = np.isin(listing.labels, learned)
    kept, others = np.flatnonzero(known), np.flatnonzero(~known).tolist()
    findings = [*missing(listing, learned), *alike(names)]
    left_out = [LeftOut(listing.ids[i], f'class "{listing.classes[listing.labels[i]]}" is not in train') for i in others]
    return replace(
        listing,
        classes=names,
        images=Subset(listing.images, kept) if others else listing.images,
        ids=[listing.ids[i] for i in kept.tolist()] if others else listing.ids,
        labels=np.searchsorted(learned, listing.labels[kept]),
        parts=listing.parts[kept],
        groups=None if listing.groups is None else listing.groups[kept],
        left_out=[*listing.left_out, *left_out],
        findings=[*listing.findings, *findings],
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


def alike(names: tuple[str, ...]) -> Iterator[Finding]:
    """Names of classes that differ only in case."""
    folded = defaultdict(list)
    for name in names:
        folded[name.casefold()].append(name)
    for same in folded.values():
        if len(same) > 1:
            yield Finding("similar names", f"{' and '.join(same)} differ only in case; are they one class?")
