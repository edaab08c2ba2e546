"""The store: every image decoded, upright, resized once, in one memory-mapped file, found again by its content."""

import json
import os
import shutil
import tempfile
import warnings
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from hashlib import blake2b
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from saccade.data.cache import cache_folder
from saccade.data.doctor import conversions, examine
from saccade.data.listing import Finding, LeftOut, Listing, Picture, Unusable
from saccade.data.resize import fit
from saccade.errors import InputError
from saccade.events import Progress, Work

VERSION = 1  # of the pixels that decoding and resizing give, and of the files
LOOK_AHEAD = 64  # decoded images that may wait to be written
PROGRESS = 100


@dataclass(frozen=True)
class Store:
    """Pixels (N, side, side, channels) uint8, mapped from the disk and never copied, and all that is known of them.

    `clusters` (N,): images that duplicate one another share a number. `fingerprint` names content, side and channels.
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
    stamp = key(listing, side, channels, listing.images.stamp())
    pointer = stores() / f"{stamp}.known"
    if pointer.is_file() and (store := open_stored(pointer.read_text(), warm=True)) is not None:
        return described(store, listing)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow warns about odd files; here, since filters are not safe in threads
        digests = yield from in_threads(listing, "fingerprinting", listing.images.digest)
        state = blake2b(digest_size=12)
        for digest in digests:
            state.update(digest)
        fingerprint = key(listing, side, channels, state.hexdigest())
        try:
            if not (stores() / fingerprint).is_dir():
                yield from write(listing, side, channels, fingerprint)
            part = pointer.with_name(f"{pointer.name}.{os.getpid()}")
            part.write_text(fingerprint)
            part.replace(pointer)
        except OSError as error:
            raise InputError(
                f"{cache_folder()}: the cache cannot be written ({error.strerror}); "
                "free some space or name another folder in SACCADE_CACHE"
            ) from error
    store = open_stored(fingerprint)
    assert store is not None
    return described(store, listing)


def stores() -> Path:
    return cache_folder() / "stores"


def key(listing: Listing, side: int, channels: int | None, content: str) -> str:
    state = blake2b(digest_size=12)
    state.update(json.dumps([VERSION, side, channels, content, listing.classes, listing.photos]).encode())
    for each in (np.asarray(listing.ids, "U"), listing.labels, listing.parts, listing.groups):
        state.update(b"" if each is None else np.ascontiguousarray(each).tobytes())
    return state.hexdigest()


def described(store: Store, listing: Listing) -> Store:
    """Names and findings of the listing belong to where the images are now, not to their content."""
    words = {**store.__dict__, "name": listing.name, "source": listing.source}
    return Store(
        **words | {"left_out": [*listing.left_out, *store.left_out], "findings": [*listing.findings, *store.findings]}
    )


def in_threads(listing: Listing, what: str, work: Any) -> Work[list[Any]]:
    """work(i) for every image, in order; at most LOOK_AHEAD results are waiting."""
    results: list[Any] = []
    for i, result in enumerate(ordered(len(listing.images), work)):
        results.append(result)
        if i % PROGRESS == 0:
            yield Progress(what, i, len(listing.images))
    return results


def ordered(count: int, work: Any) -> Iterator[Any]:
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        indices = iter(range(count))
        waiting = [pool.submit(work, i) for i in islice(indices, LOOK_AHEAD)]
        while waiting:
            yield waiting.pop(0).result()
            waiting += [pool.submit(work, i) for i in islice(indices, 1)]


def write(listing: Listing, side: int, channels: int | None, fingerprint: str) -> Work[None]:
    """Decode everything into a folder beside its place, then move it there: a killed build leaves nothing half."""
    stores().mkdir(parents=True, exist_ok=True)
    needed, free = len(listing.images) * side * side * (channels or 3), shutil.disk_usage(stores()).free
    if needed > free:
        raise InputError(
            f"{cache_folder()}: {needed:,} bytes are needed for the decoded images, {free:,} are free; "
            "free some space or name another folder in SACCADE_CACHE"
        )
    with tempfile.TemporaryDirectory(prefix="building-", dir=stores()) as temporary:
        folder = Path(temporary) / "store"
        folder.mkdir()
        kept, left_out, remarks = yield from decode_all(listing, side, channels, folder / "pixels.npy")
        pixels = np.load(folder / "pixels.npy", mmap_mode="r")
        clusters, findings = examine(listing, kept, pixels)
        del pixels
        table = {
            "ids": np.asarray(listing.ids, "U")[kept],
            "labels": listing.labels[kept],
            "parts": listing.parts[kept],
            "clusters": clusters,
        }
        if listing.groups is not None:
            table["groups"] = np.asarray(listing.groups, "U")[kept]
        np.savez(folder / "table.npz", **table)
        about = {
            "classes": listing.classes,
            "photos": listing.photos,
            "left_out": [asdict(each) for each in left_out],
            "findings": [asdict(each) for each in (*findings, *conversions(remarks))],
        }
        (folder / "about.json").write_text(json.dumps(about, ensure_ascii=False), encoding="utf-8")
        try:
            folder.replace(stores() / fingerprint)
        except OSError:
            if not (stores() / fingerprint).is_dir():  # else another process was faster with the same content
                raise


def decode_all(
    listing: Listing, side: int, channels: int | None, file: Path
) -> Work[tuple[np.ndarray, list[LeftOut], dict[str, list[str]]]]:
    """Write the usable images into the file; which they are, which not and why, and what was converted."""

    def decode(index: int) -> Picture | LeftOut:
        try:
            picture = listing.images.read(index)
        except Unusable as reason:
            return LeftOut(listing.ids[index], str(reason))
        return Picture(fit(picture.pixels, side, channels or picture.pixels.shape[2]), picture.remarks)

    kept: list[int] = []
    left_out: list[LeftOut] = []
    remarks: dict[str, list[str]] = defaultdict(list)
    grey, raw = True, file.with_suffix(".raw")
    with raw.open("wb") as stream:
        for i, result in enumerate(ordered(len(listing.images), decode)):
            if isinstance(result, LeftOut):
                left_out.append(result)
            else:
                if grey and channels is None and result.pixels.shape[2] == 3:
                    grey = False
                    _widen(stream, raw, len(kept), side)
                wide = channels or (1 if grey else 3)
                stream.write(np.broadcast_to(result.pixels, (side, side, wide)).tobytes())
                kept.append(i)
                for remark in result.remarks:
                    remarks[remark].append(listing.ids[i])
            if i % PROGRESS == 0:
                yield Progress("reading images", i, len(listing.images))
    if not kept:
        first = left_out[0]
        raise InputError(
            f"{listing.source}: none of {len(left_out)} images is usable; the first: {first.file}: {first.reason}"
        )
    _finish(raw, file, (len(kept), side, side, channels or (1 if grey else 3)))
    return np.array(kept), left_out, remarks


def _widen(stream: Any, raw: Path, count: int, side: int) -> None:
    """The first colour image after `count` grey ones: these are written again with three channels."""
    stream.flush()
    before = np.fromfile(raw, np.uint8).reshape(count, side, side, 1)
    stream.seek(0)
    for image in before:
        stream.write(np.repeat(image, 3, axis=2).tobytes())


def _finish(raw: Path, file: Path, shape: tuple[int, ...]) -> None:
    """Put numpy's header before the raw bytes; only the header's few bytes and a copy by the system."""
    with file.open("wb") as target, raw.open("rb") as source:
        np.lib.format.write_array_header_2_0(target, {"descr": "|u1", "fortran_order": False, "shape": shape})
        shutil.copyfileobj(source, target, 1 << 24)
    raw.unlink()


def open_stored(fingerprint: str, warm: bool = False) -> Store | None:
    """The store of this fingerprint, mapped; None when it is no longer in the cache or damaged."""
    folder = stores() / fingerprint
    try:
        about = json.loads((folder / "about.json").read_text(encoding="utf-8"))
        with np.load(folder / "table.npz") as table:
            columns = {name: table[name] for name in table.files}
        # copy-on-write: torch wants writable memory, and nothing ever writes
        pixels = np.load(folder / "pixels.npy", mmap_mode="c")
    except (OSError, ValueError, KeyError):
        return None
    return Store(
        name="",
        source="",
        classes=tuple(about["classes"]),
        pixels=pixels,
        ids=columns["ids"],
        labels=columns["labels"],
        parts=columns["parts"],
        groups=columns.get("groups"),
        clusters=columns["clusters"],
        left_out=[LeftOut(**each) for each in about["left_out"]],
        findings=[Finding(f["kind"], f["text"], tuple(f["files"])) for f in about["findings"]],
        fingerprint=fingerprint,
        photos=about["photos"],
        warm=warm,
    )
