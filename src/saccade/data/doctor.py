"""What is wrong with a set of images: duplicates, contradictions, conversions."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

import numpy as np

from saccade.data.listing import PARTS, Finding, Listing
from saccade.data.near_duplicates import MOST_COMPARED, clusters_of, near_pairs, thumbnail, without_series
from saccade.events import Work

if TYPE_CHECKING:
    from saccade.data.store import Store

EXACT = "exact duplicates"
IMBALANCED = 10  # times the images of the smallest class, from which on the largest drowns it
MISSING = ("", "nan")  # what other tools write where there is no label


def digests_of(pixels: np.ndarray) -> np.ndarray:
    """(N,) uint64: the same number for the same pixels (N, ...), wherever they come from."""
    digests = [blake2b(np.ascontiguousarray(image).tobytes(), digest_size=8).digest() for image in pixels]
    return np.frombuffer(b"".join(digests), "<u8")


def exact_pairs(digests: np.ndarray) -> np.ndarray:
    """(P, 2) indices of images with the same digest, each with the first of its kind."""
    _, first, kind = np.unique(digests, return_index=True, return_inverse=True)
    pairs = np.stack([first[kind], np.arange(len(digests))], 1)
    return pairs[pairs[:, 0] != pairs[:, 1]]


@dataclass(frozen=True)
class Examined:
    """For each image the digest of its pixels and the number of its cluster of duplicates (N,), and what was found."""

    digests: np.ndarray
    clusters: np.ndarray
    findings: list[Finding]


def examine(listing: Listing, kept: np.ndarray, pixels: np.ndarray) -> Examined:
    """The images `kept` of the listing, with their stored pixels."""
    digests = digests_of(pixels)
    exact = exact_pairs(digests)
    same = clusters_of(len(pixels), exact)
    names = [listing.ids[i] for i in kept]
    labels, parts = listing.labels[kept], listing.parts[kept]
    near, findings = np.zeros((0, 2), np.int64), []
    if listing.photos and len(pixels) <= MOST_COMPARED:
        near = near_pairs(np.stack([thumbnail(image) for image in pixels]), parts)
        near = near[same[near[:, 0]] != same[near[:, 1]]]
        near, series = without_series(near, len(pixels))
        if len(series):
            such = f"such as {names[series[0, 0]]} and {names[series[0, 1]]}"
            text = f"{len(np.unique(series)):,} images look much alike, {such}: taken for different images all the same"
            findings.append(Finding("series", f"{text}; a CSV with a group column keeps together what belongs together"))
    elif listing.photos:
        findings.append(not_searched(len(pixels)))
    findings += [
        *seen_at(pixels.shape[1] if listing.photos else 0, duplicates(EXACT, across_parts(exact, parts), names, parts)),
        *duplicates("near duplicates", near, names, parts),
        *contradictions(np.concatenate([exact, near]), names, labels, listing.classes),
        *small_classes(labels, listing.classes),
    ]
    if listing.groups is not None:
        findings += [*groups_across_parts(listing.groups[kept], parts), *one_group(listing.groups[kept], parts)]
    return Examined(digests, clusters_of(len(pixels), np.concatenate([exact, near])), findings)


def not_searched(count: int) -> Finding:
    text = f"{count:,} images are too many (limit {MOST_COMPARED:,}); exact duplicates were searched"
    return Finding("near duplicates not searched", text)


def seen_at(side: int, findings: Iterable[Finding]) -> Iterable[Finding]:
    """At which side they hold, 0 for images that have one size: two photos may be equal at 32 px and differ at 224."""
    for each in findings:
        yield replace(each, text=f"{each.text} (compared at {side} px)") if side else each


def across_parts(pairs: np.ndarray, parts: np.ndarray) -> np.ndarray:
    """(Q, 2) from pairs (P, 2) of a first image and another: each image with the first of its kind in every part.

    Without it a copy in train and one in test would go unseen where the first of their kind is in validation.
    """
    kinds: dict[int, list[int]] = defaultdict(list)
    for first, other in pairs.tolist():
        kinds[first].append(other)
    found = []
    for first, others in kinds.items():
        firsts: dict[str, int] = {}
        members = [first, *others]
        for i in members:
            firsts.setdefault(str(parts[i]), i)
        found += [(one, i) for one in firsts.values() for i in members if i != one]
    return np.array(found, np.int64).reshape(-1, 2)


def duplicates(kind: str, pairs: np.ndarray, names: list[str], parts: np.ndarray) -> Iterable[Finding]:
    """Within parts, and, worse, across them; an image is counted once, however many it resembles."""
    order = (*PARTS, "")
    groups: dict[tuple[str, str], dict[int, int]] = defaultdict(dict)
    for pair in pairs.tolist():
        a, b = sorted(pair, key=lambda i: (order.index(parts[i]), i))
        groups[str(parts[a]), str(parts[b])].setdefault(b, a)
    for (one, other), found in groups.items():
        files = tuple(f"{names[a]} = {names[b]}" for b, a in found.items())
        if one == other:
            yield Finding(kind, f"{len(found):,} in {one or 'the data'}, such as {files[0]}", files)
        else:
            also = f"{of(len(found), other)} {'is' if len(found) == 1 else 'are'} also in {one}"
            yield Finding(f"{kind} across parts", f"{also}, such as {files[0]}; {consequence(kind, one, other)}", files)


def consequence(kind: str, one: str, other: str) -> str:
    """What duplicates across parts mean; see split.once for those that are equal to the pixel."""
    if kind == EXACT and other:
        return f"not scored in {other}"
    return f"scores on {one if other == '' else other} are optimistic"


def of(count: int, part: str) -> str:
    return f"{count:,} {'image' if count == 1 else 'images'} {f'of {part}' if part else 'without a part'}"


def contradictions(pairs: np.ndarray, names: list[str], labels: np.ndarray, classes: tuple[str, ...]) -> Iterable[Finding]:
    files = tuple(
        f"{names[a]} ({classes[labels[a]]}) = {names[b]} ({classes[labels[b]]})"
        for a, b in pairs.tolist()
        if labels[a] != labels[b]
    )
    if files:
        yield Finding(
            "contradicting labels", f"{len(files):,} pairs of duplicates with two classes, such as {files[0]}", files
        )


def small_classes(labels: np.ndarray, classes: tuple[str, ...]) -> Iterable[Finding]:
    counts = np.bincount(labels, minlength=len(classes))
    for count, text in (
        (0, "no usable image: {}; nothing can be learned of it"),
        (1, "a single image: {}; nothing can be said about such a class"),
    ):
        if few := [name for name, n in zip(classes, counts, strict=True) if n == count]:
            yield Finding("tiny classes", text.format(", ".join(few)))


def class_findings(store: "Store") -> Iterable[Finding]:
    """What classes are called and how large they are: of the labels alone, so never kept with the images."""
    counts = np.bincount(store.labels, minlength=len(store.classes))
    for name, count in zip(store.classes, counts, strict=True):
        if name.strip().lower() in MISSING:
            images = f"{count:,} image{'' if count == 1 else 's'}"
            text = f'{images} of a class called "{name}": is that a class, or are their labels missing?'
            yield Finding("missing labels", text)
    yield from imbalance(store.labels[np.isin(store.parts, ("train", ""))], store.classes)


def imbalance(labels: np.ndarray, classes: tuple[str, ...]) -> Iterable[Finding]:
    """A class that has but a small part of the training images that another has."""
    counts = np.bincount(labels, minlength=len(classes))
    there = np.flatnonzero(counts)
    if not len(there):
        return
    most, least = there[counts[there].argmax()], there[counts[there].argmin()]
    if counts[most] >= IMBALANCED * counts[least]:
        text = (
            f"{classes[most]} has {counts[most]:,} images to train on, {classes[least]} {counts[least]:,}; accuracy says "
            "little of small classes (balanced accuracy does), and `train --balance.by weights` has them count as much"
        )
        yield Finding("unequal classes", text)


def groups_across_parts(groups: np.ndarray, parts: np.ndarray) -> Iterable[Finding]:
    """Groups that the data itself puts on both sides of a split."""
    sides: dict[str, set[str]] = defaultdict(set)
    for group, part in zip(groups.tolist(), parts.tolist(), strict=True):
        if group and part:
            sides[group].add(part)
    torn = {group: sorted(found, key=PARTS.index) for group, found in sides.items() if len(found) > 1}
    if torn:
        group, found = next(iter(torn.items()))
        such = f"such as {group} in {' and '.join(found)}"
        many = "1 group is" if len(torn) == 1 else f"{len(torn):,} groups are"
        text = f"{many} in more than one part, {such}; scores are optimistic"
        yield Finding("groups across parts", text, tuple(torn))


def one_group(groups: np.ndarray, parts: np.ndarray) -> Iterable[Finding]:
    """All images in one group, where the data do not divide them either."""
    if len(groups) and groups[0] and (groups == groups[0]).all() and set(parts.tolist()) <= {"", "train"}:
        yield Finding("one group", f"every image is of group {groups[0]}: nothing can be held back to measure a network by")


def conversions(remarks: dict[str, list[str]]) -> Iterable[Finding]:
    """What decoding did to images, by kind."""
    for remark, files in remarks.items():
        images = "image" if len(files) == 1 else "images"
        yield Finding("converted", f"{len(files):,} {images}: {remark}", tuple(files))


def diagnose(listing: Listing, side: int) -> Work[dict[str, Any]]:
    """Open every image (once: training reuses the store) and tell what is used, left out and odd."""
    from saccade.data.class_map import pinned
    from saccade.data.store import build

    listing = pinned(listing)
    store: Store = yield from build(listing, side, None)
    counts: dict[str, Counter[str]] = {name: Counter() for name in store.classes}
    for label, part in zip(store.labels, store.parts, strict=True):
        counts[store.classes[label]][str(part) or "undivided"] += 1
    return {
        "used": len(store.labels),
        "left_out": [{"file": each.file, "reason": each.reason} for each in store.left_out],
        "findings": [{"kind": f.kind, "text": f.text, "files": list(f.files)} for f in store.findings],
        "classes": {name: dict(count) for name, count in counts.items()},
    }
