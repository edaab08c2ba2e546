"""Which of several recipes is better on these images? Paired: the same folds, the same seeds, the same images."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from saccade import statistics
from saccade.errors import InputError
from saccade.events import Note, Work
from saccade.experiment import folder
from saccade.experiment.advice import Budget
from saccade.experiment.engine import Settled, check_engine, prepare_all, settle
from saccade.experiment.folds import Folds, OutOfFold, check_done, keep, out_of_fold
from saccade.experiment.processes import Member
from saccade.experiment.recipe import Recipe, different_fields, flat
from saccade.experiment.setup import Prepared
from saccade.experiment.study import open_study
from saccade.experiment.terms import Terms
from saccade.experiment.verdict import accuracy, concluded, counsel, judged, judged_pair, overall

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
            raise InputError(f"budget: a positive time such as 20min, not {self.budget:g} s")
        check_engine(self.engine)


def compare(recipes: Mapping[str, Recipe], how: Comparison, place: Path | None = None, data: Any = None) -> Work[Record]:
    """Train every recipe on the same folds and tell the difference of their accuracies on images not trained on.

    The interval is that of the corrected resampled t over folds, so it holds for other training images and seeds, too; of
    more than two recipes, the intervals and verdicts of all pairs hold at once (`Terms`). The test part that the data give
    is not read.
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
    looked = yield from looks(series, how)
    keep(study, looked.found)
    return {"study": str(study.place), "data": first.data, **described(series, how, looked), **looked.said()}


def looked_before(looks: int) -> str:
    """Going on until something is found finds something: that has to be said."""
    which = {2: "second", 3: "third"}.get(looks, f"{looks}th")
    return (
        f"the {which} look at this comparison, each with more runs: a look says something wrong in up to 5 %, so several "
        "do more often; --budget has its looks planned"
    )


def check_recipes(recipes: Mapping[str, Recipe]) -> None:
    """InputError where there is nothing to compare, or where the recipes differ in what they must share."""
    if len(recipes) < 2:
        raise InputError("compare: nothing to compare; say what b is, such as --b.network plain20")
    check_different(recipes)
    for (one, a), (other, b) in combinations(recipes.items(), 2):
        fields = different_fields(a, b)
        for name in fields:
            if any(name == shared or name.startswith(f"{shared}.") for shared in SHARED):
                raise not_shared(one, other, name)


def not_shared(one: str, other: str, field: str) -> InputError:
    return InputError(f"compare: {one} and {other} differ in {field}, which a comparison has in common; set it for both")


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

    def train(self, folds: Folds, names: Sequence[str]) -> Work[dict[str, Record]]:
        """All runs of these recipes, fold by fold, so that what is there at any moment is in pairs."""
        several = [self.members(folds, name) for name in names]
        records = yield from self.settled.study.runs([each for same in zip(*several, strict=True) for each in same])
        check_done(records)
        return records

    def outcomes(self, folds: Folds, names: Sequence[str]) -> dict[str, OutOfFold]:
        return {name: out_of_fold(self.settled.study, folds, self.members(folds, name)) for name in names}

    def seconds(self, records: Mapping[str, Record]) -> float:
        """What these runs took, or would take again."""
        return sum(record["seconds"] for record in records.values()) / self.settled.study.processes


@dataclass(frozen=True)
class Looked:
    """What was found of each recipe, what is said of each pair, on what terms, and with a budget what more would take."""

    found: dict[str, OutOfFold]
    pairs: list[Record]
    terms: Terms
    budget: Budget | None = None

    @property
    def verdict(self) -> str:
        return overall(list(self.found), self.pairs)

    @property
    def undecided(self) -> list[str]:
        """The recipes that cannot yet be told from some other."""
        pairs = [pair for pair in self.pairs if pair["verdict"] == "not distinguishable"]
        return [name for name in self.found if any(name in (pair["a"], pair["b"]) for pair in pairs)]

    def again(self, found: Mapping[str, OutOfFold]) -> "Looked":
        """With more repeats of some recipes: pairs that were undecided are judged anew, what was decided stands."""
        pairs = [
            judged_pair((pair["a"], pair["b"]), (found[pair["a"]], found[pair["b"]]), self.terms)
            if pair["verdict"] == "not distinguishable"
            else pair
            for pair in self.pairs
        ]
        return replace(self, found={**self.found, **found}, pairs=pairs)

    def said(self) -> Record:
        return {
            **concluded(list(self.found), self.pairs, self.terms.margin),
            **counsel(self.found, self.pairs, self.terms, self.budget),
        }


def looks(series: Series, how: Comparison) -> Work[Looked]:
    """Train and judge: once, or in the two looks of a budget."""
    names = list(series.recipes)
    terms = Terms(how.margin, LEVEL, len(names) * (len(names) - 1) // 2)
    if how.budget is not None:
        return (yield from two_looks(series, how, terms))
    yield from series.train(how.folds, names)
    return judged_all(series.outcomes(how.folds, names), terms)


def two_looks(series: Series, how: Comparison, terms: Terms) -> Work[Looked]:
    """After one round of folds, and, unless that has answered, after as many rounds as the budget pays for.

    Each look is taken at half of 5 %, so that together they say anything wrong in no more than 5 % (Bonferroni). For this
    the number of rounds must not hang on outcomes: it hangs on the time of a round of all recipes alone. Of more than two
    recipes, those that the first look has told from every other train no more. The time that they leave is not spent on the
    rest: that would make the rounds hang on outcomes, and to allow for each number that might come (5 % divided once more)
    costs wider intervals than the rounds would gain, since repeats share their images. Rounds are whole, and of two recipes
    alike: an image counts once both have scored it, in every fold.
    """
    assert how.budget is not None
    once, names = replace(how.folds, repeats=1), list(series.recipes)
    seconds = series.seconds((yield from series.train(once, names)))
    rounds = int(how.budget // seconds)
    yield Note(f"a round of folds takes {seconds:.0f} s; the budget pays for {max(1, rounds)}")
    of_two = replace(terms, level=1 - (1 - LEVEL) / LOOKS)
    first = judged_all(series.outcomes(once, names), terms if rounds < 2 else of_two, Budget(seconds, of_two))
    if rounds < 2:
        return first
    if first.verdict != "not distinguishable":
        yield Note("decided after one round: the rest of the budget is not spent")
        return replace(first, budget=Budget(seconds, of_two, ended=True))
    if settled := [name for name in names if name not in first.undecided]:
        yield Note(f"settled after one round, and trained no more: {', '.join(settled)}")
    folds = replace(how.folds, repeats=rounds)
    yield from series.train(folds, first.undecided)
    return first.again(series.outcomes(folds, first.undecided))


def judged_all(found: dict[str, OutOfFold], terms: Terms, budget: Budget | None = None) -> Looked:
    return Looked(found, judged(found, terms), terms, budget)


def described(series: Series, how: Comparison, looked: Looked) -> Record:
    """How it was compared, and each recipe with its scores out of fold, its cost, and what it has of its own."""
    found, terms = looked.found, looked.terms
    records = {
        name: folder.read_record(series.settled.study.place / series.members(Folds(), name)[0].name) for name in found
    }
    first, images = next(iter(records.values())), next(iter(found.values())).ids
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
        "recipes": {name: row(series, name, found[name], records[name]) for name in found},
        "fingerprint": first["images"]["fingerprint"],
    }


def row(series: Series, name: str, found: OutOfFold, record: Record) -> Record:
    return {
        "network": record["network"],
        "parameters": record["parameters"],
        "differs": differs(next(iter(series.recipes.values())), series.recipes[name]),
        "accuracy": accuracy(found).to_dict(),
        "log_loss": statistics.log_loss(found.labels, found.mean),
        "repeats": len(found.fold),
        "seconds_of_a_run": record["seconds"],
    }


def differs(base: Recipe, other: Recipe) -> dict[str, Any]:
    """The fields in which a recipe differs from the first, with its own values."""
    values = flat(other.model_dump(mode="json"))
    return {name: values[name] for name in different_fields(base, other) if values[name] is not None}
