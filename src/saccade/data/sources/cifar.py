"""CIFAR-10 and CIFAR-100 in their binary version: files, plain, .gz or .xz, or the official archive."""

import gzip
import lzma
import tarfile
import zlib
from functools import lru_cache, partial
from pathlib import Path

import numpy as np

from saccade.data.images import Array
from saccade.data.listing import Listing
from saccade.errors import InputError

CIFAR10 = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
PIXELS = 3 * 32 * 32
# files of the two versions, bytes of labels before the pixels, which of them is the label
VERSIONS = (
    ((*(f"data_batch_{i}.bin" for i in range(1, 6)), "test_batch.bin"), 1),
    (("train.bin", "test.bin"), 2),
)
CLASSES = {1: 10, 2: 100}  # by the bytes of labels
NAMES = ("batches.meta.txt", "fine_label_names.txt")
ENDINGS = ("", ".gz", ".xz")


def recognize(path: Path) -> Listing | None:
    """The listing of a folder of such files, or of cifar-10-binary.tar.gz; None when it is neither."""
    if path.is_file():
        if not path.name.startswith("cifar") or ".tar" not in path.name:
            return None
        present = {Path(name).name: name for name in members(path)}
    else:
        present = {file.name: file.name for file in path.iterdir() if file.is_file()}
    for names, label_bytes in VERSIONS:
        found = [name + ending for name in names for ending in ENDINGS if name + ending in present]
        if found:
            if not any("train" in name or "data_batch" in name for name in found):
                raise InputError(f"{path}: there is {found[0]} but no training file")
            return listing(path, [present[name] for name in found], label_bytes)
    if path.is_file():
        raise InputError(
            f"{path}: the binary version of CIFAR is expected (data_batch_1.bin ...), met {sorted(present)[:3]}"
        )
    return None


def listing(path: Path, names: list[str], label_bytes: int) -> Listing:
    rows = [records(path, name, label_bytes) for name in names]
    sizes, parts = [len(each) for each in rows], ["test" if "test" in name else "train" for name in names]
    labels = np.concatenate([each[:, label_bytes - 1] for each in rows]).astype(np.int64)
    count = int(labels.max()) + 1
    if count > CLASSES[label_bytes]:
        raise InputError(f"{path}: labels are 0 to {CLASSES[label_bytes] - 1} in this version of CIFAR, met {count - 1}")
    classes = class_names(path, count)
    counts = {part: iter(range(10**9)) for part in ("train", "test")}
    return Listing(
        name=path.resolve().name.split(".")[0],
        source=str(path),
        classes=classes,
        images=Array(partial(pixels, path, tuple(names), label_bytes), len(labels), files(path, names)),
        ids=[f"{part}/{next(counts[part])}" for part, size in zip(parts, sizes, strict=True) for _ in range(size)],
        labels=labels,
        parts=np.repeat(parts, sizes),
    )


def files(path: Path, names: list[str]) -> list[Path]:
    return [path] if path.is_file() else [path / name for name in names]


def class_names(path: Path, count: int) -> tuple[str, ...]:
    names = members(path) if path.is_file() else [file.name for file in path.iterdir()]
    for name in names:
        if Path(name).name in NAMES:
            words = tuple(content(path, name).decode().split())
            if len(words) >= count:
                return words
    return CIFAR10 if count <= 10 else tuple(str(i) for i in range(count))


def pixels(path: Path, names: tuple[str, ...], label_bytes: int) -> np.ndarray:
    """(N, 32, 32, 3): the files hold the three colour planes one after the other."""
    planes = np.concatenate([records(path, name, label_bytes)[:, label_bytes:] for name in names])
    return np.ascontiguousarray(planes.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1))


@lru_cache(maxsize=8)  # labels and pixels come from the same bytes, which take seconds to unpack
def records(path: Path, name: str, label_bytes: int) -> np.ndarray:
    data, length = content(path, name), label_bytes + PIXELS
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
    try:
        with tarfile.open(path) as archive:
            return archive.getnames()
    except (OSError, EOFError, zlib.error, lzma.LZMAError, tarfile.TarError) as error:
        raise InputError(f"{path}: this archive cannot be opened ({error})") from error
