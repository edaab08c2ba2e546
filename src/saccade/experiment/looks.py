"""When a comparison is judged, and what is trained before: once, or in the two looks of a budget."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from saccade.errors import InputError
from saccade.events import Note, Work
from saccade.experiment.advice import Budget
from saccade.experiment.engine import Settled
from saccade.experiment.failures import failures, summary
from saccade.experiment.folds import OutOfFold, out_of_fold
from saccade.experiment.members import Member
from saccade.experiment.recipe import Recipe
from saccade.experiment.settings import Comparison, Folds
from saccade.experiment.terms import Terms
from saccade.experiment.verdict import concluded, counsel, judged, judged_pair, overall

Record = dict[str, Any]
LEVEL = 0.95
LOOKS = 2  # of a comparison with a budget: after one round of folds, and after all that the budget pays for
EACH_LOOK = 1 - (1 - LEVEL) / LOOKS
TWICE = (
    f"rounds that a budget pays for are judged twice, after the first and after all, each time at {100 * EACH_LOOK:g} %, "
    f"so that both together are wrong in at most 5 %; as many --repeats are judged once, at {100 * LEVEL:g} %"
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
        return (yield from self.settled.study.runs([each for same in zip(*several, strict=True) for each in same]))

    def failed(self, folds: Folds, records: Mapping[str, Record]) -> dict[str, str]:
        """The recipes of which a run has failed, and why: without it not every image has a score.

        To go by the folds that are there would be to choose images by an outcome.
        """
        found = {}
        for name in self.recipes:
            own = {each.name: records[each.name] for each in self.members(folds, name) if each.name in records}
            if why := failures(own):
                found[name] = summary(why, len(own))
        return found

    def outcomes(self, folds: Folds, names: Sequence[str]) -> dict[str, OutOfFold]:
        return {name: out_of_fold(self.settled.study, folds, self.members(folds, name)) for name in names}

    def seconds(self, records: Mapping[str, Record]) -> float:
        """What these runs take where none is stopped early, for what is paid for must not hang on their outcomes."""
        done = [record for record in records.values() if "failed" not in record]
        return sum(map(at_full_length, done)) / self.settled.study.processes


def at_full_length(record: Record) -> float:
    """The seconds of a run if it had trained all its epochs."""
    epochs, times = record["epochs"], record["times"]
    longer = epochs["planned"] / epochs["trained"] - 1
    return record["seconds"] + longer * (times["training"] + times["validation"])


@dataclass(frozen=True)
class Looked:
    """What was found of each recipe, what is said of each pair, on what terms, and with a budget what more would take.

    `failed`: the recipes that could not be trained, and why.
    """

    found: dict[str, OutOfFold]
    pairs: list[Record]
    terms: Terms
    failed: dict[str, str]
    budget: Budget | None = None

    @property
    def verdict(self) -> str:
        return overall(list(self.found), self.pairs)

    @property
    def undecided(self) -> list[str]:
        """The recipes that cannot yet be told from some other."""
        pairs = [pair for pair in self.pairs if pair["verdict"] == "not distinguishable"]
        return [name for name in self.found if any(name in (pair["a"], pair["b"]) for pair in pairs)]

    def without(self, failed: Mapping[str, str]) -> "Looked":
        """Where a run of more repeats has failed: nothing is said of these recipes any more."""
        found = {name: each for name, each in self.found.items() if name not in failed}
        pairs = [pair for pair in self.pairs if pair["a"] in found and pair["b"] in found]
        return replace(self, found=found, pairs=pairs, failed={**self.failed, **failed})

    def again(self, found: Mapping[str, OutOfFold]) -> "Looked":
        """With more repeats of some recipes: pairs that were undecided are judged anew, what was decided stands."""
        pairs = [
            judged_pair((pair["a"], pair["b"]), (found[pair["a"]], found[pair["b"]]), self.terms)
            if pair["verdict"] == "not distinguishable"
            else pair
            for pair in self.pairs
        ]
        return replace(self, found={**self.found, **found}, pairs=pairs)

    def conclusion(self) -> Record:
        return {
            **concluded(self.found, self.pairs, self.terms.margin, self.failed),
            **counsel(self.found, self.pairs, self.terms, self.budget),
        }


def judged_once(series: Series, how: Comparison) -> Work[Looked]:
    """Train, and judge the recipes that could be trained."""
    failed = series.failed(how.folds, (yield from series.train(how.folds, list(series.recipes))))
    left = left_of(series, failed)
    return judged_all(series.outcomes(how.folds, left), terms_of(how, left), failed)


def left_of(series: Series, failed: Mapping[str, str]) -> list[str]:
    """The recipes that could be trained; InputError where there is none."""
    left = [name for name in series.recipes if name not in failed]
    if not left:
        name, why = next(iter(failed.items()))
        raise InputError(f"compare: neither {' nor '.join(failed)} could be trained; {name}: {why}")
    return left


def terms_of(how: Comparison, names: Sequence[str]) -> Terms:
    """Of all pairs of these recipes at once; that others failed is taken to say nothing of how these differ."""
    return Terms(how.margin, LEVEL, max(1, len(names) * (len(names) - 1) // 2))


def two_looks(series: Series, how: Comparison) -> Work[Looked]:
    """After one round of folds, and, unless that has answered, after as many rounds as the budget pays for.

    Each look is taken at half of 5 %, so that together they say anything wrong in no more than 5 % (Bonferroni). For this
    the number of rounds must not hang on outcomes: it hangs on the time of a round of all recipes alone, which is counted
    as if no run had been stopped early. Of more than two recipes, those that the first look has told from every other train
    no more. The time that they leave is not spent on the rest: that would make the rounds hang on outcomes, and to allow
    for each number that might come (5 % divided once more) costs wider intervals than the rounds would gain, since repeats
    share their images. Rounds are whole, and of two recipes alike: an image counts once both have scored it, in every fold.

    What is bought is rounds, never more seeds in a fold. A round has other seeds as well as another division, and it adds
    degrees of freedom, which seeds do not: two rounds of five folds narrow the interval of one to 0.68 of it, two seeds to
    0.71 at best, where nothing but the seed tells folds apart. (Of ten folds two rounds narrow it to 0.79; seeds do better
    where their part of the variance between folds is above three quarters.) How large that part is, one seed cannot tell;
    and to choose by what the first look has measured would make the second one hang on outcomes. What seeds would bring,
    the advice says afterwards.
    """
    assert how.budget is not None
    once = replace(how.folds, repeats=1)
    records = yield from series.train(once, list(series.recipes))
    failed, seconds = series.failed(once, records), series.seconds(records)
    left, rounds = left_of(series, failed), int(how.budget // seconds)
    yield Note(paid(how.budget, seconds, early(records)))
    if rounds >= LOOKS and len(left) > 1:
        yield Note(TWICE)
    terms = terms_of(how, left)
    of_two = replace(terms, level=EACH_LOOK)
    first = judged_all(series.outcomes(once, left), terms if rounds < 2 else of_two, failed)
    first = replace(first, budget=Budget(seconds, of_two))
    return (
        first
        if rounds < 2 or len(left) < 2
        else (yield from second_look(series, replace(how.folds, repeats=rounds), first))
    )


def second_look(series: Series, folds: Folds, first: Looked) -> Work[Looked]:
    """With all rounds, of the recipes that the first look has left undecided."""
    assert first.budget is not None
    if first.verdict != "not distinguishable":
        yield Note("decided after one round: the rest of the budget is not spent")
        return replace(first, budget=replace(first.budget, ended=True))
    if settled := [name for name in first.found if name not in first.undecided]:
        yield Note(f"settled after one round, and trained no more: {', '.join(settled)}")
    further = (folds.repeats - 1) * replace(folds, repeats=1).runs * len(first.undecided)
    yield series.settled.study.tally.more(further, "the other rounds that the budget pays for")
    failed = series.failed(folds, (yield from series.train(folds, first.undecided)))
    left_of(series, first.failed | failed)
    still = [name for name in first.undecided if name not in failed]
    return first.without(failed).again(series.outcomes(folds, still))


def paid(budget: float, seconds: float, early: bool) -> str:
    """What a round takes, and how many the budget pays for."""
    took = f"a round of folds takes {spelled(seconds)}"
    counted = ", counted as if no run had been stopped early" if early else ""
    if seconds > budget:
        return f"{took}{counted}, more than the budget of {spelled(budget)}, so it is the only one"
    return f"{took}{counted}; the budget pays for {int(budget // seconds)}"


def spelled(seconds: float) -> str:
    return f"{seconds:.2g} s" if seconds < 10 else f"{seconds:,.0f} s"


def early(records: Mapping[str, Record]) -> bool:
    """Whether any run was stopped early."""
    found = [record["epochs"] for record in records.values() if "failed" not in record]
    return any(epochs["trained"] < epochs["planned"] for epochs in found)


def judged_all(found: dict[str, OutOfFold], terms: Terms, failed: dict[str, str]) -> Looked:
    return Looked(found, judged(found, terms), terms, failed)
