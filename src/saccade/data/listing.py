"""What a source of images offers before any image is opened."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

REASONS = 3  # that a line names
PARTS = ("train", "validation", "test")


class Unusable(Exception):
    """An image that cannot be used; the text is the reason, for a person."""


@dataclass(frozen=True)
class LeftOut:
    """A file (or image) that is not used, and why."""

    file: str
    reason: str


def in_words(left_out: Sequence[LeftOut]) -> str:
    """How many for each reason, with an example; the reasons of most files first, and no more than a few."""
    by_reason: dict[str, list[str]] = {}
    for each in reversed(left_out):  # images that cannot be used come after files that are none, and say more than a README
        by_reason.setdefault(each.reason, []).append(each.file)
    if len(by_reason) == 1:
        return f"left out: {len(left_out):,}, such as {left_out[-1].file} ({left_out[-1].reason})"
    ordered = sorted(by_reason, key=lambda reason: -len(by_reason[reason]))
    said = [f"{len(by_reason[reason]):,} such as {by_reason[reason][0]} ({reason})" for reason in ordered[:REASONS]]
    more = f"; and others for {len(ordered) - REASONS} more reasons" if len(ordered) > REASONS else ""
    return f"left out: {len(left_out):,}: {'; '.join(said)}{more}"


@dataclass(frozen=True)
class Finding:
    """Something about the data that a person should know: `kind` in two or three words, `text` in one sentence."""

    kind: str
    text: str
    files: tuple[str, ...] = ()


@dataclass(frozen=True)
class Picture:
    """One decoded image: uint8 (H, W, 1) for grey or (H, W, 3) for colour, upright; `remarks` say what was converted."""

    pixels: np.ndarray
    remarks: tuple[str, ...] = ()


class Images(Protocol):
    """Where pixels come from; opened lazily, one by one, from several threads."""

    def __len__(self) -> int: ...

    def read(self, index: int) -> Picture:
        """Decode image `index`; raises Unusable."""
        ...

    def stamp(self) -> str:
        """Changes whenever the images may have changed; cheap (names, sizes and times of files, no content)."""
        ...

    def digest(self, index: int) -> bytes:
        """A hash of the content of image `index`."""
        ...

    def usual_side(self) -> int | None:
        """The short side of the images in pixels where they are small and alike (at most 64 px), else None."""
        ...


@dataclass(frozen=True)
class Listing:
    """All labelled images of a source.

    `parts[i]` is "train", "validation", "test", or "" when the source does not say. `labels` index `classes`; the class
    map is pinned on the training part where there is one. `photos` is true where images are files of their own.
    """

    name: str
    source: str
    classes: tuple[str, ...]
    images: Images
    ids: Sequence[str]
    labels: np.ndarray
    parts: np.ndarray
    groups: np.ndarray | None = None
    photos: bool = False
    left_out: list[LeftOut] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
