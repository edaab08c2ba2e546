"""Data sets of torchvision by name, from files laid where it would download them to."""

import shutil
import struct
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from saccade import InputError
from saccade.data.sources import check_source, hub, open_source


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SACCADE_CACHE", str(tmp_path))
    return tmp_path / "torchvision"


def test_a_validation_part_stays_one_and_parts_keep_their_classes(data: Path, root: Path) -> None:
    """Real photos in the form of the Describable Textures data set: lists of each part, images in class folders."""
    for part, split in (("train", "train"), ("validation", "val"), ("test", "test")):
        lines = []
        for klass in ("hat", "pants", "dress"):
            for file in sorted((data / "clothing-small" / part / klass).iterdir())[:4]:
                target = root / "dtd" / "dtd" / "images" / klass / file.name
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(file, target)
                lines.append(f"{klass}/{file.name}")
        (root / "dtd" / "dtd" / "labels").mkdir(exist_ok=True)
        (root / "dtd" / "dtd" / "labels" / f"{split}1.txt").write_text("\n".join(lines))
    listing = open_source("dtd")
    assert Counter(listing.parts.tolist()) == {"train": 12, "validation": 12, "test": 12}
    assert listing.classes == ("dress", "hat", "pants")
    assert Counter(listing.labels.tolist()) == {0: 12, 1: 12, 2: 12}
    assert listing.images.read(0).pixels.ndim == 3
    assert listing.images.stamp() == open_source("DTD").images.stamp()


def test_without_a_network_it_says_where_files_may_be_put(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")  # where nobody answers
    with pytest.raises(InputError, match=r"Flowers102 could not be downloaded .*[a-z].*; its files may be put into"):
        open_source("flowers102")


@pytest.mark.parametrize("name", ["CocoDetection", "VOCDetection", "FakeData", "Kinetics"])
def test_a_data_set_that_is_not_for_classification_is_refused_before_it_is_downloaded(name: str) -> None:
    with pytest.raises(InputError, match=f"{name}: torchvision has it, but not as images of one class each"):
        check_source(name)


def idx(numbers: np.ndarray, code: int) -> bytes:
    return struct.pack(f">HBB{numbers.ndim}I", 0, code, numbers.ndim, *numbers.shape) + numbers.tobytes()


@pytest.mark.parametrize("name", ["QMNIST", "EMNIST", "FashionMNIST"])
def test_sets_in_the_format_of_mnist_are_read_by_name(name: str, data: Path, root: Path) -> None:
    """Real images of clothes in the files of each set; QMNIST's labels have eight columns, EMNIST has six divisions."""
    images, labels = {
        "QMNIST": ("qmnist-train-images-idx3-ubyte", "qmnist-train-labels-idx2-int"),
        "EMNIST": ("emnist-balanced-train-images-idx3-ubyte", "emnist-balanced-train-labels-idx1-ubyte"),
        "FashionMNIST": ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    }[name]
    listing = open_source(data / "fashion-mnist")
    place = root / name / "raw"
    place.mkdir(parents=True)
    for part, count, (of_images, of_labels) in (
        ("train", 40, (images, labels)),
        (
            "test",
            20,
            tuple(each.replace("train", "t10k" if name == "FashionMNIST" else "test") for each in (images, labels)),
        ),
    ):
        where = np.flatnonzero(listing.parts == part)[:count]
        pixels = np.stack([listing.images.read(int(i)).pixels[..., 0] for i in where])
        (place / of_images).write_bytes(idx(pixels.astype(np.uint8), 8))
        own = listing.labels[where]
        wide = np.concatenate([own[:, None], np.zeros((count, 7))], 1).astype(">i4")
        (place / of_labels).write_bytes(idx(wide, 12) if name == "QMNIST" else idx(own.astype(np.uint8), 8))
    found = open_source(name)
    assert Counter(found.parts.tolist()) == {"train": 40, "test": 20}
    assert np.array_equal(found.labels[:40], listing.labels[np.flatnonzero(listing.parts == "train")[:40]])
    assert len(found.classes) == (47 if name == "EMNIST" else 10)


def test_a_name_in_another_case_is_near(root: Path) -> None:
    with pytest.raises(InputError, match='did you mean "FashionMNIST"'):
        check_source("fashionmnst")


def test_names_of_torchvision_are_known_without_importing_it() -> None:
    import torchvision.datasets

    assert set(hub.names()) == set(torchvision.datasets.__all__)
    assert hub.known("torchvision:mnist") == hub.known("MNIST") == "MNIST"
    assert hub.known("no/where") is None
