"""The notes' advice as an experiment: with network, data and task fixed, try the regularizers one by one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from saccade import statistics
from saccade.errors import InputError
from saccade.events import Note, Work
from saccade.experiment.assemble import new_network
from saccade.experiment.division import check_scored
from saccade.experiment.engine import prepare_all, settle
from saccade.experiment.recipe import Recipe
from saccade.experiment.regularizers import REGULARIZERS, Choice, Regularizer, as_built, without_effect
from saccade.experiment.settings import Ablation
from saccade.experiment.setup import Prepared
from saccade.experiment.study import Study, open_study
from saccade.wording import in_points

Record = dict[str, Any]
LEVEL = 0.05


@dataclass(frozen=True)
class Change:
    """One regularizer switched off, which is `without` it, or on, perhaps in place of another that the recipe has."""

    regularizer: str
    word: str
    recipe: Recipe
    in_place_of: str = ""

    @property
    def name(self) -> str:
        return f"{self.word} {self.regularizer}" + (f" in place of {self.in_place_of}" if self.in_place_of else "")

    def row(self) -> Record:
        return {"regularizer": self.regularizer, "change": self.word, "in_place_of": self.in_place_of, "name": self.name}


def ablate(recipe: Recipe, ablation: Ablation, place: Path | None = None, data: Any = None) -> Work[Record]:
    """Each regularizer of the recipe switched off in turn, each absent one on: a row for each, with the difference.

    Same seeds, same folds, same images; the last epoch of every run is measured on the validation images, which so choose
    nothing. The test part is not read: what is kept of this table is a choice.
    """
    prepared = yield from completed(recipe, ablation, data)
    built, left_out = looked_at(prepared, ablation.names)
    for together in gathered(left_out):
        yield Note(f"not tried: {together}")
    names = [name for name in ablation.names if name not in left_out]
    if not names:
        raise InputError(f"ablate: nothing to try: {'; '.join(gathered(left_out))}")
    study = open_study(place, "ablate", recipe, ablation.words(), data)
    yield Note(f"writing to {study.place}")
    runs = ablation.seeds * ablation.folds
    settled = yield from settle(study, {"base": prepared}, runs * (1 + len(names)), ablation.engine)
    complete = measured(settled.recipes["base"])
    if recipe.stop != complete.stop:
        yield Note("every run trains all its epochs: early stopping would choose by the images that measure the rows")
    found = yield from tried(settled.study, ablation, complete, changes(complete, built, names))
    return {"data": recipe.data, "epochs": recipe.epochs, **found, "left_out": left_out}


def completed(recipe: Recipe, ablation: Ablation, data: Any) -> Work[Prepared]:
    """The recipe completed by the data, with its images, some of which must be there to measure by."""
    first = ablation.members(recipe, "base")[0].recipe
    prepared = yield from prepare_all({"base": first.changed(seed=recipe.seed)}, data)
    check_scored(prepared["base"].store, prepared["base"].indices("validation"), "ablate")
    return prepared["base"]


def looked_at(prepared: Prepared, names: Sequence[str]) -> tuple[Recipe, dict[str, str]]:
    """The recipe with what its network has of its own, and the regularizers that would change nothing, with the reason."""
    network = new_network(prepared)
    return as_built(prepared.recipe, network), without_effect(prepared, network, names)


def gathered(left_out: Mapping[str, str]) -> list[str]:
    """Those of one reason together: "hue, saturation (the images are grey)"."""
    together: dict[str, list[str]] = {}
    for name, why in left_out.items():
        together.setdefault(why, []).append(name)
    return [f"{', '.join(names)} ({why})" for why, names in together.items()]


def measured(recipe: Recipe) -> Recipe:
    """As every run of the study is: all epochs, the last of them on the validation images, and the test part not read."""
    never = {"patience": None, "improvement": 0}
    return recipe.changed(split={"read_test": False}, checkpoint={"select": "last"}, stop=never)


def changes(recipe: Recipe, built: Recipe, names: Sequence[str]) -> list[Change]:
    """For each regularizer the recipe without it where `built`, the recipe as it is built, has it, and else with it."""
    found = []
    for name in names:
        regularizer = REGULARIZERS[name]
        if regularizer.is_in(built):
            found.append(Change(name, "without", recipe.changed(**regularizer.off)))
        else:
            found.append(Change(name, "with", recipe.changed(**regularizer.on), in_place_of(regularizer, built)))
    return found


def in_place_of(regularizer: Regularizer, recipe: Recipe) -> str:
    """The name of what the recipe has for a field that can have one word alone; "" for all other fields."""
    field = regularizer.field if isinstance(regularizer, Choice) else ""
    others = {name: each for name, each in REGULARIZERS.items() if isinstance(each, Choice) and each.field == field}
    return next((name for name, each in others.items() if each.is_in(recipe)), "")


def tried(study: Study, ablation: Ablation, recipe: Recipe, found: Sequence[Change]) -> Work[Record]:
    """The runs of the recipe as it is, and of each change, with the difference."""
    base = yield from study.runs(ablation.members(recipe, "as-it-is"))
    if failed := [record["failed"] for record in base.values() if "failed" in record]:
        raise InputError(f"ablate: the recipe itself cannot be trained: {failed[0]}")
    rows = []
    for change in found:
        records = yield from study.runs(ablation.members(change.recipe, f"{change.word} {change.regularizer}"))
        rows.append(change.row() | compared(study, list(base), records, ablation))
        yield Note(row_in_words(rows[-1]))
    return {
        "study": str(study.place),
        "network": next(iter(base.values()))["network"],
        "seeds": ablation.seeds,
        "folds": ablation.folds,
        "base": {"accuracy": accuracy(study, list(base), ablation).to_dict()},
        "rows": adjusted(rows),
    }


def compared(study: Study, base: Sequence[str], records: dict[str, Record], ablation: Ablation) -> Record:
    """The difference that the change makes, changed minus unchanged: seed by seed, and image by image or fold by fold."""
    if failed := [record["failed"] for record in records.values() if "failed" in record]:
        return {"failed": failed[0]}
    names = list(records)
    if ablation.folds > 1:
        change = by_fold(study, names, ablation) - by_fold(study, base, ablation)
        found = statistics.corrected_t(change, 1 / ablation.folds)
    else:
        before, after = (study.outcomes(each, "validation") for each in (base, names))
        found = statistics.over_runs(after - before, study.units(names[0], "validation"))
    measured = {"difference": found.interval().to_dict(), "p": found.p_value()}
    return {"accuracy": accuracy(study, names, ablation).to_dict(), **measured}


def adjusted(rows: Sequence[Record]) -> list[Record]:
    """With the p value of each row as one of so many (Holm): those at most 0.05 hold all together in 95 % of studies."""
    p_values = iter(statistics.holm([row["p"] for row in rows if "p" in row]))
    return [row | {"p_adjusted": float(next(p_values))} if "p" in row else row for row in rows]


def accuracy(study: Study, names: Sequence[str], ablation: Ablation) -> statistics.Estimate:
    if ablation.folds > 1:
        return statistics.mean_over_folds(by_fold(study, names, ablation))
    return statistics.share_over_runs(study.outcomes(names, "validation"), groups=study.units(names[0], "validation"))


def by_fold(study: Study, names: Sequence[str], ablation: Ablation) -> np.ndarray:
    """(folds,) the accuracy on each fold, the mean over seeds; the names are in the order of `Ablation.members`."""
    rows = [study.outcomes(names[i : i + ablation.seeds], "validation") for i in range(0, len(names), ablation.seeds)]
    return np.array([row.mean() for row in rows])


def clear(rows: Sequence[Record]) -> list[Record]:
    """The rows whose difference can be told from chance, among all of them (Holm)."""
    return [row for row in rows if row.get("p_adjusted", 1.0) <= LEVEL]


def summary(rows: Sequence[Record]) -> str:
    measured = [row for row in rows if "failed" not in row]
    return (
        f"{len(clear(measured))} of {len(measured)} changes make a difference that can be told from chance (Holm); an "
        "interval is for its row alone, and of so many one in twenty leaves out zero by chance"
    )


def row_in_words(row: Record) -> str:
    if "failed" in row:
        return f"{row['name']}: {row['failed']}"
    return f"{row['name']}: {in_points(row['difference'])}"
