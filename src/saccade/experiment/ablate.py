"""The notes' advice as an experiment: with network, data and task fixed, try the regularizers one by one."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from saccade import statistics
from saccade.errors import InputError, suggestion
from saccade.events import Note, Work
from saccade.experiment import folder
from saccade.experiment.recipe import Recipe, make_recipe, read_recipe
from saccade.experiment.study import Study, open_study, seeded

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
    """Which regularizers, all by default, and how many seeds."""

    only: tuple[str, ...] = ()
    seeds: int = 3

    def __post_init__(self) -> None:
        for name in self.only:
            if name not in REGULARIZERS:
                known = ", ".join(REGULARIZERS)
                raise InputError(f'ablate: there is no regularizer "{name}"{suggestion(name, REGULARIZERS)} ({known})')
        if self.seeds < 1:
            raise InputError(f"ablate: at least one seed, not {self.seeds}")


def ablate(recipe: Recipe, ablation: Ablation, place: Path | None = None, data: Any = None) -> Work[Record]:
    """Each regularizer of the recipe switched off in turn, each absent one on: a row for each, with the difference.

    Same seeds, same images; the last epoch of every run is measured on the validation images, which so choose nothing. The
    test part is not read: what is kept of this table is a choice.
    """
    words = {"only": list(ablation.only), "seeds": ablation.seeds}
    study = open_study(place, "ablate", recipe, words, data)
    yield Note(f"writing to {study.place}")
    recipe = recipe.changed(split={"read_test": False}, checkpoint={"select": "last"})
    base = seeded(recipe, "as-it-is", ablation.seeds)
    first = yield from study.runs(base)
    if failed := [record["failed"] for record in first.values() if "failed" in record]:
        raise InputError(f"ablate: the recipe itself cannot be trained: {failed[0]}")
    if "validation" not in next(iter(first.values()))["scores"]:
        raise InputError("ablate: it is measured on validation images, and there are none; set --split.validation")
    complete = make_recipe(read_recipe(study.place / base[0].name / folder.RECIPE)).changed(data=recipe.data)
    variations = changes(complete, ablation.only or tuple(REGULARIZERS))
    yield Note(f"{len(variations) * ablation.seeds} more runs of {recipe.epochs} epochs")
    rows = []
    for name, (change, changed) in variations.items():
        members = seeded(changed, f"{change}-{name}".replace(" ", "-"), ablation.seeds)
        records = yield from study.runs(members)
        rows.append({"regularizer": name, "change": change, **compared(study, list(first), records)})
        yield Note(said(rows[-1]))
    return {
        "study": str(study.place),
        "data": recipe.data,
        "network": next(iter(first.values()))["network"],
        "epochs": recipe.epochs,
        "seeds": ablation.seeds,
        "base": {"accuracy": statistics.share_over_runs(study.outcomes(first, "validation")).to_dict()},
        "rows": rows,
    }


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


def compared(study: Study, base: Sequence[str], records: dict[str, Record]) -> Record:
    """The difference that the change makes, changed minus unchanged, seed by seed and image by image."""
    if failed := [record["failed"] for record in records.values() if "failed" in record]:
        return {"failed": failed[0]}
    before, after = (study.outcomes(names, "validation") for names in (base, records))
    return {
        "accuracy": statistics.share_over_runs(after).to_dict(),
        "difference": statistics.mean_over_runs(after - before).to_dict(),
    }


def said(row: Record) -> str:
    if "failed" in row:
        return f"{row['change']} {row['regularizer']}: {row['failed']}"
    found = row["difference"]
    return f"{row['change']} {row['regularizer']}: {found['value']:+.4f} ({found['low']:+.4f} to {found['high']:+.4f})"
