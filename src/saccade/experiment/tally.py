"""Which runs of a study are done, of how many: one count for all its lines, however many batches train them."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from saccade.events import Ended, Event, Note


@dataclass
class Tally:
    """`planned`: the runs that were announced; `done`: the names of those that have ended, now or in a process before."""

    planned: int = 0
    done: set[str] = field(default_factory=set)
    begun: bool = False

    def meet(self, names: Iterable[str], done: Iterable[str]) -> None:
        """These runs belong to the study, and those of them are done already."""
        self.done.update(done)
        self.planned = max(self.planned, len(self.done.union(names)))

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
        return Note(f"[{len(self.done)}/{self.planned}] {event.name}: {event.result}")
