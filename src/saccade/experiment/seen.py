"""Which images a run has seen: those with the same pixels, and those that look like one of them."""

from pathlib import Path

import numpy as np

from saccade.data.doctor import not_searched
from saccade.data.listing import Finding
from saccade.data.near_duplicates import MOST_COMPARED, near_pairs, thumbnail, without_series
from saccade.data.store import Store, open_stored
from saccade.experiment import folder
from saccade.reading import read_npz

NEAR_SEEN = "near duplicates of images the run has seen"


def digests_seen(run: Path) -> np.ndarray:
    """Of the pixels of the images that trained the run or selected its checkpoint."""
    split = read_npz(run / folder.SPLIT, "it says which images the run has seen", "digests", "parts")
    return split["digests"][split["parts"] != "test"]


def near_seen(run: Path, store: Store, where: np.ndarray) -> list[Finding]:
    """Of the images `where` of the store, how many look like one that the run has seen, as the doctor compares them.

    Photos alone are compared, as there. What the run has seen is taken from the cache, else the finding says that it is
    no longer there.
    """
    if not store.photos:
        return []
    trained_on = open_stored(folder.read_record(run)["images"]["fingerprint"])
    if trained_on is not None and not trained_on.photos:
        return []
    if trained_on is None:
        text = "the images that the run has seen are no longer in the cache; only copies equal to the pixel were recognized"
        return [Finding("near duplicates not searched", text)]
    seen = np.flatnonzero(np.isin(trained_on.digests, digests_seen(run)))
    if len(seen) + len(where) > MOST_COMPARED:
        return [not_searched(len(seen) + len(where))]
    pairs = near_across([trained_on.pixels[i] for i in seen], [store.pixels[i] for i in where])
    if not len(pairs):
        return []
    files = tuple(f"{trained_on.ids[seen[a]]} = {store.ids[where[b]]}" for a, b in pairs)
    look = "1 image looks" if len(files) == 1 else f"{len(files):,} images look"
    text = f"{look} like one that the run has trained or selected on, such as {files[0]}; these scores are optimistic"
    return [Finding(NEAR_SEEN, text, files)]


def near_across(seen: list[np.ndarray], new: list[np.ndarray]) -> np.ndarray:
    """(P, 2): for each new image (S, S, C) that looks like some seen one, the index of the first of these, and its own."""
    thumbs = np.stack([thumbnail(image) for image in (*seen, *new)])
    pairs = near_pairs(thumbs, np.arange(len(thumbs)) >= len(seen))
    single = np.sort(without_series(pairs, len(thumbs))[0], axis=1)
    across = single[(single[:, 0] < len(seen)) & (single[:, 1] >= len(seen))]
    return across[np.unique(across[:, 1], return_index=True)[1]] - [0, len(seen)]
