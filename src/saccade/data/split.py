"""Which images train, which select, which measure."""

from dataclasses import dataclass

import numpy as np

from saccade.data.doctor import clusters_of
from saccade.data.listing import PARTS
from saccade.seeds import derive


@dataclass(frozen=True)
class Fractions:
    """Shares to be held back: `test` of all images, `validation` of what is left."""

    validation: float
    test: float


def units_of(clusters: np.ndarray, groups: np.ndarray | None) -> np.ndarray:
    """(N,) numbers of inseparable images: duplicates, and images of one group, stay on one side of every split."""
    if groups is None:
        return clusters
    pairs = []
    for values in (clusters, groups):
        _, number = np.unique(values, return_inverse=True)
        _, first = np.unique(number, return_index=True)
        pairs.append(np.stack([first[number], np.arange(len(number))], 1))
    return clusters_of(len(clusters), np.concatenate(pairs))


def split(
    labels: np.ndarray, parts: np.ndarray, units: np.ndarray, fractions: Fractions, seed: int
) -> tuple[np.ndarray, str]:
    """(N,) of "train", "validation", "test", and how they came about.

    What the source says stays. What it does not hold back is split off the training images: stratified by class, whole
    units at a time, a function of the seed; no class loses its last unit.
    """
    result = np.where(parts == "", "train", parts).astype("<U10")
    said = []
    for part, share in (("test", fractions.test), ("validation", fractions.validation)):
        if share and not (result == part).any():
            chosen = stratified(labels, np.flatnonzero(result == "train"), units, share, derive(seed, "split", len(part)))
            result[chosen] = part
            if len(chosen):
                said.append(f"{len(chosen):,} for {part}")
    given = [part for part in PARTS if (parts == part).any()]
    how = f"given by the data: {', '.join(given)}" if given else ""
    if said:
        how += f"{'; ' if how else ''}split off the training images by class and seed {seed}: {', '.join(said)}"
    return result, how or "nothing is held back"


def stratified(labels: np.ndarray, images: np.ndarray, units: np.ndarray, share: float, seed: int) -> np.ndarray:
    """The images to hold back: from every class about `share`, at least one unit of three or more."""
    generator = np.random.default_rng(seed)
    order = images[np.argsort(units[images], kind="stable")]
    members = np.split(order, np.flatnonzero(np.diff(units[order])) + 1) if len(order) else []
    by_class: dict[int, list[np.ndarray]] = {}
    for unit in members:
        by_class.setdefault(int(np.bincount(labels[unit]).argmax()), []).append(unit)
    held: list[np.ndarray] = []
    for label in sorted(by_class):
        own = by_class[label]
        wanted = max(round(share * sum(len(unit) for unit in own)), int(len(own) >= 3))
        taken = 0
        for i in generator.permutation(len(own))[: len(own) - 1]:  # the last unit stays
            if taken + len(own[i]) / 2 > wanted:
                continue
            held.append(own[i])
            taken += len(own[i])
            if taken >= wanted:
                break
    return np.sort(np.concatenate(held)) if held else np.zeros(0, np.int64)
