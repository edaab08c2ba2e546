"""What a source of images offers before any image is opened."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

PARTS = ("train", "validation", "test")


class Unusable(Exception):
    """An image that cannot be used; the text is the reason, for a person."""


@dataclass(frozen=True)
class LeftOut:
    """A file (or image) that is not used, and why."""

    file: str
    reason: str


def in_words(left_out: Sequence[LeftOut]) -> str:
    """How many, and the last: images that cannot be used come after files that are none, and say more than a README."""
    return f"left out: {len(left_out):,}, such as {left_out[-1].file} ({left_out[-1].reason})"


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
