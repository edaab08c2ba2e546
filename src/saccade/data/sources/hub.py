"""Data sets of torchvision by their name, downloaded where there is a network."""

import inspect
from typing import Any

import numpy as np

from saccade.data.cache import cache_folder
from saccade.data.images import Pairs
from saccade.data.listing import Listing
from saccade.errors import InputError


class Joined:
    """Several data sets one after the other, as one sequence of (image, label)."""

    def __init__(self, sets: list[Any]):
        self.places = [(each, i) for each in sets for i in range(len(each))]

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        data, i = self.places[index]
        return data[i]


def names() -> list[str]:
    """The data sets of torchvision."""
    import torchvision.datasets

    return list(torchvision.datasets.__all__)


def by_name(name: str) -> Listing | None:
    """The listing of torchvision.datasets.<name>, whatever its case; None when there is none."""
    import torchvision.datasets

    known = {word.lower(): word for word in torchvision.datasets.__all__}
    if name.lower() not in known:
        return None
    kind = getattr(torchvision.datasets, known[name.lower()])
    words = inspect.signature(kind).parameters
    if "train" in words:
        choices: list[tuple[str, dict[str, Any]]] = [("train", {"train": True}), ("test", {"train": False})]
    elif "split" in words:
        choices = [("train", {"split": "train"}), ("test", {"split": "test"})]
    else:
        raise InputError(f"{kind.__name__}: this data set of torchvision has no train and test part to classify")
    root = cache_folder() / "torchvision"
    try:
        sets = [kind(str(root), download=True, **choice) for _, choice in choices]
    except (ValueError, TypeError) as error:  # of its arguments: parts of other names, or more to choose
        raise InputError(f"{kind.__name__}: saccade cannot choose a train and a test part of it ({error})") from error
    except (OSError, RuntimeError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"{kind.__name__} could not be downloaded ({reason}); its files may be put into {root}") from error
    labels = np.concatenate([labels_of(each) for each in sets])
    names = getattr(sets[0], "classes", None) or [str(i) for i in range(int(labels.max()) + 1)]
    sizes = [len(each) for each in sets]
    parts = [part for part, _ in choices]
    return Listing(
        name=kind.__name__,
        source=kind.__name__,
        classes=tuple(str(each) for each in names),
        images=Pairs(Joined(sets)),  # type: ignore[arg-type]
        ids=[f"{part}/{i}" for part, size in zip(parts, sizes, strict=True) for i in range(size)],
        labels=labels,
        parts=np.repeat(parts, sizes),
    )


def labels_of(data: Any) -> np.ndarray:
    for name in ("targets", "labels", "_labels"):
        if hasattr(data, name):
            return np.asarray(getattr(data, name)).astype(np.int64)
    return np.array([data[i][1] for i in range(len(data))], np.int64)
