"""Arrays (X, y), sequences of (image, label), and the digits that come with scikit-learn."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from saccade.data.images import Array, Pairs, clearly_scaled
from saccade.data.listing import Images, Listing
from saccade.errors import InputError


def digits() -> Listing:
    """1,797 handwritten digits of 8x8 pixels with 17 grey levels (UCI, through scikit-learn)."""
    from sklearn.datasets import load_digits

    found = load_digits()
    pixels = np.round(found.images * (255 / 16)).astype(np.uint8)
    return _listing("digits", "digits", Array(lambda: pixels, len(pixels)), found.target)


def from_memory(data: Any) -> Listing:
    """(X, y) of arrays, or any sequence of (image, label)."""
    if isinstance(data, tuple) and len(data) == 2 and hasattr(data[0], "shape"):
        x, y = np.asarray(data[0]), labels_in(data[1])
        if x.ndim not in (3, 4) or len(x) != len(y):
            raise InputError(f"X is (N, H, W) or (N, H, W, C) and y is (N,); these are {x.shape} and {y.shape}")
        if x.ndim == 4 and x.shape[3] not in (1, 3):
            if x.shape[1] not in (1, 3):
                raise InputError(f"X has 1 or 3 channels, first or last; this is {x.shape}")
            x = x.transpose(0, 2, 3, 1)
        pixels = clearly_scaled(x, "X")
        return _listing("arrays", "arrays", Array(lambda: pixels, len(pixels)), y)
    if not isinstance(data, Sequence) and not hasattr(data, "__getitem__"):
        raise InputError(
            f"data is a path, a name, (X, y), or a sequence of (image, label); this is a {type(data).__name__}"
        )
    return _listing("arrays", "arrays", Pairs(data), labels_of(data))


def labels_of(pairs: Sequence[Any]) -> np.ndarray:
    """Those that the sequence keeps beside it, as torchvision's data sets do, else the second of each pair."""
    kept = next((getattr(pairs, name) for name in ("targets", "labels") if hasattr(pairs, name)), None)
    try:
        if kept is None or len(kept) != len(pairs):
            kept = [pairs[i][1] for i in range(len(pairs))]
    except (TypeError, IndexError, KeyError, ValueError) as error:
        raise InputError("the data is no sequence of (image, label); X and y go in a tuple of two arrays") from error
    return labels_in(kept)


def labels_in(given: Any) -> np.ndarray:
    """(N,) of numbers or words; InputError for the first that is missing, of which numpy would make a class "nan"."""
    try:
        labels = np.asarray(given)
    except ValueError:
        raise InputError("a label is one number or one word, these are of several shapes") from None
    if labels.ndim != 1:
        raise InputError(f"a label is one number or one word, these are of shape {labels.shape[1:]}")
    for i, label in enumerate(labels.tolist() if labels.dtype.kind in "biuf" else given):
        if label is None or (isinstance(label, float | np.floating) and not np.isfinite(label)):
            raise InputError(f"the label of image {i} is {label}; a label is one number or one word, and none is missing")
    return labels


def _listing(name: str, source: str, images: Images, labels: np.ndarray) -> Listing:
    try:
        classes, numbers = np.unique(labels, return_inverse=True)
    except TypeError as error:
        raise InputError("labels are all numbers or all words; these are both, or something else") from error
    return Listing(
        name=name,
        source=source,
        classes=tuple(str(each) for each in classes),
        images=images,
        ids=[str(i) for i in range(len(labels))],
        labels=numbers.astype(np.int64),
        parts=np.full(len(labels), "", dtype="<U10"),
    )
