"""Data sets of torchvision by their name, downloaded where there is a network."""

import ast
import inspect
from contextlib import suppress
from functools import lru_cache
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import numpy as np

from saccade.data.cache import cache_folder
from saccade.data.images import Pairs, hashed
from saccade.data.listing import Listing
from saccade.errors import InputError

# Those that torchvision can download, and whose images have one class each
USABLE = (
    *("CIFAR10", "CIFAR100", "Caltech101", "Caltech256", "Country211", "DTD", "EMNIST", "EuroSAT", "FGVCAircraft"),
    *("FashionMNIST", "Flowers102", "Food101", "GTSRB", "Imagenette", "KMNIST", "MNIST", "OxfordIIITPet", "PCAM"),
    *("QMNIST", "RenderedSST2", "SEMEION", "STL10", "SUN397", "SVHN", "USPS"),
)
DIVISIONS = {"EMNIST": "balanced"}  # of data sets that were published in several divisions, the one that is used
# What torchvision's data sets call their parts, by `split`
SPLITS = {"train": ("train", "trainval"), "validation": ("val", "valid", "validation"), "test": ("test",)}


class Joined:
    """Several data sets one after the other, as one sequence of (image, label)."""

    def __init__(self, sets: list[Any]):
        self.places = [(each, i) for each in sets for i in range(len(each))]

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        data, i = self.places[index]
        return data[i]


@lru_cache
def names() -> tuple[str, ...]:
    """The data sets of torchvision: its `__all__`, read and not imported, for that takes seconds."""
    package = distribution("torchvision").locate_file("torchvision/datasets/__init__.py")
    tree = ast.parse(Path(str(package)).read_text(encoding="utf-8"))
    values = [
        each.value for each in tree.body if isinstance(each, ast.Assign) and ast.unparse(each.targets[0]) == "__all__"
    ]
    return tuple(ast.literal_eval(values[0]))


def known(word: str) -> str | None:
    """The data set of this name, whatever its case, such as "mnist" or "torchvision:MNIST"; None where there is none."""
    return {name.lower(): name for name in names()}.get(plain(word).lower()) if plain(word).isidentifier() else None


def plain(word: str) -> str:
    return word.removeprefix("torchvision:")


def check_usable(name: str) -> None:
    """InputError for a data set of torchvision that is not for classification, before it is downloaded."""
    if name not in USABLE:
        raise InputError(
            f"{name}: torchvision has it, but not as images of one class each; those that can be used: {', '.join(USABLE)}"
        )


def by_name(word: str) -> Listing:
    """The listing of a data set that is known."""
    name = known(word) or ""
    check_usable(name)

    import torchvision.datasets

    kind, root = getattr(torchvision.datasets, name), cache_folder() / "torchvision"
    try:
        sets = opened(kind, root)
    except (OSError, RuntimeError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        below = root / name / "raw" if issubclass(kind, torchvision.datasets.MNIST) else root
        raise InputError(
            f"{name} could not be downloaded ({reason}); its files may be put into {below}, as torchvision lays them out"
        ) from error
    if "train" not in sets and "" not in sets:
        raise InputError(f"{name}: this data set of torchvision has no train part")
    return listing(name, sets)


def opened(kind: Any, root: Path) -> dict[str, Any]:
    """The data set of each part that there is; of "" where torchvision does not divide it."""
    words, name = inspect.signature(kind).parameters, kind.__name__
    if "train" in words or name in DIVISIONS:
        division = {"split": DIVISIONS[name]} if name in DIVISIONS else {}
        return {part: kind(str(root), train=part == "train", download=True, **division) for part in ("train", "test")}
    if "split" not in words:
        return {"": kind(str(root), download=True)}
    sets = {}
    for part, names in SPLITS.items():
        for split in names:
            with suppress(ValueError):  # torchvision's answer to a split that the data set does not have
                sets[part] = kind(str(root), split=split, download=True)
                break
    return sets


def listing(name: str, sets: dict[str, Any]) -> Listing:
    first = next(iter(sets.values()))
    labels = np.concatenate([labels_of(each) for each in sets.values()])
    names = next((getattr(first, each) for each in ("classes", "categories") if hasattr(first, each)), None)
    classes = names or [str(i) for i in range(int(labels.max()) + 1)]
    sizes = [len(each) for each in sets.values()]
    ids = [f"{part}/{i}" if part else str(i) for part, size in zip(sets, sizes, strict=True) for i in range(size)]
    # What was published under this name does not change, and to hash its images would be to decode them all
    stamp = hashed(repr((name, torchvision_version(), sizes)).encode(), labels.tobytes()).hex()
    return Listing(
        name=name,
        source=name,
        classes=tuple(str(each) for each in classes),
        images=Pairs(Joined(list(sets.values())), stamp),  # type: ignore[arg-type]
        ids=ids,
        labels=labels,
        parts=np.repeat(list(sets), sizes),
    )


def torchvision_version() -> str:
    import torchvision

    return torchvision.__version__


def labels_of(data: Any) -> np.ndarray:
    """(N,) the number of the class of each image; what is no such row is asked for image by image."""
    for name in ("targets", "labels", "_labels", "y"):
        found = np.asarray(getattr(data, name, ()))
        if found.shape == (len(data),) and np.issubdtype(found.dtype, np.number):
            return found.astype(np.int64)
    return np.array([data[i][1] for i in range(len(data))], np.int64)
