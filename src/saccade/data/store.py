"""The store: every image decoded, upright, resized once, in one memory-mapped file, found again by its content."""

import json
import os
import shutil
import tempfile
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext, suppress
from dataclasses import asdict, dataclass, field, replace
from hashlib import blake2b
from itertools import islice
from pathlib import Path
from typing import TypeVar
from zipfile import BadZipFile

import numpy as np

from saccade.data.cache import cache_folder
from saccade.data.decode import unwarned
from saccade.data.doctor import class_findings, conversions, examine
from saccade.data.listing import Finding, Images, LeftOut, Listing, Picture, Unusable
from saccade.data.preprocess import Preprocess
from saccade.data.resize import fit
from saccade.errors import InputError
from saccade.events import Progress, Work

PASSING = ("cannot be read", "too large for the memory")  # reasons that may be gone the next time
VERSION = 5  # of the pixels that decoding and resizing give, and of the files
LOOK_AHEAD = 64  # decoded images that may wait to be written
WORTH_A_THREAD = 1e-3  # seconds of work: handing it over takes some 50 microseconds
PROGRESS = 100
CHUNK = 64  # grey images that are widened to colour at a time
DAY = 24 * 3600
BUILDING = "building-"
Result = TypeVar("Result")


@dataclass(frozen=True)
class Store:
    """Pixels (N, side, side, channels) uint8, mapped from the disk and never copied, and all that is known of them.

    `clusters` (N,): images that duplicate one another share a number; `digests` (N,): the same for the same pixels.
    `fingerprint` names content, side and channels.
    """

    name: str
    source: str
    classes: tuple[str, ...]
    pixels: np.ndarray
    ids: np.ndarray
    labels: np.ndarray
    parts: np.ndarray
    groups: np.ndarray | None
    clusters: np.ndarray
    digests: np.ndarray
    left_out: list[LeftOut]
    findings: list[Finding]
    fingerprint: str
    photos: bool
    warm: bool


def build(listing: Listing, side: int, channels: int | None) -> Work[Store]:
    """The store of these images at this side; channels None: 1 where every image is grey, else 3.

    Opened at once when neither names, sizes nor times of the files changed; when only those changed, found again by the
    content. InputError when no image is usable or the cache folder cannot be written.
    """
    with unwarned():
        pointer = stores() / f"{key(listing, side, channels, listing.images.stamp())}.known"
        if (store := known(pointer)) is not None:
            return described(store, listing)
        digests = yield from in_threads(listing, "fingerprinting", listing.images.digest)
        fingerprint = key(listing, side, channels, blake2b(b"".join(digests), digest_size=12).hexdigest())
        if (store := open_stored(fingerprint)) is None:
            try:
                yield from write(listing, side, channels, fingerprint)
            except OSError as error:
                raise refusal(error.strerror or str(error)) from error
            store = open_stored(fingerprint)
    if store is None:
        raise refusal("what was written there cannot be read again")
    if not any(each.reason.startswith(PASSING) for each in store.left_out):
        with suppress(OSError):  # the images are there; only the next start will be slower
            remember(pointer, fingerprint)
    return described(store, listing)


def refusal(reason: str) -> InputError:
    way_out = "free some space or name another folder in SACCADE_CACHE"
    return InputError(f"{cache_folder()}: the decoded images cannot be kept here ({reason}); {way_out}")


def known(pointer: Path) -> Store | None:
    """The store that was made of these very files, by their names, sizes and times."""
    try:
        return open_stored(pointer.read_text(encoding="utf-8"), warm=True)
    except (OSError, ValueError):
        return None


def remember(pointer: Path, fingerprint: str) -> None:
    with tempfile.TemporaryDirectory(prefix=BUILDING, dir=stores()) as temporary:
        part = Path(temporary) / pointer.name
        part.write_text(fingerprint, encoding="utf-8")
        part.replace(pointer)


def stores() -> Path:
    return cache_folder() / "stores"


def key(listing: Listing, side: int, channels: int | None, content: str) -> str:
    state = blake2b(digest_size=12)
    state.update(json.dumps([VERSION, side, channels, content, listing.classes, listing.photos]).encode())
    for each in columns_of(listing).values():
        state.update(f"{each.dtype.str}{each.shape}".encode())
        state.update(np.ascontiguousarray(each).tobytes())
    return state.hexdigest()


def columns_of(listing: Listing) -> dict[str, np.ndarray]:
    """What the listing says of each image, as arrays of fixed types."""
    columns = {
        "ids": np.asarray(listing.ids, "U"),
        "labels": np.asarray(listing.labels, np.int64),
        "parts": np.asarray(listing.parts, "U"),
    }
    return columns if listing.groups is None else {**columns, "groups": np.asarray(listing.groups, "U")}


def described(store: Store, listing: Listing) -> Store:
    """Names and findings of the listing belong to where the images are now, not to their content."""
    return replace(
        store,
        name=listing.name,
        source=listing.source,
        left_out=[*listing.left_out, *store.left_out],
        findings=[*listing.findings, *store.findings, *class_findings(store)],
    )


def in_threads(listing: Listing, what: str, work: Callable[[int], Result]) -> Work[list[Result]]:
    """work(i) for every image, in order."""
    results: list[Result] = []
    count = len(listing.images)
    for result in ordered(count, work):
        results.append(result)
        if len(results) % PROGRESS == 0 or len(results) == count:
            yield Progress(what, len(results), count)
    return results


def ordered(count: int, work: Callable[[int], Result]) -> Iterator[Result]:
    """work(0), work(1), ... computed in threads; at most LOOK_AHEAD results are waiting, or two for each thread.

    A thread gets one image at a time, or several if the first takes so little that handing it over would take longer.
    """
    start, threads = time.perf_counter(), os.cpu_count() or 1
    first = [work(i) for i in range(min(1, count))]
    size = max(1, min(LOOK_AHEAD // 4, int(WORTH_A_THREAD / (time.perf_counter() - start))))

    def several(piece: range) -> list[Result]:
        return [work(i) for i in piece]

    yield from first
    with ThreadPoolExecutor(threads) as pool:
        pieces = (range(i, min(i + size, count)) for i in range(1, count, size))
        waiting = deque(pool.submit(several, piece) for piece in islice(pieces, max(LOOK_AHEAD, 2 * threads) // size))
        try:
            while waiting:
                yield from waiting.popleft().result()
                waiting.extend(pool.submit(several, piece) for piece in islice(pieces, 1))
        finally:  # an interrupted build stops at once
            for future in waiting:
                future.cancel()


def write(listing: Listing, side: int, channels: int | None, fingerprint: str) -> Work[None]:
    """Decode everything into a folder beside its place, then move it there: a killed build leaves nothing half."""
    stores().mkdir(parents=True, exist_ok=True)
    sweep()
    needed, free = len(listing.images) * side * side * (channels or 3), shutil.disk_usage(stores()).free
    if needed > free:
        raise refusal(f"{needed:,} bytes are needed, {free:,} are free")
    with tempfile.TemporaryDirectory(prefix=BUILDING, dir=stores(), ignore_cleanup_errors=True) as temporary:
        folder = Path(temporary) / "store"
        folder.mkdir()
        decoded = yield from decode_all(listing, side, channels, folder / "pixels.npy")
        pixels = np.load(folder / "pixels.npy", mmap_mode="r")
        examined = examine(listing, decoded.kept, pixels)
        del pixels  # an open file cannot be moved everywhere
        table = {name: column[decoded.kept] for name, column in columns_of(listing).items()}
        np.savez(folder / "table.npz", **table, clusters=examined.clusters, digests=examined.digests)
        about = {
            "classes": listing.classes,
            "photos": listing.photos,
            "left_out": [asdict(each) for each in decoded.left_out],
            "findings": [asdict(each) for each in (*examined.findings, *conversions(decoded.remarks))],
        }
        (folder / "about.json").write_text(json.dumps(about), encoding="utf-8")
        put_in_place(folder, fingerprint)


def sweep() -> None:
    """Remove what killed builds left, once nothing in it has changed for a day."""
    for folder in stores().glob(f"{BUILDING}*"):
        with suppress(OSError):  # another process may be removing it
            if max(each.stat().st_mtime for each in (folder, *folder.rglob("*"))) < time.time() - DAY:
                shutil.rmtree(folder)


def put_in_place(folder: Path, fingerprint: str) -> None:
    target = stores() / fingerprint
    try:
        folder.replace(target)
    except OSError:
        if open_stored(fingerprint) is not None:
            return  # another process was faster with the same content
        if not target.is_dir():
            raise
        target.replace(folder.with_name("damaged"))
        folder.replace(target)


@dataclass
class Decoded:
    """Indices of the usable images (N,), the others with reasons, and the files by what was converted."""

    kept: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    left_out: list[LeftOut] = field(default_factory=list)
    remarks: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))


def decode_all(listing: Listing, side: int, channels: int | None, file: Path) -> Work[Decoded]:
    """Write the usable images into the file; InputError when there is none."""
    found, kept, count = Decoded(), [], len(listing.images)
    with Rows(file, side, channels) as rows:
        for i, result in enumerate(ordered(count, lambda i: decode(listing, i, side, channels))):
            if isinstance(result, LeftOut):
                found.left_out.append(result)
            else:
                rows.append(result.pixels)
                kept.append(i)
                for remark in result.remarks:
                    found.remarks[remark].append(listing.ids[i])
            if (i + 1) % PROGRESS == 0 or i + 1 == count:
                yield Progress("reading images", i + 1, count)
    if not kept:
        first = f"; the first: {found.left_out[0].file}: {found.left_out[0].reason}" if found.left_out else ""
        raise InputError(f"{listing.source}: none of {count} images is usable{first}")
    found.kept = np.array(kept)
    return found


def decode(listing: Listing, index: int, side: int, channels: int | None) -> Picture | LeftOut:
    """Image `index` at its side, with the channels asked for, else its own."""
    try:
        picture = listing.images.read(index)
    except Unusable as reason:
        return LeftOut(listing.ids[index], str(reason))
    except OSError as error:  # of this image, not to be taken for one of the cache
        return LeftOut(listing.ids[index], f"cannot be read ({error.strerror or error})")
    return Picture(fit(picture.pixels, side, channels or picture.pixels.shape[2]), picture.remarks)


def decoded(images: Images, preprocess: Preprocess) -> Iterator[np.ndarray | str]:
    """Each image as it would be stored, uint8 (stored, stored, channels), or the reason why it cannot be used."""

    def one(index: int) -> np.ndarray | str:
        try:
            pixels = fit(images.read(index).pixels, preprocess.stored, preprocess.channels)
        except Unusable as reason:
            return str(reason)
        return np.broadcast_to(pixels, (*pixels.shape[:2], preprocess.channels))

    return ordered(len(images), one)


class Rows:
    """A .npy file of uint8 (count, side, side, channels), written image by image; its count is known at the end.

    Channels None: 1 until the first colour image comes, from then 3. A stream and not a mapping, because on a full disk
    a stream raises OSError where a mapping kills the process (SIGBUS).
    """

    def __init__(self, file: Path, side: int, channels: int | None):
        self.side, self.fixed, self.channels, self.count = side, channels is not None, channels or 1, 0
        self.stream = file.open("w+b")
        self.header()
        self.start = self.stream.tell()

    def __enter__(self) -> "Rows":
        return self

    def __exit__(self, *error: object) -> None:
        try:
            if error[0] is None:
                self.stream.seek(0)
                self.header()
                assert self.stream.tell() == self.start, "numpy pads its header so that the count can grow in place"
        finally:
            with suppress(OSError) if error[0] else nullcontext():  # what went wrong first is what counts
                self.stream.close()

    def header(self) -> None:
        shape = (self.count, self.side, self.side, self.channels)
        np.lib.format.write_array_header_1_0(self.stream, {"descr": "|u1", "fortran_order": False, "shape": shape})

    def append(self, pixels: np.ndarray) -> None:
        """One image, (side, side, 1 or 3)."""
        if pixels.shape[2] > self.channels and not self.fixed:
            self.widen()
        row = np.ascontiguousarray(pixels.repeat(self.channels, 2) if pixels.shape[2] < self.channels else pixels)
        assert row.shape == (self.side, self.side, self.channels)
        self.stream.write(row.data)
        self.count += 1

    def widen(self) -> None:
        """Turn the grey images so far into colour in place: from the last to the first, so that none is overwritten."""
        size = self.side * self.side
        for stop in range(self.count, 0, -CHUNK):
            first = max(0, stop - CHUNK)
            self.stream.seek(self.start + first * size)
            grey = np.frombuffer(self.stream.read((stop - first) * size), np.uint8)
            self.stream.seek(self.start + first * size * 3)
            self.stream.write(np.repeat(grey, 3).tobytes())
        self.channels = 3
        self.stream.seek(self.start + self.count * size * 3)


def open_stored(fingerprint: str, warm: bool = False) -> Store | None:
    """The store of this fingerprint, mapped; None when it is no longer in the cache or damaged."""
    folder = stores() / fingerprint
    try:
        about = json.loads((folder / "about.json").read_text(encoding="utf-8"))
        # opened here, since numpy leaves a damaged file open
        with (folder / "table.npz").open("rb") as stream, np.load(stream, allow_pickle=False) as table:
            columns = {name: table[name] for name in table.files}
        return Store(
            name="",
            source="",
            classes=tuple(about["classes"]),
            # read-only: a private copy-on-write map counts against the system's memory as if it were filled
            pixels=np.load(folder / "pixels.npy", mmap_mode="r"),
            ids=columns["ids"],
            labels=columns["labels"],
            parts=columns["parts"],
            groups=columns.get("groups"),
            clusters=columns["clusters"],
            digests=columns["digests"],
            left_out=[LeftOut(**each) for each in about["left_out"]],
            findings=[Finding(f["kind"], f["text"], tuple(f["files"])) for f in about["findings"]],
            fingerprint=fingerprint,
            photos=about["photos"],
            warm=warm,
        )
    except (OSError, EOFError, ValueError, KeyError, TypeError, BadZipFile):
        return None
