"""How sharp the minimum is that a run has found: every number on several subsamples of its training images."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Generator, Tensor
from torch.nn import functional

from saccade.errors import InputError
from saccade.events import Note, Progress, Work
from saccade.experiment import folder, model
from saccade.experiment.recipe import make_recipe
from saccade.experiment.recipe_files import read_recipe
from saccade.experiment.settings import SharpnessSettings
from saccade.experiment.training_images import TrainingImages, training_images
from saccade.inspection.memory import training_memory
from saccade.inspection.trace import traced_on
from saccade.layers.ensemble import Voted
from saccade.optim import freeze
from saccade.optim.hessian import top_eigenvalues, trace
from saccade.optim.landscape import filter_normalized, heights
from saccade.optim.sharpness import full_space, keskar_sharpness, random_subspace
from saccade.optim.surface import Surface, loss_surface
from saccade.seeds import derive
from saccade.training.cores import cores_of_their_own

Record = dict[str, Any]

EPSILONS = (1e-3, 5e-4)  # those of arXiv:1609.04836
DIMENSIONS = 100  # of its random subspaces
EIGENVALUES = 3
PROBES = 30
USUAL_IMAGES = 256
LINE = tuple(i / 20 for i in range(-20, 21))
PLANE = tuple(i / 10 for i in range(-10, 11))
MEMORY = 2**31  # bytes for the derivatives of one micro-batch
KEPT = 4  # times what autograd saves of a training step: 3.1 to 4.9 were met in Hessian products of three networks (CPU)
LARGEST_SUBSPACE = 2**33  # bytes


def sharpness(run: Path, settings: SharpnessSettings, data: Any = None) -> Work[Record]:
    """Loss, largest eigenvalues and trace of its Hessian, and Keskar's sharpness, at the selected weights of a run.

    The loss is the mean cross entropy over training images as they are, without augmentation, penalty or smoothing, with
    batch norm on its running statistics and dropout off. Each number is measured on every subsample and given with mean,
    standard deviation over subsamples and n. `data`: the images again, where the run's own are no longer there.
    """
    record = folder.read_record(run)
    loaded = model.load(run)
    if isinstance(loaded.network, Voted):
        raise InputError(f"{run}: votes have no slope, so there is no minimum; name a member, such as {run / 'member-0'}")
    recipe = make_recipe(read_recipe(run / folder.RECIPE), str(run / folder.RECIPE))
    freeze(loaded.network, recipe.optimizer.parts_frozen())
    found = yield from training_images(run, record, loaded.preprocess, data)
    samples = subsamples(found, settings, derive(record["seed"], "sharpness"))
    surfaces = [surface_of(loaded, found, sample, settings.precision) for sample in samples]
    with cores_of_their_own(loaded.device):
        measures = yield from measured(surfaces, record["seed"])
    about = {key: record[key] for key in ("run", "network", "data", "seed")}
    about |= {"images": len(samples[0]), "subsamples": len(samples), "weights": len(surfaces[0].origin)}
    result = about | {"precision": settings.precision, "measures": measures}
    if settings.surface:
        seeds = [derive(record["seed"], "direction", axis) for axis in range(2)]
        directions = [filter_normalized(loaded.network, torch.Generator().manual_seed(seed)) for seed in seeds]
        with cores_of_their_own(loaded.device):
            result["line"] = yield from losses_on_grid(surfaces, directions[:1], LINE)
            result["plane"] = yield from losses_on_grid(surfaces, directions, PLANE)
    return result


def measured(surfaces: Sequence[Surface], seed: int) -> Work[Record]:
    """Every measure with its spread over the surfaces; random draws are others for each of them."""
    if not fits(surfaces[0]):
        yield Note(f"left out: a random subspace, whose {DIMENSIONS} directions would take over {LARGEST_SUBSPACE:,} bytes")
    found: dict[str, list[float]] = defaultdict(list)
    for i, surface in enumerate(surfaces):
        generator = torch.Generator().manual_seed(derive(seed, "sharpness", i))
        for name, value in numbers(surface, generator):
            found[name].append(value)
            yield Progress(f"sharpness: {name}", i, len(surfaces))
        last = {name: values[-1] for name, values in found.items()}
        yield Note(f"[{i + 1}/{len(surfaces)}] loss {last['loss']:.4g}, largest eigenvalue {last['eigenvalue_1']:.4g}")
    return {name: spread(values) for name, values in found.items()}


def numbers(surface: Surface, generator: Generator) -> Iterator[tuple[str, float]]:
    """Every measure of one surface by its name, as soon as it is known."""
    yield "loss", surface.value(surface.origin).item()
    count = min(EIGENVALUES, len(surface.origin) - 1)
    for i, value in enumerate(top_eigenvalues(surface, generator, count)):
        yield f"eigenvalue_{i + 1}", float(value)
    found = trace(surface, generator, PROBES)
    yield "trace", found.value
    yield "trace_standard_error", found.standard_error
    for epsilon in EPSILONS:
        yield f"keskar_full_{epsilon:g}", keskar_sharpness(surface, epsilon, full_space(surface.origin))
    if fits(surface):
        space = random_subspace(surface.origin, generator, min(DIMENSIONS, len(surface.origin)))
        for epsilon in EPSILONS:
            yield f"keskar_subspace_{epsilon:g}", keskar_sharpness(surface, epsilon, space)


def fits(surface: Surface) -> bool:
    return DIMENSIONS * surface.origin.nbytes < LARGEST_SUBSPACE


def losses_on_grid(surfaces: Sequence[Surface], directions: Sequence[Tensor], marks: Sequence[float]) -> Work[Record]:
    """The loss on the grid of `marks` along each direction, in units of the filters' lengths: mean and spread."""
    places = list(product(marks, repeat=len(directions)))
    kind = ("line", "plane")[len(directions) - 1]
    rows: list[list[float]] = []
    yield Note(f"loss surface, {kind}: {len(places)} places, on each of {len(surfaces)} subsamples")
    for surface in surfaces:
        rows.append([])
        for height in heights(surface, directions, places):
            rows[-1].append(height.item())
            yield Progress(f"loss surface, {kind}", sum(map(len, rows)), len(surfaces) * len(places))
    values = np.array(rows).reshape(len(surfaces), *[len(marks)] * len(directions))
    return {
        "marks": list(marks),
        "mean": values.mean(0).tolist(),
        "deviation": values.std(0, ddof=1).tolist(),
        "n": len(surfaces),
    }


def spread(values: Sequence[float]) -> Record:
    """Mean and standard deviation over the subsamples."""
    return {
        "mean": float(np.mean(values)),
        "deviation": float(np.std(values, ddof=1)),
        "n": len(values),
        "values": list(values),
    }


def subsamples(found: TrainingImages, settings: SharpnessSettings, seed: int) -> list[np.ndarray]:
    """Disjoint random places among the training images, all of one size."""
    there, count = len(found.rows), settings.subsamples
    size = settings.images or min(USUAL_IMAGES, there // count)
    if not size or size * count > there:
        raise InputError(
            f"{count} subsamples of {size or 1:,} take {count * (size or 1):,} training images and there are {there:,}; "
            "lower --images or --subsamples"
        )
    order = np.random.default_rng(seed).permutation(there)
    return [order[i * size : (i + 1) * size] for i in range(count)]


def surface_of(loaded: model.Model, found: TrainingImages, sample: np.ndarray, precision: str) -> Surface:
    """The cross entropy over the images of one subsample."""
    pixels = torch.from_numpy(found.store.pixels[found.rows[sample]]).to(loaded.device)
    labels = torch.from_numpy(found.labels[sample]).to(loaded.device)
    size = images_at_once(loaded)
    batches = list(zip(loaded.preprocess(pixels).split(size), labels.split(size), strict=True))
    # Not tasks.classify.loss, which rounds scores of 64 bits to 32
    return loss_surface(
        loaded.network, functional.cross_entropy, batches, torch.float64 if precision == "float64" else torch.float32
    )


def images_at_once(loaded: model.Model) -> int:
    """How many go through the network at a time, so that a Hessian product stays within MEMORY."""
    side, channels = loaded.preprocess.size, loaded.preprocess.channels
    shape, device = (2, channels, side, side), traced_on(loaded.device)  # batch norm has no variance of one
    pair = training_memory(loaded.network, shape, device=device)
    return max(1, min(128, 2 * MEMORY // (KEPT * sum(pair.by_path.values()) + 1)))
