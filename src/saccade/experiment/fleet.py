"""Members of a study trained several at once as one network: which of them can be, and how such fleets go on."""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from saccade.data.batches import training_batches
from saccade.data.store import Store
from saccade.errors import InputError
from saccade.events import Note, Work, finish
from saccade.experiment import folder
from saccade.experiment.assemble import new_network
from saccade.experiment.fit import Fit
from saccade.experiment.fleet_fit import FleetFit, sharing_images
from saccade.experiment.members import Member
from saccade.experiment.recipe import Recipe, flat
from saccade.experiment.run import Ready, begin, ready, restored
from saccade.layers.fleet import described, stack
from saccade.training import checkpoint
from saccade.training.steps import OutOfMemory

Record = dict[str, Any]
States = Mapping[str, dict[str, Any]]  # of members by their names: what each would keep alone

# Sections and fields that members of a fleet have of their own; all others are the same in each
OWN = (
    *("seed", "epochs", "weights", "split", "augment", "mix", "schedule", "stop", "balance", "average"),
    *("images.mean", "images.std"),
    *(f"optimizer.{name}" for name in ("lr", "reference_batch", "momentum", "beta1", "beta2", "gamma", "eps")),
    *(f"optimizer.{name}" for name in ("weight_decay", "l1", "clip", "sam")),
    *(f"regularize.{name}" for name in ("label_smoothing", "dropout", "spatial_dropout", "drop_block", "drop_path")),
    *("regularize.weight_noise", "regularize.gradient_noise"),
    "checkpoint.select",
)
NAMED = 3  # members that a note names


@dataclass(frozen=True)
class Fleets:
    """Fleets of up to `at_once` members in the folder of a study, each with one checkpoint there, of all its members.

    A member that has a checkpoint in its own folder has left its fleet: it has ended, has failed, or goes on alone.
    """

    place: Path
    data: Any
    at_once: int

    def runs(self, members: Sequence[Member]) -> Work[dict[str, Record]]:
        """The records of those that fleets have trained, {"failed": why} of one that failed there.

        The others are not in it and are to be trained alone: a note says which, and why.
        """
        found: dict[str, Record] = {}
        under_way = self.under_way([member.name for member in members])
        for states in under_way:
            found |= yield from self.go_on(states)
        left = [member for member in members if not any(member.name in states for states in under_way)]
        fleets, alone = self.divided(left)
        for why, names in alone.items():
            more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
            yield Note(f"{', '.join(names[:NAMED])}{more}: one after the other, {why}")
        for fleet in fleets:
            found |= yield from self.train(
                sharing_images(self.begun(each, name, len(fleet)) for name, each in fleet.items())
            )
        return found

    def divided(self, members: Sequence[Member]) -> tuple[list[dict[str, Ready]], dict[str, list[str]]]:
        """The fleets, and the names of the members that are in none by the reason."""
        kinds: dict[tuple, dict[str, Ready]] = {}
        alone: dict[str, list[str]] = {}
        stores: dict[str, Store] = {}
        for member in members:
            why = "begun so before" if self.is_alone(member.name) else unsuited(member.recipe)
            try:
                decided = finish(ready(member.recipe, self.data)) if not why else None
            except InputError as error:  # which training alone says again
                why, decided = str(error), None
            if decided is None:
                alone.setdefault(why, []).append(member.name)
                continue
            store = stores.setdefault(decided.prepared.store.fingerprint, decided.prepared.store)
            decided = replace(decided, prepared=replace(decided.prepared, store=store))
            kinds.setdefault(kind(decided), {})[member.name] = decided
        fleets: list[dict[str, Ready]] = []
        for same in kinds.values():
            if why := lonely(same):
                alone.setdefault(why, []).extend(same)
            else:
                parts = np.array_split(list(same), -(-len(same) // self.at_once))
                fleets += [{str(name): same[str(name)] for name in part} for part in parts]
        return fleets, alone

    def begun(self, decided: Ready, name: str, count: int) -> Fit:
        """The member at its first step, in a new folder."""
        decided.position.notes.append(f"trained as one network with {count - 1} other run{'s' if count > 2 else ''}")
        shutil.rmtree(self.place / name, ignore_errors=True)  # it was stopped before its first checkpoint
        return begin(decided, self.place / name)

    def go_on(self, states: States) -> Work[dict[str, Record]]:
        """From these states to the end; of a single one, a checkpoint in its own folder."""
        if len(states) == 1:
            [(name, state)] = states.items()
            checkpoint.save(self.place / name / folder.CHECKPOINT, state)
            self.tidy()
            return {}
        work = (restored(self.place / name, state, self.data) for name, state in states.items())
        return (yield from self.train(sharing_images(finish(each) for each in work)))

    def train(self, fits: list[Fit]) -> Work[dict[str, Record]]:
        """To the end of all but the last one; in halves, from the last checkpoint on, where memory is not enough."""
        file = self.file([fit.run.name for fit in fits])
        fleet, enough = FleetFit(fits, file), True
        try:
            yield from fleet.work()
        except OutOfMemory:
            enough = False
        found, names = fleet.found, [fit.run.name for fit in fleet.fits]
        del fleet
        fits.clear()  # nothing may hold their memory when the halves begin
        if not enough:
            yield Note(f"out of memory with {len(names)} runs at once; half as many from now on")
            found |= yield from self.train_halves(checkpoint.load(file)["members"], names)
        self.tidy()
        return found

    def train_halves(self, states: States, names: Sequence[str]) -> Work[dict[str, Record]]:
        """Both halves of these members, each from its state on as a fleet of its own."""
        found: dict[str, Record] = {}
        middle = len(names) // 2
        halves = [{name: states[name] for name in half} for half in (names[middle:], names[:middle])]
        for half in halves:  # the first may take the place of the whole's: it comes last, so all are in some file
            checkpoint.save(self.file(half), {"members": half})
        for half in halves:
            found |= yield from self.go_on(half)
        return found

    def under_way(self, names: Sequence[str]) -> list[States]:
        """The states that fleets of these members were stopped in, the newest of each member."""
        found: list[States] = []
        for file in sorted(self.files(), key=lambda file: file.stat().st_mtime_ns, reverse=True):
            seen = {name for each in found for name in each}
            states = checkpoint.load(file)["members"]
            left = {name: state for name, state in states.items() if not self.is_alone(name) and name not in seen}
            if left and set(left) <= set(names):
                found.append(left)
        return found

    def tidy(self) -> None:
        """Without the checkpoints of fleets that all their members have left."""
        for file in self.files():
            if all(self.is_alone(name) for name in checkpoint.load(file)["members"]):
                file.unlink()

    def files(self) -> list[Path]:
        return list(self.place.glob("fleet-*.pt"))

    def file(self, names: Sequence[str] | States) -> Path:
        return self.place / f"fleet-{next(iter(names))}.pt"

    def is_alone(self, name: str) -> bool:
        return (self.place / name / folder.CHECKPOINT).is_file()


def unsuited(recipe: Recipe) -> str:
    """Why no fleet can train this recipe; "" where one may."""
    return "a compiled network is one alone" if recipe.plan.compiled else ""


def kind(decided: Ready) -> tuple:
    """Equal where runs may be in one fleet: the fields that they share, modules, and steps of an epoch."""
    prepared = decided.prepared
    words = flat(prepared.recipe.model_dump())
    shared = [str((name, value)) for name, value in words.items() if name not in OWN and name.split(".")[0] not in OWN]
    steps = len(training_batches(prepared.indices("train"), prepared.recipe.images_per_step))
    return (*shared, str(described(new_network(prepared))), prepared.preprocess.channels, steps)


def lonely(same: Mapping[str, Ready]) -> str:
    """Why runs of one kind train alone; "" where a fleet takes them."""
    if len(same) == 1:
        return "for no other run has the same network, batch, precision and number of steps"
    try:
        stack([new_network(next(iter(same.values())).prepared)])
    except InputError as error:
        return f"for {error}"
    return ""
