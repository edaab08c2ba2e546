"""The commands that look at networks and convolutions, and train nothing."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from saccade.errors import InputError
from saccade.writing import check_output, replacing

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from saccade.experiment.model import Model

Record = dict[str, Any]


def inspect(
    network: Any,
    input: str | Sequence[int] | None = None,
    classes: int | None = None,
    fit: str | int | None = None,
    time: bool = False,
    **step: Any,
) -> Record:
    """Layers, counts, receptive fields and the memory of a training step; nothing is computed or trained.

    `network`: a name, a run folder, "module:callable", or an nn.Module. `input`: "3x224x224" or (3, 224, 224). `fit`: a
    memory, "8GiB" or bytes, to be answered with the largest batch. `step`: batch, precision, optimizer; `time` adds
    its seconds on this machine, whose rates are measured once.
    """
    from saccade.experiment.subject import subject
    from saccade.inspection.summary import Step, fitting, predicted_time, summary

    found = subject(network, classes, image_of(input))
    wanted = Step(**step)
    record = {"network": found.name, **summary(found.network, found.image, wanted)}
    if time:
        record["time"] = predicted_time(found.network, found.image, wanted)
    if fit is not None:
        record["largest_batch"] = fitting(found.network, found.image, bytes_of(fit), wanted)
    return record


def draw(network: Any, out: str | Path, depth: int = 2, part: str = "", **options: Any) -> Record:
    """Write a picture of the network (.svg or Mermaid's .mmd), or a page with picture and table (.html).

    Modules of this `depth` are boxes; `part` unfolds one of them alone, such as "stages.0.1". `options` as for inspect.
    """
    from saccade.experiment.subject import subject
    from saccade.inspection.diagram import graph, mermaid, svg
    from saccade.inspection.smallest import with_smallest
    from saccade.inspection.trace import trace
    from saccade.report.inspection import inspection_page
    from saccade.writing import write_text

    file = Path(out)
    if file.suffix not in (".svg", ".mmd", ".html"):
        raise InputError(f'{file}: a picture is .svg, .mmd or .html, not "{file.suffix}"')
    check_output(file, file.suffix)
    found = subject(network, options.get("classes"), image_of(options.get("input")))
    try:
        ops = trace(found.network, (1, *found.image))
    except InputError as error:
        raise with_smallest(error, found.network, found.image[0]) from error
    drawn = graph(ops, depth, part)
    picture = mermaid(drawn) if file.suffix == ".mmd" else svg(drawn, found.name)
    write_text(file, inspection_page(inspect(network, **options), picture) if file.suffix == ".html" else picture)
    return {"file": str(file), "nodes": len(drawn.nodes)}


def show_maps(run: str | Path, image: str | Path, out: str | Path | None = None) -> Record:
    """A picture of the first filters of a trained run and of what every stage makes of an image; into the run folder."""
    from saccade.inspection.seeing import filters_and_maps

    loaded, pixels, _ = _seen_by(run, [Path(image)])
    network = loaded.network.cpu()
    paths = [f"stages.{i}" for i in range(len(network.stages))]  # type: ignore[arg-type]
    picture = filters_and_maps(network, pixels[:1], ["stem", *paths])
    return {"file": _saved(picture, Path(out) if out is not None else Path(run) / "maps.png")}


def effective(run: str | Path, images: Sequence[str | Path], out: str | Path | None = None, part: str = "") -> Record:
    """The pixels that the middle of the last map (or of `part`) of a trained run really uses, over images, as a picture."""
    from saccade.inspection.fields import AXES, receptive_fields
    from saccade.inspection.seeing import effective_field, effective_picture
    from saccade.inspection.trace import trace

    loaded, pixels, shown = _seen_by(run, [Path(image) for image in images])
    network = loaded.network.cpu()
    path = part or f"stages.{len(network.stages) - 1}"  # type: ignore[arg-type]
    ops = trace(network, (1, *pixels.shape[1:]))
    last = max((i for i, op in enumerate(ops) if op.path == path or op.path.startswith(f"{path}.")), default=None)
    if last is None:
        raise InputError(f'effective: the network has no part "{path}"')
    rows, columns = (receptive_fields(ops, axis)[last] for axis in AXES)
    found = effective_field(network, path, pixels, (rows, columns))
    file = _saved(effective_picture(found, shown), Path(out) if out is not None else Path(run) / "effective.png")
    theoretical = [min(field.size, side) for field, side in zip((rows, columns), pixels.shape[2:], strict=True)]
    return {"file": file, "part": path, "images": len(pixels), "effective_side": found.side, "theoretical": theoretical}


def _seen_by(run: str | Path, paths: Sequence[Path]) -> "tuple[Model, Tensor, np.ndarray]":
    """The model of a run, images as it sees them (N, C, H, W), and the first of them as pixels (H, W, 3)."""
    import numpy as np
    import torch

    from saccade.data.images import Paths
    from saccade.data.preprocess import center_crop
    from saccade.data.store import decoded
    from saccade.experiment import model
    from saccade.experiment.predict import files_of

    loaded = model.load(Path(run))
    files = [file for path in paths for file in files_of(path, [])]
    pictures = [each for each in decoded(Paths(files), loaded.preprocess) if not isinstance(each, str)]
    if not pictures:
        raise InputError(f"{paths[0]}: there is no image that can be used")
    first = center_crop(torch.tensor(pictures[0]).permute(2, 0, 1), loaded.preprocess.size).permute(1, 2, 0).numpy()
    return loaded, loaded.preprocess(torch.tensor(np.stack(pictures))), np.broadcast_to(first, (*first.shape[:2], 3))


def _saved(picture: Any, file: Path) -> str:
    check_output(file, ".png")
    with replacing(file) as part:
        picture.save(part, "PNG")
    return str(file)


def image_of(word: str | Sequence[int] | None) -> tuple[int, int, int] | None:
    """(C, H, W) of "3x224x224"."""
    if word is None:
        return None
    try:
        sides = [int(each) for each in (word.lower().split("x") if isinstance(word, str) else word)]
    except ValueError:
        sides = []
    if len(sides) != 3 or min(sides) < 1 or max(sides) > 100_000:
        raise InputError(f'input: channels, height and width such as 3x224x224, not "{word}"')
    return sides[0], sides[1], sides[2]


def bytes_of(word: str | int) -> int:
    """Of "8GiB", "500MB" or a number."""
    units = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
    units |= {"KIB": 2**10, "MIB": 2**20, "GIB": 2**30, "TIB": 2**40}
    met = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([A-Z]*)", str(word).strip().upper())
    if met is None or met[2] not in units:
        raise InputError(f'fit: an amount of memory such as 8GiB or 500MB, not "{word}"')
    return int(float(met[1]) * units[met[2]])


def arithmetic(question: str, *numbers: int, **words: Any) -> Record:
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
