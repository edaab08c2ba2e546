"""Several runs that belong together: the same images on the same sides, each run in a folder of its own.

A study that was stopped goes on with the same words and folder: finished runs are read, an interrupted one is resumed.
"""

import json
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from saccade.errors import InputError
from saccade.events import Ended, Event, Progress, Work, retold
from saccade.experiment import folder, outcome
from saccade.experiment.claim import claim
from saccade.experiment.division import units_among
from saccade.experiment.fleet import Fleets
from saccade.experiment.members import Member
from saccade.experiment.processes import in_processes
from saccade.experiment.recipe import Recipe
from saccade.experiment.run import resume, train
from saccade.experiment.tally import Tally
from saccade.writing import write_text

Record = dict[str, Any]
LOOKED = "looked"
GROWS = {"compare": ("repeats", "seeds")}  # of a study, what may be more when it goes on: the runs of less are among them
Result = TypeVar("Result")


@dataclass(frozen=True)
class Engine:
    """How runs are trained: "serial", or so many `at_once`, in "processes" or in fleets, which is "batched"."""

    kind: str = "serial"
    at_once: int = 1

    def __str__(self) -> str:
        words = {
            "serial": "one after the other",
            "processes": f"{self.at_once} at a time, each in a process of its own",
            "batched": f"up to {self.at_once} at a time, as one network",
        }
        return words[self.kind]


@dataclass(frozen=True)
class Study:
    """The folder of a study, its data where they are in memory, and how its runs are trained.

    `looks`: how often its outcomes were looked at, with the look that now comes; each had more runs than the one before.
    """

    place: Path
    data: Any = None
    engine: Engine = Engine()
    looks: int = 1
    tally: Tally = field(default_factory=Tally)

    @property
    def processes(self) -> int:
        """How many train at the same time, by which the seconds of runs are to be divided."""
        return self.engine.at_once if self.engine.kind == "processes" else 1

    def runs(self, members: Sequence[Member]) -> Work[dict[str, Record]]:
        """The record of every member by its name; {"failed": why} for one that could not be trained to its end."""
        found = {m.name: folder.read_record(self.place / m.name) for m in members if self.is_finished(m)}
        left = [member for member in members if member.name not in found]
        self.tally.meet(members, found)
        self.tally.at_once = self.processes
        if left:
            with folder.going_on(self.place / left[0].name):
                yield from self.tally.begin()
                found |= yield from retold(self.train(left), self.tally.numbered)
        return {member.name: found[member.name] for member in members}

    def train(self, left: Sequence[Member]) -> Work[dict[str, Record]]:
        """As `runs`, of members of which none is finished."""
        found: dict[str, Record] = {}
        if self.engine.kind == "batched" and len(left) > 1:
            found |= yield from Fleets(self.place, self.data, self.engine.at_once).runs(left)
            left = [member for member in left if member.name not in found]
        if self.processes > 1 and len(left) > 1:
            found |= yield from in_processes(left, self.processes, self.place, self.data)
        else:
            found |= yield from self.one_by_one(left)
        return found

    def one_by_one(self, members: Sequence[Member]) -> Work[dict[str, Record]]:
        found: dict[str, Record] = {}
        for member in members:
            try:
                found[member.name] = yield from quietly(self.run(member), member.name)
            except InputError as error:
                found[member.name] = {"failed": str(error)}
            yield Ended(member.name, found[member.name])
        return found

    def is_finished(self, member: Member) -> bool:
        return (self.place / member.name / folder.RECORD).is_file()

    def run(self, member: Member) -> Work[Record]:
        """Train this member, go on with it, or read what it gave."""
        place = self.place / member.name
        if self.is_finished(member):
            return folder.read_record(place)
        if (place / folder.CHECKPOINT).is_file():
            return (yield from resume(place, self.data))
        if place.exists():  # it was stopped before its first checkpoint
            if any(place.iterdir()) and not (place / folder.RECIPE).is_file():
                raise InputError(f"{place}: this is not the folder of a run; choose another --out")
            shutil.rmtree(place)
        return (yield from train(member.recipe, place, self.data))

    def outcomes(self, names: Iterable[str], part: str) -> np.ndarray:
        """(runs, images) float64: 1 where the run named the image of this part correctly, the images in one order."""
        rows = []
        for name in names:
            kept = outcome.of_part(self.place / name, part)
            order = np.argsort(kept["ids"], kind="stable")
            right = kept["probabilities"].argmax(1) == kept["labels"]
            rows.append(right[order].astype(np.float64))
        return np.stack(rows)

    def units(self, name: str, part: str) -> np.ndarray:
        """(images,) in the order of `outcomes`: of which equal ones belong together (groups, duplicates)."""
        ids = np.sort(outcome.of_part(self.place / name, part)["ids"], kind="stable")
        return units_among(ids, folder.read_record(self.place / name)["images"]["fingerprint"])

    def history(self, name: str) -> list[dict[str, float]]:
        """The measures of every epoch of a run."""
        return folder.read_metrics(self.place / name)


def quietly(work: Work[Result], name: str) -> Work[Result]:
    """The work of one run, of which only the progress is shown: many runs say the same."""

    def tell(event: Event) -> Event | None:
        return Progress(f"{name}, {event.what}", event.done, event.total) if isinstance(event, Progress) else None

    return retold(work, tell)


def open_study(place: Path | None, kind: str, recipe: Recipe, words: dict[str, Any], data: Any = None) -> Study:
    """The study in this folder, by default runs/<time>-<kind>-<data>; InputError where another one is in it.

    What only adds runs (`GROWS`) may be more than it was: the study then goes on with the runs that are there.
    """
    asked = json.loads(json.dumps({"study": kind, "recipe": recipe.model_dump(mode="json"), **words}))
    if place is not None and (place / folder.STUDY).is_file():
        kept = json.loads((place / folder.STUDY).read_text(encoding="utf-8"))
        looked = kept.pop(LOOKED, [])
        check_same(place, kept, asked)
        claim(place)
        runs = {name: kept[name] for name in GROWS.get(kind, ()) if name in kept}
        if kept != asked and is_looked_at(place, runs):
            looked = [*looked, runs]
        write_text(place / folder.STUDY, json.dumps(asked | ({LOOKED: looked} if looked else {}), indent=1) + "\n")
        return Study(place, data, looks=len(looked) + 1)
    made = folder.create(place, kind, Path(recipe.data).name)
    write_text(made / folder.STUDY, json.dumps(asked, indent=1) + "\n")
    claim(made)
    return Study(made, data)


def is_looked_at(place: Path, runs: Record) -> bool:
    """Whether the study was finished with so many runs; while it grows, the record of a look before is still there."""
    if not (place / folder.RECORD).is_file():
        return False
    record = folder.read_record(place)
    return all(record.get(name) == count for name, count in runs.items())


def check_same(place: Path, kept: Record, asked: Record) -> None:
    """InputError that names the first field in which the words of a study differ, but for those that have grown."""
    grows = GROWS.get(asked["study"], ())
    one, other = ({name: value for name, value in words.items() if name not in grows} for words in (kept, asked))
    path, more = different(one, other), ""
    if not path:
        path = [name for name in grows if asked.get(name, 0) < kept.get(name, 0)][:1]
        more = "; there can only be more"
    if path:
        name = ".".join(path).removeprefix("recipes.").removeprefix("recipe.")
        values = f"{value_at(kept, path)} there, {value_at(asked, path)} asked for{more}"
        raise InputError(f"{place}: another study is in there ({name} differs: {values}); choose another --out")


def different(one: Record, other: Record) -> list[str]:
    """The way to the first value in which nested words differ; none where they are the same."""
    for name in {**one, **other}:
        before, after = one.get(name), other.get(name)
        if before != after:
            return [name, *(different(before, after) if isinstance(before, dict) and isinstance(after, dict) else [])]
    return []


def value_at(words: Record, path: Sequence[str]) -> str:
    value: Any = words
    for name in path:
        value = value.get(name)
    return "nothing" if value is None else "another" if isinstance(value, dict) else str(value)


def validation_accuracy(record: Record) -> float:
    """By which runs are chosen; below 0 where training failed."""
    return -1.0 if "failed" in record else float(record["scores"]["validation"]["accuracy"]["value"])
