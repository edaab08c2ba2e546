"""Cross-validation of one recipe; where there is something to choose, inner folds choose and outer folds report."""

import json
from collections.abc import Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from saccade.errors import InputError
from saccade.events import Note, Work
from saccade.experiment import outcome
from saccade.experiment.engine import prepare_all, settle
from saccade.experiment.failures import check_done, failures, summary
from saccade.experiment.folds import OutOfFold, by_fold, keep, out_of_fold
from saccade.experiment.members import Member
from saccade.experiment.recipe import Recipe, changed_fields
from saccade.experiment.run import check_network
from saccade.experiment.settings import Choice, CrossValidation
from saccade.experiment.setup import Prepared
from saccade.experiment.study import Study, open_study, quietly, validation_accuracy
from saccade.experiment.suspects import suspected, write_suspects
from saccade.experiment.verdict import accuracy
from saccade.writing import write_text

Record = dict[str, Any]
SUSPECTS = 100  # likely label errors that the record lists; the CSV lists all


def cross_validate(recipe: Recipe, how: CrossValidation, place: Path | None = None, data: Any = None) -> Work[Record]:
    """Score the recipe on every image by networks that have not seen it.

    With a search, each outer fold has its own: inner folds of its training images choose, so its score holds for the whole
    way of choosing (nested; Cawley and Talbot 2010). The test part that the data give is not read.
    """
    yield from check_choices(recipe, how)
    split_seed = recipe.seed if recipe.split.seed is None else recipe.split.seed
    prepared = yield from prepare_all({"recipe": how.folds.recipe(recipe, split_seed)}, data)
    check_networks(how, prepared["recipe"])
    if how.final:  # what the last run cannot do is told before anything is trained
        yield from quietly(prepare_all({"recipe": on_all(recipe)}, data), "data")
    words = {"folds": vars(how.folds), "search": dict(how.search), "inner": how.inner, "final": how.final}
    study = open_study(place, "crossval", recipe, words, data)
    yield Note(f"writing to {study.place}")
    settled = yield from settle(study, prepared, how.runs, how.engine)
    study, complete = settled.study, settled.recipes["recipe"].changed(seed=recipe.seed)
    members = how.folds.members(complete, "run", split_seed)
    chosen = yield from chosen_once(study, how, members)
    members = [Member(m.name, changed_fields(m.recipe, choice)) for m, choice in zip(members, chosen, strict=True)]
    records = yield from study.runs(members)
    check_done(records, "crossval")
    found = out_of_fold(study, how.folds, members)
    keep(study, {"recipe": found})
    write_suspects(study.place, suspected(found, records[members[0].name]["classes"]))
    record = {"study": str(study.place), "data": recipe.data, **described(found, records[members[0].name], how)}
    record["chosen"] = chosen if len(how.choices) > 1 else []
    if how.final:
        best = [each["epochs"]["best"] for each in records.values()]
        record |= yield from tried(train_on_all(study, how, complete, best))
    return record


def check_choices(recipe: Recipe, how: CrossValidation) -> Work[None]:
    """InputError for a value that a field does not take; a note where there is nothing to choose."""
    how.recipes(recipe)
    if how.search and len(how.choices) == 1:
        names, values = (", ".join(map(str, each)) for each in (how.search, how.choices[0].values()))
        yield Note(f"search: one value of {names} leaves nothing to choose; {values} is used in every fold")


def check_networks(how: CrossValidation, prepared: Prepared) -> None:
    """InputError for a network of the search that does not take the images: all have the size that the recipe has."""
    for name, choice in {choice["network"]: choice for choice in how.choices if "network" in choice}.items():
        try:
            check_network(replace(prepared, recipe=changed_fields(prepared.recipe, choice)))
        except InputError as error:
            raise InputError(f"search: network={name}: {error}") from error


def chosen_once(study: Study, how: CrossValidation, members: Sequence[Member]) -> Work[list[Choice]]:
    """What was chosen before, where it was: outer runs that are done were trained with it."""
    file = study.place / "chosen.json"
    if file.is_file():
        inner = [each for member in members for each in chain(*searched(how, member))]
        study.tally.meet(inner, [each.name for each in inner])
        return json.loads(file.read_text(encoding="utf-8"))
    chosen = yield from choose(study, how, members)
    write_text(file, json.dumps(chosen, indent=1) + "\n")
    return chosen


def choose(study: Study, how: CrossValidation, members: Sequence[Member]) -> Work[list[Choice]]:
    """For each member the choice whose mean accuracy on the inner folds is the highest; the first of equals."""
    if len(how.choices) == 1:
        return [how.choices[0]] * len(members)
    searches = [searched(how, member) for member in members]
    records = yield from study.runs([each for search in searches for each in chain(*search)])
    chosen = []
    for member, search in zip(members, searches, strict=True):
        scores = [np.mean([validation_accuracy(records[each.name]) for each in row]) for row in search]
        if max(scores) < 0:
            why = next(records[each.name]["failed"] for each in search[0] if "failed" in records[each.name])
            raise InputError(f"search: no choice could be trained: {why}")
        chosen.append(how.choices[int(np.argmax(scores))])
        yield Note(f"{member.name}: {in_words(chosen[-1])} (accuracy {max(scores):.4f} on inner folds)")
    return chosen


def in_words(choice: Choice) -> str:
    return ", ".join(f"{name} {value}" for name, value in choice.items())


def searched(how: CrossValidation, member: Member) -> list[list[Member]]:
    """A row for each choice, in it a run for each inner fold; the outer fold is not read. None for a single choice."""
    rows: list[list[Member]] = []
    if len(how.choices) == 1:
        return rows
    for i, choice in enumerate(how.choices):
        # The inner fold scores the choice: nothing else may be decided by it
        recipe = changed_fields(member.recipe, choice).changed(checkpoint={"select": "last"}, stop={"patience": None})
        splits = [{"folds": how.inner, "fold": j, "read_test": False} for j in range(how.inner)]
        names, about = f"{member.name}-choice-{i}", in_words(choice)
        rows.append([Member(f"{names}-{j}", recipe.changed(split=split), about) for j, split in enumerate(splits)])
    return rows


def tried(final: Work[str]) -> Work[Record]:
    """The folder of the last run or why it failed, which takes nothing away from the scores."""
    try:
        return {"final": (yield from final)}
    except InputError as error:
        yield Note(f"the run on all images failed, which takes nothing away from the scores: {error}")
        return {"final_failed": str(error)}


def train_on_all(study: Study, how: CrossValidation, recipe: Recipe, best: Sequence[int]) -> Work[str]:
    """The folder of a run on all images with what folds of all of them choose; nothing is left to measure it by.

    `best`: the best epochs of the outer runs, of which the median is used where these were stopped early.
    """
    every = recipe.changed(split={"outer": None, "test": 0})
    chosen = yield from choose(study, how, [Member("final", every)])
    final = on_all(changed_fields(every, chosen[0]))
    if recipe.stop.patience is not None:
        final = final.changed(epochs=max(1, round(float(np.median(best)))))
    if failed := failures((yield from study.runs([Member("final", final)]))):
        raise InputError(summary(failed, 1))
    return str(study.place / "final")


def on_all(recipe: Recipe) -> Recipe:
    """No image is held back, so nothing is decided by one."""
    split = {"outer": None, "test": 0, "validation": 0}
    return recipe.changed(split=split, checkpoint={"select": "last"}, stop={"patience": None})


def intervals(record: Record) -> tuple[str, str]:
    """What the intervals of the scores hold for: that of the accuracy, and the others."""
    n = record["scores"]["out_of_fold"]["accuracy"]["n"]
    grouped = f"{record['units']:,} groups of images (duplicates belong together too)"
    return (
        "The interval of the accuracy is over folds (corrected resampled t), for other training images and seeds.",
        "The others are for the networks of the first division alone: Wilson's, or the exact one-sided limit where that is "
        f"wider, for as many images as each score counts for, over {grouped if record['units'] < n else 'images'}.",
    )


def described(found: OutOfFold, first: Record, how: CrossValidation) -> Record:
    """Scores: the mean over folds with its interval, and, of the first repeat, all else that a run has."""
    classes, likely = tuple(first["classes"]), found.probabilities[0, 0]
    words = outcome.describe(found.labels, likely, classes, found.units)
    words["scores"] = {"out_of_fold": words["scores"] | {"accuracy": accuracy(found).to_dict()}}
    suspects = suspected(found, classes)
    return {
        "network": first["network"],
        "seed": first["seed"],
        "folds": how.folds.count,
        "repeats": how.folds.repeats,
        "seeds": how.folds.seeds,
        "classes": list(classes),
        "fingerprint": first["images"]["fingerprint"],
        "by_fold": by_fold(found.right, found).tolist(),
        "units": len(np.unique(found.units)),
        **words,
        "label_errors_found": len(suspects),
        "label_errors": suspects[:SUSPECTS],
    }
