"""A training run from the data to the record; `train` starts one, `resume` goes on with one."""

import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from saccade.errors import InputError
from saccade.events import Note, Work
from saccade.experiment import folder, model, outcome, record
from saccade.experiment.fit import Fit, copy_state, new_network
from saccade.experiment.recipe import Recipe, make_recipe, read_recipe
from saccade.experiment.setup import Prepared, prepare
from saccade.inspection.table import layer_table
from saccade.training import checkpoint
from saccade.training.plan import Plan, Wishes, choose
from saccade.training.steps import OutOfMemory

Record = dict[str, Any]


def train(recipe: Recipe, out: Path | None = None, data: Any = None) -> Work[Record]:
    """Train as the recipe says into a new folder; `data` stands in for recipe.data when it is in memory."""
    began = time.monotonic()
    prepared = yield from prepare(recipe, data)
    check_network(prepared)
    times = {"data": time.monotonic() - began}
    start = time.monotonic()
    plan = choose_plan(prepared)
    times["plan"] = time.monotonic() - start
    yield Note(f"plan: {plan}" + (f" (fastest of {len(plan.measured)} measured)" if plan.measured else ""))
    prepared = replace(prepared, recipe=with_plan(prepared.recipe, plan))
    assert prepared.recipe.network is not None
    run = folder.create(out, prepared.recipe.network, prepared.store.name)
    folder.write_text(run / folder.RECIPE, prepared.recipe.to_yaml())
    yield Note(f"writing to {run}")
    return (yield from complete_run(Fit(prepared, plan, run), times))


def resume(run: Path, data: Any = None) -> Work[Record]:
    """Go on with an unfinished run, from its checkpoint to the bits that the unbroken run would have given."""
    if not run.is_dir():
        raise InputError(f"{run}: there is no such run folder")
    state = checkpoint.load(run / folder.CHECKPOINT)
    if (run / folder.RECORD).is_file():
        yield Note(f"{run} is finished already; nothing to do")
        return folder.read_record(run)
    began = time.monotonic()
    recipe = make_recipe(read_recipe(run / folder.RECIPE), str(run / folder.RECIPE))
    prepared = yield from prepare(recipe, data)
    if prepared.store.fingerprint != state["fingerprint"]:
        raise InputError(f"{recipe.data}: the images have changed since {run} began, so it cannot be resumed exactly")
    fit = Fit(prepared, Plan(**state["plan"] | {"measured": tuple(map(tuple, state["plan"]["measured"]))}), run)
    fit.restore(state)
    folder.write_metrics(run, fit.position.history)
    yield Note(f"going on in epoch {fit.position.epoch + 1} after batch {fit.position.batch}")
    return (yield from complete_run(fit, {"data": time.monotonic() - began, "plan": 0.0}))


def check_network(prepared: Prepared) -> None:
    """The network must take images of this size; tried without any computing, before a run folder is made."""
    size, channels = prepared.preprocess.size, prepared.preprocess.channels
    try:
        layer_table(new_network(prepared), (channels, size, size))
    except RuntimeError as error:
        reason = str(error).splitlines()[0]
        raise InputError(
            f"{prepared.recipe.network} does not take images of {channels}x{size}x{size} ({reason}); "
            "choose another --images.size or --network"
        ) from error


def choose_plan(prepared: Prepared) -> Plan:
    recipe, preprocess = prepared.recipe, prepared.preprocess
    wishes = Wishes(recipe.plan.device, recipe.plan.precision, recipe.plan.channels_last, recipe.plan.compiled)
    batch = min(recipe.plan.micro_batch or recipe.batch, len(prepared.indices("train")))
    shape = (batch, preprocess.channels, preprocess.size, preprocess.size)
    return choose(lambda: new_network(prepared), shape, wishes)


def with_plan(recipe: Recipe, plan: Plan) -> Recipe:
    """What decides the bits of a run is written down, measured or wished; the device is left to the machine at hand."""
    return recipe.changed(plan={"precision": plan.precision, "channels_last": plan.channels_last})


def complete_run(fit: Fit, times: dict[str, float]) -> Work[Record]:
    """Train to the end, read the test part once, write model, predictions and record."""
    started = datetime.now(UTC).isoformat(timespec="seconds")
    try:
        yield from fit.work()
    except OutOfMemory as error:
        size = fit.prepared.preprocess.size
        raise InputError(
            f"out of memory even with one image of {size} px at a time; try a smaller --images.size or network"
        ) from error
    times["training"] = fit.position.seconds
    start = time.monotonic()
    outcomes = final_outcomes(fit)
    times["evaluation"] = time.monotonic() - start
    words = {
        "run": str(fit.run),
        **record.about_training(fit),
        **record.about_data(fit.prepared),
        **outcomes,
        "started": started,
        "seconds": round(sum(times.values()), 2),
        "times": {name: round(seconds, 2) for name, seconds in times.items()},
        "versions": record.versions(),
        "machine": record.machine(),
    }
    folder.write_json(fit.run / folder.RECORD, words)
    return words


def final_outcomes(fit: Fit) -> Record:
    """The selected weights on validation and, this one time, on test."""
    prepared, network = fit.prepared, fit.network
    network.load_state_dict(fit.best)
    assert fit.recipe.network is not None
    model.save(fit.run, copy_state(network), fit.recipe.network, prepared.store.classes, prepared.preprocess)
    described: Record = {}
    scores: Record = {}
    for part in ("validation", "test"):
        where = prepared.indices(part)
        if len(where):
            likely = outcome.probabilities(network, prepared.preprocess, fit.resident, where)
            labels = prepared.store.labels[where]
            outcome.save(fit.run, np.asarray(prepared.store.ids)[where], labels, likely)
            described = outcome.describe(labels, likely, prepared.store.classes)
            scores[part] = described.pop("scores")
    return described | {"scores": scores, "test_read": int("test" in scores)}
