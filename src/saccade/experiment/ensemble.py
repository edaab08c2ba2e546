"""Ensembles: members of a study that decide together, in a folder that is used like that of one run; and bagging."""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from saccade import statistics
from saccade.data.split import units_of
from saccade.errors import InputError
from saccade.events import Note, Progress, Work
from saccade.experiment import folder, model, outcome, record
from saccade.experiment.division import bootstrap_sample
from saccade.experiment.engine import prepare_all, settle
from saccade.experiment.failures import failures, summary
from saccade.experiment.members import Member, seeded
from saccade.experiment.predict import class_probabilities, resident, shares
from saccade.experiment.recipe import Recipe
from saccade.experiment.run import one_class
from saccade.experiment.settings import Bag
from saccade.experiment.setup import Prepared
from saccade.experiment.study import Study, open_study
from saccade.inspection.table import layer_table
from saccade.inspection.trace import traced_on
from saccade.layers.ensemble import Averaged, Ensemble, Voted
from saccade.reading import read_npz
from saccade.writing import replacing, write_text

Record = dict[str, Any]
READINGS = "test-read.txt"  # how often the test part has been opened: known whatever happens at the end
OUT_OF_BAG = "out-of-bag.npz"


def bag(recipe: Recipe, how: Bag, place: Path | None = None, data: Any = None) -> Work[Record]:
    """Train each member on a bootstrap sample; the ensemble's probabilities are the mean of theirs (Breiman 1996).

    The test part is read once, by the ensemble. Every training image is scored by those who did not draw it. Members that
    fail are left out, and named.
    """
    prepared = (yield from prepare_all({"recipe": recipe}, data))["recipe"]
    study = open_study(place, "bag", recipe, {"members": how.members}, data)
    if is_done(study):
        return (yield from done(study))
    yield Note(f"writing to {study.place}")
    settled = yield from settle(study, {"recipe": prepared}, how.members, how.engine)
    complete = settled.recipes["recipe"]
    members = seeded(of_member(complete, prepared).changed(split={"bootstrap": True}), "member", how.members)
    failed = failures((yield from settled.study.runs(members)))
    own = yield from without(failed, members)
    trained = [member for member in members if member.name not in failed]
    joint = Joint(settled.study, complete, prepared, trained, Averaged(networks(study, trained)))
    found = yield from out_of_bag(joint)
    return (yield from completed(joint, {"ensemble": "bag", "out_of_bag": found, **own}, members_of(joint)))


def without(failed: Mapping[str, str], members: Sequence[Member]) -> Work[Record]:
    """What the record says of the members that failed; InputError where fewer than two are left."""
    if len(members) - len(failed) < 2:
        raise InputError(f"bag: {summary(failed, len(members))}")
    notes = [f"{name} could not be trained and is left out of the {len(members)}: {why}" for name, why in failed.items()]
    for note in notes:
        yield Note(note)
    seeds = {member.name: member.recipe.seed for member in members}
    return {"failed": [{"run": name, "seed": seeds[name], "why": why} for name, why in failed.items()], "notes": notes}


def is_done(study: Study) -> bool:
    return (study.place / folder.RECORD).is_file()


def done(study: Study) -> Work[Record]:
    yield Note(f"{study.place} is finished already; nothing to do")
    return folder.read_record(study.place)


def of_member(recipe: Recipe, prepared: Prepared) -> Recipe:
    """The recipe without a reading of test, and with the ensemble's own normalization: all members see the same pixels."""
    seen = prepared.preprocess
    return recipe.changed(split={"read_test": False}, images={"mean": seen.mean, "std": seen.std})


def networks(study: Study, members: Sequence[Member]) -> list[Any]:
    return [model.load(study.place / member.name).network for member in members]


@dataclass(frozen=True)
class Joint:
    """Members that are trained, the study that they are in, and the network that they are together."""

    study: Study
    recipe: Recipe
    prepared: Prepared
    members: Sequence[Member]
    network: Ensemble

    @cached_property
    def records(self) -> list[Record]:
        return [folder.read_record(self.study.place / member.name) for member in self.members]

    @cached_property
    def whole(self) -> Prepared:
        """With all images as training images that trained a member (each may have its own, see split.images)."""
        return replace(self.prepared, parts=np.where(np.any(self.trained, axis=0), "train", self.prepared.parts))

    @cached_property
    def trained(self) -> list[np.ndarray]:
        """For each member (N,) bool: the images of the store that are in its training part, drawn or not."""
        why = "it says which images trained this member"
        files = (self.study.place / member.name / folder.SPLIT for member in self.members)
        return [read_npz(file, why, "parts")["parts"] == "train" for file in files]

    @cached_property
    def units(self) -> np.ndarray:
        """(N,) of which equal ones belong together: duplicates, and images of one group."""
        return units_of(self.prepared.store.clusters, self.prepared.store.groups)

    @property
    def model(self) -> model.Model:
        recipe, prepared, plan = self.recipe, self.prepared, self.records[0]["plan"]
        assert recipe.network is not None
        seen, classes = prepared.preprocess, prepared.store.classes
        return model.Model(self.network, recipe.network, classes, seen, plan["device"], recipe.regularize.norm)


def out_of_bag(joint: Joint) -> Work[Record]:
    """Scores of the training images, each by the members that drew neither it nor a duplicate or image of its group."""
    store = joint.prepared.store
    images = resident(joint.model, store.pixels)
    total, count = np.zeros((len(store.labels), len(store.classes))), np.zeros(len(store.labels), int)
    for i, (member, train) in enumerate(zip(joint.members, joint.trained, strict=True)):
        drawn = bootstrap_sample(np.flatnonzero(train), member.recipe.seed)
        where = np.flatnonzero((joint.whole.parts == "train") & ~np.isin(joint.units, joint.units[drawn]))
        if len(where):
            total[where] += outcome.probabilities(joint.network.members[i], joint.prepared.preprocess, images, where)
            count[where] += 1
        yield Progress("out of bag", i + 1, len(joint.members))
    seen = np.flatnonzero(count)
    found: Record = {"images": len(seen), "of": len(joint.whole.indices("train")), "members": 0.0, "scores": {}}
    if len(seen):
        likely = (total[seen] / count[seen, None]).astype(np.float32)
        columns = {"ids": store.ids[seen], "labels": store.labels[seen], "probabilities": likely, "members": count[seen]}
        with replacing(joint.study.place / OUT_OF_BAG) as file, file.open("wb") as stream:
            np.savez_compressed(stream, allow_pickle=False, **columns)
        scores = outcome.describe(store.labels[seen], likely, store.classes, joint.units[seen])["scores"]
        found |= {"members": float(count[seen].mean()), "scores": scores}
    return found


def members_of(joint: Joint) -> list[Record]:
    """Each member by its run, its seed, what it cost, and its score on validation images."""
    rows = []
    for member, found in zip(joint.members, joint.records, strict=True):
        scores = found["scores"].get("validation", {})
        row = {"run": found["run"], "seed": member.recipe.seed, "best_epoch": found["epochs"]["best"]}
        rows.append(row | {"seconds": found["seconds"], "validation_accuracy": scores.get("accuracy")})
    return rows


def completed(joint: Joint, own: Record, members: list[Record]) -> Work[Record]:
    """Write the ensemble as one run: model, split, metrics, predictions, and the record with what is its own."""
    start, place = time.monotonic(), joint.study.place
    write_parts(joint)
    model.save(place, joint.model)
    read_test = joint.recipe.split.read_test and len(joint.whole.indices("test")) > 0
    readings = count_reading(place) if read_test else 0
    outcomes = outcomes_of(joint, model.load(place))
    notes = [f"{m.name}: {note}" for m, found in zip(joint.members, joint.records, strict=True) for note in found["notes"]]
    if alike := one_class(outcomes):
        notes.append(alike)
        yield Note(alike)
    by_member = outcomes.pop("by_member")
    words = {
        "run": str(place),
        **about_training(joint),
        **record.about_data(joint.whole),
        **outcomes,
        **own,
        "members": [row | more for row, more in zip(members, by_member, strict=True)],
        "notes": [*own.get("notes", ()), *notes],
        "test_read": readings,
        **about_making(joint, time.monotonic() - start),
    }
    folder.write_record(place, words)
    return words


def about_making(joint: Joint, evaluation: float) -> Record:
    """When, how long and where; of `evaluation` seconds for what was done after the members were trained."""
    times = {"members": sum(found["seconds"] for found in joint.records) / joint.study.processes, "evaluation": evaluation}
    return {
        "started": joint.records[0]["started"],
        "seconds": round(sum(times.values()), 2),
        "times": {name: round(seconds, 2) for name, seconds in times.items()},
        "versions": record.versions(),
        "machine": record.machine(),
    }


def write_parts(joint: Joint) -> None:
    """recipe.yaml (of a member, before it is one), split.npz, and metrics.jsonl, the mean over members by epoch."""
    place, store = joint.study.place, joint.prepared.store
    write_text(place / folder.RECIPE, joint.recipe.to_yaml())
    with replacing(place / folder.SPLIT) as file, file.open("wb") as stream:
        columns = {"ids": store.ids, "parts": joint.whole.parts, "labels": store.labels, "digests": store.digests}
        np.savez_compressed(stream, allow_pickle=False, **columns)
    folder.write_metrics(place, mean_history([joint.study.history(member.name) for member in joint.members]))


def mean_history(several: Sequence[Sequence[dict[str, float]]]) -> list[dict[str, float]]:
    """The mean of every measure over the members that trained as far as that epoch."""
    rows = []
    for i in range(max(map(len, several))):
        there = [history[i] for history in several if len(history) > i]
        means = {name: float(np.mean([row[name] for row in there])) for name in there[0]}
        rows.append(means | {name: there[0][name] for name in ("epoch", "step")})
    return rows


def count_reading(place: Path) -> int:
    """How often the test part has been opened, with the reading that now comes."""
    file = place / READINGS
    count = 1 + (json.loads(file.read_text(encoding="utf-8")) if file.is_file() else 0)
    write_text(file, f"{count}\n")
    return count


def outcomes_of(joint: Joint, loaded: model.Model) -> Record:
    """The ensemble, read as `predict` reads it, on validation and, once, on test; and what it gains."""
    found: Record = {}
    scores: Record = {}
    by_member: Record = {}
    held = []
    for part in ("validation", "test") if joint.recipe.split.read_test else ("validation",):
        if len(joint.whole.indices(part)):
            columns, found = of_part(joint, loaded, part)
            scores[part], by_member[part] = found.pop("scores"), found.pop("by_member")
            held.append(columns)
    if held:
        outcome.save(joint.study.place, {name: np.concatenate([each[name] for each in held]) for name in held[0]})
    rows = [{"accuracy": {part: by_member[part][i] for part in by_member}} for i in range(len(joint.members))]
    return found | {"scores": scores, "by_member": rows}


def of_part(joint: Joint, loaded: model.Model, part: str) -> tuple[dict[str, np.ndarray], Record]:
    """The columns of predictions.npz, and what follows from them."""
    store, where = joint.prepared.store, joint.whole.indices(part)
    labels = store.labels[where]
    answers = class_probabilities(loaded, resident(loaded, store.pixels), where)
    assert answers.members is not None
    named = answers.probabilities.argmax(1)
    unsure = dict(vars(statistics.uncertainty(answers.members, named, shares(loaded))))
    right = (named == labels).astype(np.float64)
    each = (answers.members.argmax(1) == labels[:, None]).astype(np.float64)  # (N, members)
    columns = {"parts": np.full(len(where), part), "ids": store.ids[where], "labels": labels}
    found = outcome.describe(labels, answers.probabilities, store.classes, joint.units[where])
    found["by_member"] = each.mean(0).tolist()
    boosted = isinstance(joint.network, Voted)  # its later members are not meant to stand alone
    gained = gain(right - (each[:, 0] if boosted else each.mean(1)), joint.units[where])
    found["gain"] = gained | {"part": part, "over": "the first member" if boosted else "the mean of the members"}
    found["uncertainty"] = by_outcome(unsure, right > 0)
    return {**columns, "probabilities": answers.probabilities, **unsure}, found


def gain(differences: np.ndarray, units: np.ndarray) -> Record:
    """The mean of the differences (N,) in being right, with its interval over images; with one unit nothing is known."""
    if len(np.unique(units)) < 2:
        return {"value": float(differences.mean()), "low": -1.0, "high": 1.0, "n": len(differences)}
    return statistics.paired_bootstrap(differences, seed=0, groups=units).to_dict()


def by_outcome(unsure: dict[str, np.ndarray], right: np.ndarray) -> Record:
    """The mean of each measure over the images that are named correctly, and over the others; None where there are none."""

    def mean(values: np.ndarray) -> float | None:
        return float(values.mean()) if len(values) else None

    return {name: {"right": mean(values[right]), "wrong": mean(values[~right])} for name, values in unsure.items()}


def about_training(joint: Joint) -> Record:
    """As of a run; counts and times are those of all members together, plan and memory those of one."""
    records, seen = joint.records, joint.prepared.preprocess
    device = traced_on(records[0]["plan"]["device"])
    layers = layer_table(joint.network, (seen.channels, seen.size, seen.size), device)
    predicted = [found["time"]["predicted_seconds"] for found in records]
    known = [seconds for seconds in predicted if seconds is not None]
    epochs = [found["epochs"]["trained"] for found in records]
    return {
        "network": joint.recipe.network,
        "seed": joint.recipe.seed,
        "parameters": sum(found["parameters"] for found in records),
        "macs": sum(row["macs"] for row in layers),
        "layers": layers,
        "plan": records[0]["plan"],
        "memory": records[0]["memory"],
        "time": {
            "predicted_seconds": sum(known) if len(known) == len(predicted) else None,
            "met_seconds": round(sum(found["time"]["met_seconds"] for found in records), 2),
        },
        "images_per_second": round(float(np.mean([found["images_per_second"] for found in records])), 1),
        "epochs": {"planned": joint.recipe.epochs, "trained": max(epochs), "best": None},
        "selected_on": records[0]["selected_on"],
    }
