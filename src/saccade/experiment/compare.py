"""Which of several recipes is better on these images? Paired: the same folds, the same seeds, the same images."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from saccade import statistics
from saccade.errors import InputError
from saccade.events import Note, Work
from saccade.experiment import folder
from saccade.experiment.engine import Settled, check_engine, prepare_all, settle
from saccade.experiment.folds import Folds, OutOfFold, check_done, keep, out_of_fold
from saccade.experiment.processes import Member
from saccade.experiment.recipe import Recipe, different_fields, flat
from saccade.experiment.setup import Prepared
from saccade.experiment.study import open_study
from saccade.experiment.verdict import accuracy, counsel, judged

Record = dict[str, Any]
LEVEL = 0.95
LOOKS = 2  # of a comparison with a budget: after one round of folds, and after all that the budget pays for
SHARED = ("data", "split", "plan", "checkpoint.seconds")  # fields that a comparison has in common


@dataclass(frozen=True)
class Comparison:
    """How it is run: folds, the difference in accuracy that would not matter, and seconds to be spent (None: no limit)."""

    folds: Folds = field(default_factory=Folds)
    margin: float = 0.005
    budget: float | None = None
    engine: str = "auto"

    def __post_init__(self) -> None:
        if not 0 < self.margin < 1:
            raise InputError(f"margin: a difference in accuracy between 0 and 1, such as 0.005, not {self.margin:g}")
        if self.budget is not None and self.folds.repeats > 1:
            raise InputError("budget: repeats are what it pays for; leave --repeats out, or --budget")
        if self.budget is not None and self.budget <= 0:
            raise InputError(f"budget: more than no time at all, not {self.budget:g} s")
        check_engine(self.engine)


def compare(recipes: Mapping[str, Recipe], how: Comparison, place: Path | None = None, data: Any = None) -> Work[Record]:
    """Train every recipe on the same folds and tell the difference of their accuracies on images not trained on.

    The interval is that of the corrected resampled t over folds, so it holds for other training images and seeds, too.
    The test part that the data give is not read.
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
    settled = yield from settle(study, prepared, how.folds.runs * len(recipes), how.engine)
    series = Series(settled, {name: settled.recipes[name].changed(seed=recipes[name].seed) for name in recipes}, split_seed)
    found, level, folds = yield from looks(series, how)
    record: Record = {"study": str(study.place), "data": first.data, "folds": folds.count, "repeats": folds.repeats}
    record |= {"seeds": folds.seeds, "margin": how.margin, "level": level, **described(series, found)}
    record |= judged(found, how.margin, level)
    record |= {"advice": counsel(found, record["pairs"], folds, level)}
    keep(study, found)
    return record


def check_recipes(recipes: Mapping[str, Recipe]) -> None:
    """InputError where there is nothing to compare, or where the recipes differ in what they must share."""
    if len(recipes) < 2:
        raise InputError("compare: nothing to compare; say what b is, such as --b.network plain20")
    check_different(recipes)
    for (one, a), (other, b) in combinations(recipes.items(), 2):
        fields = different_fields(a, b)
        for name in fields:
            if any(name == shared or name.startswith(f"{shared}.") for shared in SHARED):
                raise InputError(
                    f"compare: {one} and {other} differ in {name}, which a comparison has in common; set it for both"
                )


def check_different(recipes: Mapping[str, Recipe]) -> None:
    """InputError for two that are the same, as they were asked for or once the data have decided the rest."""
    for (one, a), (other, b) in combinations(recipes.items(), 2):
        if not different_fields(a, b):
            raise InputError(f"compare: {one} and {other} are the same recipe; they must differ in a field (or a seed)")


def check_sizes(recipes: Mapping[str, Recipe]) -> None:
    """InputError where recipes look at images of different size or colour: then it is not the network that differs."""
    for what in ("size", "channels"):
        values = {name: getattr(recipe.images, what) for name, recipe in recipes.items()}
        if len(set(values.values())) > 1:
            said = ", ".join(f"{name} {value}" for name, value in values.items())
            raise InputError(f"compare: the recipes differ in images.{what} ({said}); give one --images.{what} for all")


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


@dataclass(frozen=True)
class Series:
    """The recipes under comparison with their study; `members` are the runs of some repeats."""

    settled: Settled
    recipes: Mapping[str, Recipe]
    split_seed: int

    def members(self, folds: Folds, name: str) -> list[Member]:
        return folds.members(self.recipes[name], name, self.split_seed)

    def train(self, folds: Folds) -> Work[dict[str, Record]]:
        """All runs, fold by fold with all recipes, so that what is there at any moment is in pairs."""
        several = [self.members(folds, name) for name in self.recipes]
        records = yield from self.settled.study.runs([each for same in zip(*several, strict=True) for each in same])
        check_done(records)
        return records

    def outcomes(self, folds: Folds) -> dict[str, OutOfFold]:
        return {name: out_of_fold(self.settled.study, folds, self.members(folds, name)) for name in self.recipes}

    def seconds(self, records: Mapping[str, Record]) -> float:
        """What these runs took, or would take again."""
        return sum(record["seconds"] for record in records.values()) / self.settled.study.processes


def looks(series: Series, how: Comparison) -> Work[tuple[dict[str, OutOfFold], float, Folds]]:
    """Train; the outcomes, the level of their intervals, and how many repeats there were.

    With a budget there is a first look after one round of folds, which may end the comparison, and one at its end, after
    as many rounds as the budget pays for. How many these are hangs on the time that a round takes, not on its outcome, and
    each look is taken at half of 5 %, so both together name a winner wrongly in no more than 5 % (Bonferroni).
    """
    if how.budget is None:
        yield from series.train(how.folds)
        return series.outcomes(how.folds), LEVEL, how.folds
    once = replace(how.folds, repeats=1)
    records = yield from series.train(once)
    found, seconds = series.outcomes(once), series.seconds(records)
    rounds = int(how.budget // seconds)
    yield Note(f"a round of folds takes {seconds:.0f} s; the budget pays for {max(1, rounds)}")
    if rounds < 2:
        return found, LEVEL, once
    level = 1 - (1 - LEVEL) / LOOKS
    if judged(found, how.margin, level)["verdict"] != "not distinguishable":
        yield Note("decided after one round: the rest of the budget is not spent")
        return found, level, once
    folds = replace(how.folds, repeats=rounds)
    yield from series.train(folds)
    return series.outcomes(folds), level, folds


def described(series: Series, found: Mapping[str, OutOfFold]) -> Record:
    """Each recipe with its scores out of fold, its cost, and what it has that the first has not."""
    names = list(found)
    records = {
        name: folder.read_record(series.settled.study.place / series.members(Folds(), name)[0].name) for name in names
    }
    base = series.recipes[names[0]]
    rows = {}
    for name in names:
        each, record = found[name], records[name]
        rows[name] = {
            "network": record["network"],
            "parameters": record["parameters"],
            "differs": differs(base, series.recipes[name]),
            "accuracy": accuracy(each).to_dict(),
            "log_loss": statistics.log_loss(each.labels, each.mean),
            "seconds_of_a_run": record["seconds"],
        }
    first = next(iter(found.values()))
    return {
        "images": len(first.ids),
        "classes": records[names[0]]["classes"],
        "recipes": rows,
        "fingerprint": records[names[0]]["images"]["fingerprint"],
    }


def differs(base: Recipe, other: Recipe) -> dict[str, Any]:
    """The fields in which a recipe differs from the first, with its own values."""
    values = flat(other.model_dump(mode="json"))
    return {name: values[name] for name in different_fields(base, other) if values[name] is not None}
