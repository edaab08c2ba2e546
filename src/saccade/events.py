"""What long work says while it runs: it is a generator of these, and whoever runs it decides how to show them."""

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any, TypeVar

Result = TypeVar("Result")


@dataclass(frozen=True)
class Note:
    """One line that a person should read."""

    text: str


@dataclass(frozen=True)
class Progress:
    """`done` of `total` units of the work named `what` are done, such as "reading images"."""

    what: str
    done: int
    total: int


@dataclass(frozen=True)
class Epoch:
    """The measures of one finished epoch, as they stand in metrics.jsonl, of `total` epochs."""

    measures: dict[str, float]
    total: int


@dataclass(frozen=True)
class Ended:
    """One of several runs has come to its end, with this record, {"failed": why} of one that failed."""

    name: str
    record: dict[str, Any]


class Interrupted(Exception):
    """The user asked to stop; everything is kept in the folder that it names."""


Event = Note | Progress | Epoch | Ended
Work = Generator[Event, None, Result]


def retold(work: Work[Result], tell: Callable[[Event], Event | None]) -> Work[Result]:
    """The same work, of which others hear what `tell` makes of each event; nothing of one that it makes None of."""
    while True:
        try:
            event = next(work)
        except StopIteration as end:
            return end.value
        told = tell(event)
        if told is not None:
            yield told


def finish(work: Work[Result], hear: Callable[[Event], object] = lambda event: None) -> Result:
    """Run the work to its end; `hear` is told every event."""
    while True:
        try:
            event = next(work)
        except StopIteration as end:
            return end.value
        hear(event)
