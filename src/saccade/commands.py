"""Every command as a plain Python function; the command line only parses words and prints what these return."""

import csv
import io
import re
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from saccade.errors import InputError, suggestion
from saccade.events import Note, Work
from saccade.experiment import folder
from saccade.experiment.recipe import Recipe, make_recipe, read_recipe
from saccade.writing import check_output

if TYPE_CHECKING:
    import numpy as np

    from saccade.data.preprocess import Preprocess
    from saccade.experiment.predict import Predictions

Record = dict[str, Any]
VERIFIED = 64  # images on which an export is compared


def recipe_of(data: Any = None, recipe: str | Path | None = None, **fields: Any) -> Recipe:
    """The recipe of a file, of fields, or of both (fields win); sections as dictionaries: `optimizer={"lr": 0.1}`."""
    words: dict[str, Any] = read_recipe(Path(recipe)) if recipe is not None else {}
    origin = str(recipe) if recipe is not None else "recipe"
    if recipe is not None:
        make_recipe({"data": "digits", **words}, origin)
    for name, value in fields.items():
        known = words.get(name)
        words[name] = known | value if isinstance(value, dict) and isinstance(known, dict) else value
    if isinstance(data, str | Path):
        words["data"] = str(data)
    elif data is not None:
        words["data"] = "arrays"
    if "data" not in words:
        raise InputError("no data: name a folder of images, a CSV, or `digits`")
    return make_recipe(words)


def train(data: Any = None, out: str | Path | None = None, recipe: str | Path | None = None, **fields: Any) -> Work[Record]:
    """Train on `data` (a path, a name, arrays (X, y) or a sequence of pairs) and write the run folder and its report."""
    from saccade.experiment.run import train as work

    wanted = recipe_of(data, recipe, **fields)
    in_memory = None if data is None or isinstance(data, str | Path) else data
    record = yield from work(wanted, Path(out) if out is not None else None, in_memory)
    return (yield from _report(Path(record["run"]), record))


def resume(run: str | Path, data: Any = None) -> Work[Record]:
    """Go on with an interrupted run; `data` again when it was in memory."""
    from saccade.experiment.run import resume as work

    return (yield from _report(Path(run), (yield from work(Path(run), data))))


def _report(run: Path, record: Record) -> Work[Record]:
    from saccade.report import pictured, write_report

    ids = pictured(run)
    file = write_report(run, _pictures(record, ids))
    yield Note(f"report: {file}")
    return record


def _pictures(record: Record, ids: Sequence[str]) -> dict[str, Any]:
    """The stored pixels of these images, where the store still stands."""
    from saccade.data.store import open_stored

    store = open_stored(record["images"]["fingerprint"])
    if store is None:
        return {}
    where = {name: i for i, name in enumerate(store.ids)}
    return {name: store.pixels[where[name]] for name in ids if name in where}


def evaluate(run: str | Path, data: Any = None) -> Work[Record]:
    """The record of the run, or, with `data`, its scores on other labelled images in the same form.

    Images on which the run has trained or selected are recognized by their pixels and not scored.
    """
    from saccade.experiment import model
    from saccade.experiment.predict import evaluate as work

    record = folder.read_record(Path(run))
    if data is None:
        return record
    start = time.monotonic()
    found = yield from work(Path(run), model.load(Path(run)), data)
    if left := found.predictions.left_out:
        yield Note(f"left out: {len(left):,} (such as {left[0].file}: {left[0].reason})")
    described = dict(found.described)
    scores = described.pop("scores")
    about = {key: record[key] for key in ("run", "network", "seed", "classes")}
    seconds = round(time.monotonic() - start, 2)
    name = str(data) if isinstance(data, str | Path) else "arrays"
    left_out = [{"file": each.file, "reason": each.reason} for each in found.predictions.left_out]
    return about | {"seconds": seconds, "data": name, "left_out": left_out, "scores": {"test": scores}} | described


def predict(run: str | Path, images: Any) -> "Work[Predictions]":
    """Class and probabilities of image files and of every image in folders, or of images in memory.

    `images`: a path, several paths, one image or several: PIL images, or arrays (H, W), (H, W, C), (C, H, W).
    """
    from saccade.experiment import model
    from saccade.experiment.predict import predict as work
    from saccade.experiment.predict import predict_pictures

    loaded = model.load(Path(run))
    several = list(images) if isinstance(images, list | tuple) or getattr(images, "ndim", 0) == 4 else [images]
    if all(isinstance(each, str | Path) for each in several):
        return (yield from work(loaded, [Path(each) for each in several]))
    return (yield from predict_pictures(loaded, several))


def predictions_csv(predictions: "Predictions") -> str:
    """One line for each image: file, class, its probability, then the probability of every class."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["file", "class", "probability", *predictions.classes])
    for name, label, row in zip(predictions.ids, predictions.labels, predictions.probabilities, strict=True):
        writer.writerow([name, label, f"{row.max():.6f}", *(f"{p:.6f}" for p in row)])
    return text.getvalue()


def export(run: str | Path, to: str = "onnx", out: str | Path | None = None, data: Any = None) -> Work[Record]:
    """Write the trained network as ONNX into the run folder (or `out`), compared with onnxruntime on real images.

    The images are the run's own, or those of `data` where these are no longer there.
    """
    from saccade.experiment import model
    from saccade.experiment.export import export_onnx

    if to != "onnx":
        raise InputError(f'there is no export to "{to}"{suggestion(to, ["onnx"])} (known: onnx)')
    file = Path(out) if out is not None else Path(run) / "model.onnx"
    check_output(file, ".onnx")
    record = folder.read_record(Path(run))
    loaded = model.load(Path(run))
    pixels = yield from _stored_pixels(Path(run), record, loaded.preprocess, data)
    yield Note("exporting")
    difference = export_onnx(loaded, file, pixels[-VERIFIED:])
    return {"file": str(file), "largest_difference": difference, "images": min(VERIFIED, len(pixels))}


def _stored_pixels(run: Path, record: Record, preprocess: "Preprocess", data: Any) -> "Work[np.ndarray]":
    """The images of the run: from the cache, or decoded again where they are no longer there."""
    from saccade.data.sources import open_source
    from saccade.data.store import build, open_stored

    store = open_stored(record["images"]["fingerprint"]) if data is None else None
    if store is None:
        recipe = make_recipe(read_recipe(run / folder.RECIPE), str(run / folder.RECIPE))
        try:
            listing = open_source(recipe.data if data is None else data)
        except InputError as error:
            raise InputError(
                f"{error}; the export is verified on real images: name some labelled ones with --data"
            ) from error
        store = yield from build(listing, preprocess.stored, preprocess.channels)
    return store.pixels


def doctor(data: Any, size: int | None = None, group: str | None = None) -> Work[Record]:
    """Open every image and tell what is used, what is left out and why, and what looks wrong.

    `group` names a column of a CSV whose values should not be in two parts (a patient, a film).
    """
    from saccade.data.doctor import diagnose
    from saccade.data.sources import open_source
    from saccade.experiment.setup import complete, stored_side

    listing = open_source(data, group)
    name = str(data) if isinstance(data, str | Path) else "arrays"
    recipe = complete(make_recipe({"data": name, "images": {"size": size}}), listing)
    return (yield from diagnose(listing, stored_side(recipe)))


def inspect(
    network: Any,
    input: str | Sequence[int] | None = None,
    classes: int | None = None,
    fit: str | int | None = None,
    **step: Any,
) -> Record:
    """Layers, counts, receptive fields and the memory of a training step; nothing is computed or trained.

    `network`: a name, a run folder, "module:callable", or an nn.Module. `input`: "3x224x224" or (3, 224, 224). `step`:
    batch, precision, optimizer. `fit`: a memory, "8GiB" or bytes, to be answered with the largest batch.
    """
    from saccade.experiment.subject import subject
    from saccade.inspection.summary import Step, fitting, summary

    found = subject(network, classes, image_of(input))
    wanted = Step(**step)
    record = {"network": found.name, **summary(found.network, found.image, wanted)}
    if fit is not None:
        record["largest_batch"] = fitting(found.network, found.image, bytes_of(fit), wanted)
    return record


def draw(network: Any, out: str | Path, depth: int = 2, part: str = "", **options: Any) -> Record:
    """Write a picture of the network (.svg or Mermaid's .mmd), or a page with picture and table (.html).

    Modules of this `depth` are boxes; `part` unfolds one of them alone, such as "stages.0.1". `options` as for inspect.
    """
    from saccade.experiment.subject import subject
    from saccade.inspection.diagram import graph, mermaid, svg
    from saccade.inspection.trace import trace
    from saccade.report.inspection import inspection_page
    from saccade.writing import write_text

    file = Path(out)
    if file.suffix not in (".svg", ".mmd", ".html"):
        raise InputError(f'{file}: a picture is .svg, .mmd or .html, not "{file.suffix}"')
    check_output(file, file.suffix)
    found = subject(network, options.get("classes"), image_of(options.get("input")))
    drawn = graph(trace(found.network, (1, *found.image)), depth, part)
    picture = mermaid(drawn) if file.suffix == ".mmd" else svg(drawn, found.name)
    write_text(file, inspection_page(inspect(network, **options), picture) if file.suffix == ".html" else picture)
    return {"file": str(file), "nodes": len(drawn.nodes)}


def image_of(word: str | Sequence[int] | None) -> tuple[int, int, int] | None:
    """(C, H, W) of "3x224x224"."""
    if word is None:
        return None
    try:
        sides = [int(each) for each in (word.lower().split("x") if isinstance(word, str) else word)]
    except ValueError:
        sides = []
    if len(sides) != 3 or min(sides) < 1:
        raise InputError(f'input: channels, height and width such as 3x224x224, not "{word}"')
    return sides[0], sides[1], sides[2]


def bytes_of(word: str | int) -> int:
    """Of "8GiB", "500MB" or a number."""
    units = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30}
    met = re.fullmatch(r"([\d.]+)\s*([A-Z]*)", str(word).strip().upper())
    if met is None or met[2] not in units:
        raise InputError(f'fit: an amount of memory such as 8GiB or 500MB, not "{word}"')
    return int(float(met[1]) * units[met[2]])


def arithmetic(question: str, *numbers: int, **words: int) -> Record:
    """size, transposed, padding, parameters or stack: `arithmetic("size", 224, kernel=7, stride=2, padding=3)`."""
    from saccade.inspection.questions import ask

    return ask(question, *numbers, **words)


def filter(image: str | Path, kernel: str, out: str | Path, mode: str = "same", flip: bool = True) -> Record:
    """Convolve an image file with blur, sharpen, emboss, outline, sobel or the rows of a text file; `flip` as in How."""
    from saccade.inspection.filtering import filter_image
    from saccade.layers.filter import How

    return filter_image(Path(image), str(kernel), Path(out), How(mode, flip))


def networks() -> list[Record]:
    """Every network: parameters and multiply-accumulates for 1,000 classes (10 up to 64 px), input, options, paper."""
    from saccade.inspection.listing import listed

    return listed()
