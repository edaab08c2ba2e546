"""One field varied: where the error comes from (bias or variance), and what more images bring."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from saccade import statistics
from saccade.errors import InputError
from saccade.events import Note, Work
from saccade.experiment import folder, outcome
from saccade.experiment.division import check_scored
from saccade.experiment.engine import check_engine, prepare_all, settle
from saccade.experiment.folds import check_done
from saccade.experiment.processes import Member
from saccade.experiment.recipe import Recipe, changed_fields
from saccade.experiment.setup import Prepared
from saccade.experiment.study import Study, open_study
from saccade.zoo import find

Record = dict[str, Any]
OPTION = "network."  # --vary network.width=0.5: an option of the network, not a field of the recipe
SIZES = 5  # of a learning curve, each twice the one before
SMALLEST = 2  # training images of a class, on average, at its left end


@dataclass(frozen=True)
class Curve:
    """The field, its values, and how many runs there are at each of them."""

    field: str
    values: tuple[Any, ...]
    members: int = 5
    engine: str = "auto"

    def __post_init__(self) -> None:
        check_engine(self.engine)
        if self.members < 2:
            raise InputError(f"members: two at least, for their spread is what is measured, not {self.members}")
        if not self.values or len(set(map(str, self.values))) < len(self.values):
            raise InputError(
                f"{self.field}: one value at least, each once, not {', '.join(map(str, self.values)) or 'none'}"
            )


def bias_variance(recipe: Recipe, curve: Curve, place: Path | None = None, data: Any = None) -> Work[Record]:
    """Members on bootstrap samples for each value; their error, and the parts of it that they share and do not share.

    Scored are the validation images, which here choose nothing: the last epoch is used. The test part is not read.
    """
    varied = {str(value): changed(recipe, curve.field, value).changed(split={"bootstrap": True}) for value in curve.values}
    study, members = yield from trained("bias-variance", recipe, varied, curve, (place, data))
    rows = []
    for value in curve.values:
        names = [member.name for member in members[str(value)]]
        parts = decompositions(*said(study, names), study.units(names[0], "validation"))
        rows.append({"value": value, **about(study, members[str(value)][0]), **parts})
        yield Note(words_of(curve.field, rows[-1]))
    return described(study, recipe, curve, rows)


def learning_curve(
    recipe: Recipe, sizes: Sequence[int], members: int, engine: str = "auto", where: tuple[Path | None, Any] = (None, None)
) -> Work[Record]:
    """Accuracy on the validation images after training on more and more images, several seeds with their own images each.

    Where the last size is all there are, its trainings share their images, and its interval is for other seeds alone.
    `sizes`: training images; none: five, each twice the one before, the last all there are. `where`: folder, and data in
    memory. The test part is not read.
    """
    if not sizes:
        prepared = yield from prepare_all({"recipe": recipe}, where[1])
        sizes = halved(prepared["recipe"])
    curve = Curve("split.images", tuple(sorted(sizes)), members, engine)
    varied = {str(size): changed(recipe, curve.field, size) for size in curve.values}
    study, runs = yield from trained("learning-curve", recipe, varied, curve, where)
    rows: list[Record] = []
    last = None
    for size in curve.values:
        names = [member.name for member in runs[str(size)]]
        likely, labels = said(study, names)
        units, right = study.units(names[0], "validation"), (likely.argmax(-1) == labels).astype(np.float64)
        row = {"value": size, **about(study, runs[str(size)][0])}
        row["accuracy"] = statistics.share_over_runs(right, groups=units).to_dict()
        row["log_loss"] = float(np.mean([statistics.log_loss(labels, each) for each in likely]))
        row |= {"gain": statistics.mean_over_runs(right - last, groups=units).to_dict()} if last is not None else {}
        rows, last = [*rows, row], right
        yield Note(grown(row))
    return described(study, recipe, curve, rows)


def grown(row: Record) -> str:
    score = row["accuracy"]
    return f"{row['images']:,} images: accuracy {score['value']:.4f} ({score['low']:.4f} to {score['high']:.4f})"


def halved(prepared: Prepared) -> list[int]:
    """All training images, half of them, and so on, while every class keeps some."""
    count, classes = len(prepared.indices("train")), len(prepared.store.classes)
    sizes = [count >> i for i in range(SIZES)]
    return [size for size in reversed(sizes) if size >= SMALLEST * classes] or [count]


def changed(recipe: Recipe, field: str, value: Any) -> Recipe:
    """The recipe with this value; `network.width` is an option of the network that it names."""
    if recipe.stop.patience is not None:
        raise InputError("stop.patience: early stopping would choose by the images that are scored; leave it out")
    recipe = recipe.changed(checkpoint={"select": "last"}, split={"read_test": False})
    if not field.startswith(OPTION):
        return changed_fields(recipe, {field: value})
    if recipe.network is None:
        raise InputError(f"{field}: an option of a network; name it, such as --network mobilenet_v1")
    network = f"{recipe.network}{',' if ':' in recipe.network else ':'}{field.removeprefix(OPTION)}={value}"
    find(network)  # an option that it does not have is told before any data are read
    return recipe.changed(network=network)


def trained(
    kind: str, recipe: Recipe, varied: dict[str, Recipe], curve: Curve, where: tuple[Path | None, Any]
) -> Work[tuple[Study, dict[str, list[Member]]]]:
    """The members of every value, trained."""
    place, data = where
    prepared = yield from prepare_all(varied, data)
    first = next(iter(prepared.values()))
    check_scored(first.store, first.indices("validation"), kind)
    words = {"field": curve.field, "values": list(curve.values), "members": curve.members}
    study = open_study(place, kind, recipe, words, data)
    yield Note(f"writing to {study.place}")
    settled = yield from settle(study, prepared, curve.members * len(varied), curve.engine)
    split = {"seed": recipe.seed if recipe.split.seed is None else recipe.split.seed}
    members = {
        name: [
            Member(f"value-{k}-{i}", settled.recipes[name].changed(seed=recipe.seed + i, split=split))
            for i in range(curve.members)
        ]
        for k, name in enumerate(varied)
    }
    records = yield from settled.study.runs(
        [each for i in range(curve.members) for each in (m[i] for m in members.values())]
    )
    check_done(records)
    return settled.study, members


def said(study: Study, names: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """(M, N, C) the probabilities of these runs on the validation images, and the labels (N,)."""
    rows, labels = [], np.zeros(0, np.int64)
    for name in names:
        kept = outcome.of_part(study.place / name, "validation")
        order = np.argsort(kept["ids"], kind="stable")
        rows.append(kept["probabilities"][order])
        labels = kept["labels"][order]
    return np.stack(rows), labels


def about(study: Study, member: Member) -> Record:
    record = folder.read_record(study.place / member.name)
    return {"parameters": record["parameters"], "images": record["splits"]["train"]["images"]}


def decompositions(likely: np.ndarray, labels: np.ndarray, units: np.ndarray) -> Record:
    """Error, bias and variance, of log loss (Heskes) and of wrong classes (Kohavi and Wolpert; Domingos)."""
    predicted = likely.argmax(-1)
    found = {
        "log_loss": statistics.log_loss_decomposition(likely, labels, units),
        "kohavi_wolpert": statistics.zero_one_kohavi_wolpert(predicted, labels, likely.shape[-1], units),
        "domingos": statistics.zero_one_domingos(predicted, labels, units),
    }
    return {name: asdict(each) for name, each in found.items()}


def words_of(field: str, row: Record) -> str:
    found = row["log_loss"]
    parts = ", ".join(f"{name} {found[name]['value']:.3f}" for name in ("bias", "variance"))
    return f"{field} {row['value']}: log loss {found['error']['value']:.3f} = {parts}"


def described(study: Study, recipe: Recipe, curve: Curve, rows: Sequence[Record]) -> Record:
    first = folder.read_record(study.place / "value-0-0")
    return {
        "study": str(study.place),
        "data": recipe.data,
        "network": first["network"],
        "field": curve.field,
        "members": curve.members,
        "scored": first["splits"]["validation"]["images"],
        "rows": list(rows),
    }
