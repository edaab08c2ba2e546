"""The notes' advice as an experiment: with network, data and task fixed, try the regularizers one by one."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from saccade import statistics
from saccade.errors import InputError, suggestion
from saccade.events import Note, Work
from saccade.experiment.division import check_scored
from saccade.experiment.engine import Settled, check_engine, prepare_all, settle
from saccade.experiment.recipe import Recipe
from saccade.experiment.study import Member, Study, open_study, seeded

Record = dict[str, Any]
Fields = dict[str, dict[str, Any]]


@dataclass(frozen=True)
class Regularizer:
    """Fields of the recipe where it is off, and where it is on at a usual strength."""

    off: Fields
    on: Fields


def one(section: str, field: str, on: Any, off: Any = 0) -> Regularizer:
    return Regularizer({section: {field: off}}, {section: {field: on}})


REGULARIZERS = {
    "weight decay": one("optimizer", "weight_decay", 5e-4),
    "L1": one("optimizer", "l1", 1e-5),
    "sharpness-aware": one("optimizer", "sam", 0.05),
    "label smoothing": one("regularize", "label_smoothing", 0.1),
    "mixup": one("mix", "mixup", 0.2),
    "CutMix": one("mix", "cutmix", 1.0),
    "dropout": one("regularize", "dropout", 0.3),
    "spatial dropout": one("regularize", "spatial_dropout", 0.1),
    "DropBlock": one("regularize", "drop_block", 0.1),
    "stochastic depth": one("regularize", "drop_path", 0.1),
    "noise on weights": one("regularize", "weight_noise", 0.05),
    "noise on gradients": one("regularize", "gradient_noise", 1e-3),
    "noise on images": one("augment", "noise", 0.05),
    "shift or crop": one("augment", "crop", None, "none"),
    "mirroring": one("augment", "flip", True, False),
    "colour jitter": Regularizer(
        {"augment": dict.fromkeys(("brightness", "contrast", "saturation"), 0)},
        {"augment": dict.fromkeys(("brightness", "contrast", "saturation"), 0.4)},
    ),
    "rotation": one("augment", "rotate", 10),
    "random erasing": one("augment", "erase", 0.25),
    "Cutout": one("augment", "cutout", 0.5),
    "TrivialAugment": one("augment", "policy", "trivialaugment", None),
    "average of weights": one("average", "kind", "ema", "none"),
}


@dataclass(frozen=True)
class Ablation:
    """Which regularizers, all by default, how many seeds, and how many folds: 1 is the recipe's own validation part."""

    only: tuple[str, ...] = ()
    seeds: int = 3
    folds: int = 1
    engine: str = "auto"

    def __post_init__(self) -> None:
        check_engine(self.engine)
        for name in self.only:
            if name not in REGULARIZERS:
                known = ", ".join(REGULARIZERS)
                raise InputError(f'ablate: there is no regularizer "{name}"{suggestion(name, REGULARIZERS)} ({known})')
        if self.seeds < 1:
            raise InputError(f"ablate: at least one seed, not {self.seeds}")
        if self.folds < 1:
            raise InputError(f"ablate: at least one fold, not {self.folds}")

    def members(self, recipe: Recipe, name: str) -> list[Member]:
        """The runs of one recipe: every seed with every fold."""
        name = name.replace(" ", "-")
        if self.folds == 1:
            return seeded(recipe, name, self.seeds)
        numbers = range(self.folds)
        folds = [recipe.changed(split={"folds": self.folds, "fold": number}) for number in numbers]
        return [each for number in numbers for each in seeded(folds[number], f"{name}-fold-{number}", self.seeds)]


def ablate(recipe: Recipe, ablation: Ablation, place: Path | None = None, data: Any = None) -> Work[Record]:
    """Each regularizer of the recipe switched off in turn, each absent one on: a row for each, with the difference.

    Same seeds, same folds, same images; the last epoch of every run is measured on the validation images, which so choose
    nothing. The test part is not read: what is kept of this table is a choice.
    """
    settled = yield from opened(recipe, ablation, place, data)
    split = recipe.split.model_dump() | {"read_test": False}
    study, complete = settled.study, settled.recipes["base"].changed(split=split, checkpoint={"select": "last"})
    base = yield from study.runs(ablation.members(complete, "as-it-is"))
    if failed := [record["failed"] for record in base.values() if "failed" in record]:
        raise InputError(f"ablate: the recipe itself cannot be trained: {failed[0]}")
    variations = changes(complete, ablation.only or tuple(REGULARIZERS))
    yield Note(f"{len(variations) * len(base)} more runs of {recipe.epochs} epochs")
    rows = []
    for name, (change, changed) in variations.items():
        records = yield from study.runs(ablation.members(changed, f"{change} {name}"))
        rows.append({"regularizer": name, "change": change, **compared(study, list(base), records, ablation)})
        yield Note(said(rows[-1]))
    return {
        "study": str(study.place),
        "data": recipe.data,
        "network": next(iter(base.values()))["network"],
        "epochs": recipe.epochs,
        "seeds": ablation.seeds,
        "folds": ablation.folds,
        "base": {"accuracy": accuracy(study, list(base), ablation).to_dict()},
        "rows": adjusted(rows),
    }


def opened(recipe: Recipe, ablation: Ablation, place: Path | None, data: Any) -> Work[Settled]:
    """The study in its folder, with the recipe completed by the data and the machine."""
    first = ablation.members(recipe, "base")[0].recipe
    prepared = yield from prepare_all({"base": first.changed(seed=recipe.seed)}, data)
    check_scored(prepared["base"].store, prepared["base"].indices("validation"), "ablate")
    words = {"only": list(ablation.only), "seeds": ablation.seeds, "folds": ablation.folds}
    study = open_study(place, "ablate", recipe, words, data)
    yield Note(f"writing to {study.place}")
    runs = ablation.seeds * ablation.folds * (1 + len(ablation.only or REGULARIZERS))
    return (yield from settle(study, prepared, runs, ablation.engine))


def changes(recipe: Recipe, names: Sequence[str]) -> dict[str, tuple[str, Recipe]]:
    """For each regularizer the word for its change, and the recipe without it, or with it where it has been without."""
    found = {}
    for name in names:
        regularizer = REGULARIZERS[name]
        on = any(
            getattr(getattr(recipe, section), field) not in (off, None)
            for section, fields in regularizer.off.items()
            for field, off in fields.items()
        )
        found[name] = ("without", recipe.changed(**regularizer.off)) if on else ("with", recipe.changed(**regularizer.on))
    return found


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


def said(row: Record) -> str:
    if "failed" in row:
        return f"{row['change']} {row['regularizer']}: {row['failed']}"
    found = row["difference"]
    return f"{row['change']} {row['regularizer']}: {found['value']:+.4f} ({found['low']:+.4f} to {found['high']:+.4f})"
