"""A training run from the data to the record; `train` starts one, `resume` goes on with one."""

import math
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from saccade.data.split import units_of
from saccade.errors import InputError
from saccade.events import Note, Progress, Work
from saccade.experiment import folder, model, outcome, record
from saccade.experiment.assemble import augmentation, new_network, optimizer
from saccade.experiment.feed import image_weights
from saccade.experiment.fit import Fit, Position
from saccade.experiment.pretrained import load_pretrained
from saccade.experiment.recipe import Recipe, different_fields, flat, make_recipe
from saccade.experiment.recipe_files import read_recipe
from saccade.experiment.regularizers import REGULARIZERS, without_effect
from saccade.experiment.setup import Prepared, prepare
from saccade.inspection.smallest import check, passes_alone
from saccade.inspection.trace import traced_on
from saccade.optim import freeze
from saccade.tasks import classify
from saccade.training import checkpoint
from saccade.training.allocator import give_back
from saccade.training.footprint import footprint
from saccade.training.plan import MEASURED_STEPS, Plan, Wishes, choose, device_of
from saccade.training.steps import OutOfMemory, is_out_of_memory
from saccade.writing import replacing, write_text

Record = dict[str, Any]

# Fields that may change under a run that goes on: its images are known by their fingerprint, the weights that it started
# from and its plan are in the checkpoint, and how often it is kept decides no bit
FREE = ("data", "weights", "plan.device", "checkpoint.seconds")
GUESSING = 0.01  # of the loss of equal chances, within which a loss is one
MEASURING = "measuring how this network trains fastest"
NOTICED = 0.5  # seconds of silence that somebody wonders about
WORTH_COMPILING = 30_000  # images to train on, for kernels that take some seven seconds, once on a machine


@dataclass(frozen=True)
class Ready:
    """A run of which all is decided, and nothing is written."""

    prepared: Prepared
    plan: Plan
    position: Position


def train(recipe: Recipe, out: Path | None = None, data: Any = None) -> Work[Record]:
    """Train as the recipe says into a new folder; `data` stands in for recipe.data when it is in memory."""
    folder.check_free(out)
    decided = yield from ready(recipe, data)
    fit = begin(decided, out)
    with folder.gone_on_failure(fit.run):
        fit.keep()
    with folder.going_on(fit.run):
        yield Note(f"writing to {fit.run}")
        if fit.loaded is not None:
            yield Note(f"weights of {fit.recipe.weights}: {fit.loaded}")
        return (yield from complete_run(fit))


def ready(recipe: Recipe, data: Any = None) -> Work[Ready]:
    """Read the data, and complete the recipe by it and by what this machine is measured to be fast at."""
    position = Position(started=datetime.now(UTC).isoformat(timespec="seconds"))
    start = time.monotonic()
    prepared = yield from prepare(recipe, data)
    check_network(prepared)
    yield from map(Note, in_vain(prepared))
    position.times["data"] = time.monotonic() - start
    start = time.monotonic()
    position.memory_before = footprint(device_of(recipe.plan.device)) or 0
    yield Progress(MEASURING, 0, 1)
    plan = choose_plan(prepared)
    position.times["plan"] = time.monotonic() - start
    if recipe.plan.images_last and not plan.images_last:
        yield Note(
            "plan.images_last: left out; it is for fp32 on a CPU and convolutions of stride 1 that read few channels"
        )
    tried = f" ({measured_in(position.times['plan'])}: {len(plan.measured)} tried)" if plan.measured else ""
    yield Note(f"plan: {plan}{tried}")
    return Ready(replace(prepared, recipe=with_plan(prepared.recipe, plan)), plan, position)


def measured_in(seconds: float) -> str:
    """How long it took to measure plans; of one that was read from the cache, not again."""
    return f"measured in {seconds:.1f} s" if seconds >= NOTICED else "measured"


def begin(decided: Ready, out: Path | None) -> Fit:
    """The run at its first step, with its new folder."""
    assert decided.prepared.recipe.network is not None
    run = folder.create(out, decided.prepared.recipe.network, decided.prepared.store.name)
    with folder.gone_on_failure(run):
        describe(run, decided.prepared)
        return Fit(decided.prepared, decided.plan, run, decided.position)


def resume(run: Path, data: Any = None) -> Work[Record]:
    """Go on with an unfinished run, from its checkpoint to the bits that the unbroken run would have given."""
    folder.check_run(run)
    if (run / folder.RECORD).is_file():
        found = folder.read_record(run)
        yield Note(f"{run} is finished already; nothing to do")
        return found
    with folder.going_on(run):
        fit = yield from restored(run, checkpoint.load(run / folder.CHECKPOINT), data)
        if fit.position.epoch < fit.recipe.epochs:
            yield Note(f"going on in epoch {fit.position.epoch + 1} after batch {fit.position.batch}")
        return (yield from complete_run(fit))


def restored(run: Path, state: dict[str, Any], data: Any = None) -> Work[Fit]:
    """The run where the state of a checkpoint left it."""
    start = time.monotonic()
    recipe = yield from own_recipe(run, state)
    prepared = yield from prepare(recipe, data)
    if prepared.store.fingerprint != state["fingerprint"]:
        raise InputError(f"{recipe.data}: the images have changed since {run} began, so it cannot be resumed exactly")
    before = footprint(device_of(None)) or 0
    fresh = replace(prepared, recipe=prepared.recipe.changed(weights=None))  # they are in the checkpoint
    fit = Fit(fresh, (yield from plan_of(state)), run, Position(**state["position"]))
    fit.position.memory_before = before
    fit.restore(state)
    fit.position.times["data"] += time.monotonic() - start
    folder.write_metrics(run, fit.position.history)
    return fit


def own_recipe(run: Path, state: dict[str, Any]) -> Work[Recipe]:
    """The recipe in the folder of the run; InputError where it is another than the run began with."""
    file = run / folder.RECIPE
    recipe = make_recipe(read_recipe(file), str(file))
    if "recipe" not in state:
        yield Note(
            f"this checkpoint holds no recipe, as those of older versions; that {file} is unchanged is taken on trust"
        )
        return recipe
    began = make_recipe(state["recipe"], str(run / folder.CHECKPOINT))
    if changed := [name for name in different_fields(began, recipe) if name not in FREE]:
        was, now = (flat(each.model_dump())[changed[0]] for each in (began, recipe))
        more = f" ({len(changed)} fields differ in all)" if len(changed) > 1 else ""
        raise InputError(
            f"{file}: {changed[0]} is {now} here, and the run began with {was}{more}; put that back to go on exactly, "
            f"or train anew with `saccade train --recipe {file}`"
        )
    return recipe


def plan_of(state: dict[str, Any]) -> Work[Plan]:
    """The plan of the checkpoint; another device only where the machine has changed, and then it is said."""
    plan = Plan(**state["plan"] | {"measured": tuple(map(tuple, state["plan"]["measured"]))})
    try:
        device_of(plan.device)
    except InputError:
        here = device_of(None)
        yield Note(f"the run began on {plan.device}, which is not here; on {here} it will not be the same to the bit")
        return replace(plan, device=here)
    return plan


def describe(run: Path, prepared: Prepared) -> None:
    """Write what is decided before training: the recipe, and which image is on which side."""
    write_text(run / folder.RECIPE, prepared.recipe.to_yaml(), folder.advice(run))
    with replacing(run / folder.SPLIT, folder.advice(run)) as file, file.open("wb") as stream:
        store = prepared.store
        np.savez_compressed(stream, ids=store.ids, parts=prepared.parts, labels=store.labels, digests=store.digests)


def check_network(prepared: Prepared) -> None:
    """All that training is made of must fit together, images and network above all: seen before a run folder is made."""
    size, channels = prepared.preprocess.size, prepared.preprocess.channels
    network, recipe = new_network(prepared), prepared.recipe
    device = traced_on(device_of(recipe.plan.device))
    if recipe.weights is not None:
        load_pretrained(network, recipe.weights, recipe.network or "")
    freeze(network, recipe.optimizer.parts_frozen())
    optimizer(network, recipe)
    augmentation(prepared)
    image_weights(prepared, prepared.indices("train"))
    try:
        check(network, (channels, size, size), device)
    except InputError as error:
        raise InputError(
            f"{prepared.recipe.network} does not take images of {channels}x{size}x{size} ({error}); "
            "choose another --images.size or --network"
        ) from error
    if recipe.batch == 1 and not passes_alone(network, (channels, size, size), device):
        raise InputError(
            f"batch: a single image of {size} px leaves a batch norm of {recipe.network} one value of each channel, "
            "which has no variance; try --batch 2, --regularize.norm group, or --regularize.freeze_statistics true"
        )


def in_vain(prepared: Prepared) -> list[str]:
    """A line for each regularizer of the recipe to which these images, or this network, give nothing to act on."""
    named = [name for name, each in REGULARIZERS.items() if each.needs and each.is_in(prepared.recipe)]
    reasons = without_effect(prepared, new_network(prepared), named) if named else {}
    return [f"{name} has no effect: {why}" for name, why in reasons.items()]


def choose_plan(prepared: Prepared, images: int | None = None) -> Plan:
    """The fastest way to train on so many images (None: on those of one run); for few none that takes long to be tried."""
    recipe, preprocess = prepared.recipe, prepared.preprocess
    wishes = Wishes(**recipe.plan.model_dump(exclude={"micro_batch"}))
    batch = min(recipe.micro_batch, len(prepared.indices("train")))
    shape = (batch, preprocess.channels, preprocess.size, preprocess.size)
    if images is None:
        images = recipe.epochs * len(prepared.indices("train"))
    if images < WORTH_COMPILING and not wishes.images_last:
        wishes = replace(wishes, images_last=False)
    if images < MEASURED_STEPS * 4 * batch:  # measuring would take longer than it saves
        wishes = replace(wishes, precision=wishes.precision or "fp32", channels_last=wishes.channels_last is not False)
    return choose(lambda: new_network(prepared), shape, wishes, classify.loss)


def with_plan(recipe: Recipe, plan: Plan) -> Recipe:
    """What decides the bits of a run is written down, measured or wished; the device is left to the machine at hand."""
    chosen = {"precision": plan.precision, "channels_last": plan.channels_last, "images_last": plan.images_last}
    return recipe.changed(plan=chosen)


def complete_run(fit: Fit) -> Work[Record]:
    """Train to the end, read the test part once, write model, predictions and record."""
    position = fit.position
    try:
        yield from fit.work()
        start = time.monotonic()
        position.test_read += fit.recipe.split.read_test
        fit.keep()  # that the test part is about to be read stays known, whatever happens
        outcomes = final_outcomes(fit)
    except (OutOfMemory, RuntimeError) as error:
        if not isinstance(error, OutOfMemory) and not is_out_of_memory(error):
            raise
        size = fit.prepared.preprocess.size
        raise InputError(
            f"out of memory even with a few images of {size} px at a time; try a smaller --images.size or network"
        ) from error
    for remark in filter(None, (one_class(outcomes), guessing(fit))):
        position.notes.append(remark)
        yield Note(remark)
    times = position.times | {"evaluation": time.monotonic() - start}
    words = {
        "run": str(fit.run),
        **record.about_training(fit),
        **record.about_data(fit.prepared),
        **outcomes,
        "test_read": position.test_read if "test" in outcomes["scores"] else 0,
        "started": position.started,
        "seconds": round(sum(times.values()), 2),
        "times": {name: round(seconds, 2) for name, seconds in times.items()},
        "versions": record.versions(),
        "machine": record.machine(),
    }
    folder.write_record(fit.run, words)
    give_back()
    return words


def one_class(outcomes: Record) -> str:
    """A remark where the network has not learned to tell images apart."""
    met = np.array(outcomes.get("confusion", []))
    if np.count_nonzero(met.sum(0)) != 1 or np.count_nonzero(met.sum(1)) == 1:
        return ""
    return "every image was given the same class: the network has not learned to tell them apart"


def guessing(fit: Fit) -> str:
    """A remark where the last epoch's training loss is that of equal chances for all classes."""
    chance, loss = math.log(len(fit.prepared.store.classes)), fit.position.history[-1]["train_loss"]
    if abs(loss - chance) > GUESSING * chance:
        return ""
    return (
        f"the training loss ended at {loss:.3f}, where guessing is ({chance:.3f}): training has collapsed, or not begun; "
        f"try a lower --optimizer.lr than {fit.recipe.optimizer.lr:g}, --optimizer.clip 1, or more --epochs"
    )


def final_outcomes(fit: Fit) -> Record:
    """The selected weights, written and read again as `predict` will read them, on validation and, once, on test."""
    prepared, store = fit.prepared, fit.prepared.store
    fit.network.load_state_dict(fit.best)
    assert fit.recipe.network is not None
    model.save(
        fit.run,
        model.Model(
            fit.network, fit.recipe.network, store.classes, prepared.preprocess, fit.plan.device, fit.recipe.regularize.norm
        ),
    )
    network = model.load(fit.run).network
    described: Record = {}
    scores: Record = {}
    held = []
    for part in ("validation", "test") if fit.recipe.split.read_test else ("validation",):
        where = prepared.indices(part)
        if len(where):
            likely = outcome.probabilities(network, prepared.preprocess, fit.resident, where)
            labels = store.labels[where]
            held.append(
                {"parts": np.full(len(where), part), "ids": store.ids[where], "labels": labels, "probabilities": likely}
            )
            units = units_of(store.clusters, store.groups)[where]
            described = outcome.describe(labels, likely, store.classes, units)
            scores[part] = described.pop("scores")
    if held:
        outcome.save(fit.run, {name: np.concatenate([each[name] for each in held]) for name in held[0]})
    return described | {"scores": scores}
