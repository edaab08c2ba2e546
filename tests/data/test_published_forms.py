"""CIFAR and IDX in every form in which they are published, made from the real pixels."""

import gzip
import io
import lzma
import pickle
import tarfile
from pathlib import Path

import numpy as np
import pytest

from saccade import InputError
from saccade.data.sources import open_source

COUNT = 40
LABELS = tuple(f"name{i}" for i in range(100))


@pytest.fixture(scope="module")
def record_bytes(data: Path) -> bytes:
    """The first images of CIFAR-10's first file, as the binary version has them."""
    with lzma.open(data / "cifar-10" / "data_batch_1.bin.xz") as stream:
        return stream.read(COUNT * 3073)


def archive(file: Path, contents: dict[str, bytes]) -> Path:
    with tarfile.open(file, "w:gz") as packed:
        for name, content in contents.items():
            about = tarfile.TarInfo(f"cifar/{name}")
            about.size = len(content)
            packed.addfile(about, io.BytesIO(content))
    return file


def folder(place: Path, contents: dict[str, bytes]) -> Path:
    place.mkdir()
    for name, content in contents.items():
        (place / name).write_bytes(content)
    return place


def cifar10_binary(images: bytes) -> dict[str, bytes]:
    return {
        "data_batch_1.bin": images,
        "test_batch.bin": images[: 5 * 3073],
        "batches.meta.txt": "\n".join(LABELS[:10]).encode(),
    }


def cifar10_python(images: bytes) -> dict[str, bytes]:
    rows = np.frombuffer(images, np.uint8).reshape(-1, 3073)

    def batch(part: np.ndarray) -> bytes:
        return pickle.dumps({b"labels": part[:, 0].tolist(), b"data": part[:, 1:].copy()}, protocol=2)

    names = pickle.dumps({"label_names": list(LABELS[:10])}, protocol=2)
    return {"data_batch_1": batch(rows), "test_batch": batch(rows[:5]), "batches.meta": names}


def cifar100_binary(images: bytes) -> dict[str, bytes]:
    rows = np.frombuffer(images, np.uint8).reshape(-1, 3073)
    both = np.concatenate([rows[:, :1] // 2, rows], axis=1).tobytes()
    return {"train.bin": both, "test.bin": both[: 5 * 3074], "fine_label_names.txt": "\n".join(LABELS).encode()}


def cifar100_python(images: bytes) -> dict[str, bytes]:
    rows = np.frombuffer(images, np.uint8).reshape(-1, 3073)

    def batch(part: np.ndarray) -> bytes:
        words = {b"fine_labels": part[:, 0].tolist(), b"coarse_labels": [0] * len(part), b"data": part[:, 1:].copy()}
        return pickle.dumps(words, protocol=2)

    return {"train": batch(rows), "test": batch(rows[:5]), "meta": pickle.dumps({"fine_label_names": list(LABELS)}, 2)}


FORMS = {
    "cifar-10-binary": cifar10_binary,
    "cifar-10-python": cifar10_python,
    "cifar-100-binary": cifar100_binary,
    "cifar-100-python": cifar100_python,
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("packed", [True, False], ids=["archive", "folder"])
def test_every_form_of_cifar_gives_the_same_images(record_bytes: bytes, tmp_path: Path, form: str, packed: bool) -> None:
    contents = FORMS[form](record_bytes)
    listing = open_source(archive(tmp_path / f"{form}.tar.gz", contents) if packed else folder(tmp_path / form, contents))
    rows = np.frombuffer(record_bytes, np.uint8).reshape(-1, 3073)
    assert listing.labels.tolist() == [*rows[:, 0], *rows[:5, 0]]
    assert listing.parts.tolist() == ["train"] * COUNT + ["test"] * 5
    assert listing.classes == LABELS[: 10 if "-10-" in form else 100]
    for i in range(COUNT):
        assert np.array_equal(listing.images.read(i).pixels, rows[i, 1:].reshape(3, 32, 32).transpose(1, 2, 0))


def test_a_pickle_that_names_a_function_is_refused(tmp_path: Path) -> None:
    class Harm:
        def __reduce__(self) -> tuple:
            return print, ("harm",)

    place = folder(tmp_path / "c", {"data_batch_1": pickle.dumps({b"data": Harm()}), "batches.meta": b""})
    with pytest.raises(
        InputError, match=r"data_batch_1: this is no file of CIFAR's Python version \(it asks for builtins.p"
    ):
        open_source(place)


def test_class_folders_called_train_and_test_are_no_cifar(tmp_path: Path) -> None:
    folder(tmp_path / "c", {"train": b"", "test": b""})
    with pytest.raises(InputError, match="no images in class folders"):
        open_source(tmp_path / "c")


def test_a_file_that_was_replaced_is_read_again(record_bytes: bytes, tmp_path: Path) -> None:
    place = folder(tmp_path / "c", cifar10_binary(record_bytes))
    before = open_source(place)
    (place / "data_batch_1.bin").write_bytes(record_bytes[: 10 * 3073])
    assert (len(before.labels), len(open_source(place).labels)) == (COUNT + 5, 15)


def emnist(place: Path, data: Path, stem: str) -> None:
    """Real images under the names that EMNIST has."""
    place.mkdir(exist_ok=True)
    for part in ("train", "t10k"):
        for what in ("images-idx3", "labels-idx1"):
            name = f"{stem}-{part.replace('t10k', 'test')}-{what}-ubyte.gz"
            (place / name).symlink_to(data / "fashion-mnist" / f"{part}-{what}-ubyte.gz")


def test_names_of_emnist_and_classes_in_a_file(data: Path, tmp_path: Path) -> None:
    emnist(tmp_path / "letters", data, "emnist-letters")
    (tmp_path / "letters" / "classes.txt").write_text("\n".join(LABELS[:10]) + "\n")
    listing = open_source(tmp_path / "letters")
    assert (len(listing.labels), listing.classes) == (70_000, LABELS[:10])
    (tmp_path / "letters" / "classes.txt").write_text("a\nb\n")
    with pytest.raises(InputError, match=r"classes.txt: 10 different names are needed, one a line, met 2"):
        open_source(tmp_path / "letters")
    emnist(tmp_path / "letters", data, "emnist-digits")
    with pytest.raises(InputError, match="files of 2 data sets"):
        open_source(tmp_path / "letters")


def test_the_raw_folder_of_torchvision(data: Path, tmp_path: Path) -> None:
    place = folder(tmp_path / "FashionMNIST", {})
    (place / "raw").mkdir()
    for file in (data / "fashion-mnist").glob("*.gz"):
        (place / "raw" / file.name.removesuffix(".gz")).write_bytes(gzip.decompress(file.read_bytes()))
        (place / "raw" / file.name).symlink_to(file)
    assert len(open_source(place).labels) == 70_000


@pytest.mark.parametrize("name", ["CIFAR-10-binary.tar.gz", "cifar-10-binary.tgz", "downloads.tar"])
def test_an_archive_of_cifar_is_known_by_what_is_in_it(record_bytes: bytes, tmp_path: Path, name: str) -> None:
    file = archive(tmp_path / "c.tar.gz", cifar10_binary(record_bytes)).rename(tmp_path / name)
    assert len(open_source(file).labels) == COUNT + 5


def test_archives_that_are_empty_or_hold_something_else(tmp_path: Path) -> None:
    (tmp_path / "cifar.tar.gz").write_bytes(b"")
    with pytest.raises(InputError, match=r"cifar\.tar\.gz: this archive cannot be opened \(it is empty\)$"):
        open_source(tmp_path / "cifar.tar.gz")
    (tmp_path / "cifar.tar.gz").write_bytes(b"nothing")
    with pytest.raises(InputError, match=r"cifar\.tar\.gz: this archive cannot be opened \([^\n]+\)$"):
        open_source(tmp_path / "cifar.tar.gz")
    with pytest.raises(InputError, match=r"the files of CIFAR are expected .*; others are to be unpacked first"):
        open_source(archive(tmp_path / "photos.tar.gz", {"x.jpg": b"x"}))


def test_a_single_file_of_a_set_is_answered_with_its_folder(tmp_path: Path) -> None:
    (tmp_path / "train-images-idx3-ubyte").write_bytes(b"x")
    with pytest.raises(InputError, match=rf"this is a file without an ending; its folder may be meant, {tmp_path}"):
        open_source(tmp_path / "train-images-idx3-ubyte")
