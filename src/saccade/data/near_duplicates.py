"""Images that are nearly the same: another size, a picture saved again. By thumbnails, pair by pair."""

import numpy as np

MOST_COMPARED = 30_000  # near duplicates are searched pair by pair
NEAR = 3.0  # root mean square difference of two thumbnails, in grey levels of 255
SERIES = 10  # images alike, above which they are no copies of one
FLAT = 8.0  # thumbnails with less contrast (standard deviation) all look alike
THUMB = 16
BLOCK = 512  # rows compared at a time: 60 MB of distances for the most images compared


def thumbnail(pixels: np.ndarray) -> np.ndarray:
    """float32 (256,): the grey means of a 16x16 grid over uint8 (S, S, C); S below 16 is used as it is."""
    side = min(THUMB, len(pixels))
    edges = np.linspace(0, len(pixels), side + 1).astype(int)[:-1]
    # sums of integers along the slowest axis first: several times faster than a mean over channels
    cells = np.add.reduceat(np.add.reduceat(pixels, edges, 0, dtype=np.uint32), edges, 1).sum(2)
    sizes = np.diff(np.append(edges, len(pixels)))
    return (cells / (np.outer(sizes, sizes) * pixels.shape[2])).astype(np.float32).ravel()


def near_pairs(thumbs: np.ndarray, parts: np.ndarray) -> np.ndarray:
    """(P, 2) indices of thumbnails (N, D) that differ by at most NEAR, flat ones aside; by blocks of products.

    Not every pair (frames of a film are all alike, and pairs grow with the square), but enough to connect all that is
    near, and for each image one near image in every part that has one.
    """
    some = np.flatnonzero(thumbs.std(1) >= FLAT)
    rows = thumbs[some] - 128
    squares = np.square(rows).sum(1)
    numbers = np.unique(parts, return_inverse=True)[1]
    pairs = np.zeros((0, 2), np.int64)
    for start in range(0, len(rows), BLOCK):
        block = slice(start, start + BLOCK)
        distance = squares[block, None] + squares[start:] - 2 * rows[block] @ rows[start:].T
        a, b = np.nonzero(distance <= NEAR**2 * rows.shape[1])
        found = np.stack([some[a + start], some[b + start]], 1)[a < b]
        if len(found):
            pairs = enough(np.concatenate([pairs, found]), numbers)
    return pairs


def enough(pairs: np.ndarray, parts: np.ndarray) -> np.ndarray:
    """The pairs (P, 2) that connect what all of them connect, and the first of each image with each part."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import minimum_spanning_tree

    links = coo_array((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), (len(parts),) * 2)
    tree = np.stack(minimum_spanning_tree(links.tocsr()).nonzero(), 1).astype(np.int64)
    kinds = int(parts.max()) + 1
    firsts = [pairs[np.unique(pairs[:, i] * kinds + parts[pairs[:, 1 - i]], return_index=True)[1]] for i in (0, 1)]
    return np.unique(np.concatenate([tree, *firsts]), axis=0)


def clusters_of(count: int, pairs: np.ndarray) -> np.ndarray:
    """(count,) a number for each image, the same for images that pairs connect."""
    if not len(pairs):
        return np.arange(count)
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    links = coo_array((np.ones(len(pairs), bool), (pairs[:, 0], pairs[:, 1])), (count, count))
    return connected_components(links, directed=False)[1].astype(np.int64)


def without_series(pairs: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """The pairs (P, 2) that are copies, and those of series: more images alike than copies would be.

    Frames of a film or of a fixed camera are all alike; were they kept together, nothing could be held back.
    """
    clusters = clusters_of(count, pairs)
    large = np.bincount(clusters)[clusters[pairs[:, 0]]] > SERIES
    return pairs[~large], pairs[large]
