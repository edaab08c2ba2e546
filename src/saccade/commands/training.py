"""The commands that train, and use what was trained: doctor, train, resume, evaluate, predict, export."""

import csv
import io
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from saccade.data.listing import in_words
from saccade.data.sources import check_source, open_source
from saccade.errors import InputError, suggestion
from saccade.events import Note, Work
from saccade.experiment import folder
from saccade.experiment.idle import check_idle
from saccade.experiment.recipe import IN_MEMORY, Recipe, make_recipe
from saccade.experiment.recipe_files import read_recipe, recipe_file, weights_file
from saccade.writing import check_output
from saccade.zoo import find

if TYPE_CHECKING:
    from saccade.experiment.predict import Predictions

Record = dict[str, Any]
VERIFIED = 64  # images on which an export is compared


def recipe_of(data: Any = None, recipe: str | Path | None = None, **fields: Any) -> Recipe:
    """The recipe of a file, of fields, or of both (fields win); sections as dictionaries: `optimizer={"lr": 0.1}`."""
    words: dict[str, Any] = read_recipe(recipe_file(recipe)) if recipe is not None else {}
    if recipe is not None:
        make_recipe({"data": "digits", **words}, str(recipe))
    for name, value in fields.items():
        known = words.get(name)
        words[name] = known | value if isinstance(value, dict) and isinstance(known, dict) else value
    if isinstance(data, str | Path):
        words["data"] = str(data)
    elif data is not None:
        words["data"] = IN_MEMORY
    if "data" not in words:
        raise InputError("no data: name a folder of images, a CSV, or `digits`")
    made = make_recipe(words)
    check_idle(made, fields)
    if made.data != IN_MEMORY:
        check_source(made.data, made.split.group)
    if made.network is not None:
        find(made.network)  # a name that is none is told before any data are read
    if made.weights is not None:
        weights_file(made.weights)
    return made


def train(data: Any = None, out: str | Path | None = None, recipe: str | Path | None = None, **fields: Any) -> Work[Record]:
    """Train on `data` (a path, a name, arrays (X, y) or a sequence of pairs) and write the run folder and its report."""
    wanted, place = recipe_of(data, recipe, **fields), Path(out) if out is not None else None
    folder.check_free(place)

    from saccade.experiment.run import train as work

    in_memory = None if data is None or isinstance(data, str | Path) else data
    record = yield from work(wanted, place, in_memory)
    return (yield from report_of(Path(record["run"]), record))


def resume(run: str | Path, data: Any = None) -> Work[Record]:
    """Go on with an interrupted run; `data` again when it was in memory."""
    folder.check_run(Path(run))

    if (Path(run) / folder.STUDY).is_file():
        raise InputError(f"{run}: these are several runs; the same words as before, with --out {run}, go on with them")

    from saccade.experiment.run import resume as work

    return (yield from report_of(Path(run), (yield from work(Path(run), data))))


def report_of(run: Path, record: Record) -> Work[Record]:
    from saccade.report import pictured, write_report

    ids = pictured(run)
    file = write_report(run, pictures_of(record["images"]["fingerprint"], ids))
    yield Note(f"report: {file}")
    return record


def pictures_of(fingerprint: str, ids: Sequence[str]) -> dict[str, Any]:
    """The stored pixels of these images, where the store still stands."""
    from saccade.data.store import open_stored

    store = open_stored(fingerprint)
    if store is None:
        return {}
    where = {name: i for i, name in enumerate(store.ids)}
    return {name: store.pixels[where[name]] for name in ids if name in where}


def both_intervals(record: Record) -> tuple[str, ...]:
    """What the two kinds of interval of a cross-validation hold for."""
    if "out_of_fold" not in record["scores"]:
        return ()
    from saccade.experiment.crossval import intervals

    return intervals(record)


def evaluate(run: str | Path, data: Any = None, views: str = "center") -> Work[Record]:
    """The record of the run, or, with `data`, its scores on other labelled images in the same form.

    With `views` other than "center" (mirror, five, ten, shifts) the mean over several views of each image is scored.

    Images on which the run has trained or selected are recognized by their pixels and not scored;
    `findings` tells how many others look like one of them.
    """
    record = folder.read_record(Path(run))
    if "scores" not in record:
        raise InputError(f"{run}: this is a study of several runs; name one of the run folders in it")
    if data is None:
        if views == "center":
            yield from map(Note, both_intervals(record))
            return record
        data = make_recipe(read_recipe(Path(run) / folder.RECIPE)).data

    from saccade.experiment import model
    from saccade.experiment.predict import evaluate as work

    start = time.monotonic()
    found = yield from work(Path(run), model.looking(model.load(Path(run)), views), data)
    if left := found.predictions.left_out:
        yield Note(in_words(left))
    for each in found.findings:
        yield Note(f"{each.kind}: {each.text}")
    described = dict(found.described)
    scores = described.pop("scores")
    about = {key: record[key] for key in ("run", "network", "seed", "classes")}
    seconds = round(time.monotonic() - start, 2)
    name = str(data) if isinstance(data, str | Path) else "arrays"
    left_out = [{"file": each.file, "reason": each.reason} for each in found.predictions.left_out]
    findings = [asdict(each) for each in found.findings]
    about |= {"seconds": seconds, "data": name, "left_out": left_out, "findings": findings}
    return about | {"scores": {"test": scores}} | described


def predict(run: str | Path, images: Any, views: str = "center") -> "Work[Predictions]":
    """Class and probabilities of image files and of every image in folders, or of images in memory.

    `images`: a path, several paths, one image or several: PIL images, or arrays (H, W), (H, W, C), (C, H, W). `views`: as
    for evaluate.
    """
    folder.check_run(Path(run))
    several = list(images) if isinstance(images, list | tuple) or getattr(images, "ndim", 0) == 4 else [images]
    for each in several:
        if isinstance(each, str | Path) and not Path(each).exists():
            raise InputError(f"{each}: there is no such file or folder")

    from saccade.experiment import model
    from saccade.experiment.predict import predict as work
    from saccade.experiment.predict import predict_pictures

    loaded = model.looking(model.load(Path(run)), views)
    if all(isinstance(each, str | Path) for each in several):
        return (yield from work(loaded, [Path(each) for each in several]))
    return (yield from predict_pictures(loaded, several))


def prediction_rows(predictions: "Predictions") -> list[dict[str, Any]]:
    """For each image file, class and its probability; of an ensemble also entropy, mutual_information and spread."""
    unsure = predictions.uncertainty
    numbers = {"probability": predictions.probabilities.max(1), **(vars(unsure) if unsure is not None else {})}
    return [
        {"file": name, "class": label, **{key: round(float(values[i]), 6) for key, values in numbers.items()}}
        for i, (name, label) in enumerate(zip(predictions.ids, predictions.labels, strict=True))
    ]


def predictions_csv(predictions: "Predictions") -> str:
    """One line for each image: what `prediction_rows` has, then the probability of every class.

    The column of a class that is called like one of the first, such as "file", is "p:file".
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    rows = prediction_rows(predictions)
    writer.writerow([*rows[0], *(f"p:{name}" if name in rows[0] else name for name in predictions.classes)])
    for row, likely in zip(rows, predictions.probabilities, strict=True):
        words = [f"{value:.6f}" if isinstance(value, float) else value for value in row.values()]
        writer.writerow([*words, *(f"{p:.6f}" for p in likely)])
    return text.getvalue()


def export(run: str | Path, to: str = "onnx", out: str | Path | None = None, data: Any = None) -> Work[Record]:
    """Write the trained network as ONNX into the run folder (or `out`), compared with onnxruntime on real images.

    The images are the run's own, or those of `data` where these are no longer there.
    """
    if to != "onnx":
        raise InputError(f'there is no export to "{to}"{suggestion(to, ["onnx"])} (known: onnx)')
    file = Path(out) if out is not None else Path(run) / "model.onnx"
    record = folder.read_record(Path(run))
    check_output(file, ".onnx")
    if out is not None and file.is_file():
        yield Note(f"{file} is there already, and is replaced")

    from saccade.experiment import model
    from saccade.experiment.export import export_onnx
    from saccade.experiment.training_images import images_of

    loaded = model.load(Path(run))
    pixels = (yield from images_of(Path(run), record, loaded.preprocess, data)).pixels
    yield Note(f"exporting, and comparing with onnxruntime on {min(VERIFIED, len(pixels))} images")
    difference = export_onnx(loaded, file, pixels[-VERIFIED:])
    return {"file": str(file), "largest_difference": difference, "images": min(VERIFIED, len(pixels))}


def doctor(data: Any, size: int | None = None, group: str | None = None) -> Work[Record]:
    """Open every image and tell what is used, what is left out and why, and what looks wrong.

    `group` names a column of a CSV whose values should not be in two parts (a patient, a film).
    """
    from saccade.data.doctor import diagnose

    listing = open_source(data, group)

    from saccade.experiment.setup import complete, stored_side

    name = str(data) if isinstance(data, str | Path) else "arrays"
    recipe = complete(make_recipe({"data": name, "images": {"size": size}}), listing)
    return (yield from diagnose(listing, stored_side(recipe)))
