"""Which of several recipes is better on these images? Paired: the same folds, the same seeds, the same images."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from saccade import statistics
from saccade.errors import InputError
from saccade.events import Note, Work
from saccade.experiment import folder
from saccade.experiment.contenders import check_different, check_recipes, check_sizes
from saccade.experiment.engine import foreseen, prepare_all, settle
from saccade.experiment.folds import OutOfFold, keep
from saccade.experiment.looks import Comparison, Looked, Series, judged_once, spelled, two_looks
from saccade.experiment.recipe import Recipe, different_fields, flat
from saccade.experiment.settings import Folds
from saccade.experiment.setup import Prepared
from saccade.experiment.study import open_study
from saccade.experiment.verdict import accuracy

Record = dict[str, Any]


def compare(recipes: Mapping[str, Recipe], how: Comparison, place: Path | None = None, data: Any = None) -> Work[Record]:
    """Train every recipe on the same folds and tell the difference of their accuracies on images not trained on.

    The interval is that of the corrected resampled t over folds, so it holds for other training images and seeds, too; of
    more than two recipes, the intervals and verdicts of all pairs hold at once (`Terms`). The test part that the data give
    is not read. A recipe of which a run fails has no score, and those that have one are compared.
    """
    check_recipes(recipes)
    first = next(iter(recipes.values()))
    words: Record = {"recipes": {name: recipe.model_dump(mode="json") for name, recipe in recipes.items()}}
    words |= {"folds": how.folds.count, "seeds": how.folds.seeds, "margin": how.margin}
    words |= {"repeats": how.folds.repeats} if how.budget is None else {"budget": how.budget}
    split_seed = first.seed if first.split.seed is None else first.split.seed
    asked = {name: how.folds.recipe(recipe, split_seed) for name, recipe in recipes.items()}
    prepared = yield from prepare_all(asked, data)
    check_sizes({name: each.recipe for name, each in prepared.items()})
    check_folds(prepared)
    check_different({name: each.recipe for name, each in prepared.items()})
    study = open_study(place, "compare", first, words, data)
    yield Note(f"writing to {study.place}")
    if study.looks > 1:
        yield Note(looked_before(study.looks))
    settled = yield from settle(study, prepared, how.folds.runs * len(recipes), how.engine)
    series = Series(settled, {name: settled.recipes[name].changed(seed=recipes[name].seed) for name in recipes}, split_seed)
    if how.budget is not None:
        yield from forewarned(series, how, prepared)
    looked = yield from (judged_once if how.budget is None else two_looks)(series, how)
    keep(study, looked.found)
    return {"study": str(study.place), "data": first.data, **described(series, how, looked), **looked.conclusion()}


def looked_before(looks: int) -> str:
    """Going on until something is found finds something: that has to be said."""
    which = {2: "second", 3: "third"}.get(looks, f"{looks}th")
    return (
        f"the {which} look at this comparison, each with more runs: a look says something wrong in up to 5 %, so several "
        "do more often; --budget has its looks planned"
    )


def check_folds(prepared: Mapping[str, Prepared]) -> None:
    """InputError where the recipes would not have the same folds: duplicates are told by the pixels that are stored."""
    (first, one), *others = prepared.items()
    for name, other in others:
        same_images = np.array_equal(one.store.ids, other.store.ids)
        if not same_images or not np.array_equal(one.parts == "test", other.parts == "test"):
            raise InputError(
                f"compare: {first} and {name} store the images at different sizes, find other duplicates, and so would "
                "have other folds; give one --augment.crop for all"
            )


def forewarned(series: Series, how: Comparison, prepared: Mapping[str, Prepared]) -> Work[None]:
    """A note where one round of folds will take longer than the budget, by the measured rate of training steps."""
    assert how.budget is not None
    study, once = series.settled.study, how.folds
    if any(study.is_finished(member) for name in series.recipes for member in series.members(once, name)):
        return
    seconds = sum(foreseen(study, each, once.runs) for each in prepared.values())
    if seconds > how.budget:
        yield Note(
            f"a round of folds will take about {spelled(seconds)} for its training steps alone, more than the budget of "
            f"{spelled(how.budget)}: it is trained all the same, for less says nothing"
        )


def described(series: Series, how: Comparison, looked: Looked) -> Record:
    """How it was compared, and each recipe with its scores out of fold, its cost, and what it has of its own."""
    found, terms = looked.found, looked.terms
    records = {
        name: folder.read_record(series.settled.study.place / series.members(Folds(), name)[0].name) for name in found
    }
    first, images = next(iter(records.values())), next(iter(found.values())).ids
    rows = {name: row(found[name], records[name]) for name in found}
    rows |= {name: {"network": series.recipes[name].network, "failed": why} for name, why in looked.failed.items()}
    own = own_values(series.recipes)
    return {
        "folds": how.folds.count,
        "repeats": max(len(each.fold) for each in found.values()),
        "seeds": how.folds.seeds,
        "looks": series.settled.study.looks,
        "margin": terms.margin,
        "level": terms.level,
        "interval_level": 1 - terms.alpha,
        "images": len(images),
        "classes": first["classes"],
        "recipes": {name: {**rows[name], "differs": own[name]} for name in series.recipes},
        "fingerprint": first["images"]["fingerprint"],
        **({} if looked.budget is None else {"budget": {"seconds": how.budget, "round_seconds": looked.budget.seconds}}),
    }


def row(found: OutOfFold, record: Record) -> Record:
    return {
        "network": record["network"],
        "parameters": record["parameters"],
        "accuracy": accuracy(found).to_dict(),
        "log_loss": statistics.log_loss(found.labels, found.mean),
        "repeats": len(found.fold),
        "seconds_of_a_run": record["seconds"],
    }


def own_values(recipes: Mapping[str, Recipe]) -> dict[str, dict[str, Any]]:
    """Of each recipe its values for the fields in which they differ, but for the network and the plan of the machine."""
    first, *others = recipes.values()
    fields = dict.fromkeys(name for other in others for name in different_fields(first, other))
    shown = [name for name in fields if name != "network" and not name.startswith("plan.")]
    values = {name: flat(recipe.model_dump(mode="json")) for name, recipe in recipes.items()}
    return {name: {field: own[field] for field in shown} for name, own in values.items()}
