"""One field varied: where the error comes from (bias or variance), and what more images bring."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from saccade import statistics
from saccade.errors import InputError
from saccade.events import Note, Work
from saccade.experiment import folder, outcome
from saccade.experiment.division import check_scored
from saccade.experiment.engine import prepare_all, settle
from saccade.experiment.failures import failures, summary
from saccade.experiment.lowest import above_lowest, headline
from saccade.experiment.members import Member
from saccade.experiment.recipe import Recipe
from saccade.experiment.settings import SIZE, Curve
from saccade.experiment.setup import Prepared
from saccade.experiment.study import Study, open_study, quietly
from saccade.wording import in_points

Record = dict[str, Any]
SIZES = 5  # of a learning curve, each twice the one before
SMALLEST = 2  # training images of a class, on average, at its left end


def bias_variance(recipe: Recipe, curve: Curve, place: Path | None = None, data: Any = None) -> Work[Record]:
    """Members on bootstrap samples for each value; their error, and the parts of it that they share and do not share.

    Scored are the validation images, which here choose nothing: the last epoch is used. The test part is not read. Members
    that fail are left out and named; of a value that keeps fewer than two of them there is no row.
    """
    varied = {name: each.changed(split={"bootstrap": True}) for name, each in curve.recipes(recipe).items()}
    prepared = yield from prepare_all(varied, data)
    found = yield from trained("bias-variance", recipe, prepared, curve, (place, data))
    rows, losses = list[Record](), list[dict[int, np.ndarray]]()
    for point in found.points:
        names = [member.name for member in point.members]
        (likely, labels), units = predictions(found.study, names), found.study.units(names[0], "validation")
        rows.append({**point.about(found.study), **decompositions(likely, labels, units)})
        losses.append(by_seed(point, [statistics.log_losses(labels, each) for each in likely]))
        yield Note(words_of(curve.field, rows[-1]))
    scored = {(each.store.source, *each.store.ids[each.indices("validation")].tolist()) for each in prepared.values()}
    above = above_lowest(losses, units) if len(scored) == 1 else [None] * len(rows)
    rows = [row | {"above_lowest": difference} for row, difference in zip(rows, above, strict=True)]
    if len(rows) > 1:
        yield Note(headline(curve.field, rows))
    if curve.field == SIZE and (words := by_class(rows)):
        yield Note(words)
    return (yield from described(found, recipe, rows))


def learning_curve(
    recipe: Recipe, sizes: Sequence[int], members: int, engine: str = "auto", where: tuple[Path | None, Any] = (None, None)
) -> Work[Record]:
    """Accuracy on the validation images after training on more and more images, several seeds with their own images each.

    Where the last size is all there are, its trainings share their images, and its interval is for other seeds alone.
    `sizes`: training images; none: five, each twice the one before, the last all there are. `where`: folder, and data in
    memory. The test part is not read.
    """
    every = (yield from prepare_all({"recipe": recipe}, where[1]))["recipe"]
    curve = Curve(SIZE, (yield from within(sizes, every)) if sizes else halved(every), members, engine)
    prepared = yield from quietly(prepare_all(curve.recipes(recipe), where[1]), "data")
    found = yield from trained("learning-curve", recipe, prepared, curve, where)
    rows: list[Record] = []
    last: dict[int, np.ndarray] = {}
    for point in found.points:
        units = found.study.units(point.members[0].name, "validation")
        row, right = measured(found.study, point, units)
        rows, last = [*rows, row | gain(last, right, units)], right
        yield Note(grown(row))
    if words := by_class(rows):
        yield Note(words)
    yield from map(Note, gained(rows))
    return (yield from described(found, recipe, rows))


def gain(before: dict[int, np.ndarray], after: dict[int, np.ndarray], units: np.ndarray) -> Record:
    """What the runs (images,) with the seeds that both sizes have gained; nothing where there are fewer than two."""
    both = sorted(set(before) & set(after))
    if len(both) < 2:
        return {}
    differences = np.stack([after[seed] - before[seed] for seed in both])
    return {"gain": statistics.mean_over_runs(differences, groups=units).to_dict()}


def grown(row: Record) -> str:
    score = row["accuracy"]
    return (
        f"{row['images']:,} images: accuracy {score['value']:.4f} ({score['low']:.4f} to {score['high']:.4f}){fewer(row)}"
    )


def gained(rows: Sequence[Record]) -> list[str]:
    """A line on what the last step in size brought, where that is known."""
    if "gain" not in rows[-1]:
        return []
    between = f"from {rows[-2]['images']:,} to {rows[-1]['images']:,} images"
    return [f"{between} it gained {in_points(rows[-1]['gain'])}"]


def by_class(rows: Sequence[Record]) -> str:
    """Why sizes are not quite those that were asked for; nothing where all are."""
    other = [f"{row['images']:,} in place of {row['value']:,}" for row in rows if row["images"] != row["value"]]
    return f"Each class gives its share of all the images there are, rounded: {', '.join(other)}." if other else ""


def fewer(row: Record) -> str:
    """By how many runs, where some have failed."""
    return f", by {row['members']} runs: {', '.join(row['failed'])} failed" if row["failed"] else ""


def within(sizes: Sequence[int], prepared: Prepared) -> Work[list[int]]:
    """The sizes in order, each once, those beyond all training images as all of them; InputError where one is left."""
    count = len(prepared.indices("train"))
    if beyond := sorted({size for size in sizes if size > count}):
        come = "comes" if len(beyond) == 1 else "come"
        words = " and ".join(f"{size:,}" for size in beyond)
        yield Note(f"sizes: there are {count:,} training images, which is what {words} {come} to")
    found = sorted({min(size, count) for size in sizes})
    if len(found) < 2:
        raise InputError(f"sizes: a curve takes two sizes at least, and there is one, {found[0]:,} images")
    return found


def halved(prepared: Prepared) -> list[int]:
    """All training images, half of them, and so on, while every class keeps some."""
    count, classes = len(prepared.indices("train")), len(prepared.store.classes)
    sizes = [count >> i for i in range(SIZES)]
    return [size for size in reversed(sizes) if size >= SMALLEST * classes] or [count]


@dataclass(frozen=True)
class Point:
    """A value with those of its members that were trained, and why each of the others failed."""

    value: Any
    members: list[Member]
    failed: dict[str, str]

    def about(self, study: Study) -> Record:
        record = folder.read_record(study.place / self.members[0].name)
        found = {"value": self.value, "parameters": record["parameters"], "images": record["splits"]["train"]["images"]}
        return {**found, "members": len(self.members), "failed": list(self.failed)}


@dataclass(frozen=True)
class Trained:
    """A curve with all its points."""

    study: Study
    curve: Curve
    every: list[Point]

    @property
    def points(self) -> list[Point]:
        """Those that keep two members at least, whose spread can be measured."""
        return [point for point in self.every if len(point.members) > 1]


def trained(
    kind: str, recipe: Recipe, prepared: Mapping[str, Prepared], curve: Curve, where: tuple[Path | None, Any]
) -> Work[Trained]:
    """The members of every value, trained; InputError where of no value there are two."""
    place, data = where
    first = next(iter(prepared.values()))
    check_scored(first.store, first.indices("validation"), kind)
    words = {"field": curve.field, "values": list(curve.values), "members": curve.members}
    study = open_study(place, kind, recipe, words, data)
    yield Note(f"writing to {study.place}")
    settled = yield from settle(study, prepared, curve.members * len(prepared), curve.engine)
    split = {"seed": recipe.seed if recipe.split.seed is None else recipe.split.seed}
    members = [
        [
            Member(
                f"value-{k}-{i}",
                settled.recipes[name].changed(seed=recipe.seed + i, split=split),
                f"{curve.field} {curve.values[k]}",
            )
            for i in range(curve.members)
        ]
        for k, name in enumerate(prepared)
    ]
    every = [each for same in zip(*members, strict=True) for each in same]
    failed = failures((yield from settled.study.runs(every)))
    found = Trained(
        settled.study, curve, [point_of(value, own, failed) for value, own in zip(curve.values, members, strict=True)]
    )
    if not found.points:
        raise InputError(f"{kind}: {summary(failed, len(every))}")
    return found


def point_of(value: Any, members: Sequence[Member], failed: Mapping[str, str]) -> Point:
    names = [member.name for member in members]
    there = [member for member in members if member.name not in failed]
    return Point(value, there, {name: failed[name] for name in names if name in failed})


def measured(study: Study, point: Point, units: np.ndarray) -> tuple[Record, dict[int, np.ndarray]]:
    """Accuracy and log loss of the runs of a point, and by the seed of each run which images (N,) it has right."""
    likely, labels = predictions(study, [member.name for member in point.members])
    right = (likely.argmax(-1) == labels).astype(np.float64)
    row = point.about(study)
    row["accuracy"] = statistics.share_over_runs(right, groups=units).to_dict()
    row["log_loss"] = float(np.mean([statistics.log_loss(labels, each) for each in likely]))
    return row, by_seed(point, list(right))


def by_seed(point: Point, outcomes: Sequence[np.ndarray]) -> dict[int, np.ndarray]:
    """What each run of the point has of every image, by the seed of the run."""
    return {member.recipe.seed: each for member, each in zip(point.members, outcomes, strict=True)}


def predictions(study: Study, names: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """(M, N, C) the probabilities of these runs on the validation images, and the labels (N,)."""
    rows, labels = [], np.zeros(0, np.int64)
    for name in names:
        kept = outcome.of_part(study.place / name, "validation")
        order = np.argsort(kept["ids"], kind="stable")
        rows.append(kept["probabilities"][order])
        labels = kept["labels"][order]
    return np.stack(rows), labels


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
    error, *parts = (
        f"{found[name]['value']:z.3f} ({found[name]['low']:z.3f} to {found[name]['high']:z.3f})"
        for name in ("error", "bias", "variance")
    )
    return f"{field} {row['value']}: log loss {error} = bias {parts[0]} + variance {parts[1]}{fewer(row)}"


def described(trained: Trained, recipe: Recipe, rows: Sequence[Record]) -> Work[Record]:
    """The record, after a note for each value that is left out of the curve."""
    first = folder.read_record(trained.study.place / trained.points[0].members[0].name)
    record = {
        "study": str(trained.study.place),
        "data": recipe.data,
        "network": first["network"],
        "field": trained.curve.field,
        "members": trained.curve.members,
        "scored": first["splits"]["validation"]["images"],
        "rows": list(rows),
        "failed": [
            {"value": point.value, "run": name, "why": why} for point in trained.every for name, why in point.failed.items()
        ],
    }
    for words in left_out(record):
        yield Note(words)
    return record


def left_out(record: Record) -> list[str]:
    """A line for each value of which too few members could be trained."""
    there, missing = {str(row["value"]) for row in record["rows"]}, dict[str, dict[str, str]]()
    for each in record["failed"]:
        if str(each["value"]) not in there:
            missing.setdefault(str(each["value"]), {})[each["run"]] = each["why"]
    return [
        f"{record['field']} {value}: left out, {summary(failed, record['members'])}" for value, failed in missing.items()
    ]
