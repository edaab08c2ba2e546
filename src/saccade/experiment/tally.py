"""Which runs of a study are done, of how many: one count for all its lines, however many batches train them."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from saccade.events import Ended, Event, Note
from saccade.experiment.members import Member
from saccade.experiment.time_left import in_words, seconds_left

Record = dict[str, Any]


@dataclass
class Tally:
    """`planned`: the runs that were announced; `met`: those that are known by their names; `done`: which have ended.

    `seconds`: of those that have ended here, `at_once` of them at the same time.
    """

    planned: int = 0
    at_once: int = 1
    met: dict[str, Member] = field(default_factory=dict)
    done: set[str] = field(default_factory=set)
    seconds: dict[str, float] = field(default_factory=dict)
    begun: bool = False
    foretold: bool = False

    def meet(self, members: Iterable[Member], done: Iterable[str]) -> None:
        """These runs belong to the study, and those of them are done already."""
        self.met |= {member.name: member for member in members}
        self.done.update(done)
        self.planned = max(self.planned, len(self.met))

    def more(self, count: int, why: str) -> Note:
        """Runs that were not announced are to come."""
        self.planned += count
        return Note(f"{why}: {count} more run{'s' if count > 1 else ''}, {self.planned} in all")

    def begin(self) -> Iterable[Note]:
        """Where the count begins, once, unless it is with none."""
        if self.done and not self.begun:
            yield Note(f"{len(self.done)} of {self.planned} runs are done already")
        self.begun = True

    def numbered(self, event: Event) -> Event:
        """The same event; the end of a run as a line with its number."""
        if not isinstance(event, Ended):
            return event
        self.done.add(event.name)
        if "seconds" in event.record:
            self.seconds[event.name] = event.record["seconds"]
        return Note(f"[{len(self.done)}/{self.planned}] {result(self.met[event.name], event.record)}{self.foretell()}")

    def foretell(self) -> str:
        """How long the others will take, once, as soon as it can be told."""
        left = [name for name in self.met if name not in self.done]
        unmet = self.planned - len(self.met)
        seconds = None if self.foretold else seconds_left(self.seconds, self.met, left, unmet)
        if seconds is None:
            return ""
        self.foretold = True
        words = in_words(seconds / self.at_once, len(left) + unmet)
        return f"; {words}" if words else ""


def result(member: Member, record: Record) -> str:
    """What a run gave, in a line."""
    named = f"{member.name}: {member.about}{', ' if member.about else ''}"
    if "failed" in record:
        return f"{named}failed: {record['failed']}"
    part = "test" if "test" in record["scores"] else "validation"
    if part not in record["scores"]:
        return f"{named}done"
    score = f"accuracy {record['scores'][part]['accuracy']['value']:.4f}"
    # Of a fold "test" is what was held out of this run, and not the test part that the data give
    said = f"{score} on its fold" if part == "test" and member.recipe.split.outer else f"{part} {score}"
    return f"{named}{said}, {record['seconds']:.0f} s"
