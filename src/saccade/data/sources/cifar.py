"""CIFAR-10 and CIFAR-100: the files of the binary or the Python version, plain, .gz or .xz, or an official archive."""

import gzip
import lzma
import tarfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path

import numpy as np

from saccade.data.images import Array, stamp_of
from saccade.data.listing import Listing
from saccade.data.sources import cifar_pickles
from saccade.errors import InputError
from saccade.reading import text_of

CIFAR10 = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
PIXELS = 3 * 32 * 32
ENDINGS = ("", ".gz", ".xz")


@dataclass(frozen=True)
class Version:
    """What a published form of CIFAR consists of; `label_bytes` precede the pixels of an image, the last is its label."""

    train: tuple[str, ...]
    test: str
    names: str
    label_bytes: int
    classes: int
    unpickle: Callable[[bytes], np.ndarray] | None = None

    @property
    def files(self) -> tuple[str, ...]:
        return (*self.train, self.test)


VERSIONS = (
    Version(tuple(f"data_batch_{i}.bin" for i in range(1, 6)), "test_batch.bin", "batches.meta.txt", 1, 10),
    Version(("train.bin",), "test.bin", "fine_label_names.txt", 2, 100),
    Version(
        tuple(f"data_batch_{i}" for i in range(1, 6)), "test_batch", "batches.meta", 1, 10, cifar_pickles.records_of_cifar10
    ),
    Version(("train",), "test", "meta", 2, 100, cifar_pickles.records_of_cifar100),
)


def recognize(path: Path) -> Listing | None:
    """The listing of a folder of such files, or of an archive like cifar-10-binary.tar.gz; None when it is neither."""
    if path.is_file():
        if not any(ending in (".tar", ".tgz", ".txz") for ending in map(str.lower, path.suffixes[-2:])):
            return None
        present = {Path(name).name: name for name in members(path)}
    else:
        present = {file.name: file.name for file in path.iterdir() if file.is_file()}
    for version in VERSIONS:
        packed = {name: [name + ending for ending in ENDINGS if name + ending in present] for name in version.files}
        found = [names[0] for names in packed.values() if names]
        if found and (path.is_file() or version.unpickle is None or version.names in present):
            return listing(path, present, found, version)
    if path.is_file():
        raise InputError(
            f"{path}: in an archive the files of CIFAR are expected (data_batch_1.bin ...), met {sorted(present)[:3]}; "
            "others are to be unpacked first"
        )
    return None


def listing(path: Path, present: dict[str, str], found: list[str], version: Version) -> Listing:
    names = tuple(present[name] for name in found)
    stamp = stamp_of(files(path, names))
    rows = [records(path, name, version, stamp) for name in names]
    sizes, parts = [len(each) for each in rows], ["test" if name.startswith("test") else "train" for name in found]
    labels = np.concatenate([each[:, version.label_bytes - 1] for each in rows]).astype(np.int64)
    count = int(labels.max()) + 1
    if count > version.classes:
        raise InputError(f"{path}: labels are 0 to {version.classes - 1} in this version of CIFAR, met {count - 1}")
    counts = {part: iter(range(10**9)) for part in ("train", "test")}
    return Listing(
        name=path.resolve().name.split(".")[0],
        source=str(path),
        classes=class_names(path, present, version, count),
        images=Array(partial(pixels, path, names, version, stamp), len(labels), files(path, names)),
        ids=[f"{part}/{next(counts[part])}" for part, size in zip(parts, sizes, strict=True) for _ in range(size)],
        labels=labels,
        parts=np.repeat(parts, sizes),
    )


def files(path: Path, names: tuple[str, ...]) -> list[Path]:
    return [path] if path.is_file() else [path / name for name in names]


def class_names(path: Path, present: dict[str, str], version: Version, count: int) -> tuple[str, ...]:
    """From the file that comes with the version, where it is there."""
    if version.names in present:
        file = path / present[version.names]
        data = content(path, present[version.names])
        words = tuple(text_of(data, file).split()) if version.unpickle is None else unpickled_names(data, file)
        if len(words) >= count:
            return words
    return CIFAR10 if version.classes == 10 else tuple(str(i) for i in range(count))


def unpickled_names(data: bytes, file: Path) -> tuple[str, ...]:
    try:
        return cifar_pickles.class_names(data)
    except Exception as error:  # a pickle can be wrong in as many ways as a program
        raise InputError(f"{file}: the names of the classes cannot be read ({error})") from error


def pixels(path: Path, names: tuple[str, ...], version: Version, stamp: str) -> np.ndarray:
    """(N, 32, 32, 3): the files hold the three colour planes one after the other."""
    planes = np.concatenate([records(path, name, version, stamp)[:, version.label_bytes :] for name in names])
    return np.ascontiguousarray(planes.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1))


@lru_cache(maxsize=8)  # labels and pixels come from the same bytes, which take seconds to unpack
def records(path: Path, name: str, version: Version, stamp: str) -> np.ndarray:
    """uint8 (N, label_bytes + 3072); `stamp` makes a file that was replaced another one."""
    data, length = content(path, name), version.label_bytes + PIXELS
    if version.unpickle is not None:
        try:
            return version.unpickle(data)
        except Exception as error:  # a pickle can be wrong in as many ways as a program
            raise InputError(f"{path / name}: this is no file of CIFAR's Python version ({error})") from error
    if not data or len(data) % length:
        raise InputError(f"{path / name}: expected records of {length:,} bytes, met {len(data):,} bytes in all")
    return np.frombuffer(data, np.uint8).reshape(-1, length)


def content(path: Path, name: str) -> bytes:
    """The unpacked bytes of a file of the folder or archive."""
    try:
        if path.is_file():
            with tarfile.open(path) as archive:
                stream = archive.extractfile(name)
                return stream.read() if stream else b""
        data = (path / name).read_bytes()
        return gzip.decompress(data) if name.endswith(".gz") else lzma.decompress(data) if name.endswith(".xz") else data
    except (OSError, EOFError, zlib.error, lzma.LZMAError, tarfile.TarError) as error:
        raise InputError(f"{path / name}: cannot be unpacked to its end ({error})") from error


def members(path: Path) -> list[str]:
    """The names of the files in an archive."""
    try:
        with tarfile.open(path) as archive:
            return [member.name for member in archive.getmembers() if member.isfile()]
    except (OSError, EOFError, zlib.error, lzma.LZMAError, tarfile.TarError) as error:
        reason = "it is empty" if not path.stat().st_size else str(error).splitlines()[0].rstrip(":")
        raise InputError(f"{path}: this archive cannot be opened ({reason})") from error
