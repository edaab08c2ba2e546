"""IDX files, plain or .gz: the format of MNIST and its successors."""

import gzip
import re
import zlib
from functools import partial
from pathlib import Path

import numpy as np

from saccade.data.images import Array
from saccade.data.listing import Listing
from saccade.errors import InputError
from saccade.reading import text_of

FASHION = ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot")
PARTS = {"train": "train", "t10k": "test", "test": "test"}
# such as train-images-idx3-ubyte (MNIST), t10k-labels.idx1-ubyte.gz, emnist-letters-train-images-idx3-ubyte.gz
NAME = re.compile(r"(?P<set>.*?)(?P<part>train|t10k|test)-(?P<what>images|labels)[-.]idx[13]-ubyte(\.gz)?")
NAMES_FILE = "classes.txt"


def recognize(folder: Path) -> Listing | None:
    """The listing of a folder with train-images-idx3-ubyte and so on; None when it holds no such files."""
    if not folder.is_dir():
        return None
    found = files_of(folder) or files_of(folder / "raw")  # torchvision keeps them in raw/
    if not found:
        return None
    pairs = []
    for part in ("train", "test"):
        here = {what: file for (p, what), file in found.items() if p == part}
        if len(here) == 1:
            raise InputError(f"{next(iter(here.values()))} stands alone; images and labels come in pairs")
        if here:
            pairs.append((part, here["images"], here["labels"]))
    labels = [checked_labels(images, file) for _, images, file in pairs]
    check_sizes([images for _, images, _ in pairs])
    return listing(folder, [part for part, _, _ in pairs], [images for _, images, _ in pairs], labels)


def files_of(folder: Path) -> dict[tuple[str, str], Path]:
    """The files of one data set by (part, "images" or "labels"); a plain file goes before its .gz."""
    found: dict[tuple[str, str], Path] = {}
    sets = set()
    for file in sorted(folder.iterdir()) if folder.is_dir() else []:
        if (match := NAME.fullmatch(file.name)) and file.is_file():
            found.setdefault((PARTS[match["part"]], match["what"]), file)
            sets.add(match["set"])
    if len(sets) > 1:
        raise InputError(
            f"{folder}: files of {len(sets)} data sets ({', '.join(sorted(sets))}...); give each its own folder"
        )
    return found


def checked_labels(images: Path, file: Path) -> np.ndarray:
    """The labels, when both files are what their names say and agree."""
    for of, dimensions in ((images, 3), (file, 1)):
        if len(header(of)) != dimensions:
            raise InputError(f"{of}: {dimensions} dimensions are expected by its name, {len(header(of))} are announced")
    labels, (count, height, width) = read(file), header(images)
    if not count:
        raise InputError(f"{images}: no images are announced")
    if not height * width:
        raise InputError(f"{images}: images of {height}x{width} pixels are announced")
    if len(labels) != count:
        raise InputError(f"{file}: {len(labels):,} labels for {count:,} images of {images.name}")
    return labels


def check_sizes(files: list[Path]) -> None:
    """InputError where the images of the parts are not of one size."""
    for file in files[1:]:
        own, first = ("x".join(map(str, header(each)[1:])) for each in (file, files[0]))
        if own != first:
            raise InputError(
                f"{file}: images of {own} pixels, and those of {files[0].name} are of {first}; one size is needed"
            )


def listing(folder: Path, parts: list[str], files: list[Path], labels: list[np.ndarray]) -> Listing:
    sizes = [len(each) for each in labels]
    return Listing(
        name=folder.resolve().name,
        source=str(folder),
        classes=class_names(folder, int(max(each.max() for each in labels)) + 1),
        images=Array(partial(read_all, files), sum(sizes), files),
        ids=[f"{part}/{i}" for part, size in zip(parts, sizes, strict=True) for i in range(size)],
        labels=np.concatenate(labels).astype(np.int64),
        parts=np.repeat(parts, sizes),
    )


def class_names(folder: Path, count: int) -> tuple[str, ...]:
    """The lines of classes.txt where there is one."""
    file = folder / NAMES_FILE
    if file.is_file():
        names = tuple(line.strip() for line in text_of(file.read_bytes(), file).splitlines() if line.strip())
        if len(names) < count or len(set(names)) < len(names):
            raise InputError(f"{file}: {count} different names are needed, one a line, met {len(set(names))}")
        return names
    own = folder.resolve()
    if "fashion" in (own.parent if own.name == "raw" else own).name.lower() and count == 10:
        return FASHION
    return tuple(str(i) for i in range(count))


def header(file: Path) -> tuple[int, ...]:
    """The sizes that the file announces."""
    try:
        with gzip.open(file) if file.suffix == ".gz" else file.open("rb") as stream:
            start = stream.read(16)
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{file}: cannot be unpacked ({error})") from error
    if len(start) < 8 or start[:3] != b"\x00\x00\x08" or start[3] not in (1, 3):
        raise InputError(f"{file}: an IDX file of bytes begins with 00 00 08 01 or 03, this one with {start[:4].hex(' ')}")
    return tuple(int.from_bytes(start[4 + 4 * i : 8 + 4 * i], "big") for i in range(start[3]))


def read(file: Path) -> np.ndarray:
    """The array of a file, uint8."""
    shape = header(file)
    try:
        data = gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{file}: cannot be unpacked to its end ({error})") from error
    start = 4 + 4 * len(shape)
    if len(data) != start + int(np.prod(shape)):
        raise InputError(f"{file}: {start + int(np.prod(shape)):,} bytes are announced, {len(data):,} are there")
    return np.frombuffer(data, np.uint8, offset=start).reshape(shape)


def read_all(files: list[Path]) -> np.ndarray:
    return np.concatenate([read(file) for file in files])
