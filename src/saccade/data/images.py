"""Where pixels come from: files, arrays, arrays in files, pairs in memory."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from PIL import Image

from saccade.data.decode import decode, from_pil
from saccade.data.listing import Images, Picture, Unusable
from saccade.errors import InputError

SMALL = 64
CLEARLY = 128  # floats of whole numbers that reach as far are 8-bit pixels


def hashed(*parts: bytes) -> bytes:
    state = blake2b(digest_size=16)
    for part in parts:
        state.update(part)
    return state.digest()


def described(pixels: np.ndarray) -> tuple[bytes, bytes]:
    """Shape and content: the same bytes in another shape are another image."""
    return str(pixels.shape).encode(), np.ascontiguousarray(pixels).tobytes()


def stamp_of(paths: Sequence[Path]) -> str:
    """Changes with places, sizes and times of the files; the time of change, too, which sees new rights."""
    state = blake2b(digest_size=16)
    for path in paths:
        about = path.stat()
        words = f"{path.absolute()}|{about.st_size}|{about.st_mtime_ns}|{about.st_ctime_ns}\n"
        state.update(words.encode(errors="surrogateescape"))
    return state.hexdigest()


class Files:
    """Image files below a folder."""

    def __init__(self, root: Path, paths: Sequence[str]):
        self.root, self.paths = root, paths

    def __len__(self) -> int:
        return len(self.paths)

    def data(self, index: int) -> bytes:
        try:
            return (self.root / self.paths[index]).read_bytes()
        except OSError as error:
            raise Unusable(f"cannot be read ({error.strerror})") from None

    def read(self, index: int) -> Picture:
        return decode(self.data(index))

    def stamp(self) -> str:
        return stamp_of([self.root / path for path in self.paths])

    def digest(self, index: int) -> bytes:
        try:
            return hashed(self.data(index))
        except Unusable as reason:
            return hashed(str(reason).encode())

    def usual_side(self) -> int | None:
        """From the headers of up to 50 files."""
        sides = []
        for path in self.paths[:: max(1, len(self.paths) // 50)]:
            try:
                with Image.open(self.root / path) as image:
                    sides.append(min(image.size))
            except Exception:  # whatever is wrong with it will be said when it is decoded
                continue
        side = int(np.median(sides)) if sides else SMALL + 1
        return max(side, 4) if side <= SMALL else None


class Paths(Files):
    """Image files wherever they are."""

    def __init__(self, paths: Sequence[Path]):
        super().__init__(Path(), [str(path) for path in paths])


class Subset:
    """Some of the images, by their indices."""

    def __init__(self, images: Images, kept: np.ndarray):
        self.images, self.kept = images, kept

    def __len__(self) -> int:
        return len(self.kept)

    def read(self, index: int) -> Picture:
        return self.images.read(int(self.kept[index]))

    def stamp(self) -> str:
        return hashed(self.images.stamp().encode(), self.kept.tobytes()).hex()

    def digest(self, index: int) -> bytes:
        return self.images.digest(int(self.kept[index]))

    def usual_side(self) -> int | None:
        return self.images.usual_side()


class Array:
    """uint8 (N, H, W) or (N, H, W, 1 or 3), in memory or loaded on first use from `files`."""

    def __init__(self, load: Callable[[], np.ndarray], count: int, files: Sequence[Path] = ()):
        self.load, self.count, self.files, self.lock = load, count, files, Lock()
        self.loaded: np.ndarray | None = None

    def pixels(self) -> np.ndarray:
        with self.lock:
            if self.loaded is None:
                pixels = self.load()
                self.loaded = pixels[..., None] if pixels.ndim == 3 else pixels
            return self.loaded

    def __len__(self) -> int:
        return self.count

    def read(self, index: int) -> Picture:
        return Picture(self.pixels()[index])

    def stamp(self) -> str:
        return stamp_of(self.files) if self.files else hashed(*described(self.pixels())).hex()

    def digest(self, index: int) -> bytes:
        return hashed(*described(self.pixels()[index]))

    def usual_side(self) -> int | None:
        side = min(self.pixels().shape[1:3])
        return side if side <= SMALL else None


class Pairs:
    """Any sequence of (image, label): PIL images, arrays, tensors (C, H, W) or paths.

    `known` stands for their content where that is known; else every image is read to tell whether it has changed.
    """

    def __init__(self, pairs: Sequence[tuple[Any, Any]], known: str | None = None):
        self.pairs, self.known = pairs, known

    def __len__(self) -> int:
        return len(self.pairs)

    def read(self, index: int) -> Picture:
        try:
            image = self.pairs[index][0]
        except Exception as error:  # whatever stands behind the sequence may fail in its own way
            raise Unusable(f"its sequence fails ({str(error).strip() or type(error).__name__})") from None
        if isinstance(image, str | Path):
            try:
                return decode(Path(image).read_bytes())
            except OSError as error:
                raise Unusable(f"{image} cannot be read ({error.strerror})") from None
        return from_pil(image) if isinstance(image, Image.Image) else Picture(eight_bit(image, f"image {index}"))

    def digest(self, index: int) -> bytes:
        try:
            return hashed(*described(self.read(index).pixels))
        except Unusable as reason:
            return hashed(str(reason).encode())

    def stamp(self) -> str:
        return self.known or hashed(*(self.digest(i) for i in range(len(self)))).hex()

    def usual_side(self) -> int | None:
        sides = []
        for i in range(0, len(self), max(1, len(self) // 20)):
            with suppress(Unusable):  # what is wrong with it will be said when it is decoded
                sides.append(min(self.read(i).pixels.shape[:2]))
        side = int(np.median(sides)) if sides else SMALL + 1
        return side if side <= SMALL else None


def eight_bit(image: Any, what: str) -> np.ndarray:
    """uint8 (H, W, 1 or 3) of an array (H, W), (H, W, C) or (C, H, W) whose pixels `scaled` takes."""
    array = np.asarray(image)
    if array.ndim == 2:
        array = array[:, :, None]
    if array.ndim == 3 and array.shape[2] not in (1, 3) and array.shape[0] in (1, 3):
        array = array.transpose(1, 2, 0)
    if array.ndim != 3 or array.shape[2] not in (1, 3):
        raise InputError(f"{what}: an image is (H, W), (H, W, 1 or 3) or (1 or 3, H, W), this is {np.shape(image)}")
    return scaled(array, what)


def scaled(array: np.ndarray, what: str) -> np.ndarray:
    """uint8 of 8-bit pixels of any type, floats in 0..1, or booleans; InputError for what is none of them."""
    if array.size == 0:
        raise InputError(f"{what}: there are no pixels, its shape is {array.shape}")
    if array.dtype == np.uint8:
        return array
    if array.dtype == np.bool_:
        return array.astype(np.uint8) * np.uint8(255)
    low, high = float(array.min()), float(array.max())
    if array.dtype.kind == "f" and low >= 0 and high <= 1:
        return np.round(array * 255).astype(np.uint8)
    if low < 0 or high > 255 or not (array.dtype.kind in "iu" or bool((array == np.round(array)).all())):
        raise InputError(f"{what}: pixels are 0..255 or floats 0..1, these are {array.dtype} from {low:g} to {high:g}")
    return array.astype(np.uint8)


def clearly_scaled(array: np.ndarray, what: str) -> np.ndarray:
    """As `scaled`, of all images of a data set: floats that reach neither 1 only nor far enough for 255 are refused too."""
    high = float(array.max()) if array.size and array.dtype.kind == "f" else 0.0
    if 1 < high < CLEARLY and array.min() >= 0 and bool((array == np.round(array)).all()):
        met = f"these are {array.dtype} from {float(array.min()):g} to {high:g}"
        ways = f"divide by {high:g} if that is white, or give 0..255 as uint8"
        raise InputError(f"{what}: floats are 0..1, or clearly 0..255, {met}; {ways}")
    return scaled(array, what)
