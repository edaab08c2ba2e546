"""How this machine trains the runs of a study fastest: measured, then kept for the whole of the study."""

import json
import pickle
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
from torch import Tensor

from saccade.errors import InputError
from saccade.events import Note, Progress, Work
from saccade.experiment.assemble import new_network
from saccade.experiment.fleet import unsuited
from saccade.experiment.folder import going_on
from saccade.experiment.recipe import Recipe, make_recipe
from saccade.experiment.run import MEASURING, check_network, choose_plan, measured_in, with_plan
from saccade.experiment.setup import Prepared, prepare
from saccade.experiment.study import Engine, Study, quietly
from saccade.layers.fleet import stack
from saccade.tasks import classify
from saccade.training.cores import cores
from saccade.training.fleet import Losses
from saccade.training.plan import CLEARLY, Plan, device_of, images_per_second
from saccade.writing import write_text

SETTLED = "settled.json"
START_SECONDS = 4.0  # until new processes train, of which each imports torch
FLEET = {"cpu": 8, "cuda": 16}  # members at once: on a CPU more are no faster, on a GPU images fill the memory
LONG_STEP = 1.0  # seconds of a step, foreseen, from which on a fleet is not tried: it pays where a step is too little work


@dataclass(frozen=True)
class Settled:
    """A study whose machine is decided: its engine, and each of its recipes complete and with its plan."""

    study: Study
    recipes: dict[str, Recipe]


def prepare_all(recipes: Mapping[str, Recipe], data: Any = None) -> Work[dict[str, Prepared]]:
    """Each recipe with its images, and seen to fit its network, before anything is written.

    What is said of the data is that of the last, which on a curve has the most images.
    """
    prepared: dict[str, Prepared] = {}
    for name, recipe in reversed(list(recipes.items())):
        work = prepare(recipe, data)
        prepared[name] = yield from quietly(work, "data") if prepared else work  # what it says of the data, once
        check_network(prepared[name])
        prepared[name] = replace(prepared[name], recipe=prepared[name].recipe.changed(batch=recipe.batch))
    return {name: prepared[name] for name in recipes}


def settle(study: Study, prepared: Mapping[str, Prepared], runs: int, engine: str = "auto") -> Work[Settled]:
    """Measure how `runs` of the recipes train fastest on this machine; or read what was settled before."""
    study.tally.planned = runs
    file, first = study.place / SETTLED, next(iter(prepared.values()))
    if file.is_file():
        return settled_before(study, first, engine)
    images, start = trained_on(prepared, runs), time.monotonic()
    yield Progress(MEASURING, 0, 1)
    with going_on(file):
        chosen = fastest(first, runs, images) if engine == "auto" else Engine(engine, at_once(engine, first))
    if chosen.kind == "processes" and not travels(study.data):
        if engine != "auto":
            raise InputError(
                "engine: these images are of a class of your script, which other processes do not have; serial works"
            )
        chosen = Engine()
    share = chosen.at_once if chosen.kind == "processes" else 1
    with going_on(file), threads(max(1, cores() // share)):
        plans = planned(prepared, images, chosen.kind)
    complete = {name: with_plan(each.recipe, plans[name]) for name, each in prepared.items()}
    words = {
        "engine": asdict(chosen),
        "fingerprint": first.store.fingerprint,
        "recipes": {name: recipe.model_dump(mode="json") for name, recipe in complete.items()},
    }
    write_text(file, json.dumps(words, indent=1) + "\n")
    tried = engine == "auto" or any(plan.measured for plan in plans.values())
    took = f" ({measured_in(time.monotonic() - start)})" if tried else ""
    yield Note(f"{runs} run{'s' if runs > 1 else ''}, {chosen}; plan: {plans_in_words(plans)}{took}")
    return Settled(replace(study, engine=chosen), complete)


def settled_before(study: Study, first: Prepared, engine: str) -> Settled:
    """What `settle` has written; another engine may be asked for."""
    kept = json.loads((study.place / SETTLED).read_text(encoding="utf-8"))
    if kept["fingerprint"] != first.store.fingerprint:
        raise InputError(f"{study.place}: the images have changed since this study began; choose another --out")
    found = {name: make_recipe(words) for name, words in kept["recipes"].items()}
    chosen = Engine(**kept["engine"]) if engine == "auto" else Engine(engine, at_once(engine, first))
    return Settled(replace(study, engine=chosen), found)


def plans_in_words(plans: Mapping[str, Plan]) -> str:
    """One where all are the same."""
    different = dict.fromkeys(map(str, plans.values()))
    if len(different) == 1:
        return next(iter(different))
    return "; ".join(f"{plan} ({', '.join(name for name in plans if str(plans[name]) == plan)})" for plan in different)


def travels(data: Any) -> bool:
    """Whether another process can be given these data: plain arrays can, what a class of the main script made cannot."""
    try:
        return b"__main__" not in pickle.dumps(data)
    except Exception:  # whatever an object raises that cannot be pickled
        return False


def at_once(engine: str, prepared: Prepared) -> int:
    """How many runs an engine that was asked for trains at a time."""
    if engine == "batched":
        return FLEET[device_of(prepared.recipe.plan.device).partition(":")[0]]
    return cores() if engine == "processes" else 1


def trained_on(prepared: Mapping[str, Prepared], runs: int) -> int:
    """How many images `runs` of these recipes train on in all, of each recipe as many."""
    return sum(each.recipe.epochs * len(each.indices("train")) for each in prepared.values()) * runs // len(prepared)


def planned(prepared: Mapping[str, Prepared], images: int, engine: str) -> dict[str, Plan]:
    """The plans of this machine for the recipes, all of one precision: else that would be what differs."""
    if engine == "batched":
        prepared = {name: by_torch(each) for name, each in prepared.items()}
    plans = {name: choose_plan(each, images) for name, each in prepared.items()}
    if len({plan.precision for plan in plans.values()}) > 1:
        exact = {name: with_wish(each, precision="fp32") for name, each in prepared.items()}
        plans = {name: choose_plan(each, images) for name, each in exact.items()}
    return plans


def by_torch(prepared: Prepared) -> Prepared:
    """Without the images-last form, which a fleet of networks has not."""
    return with_wish(prepared, images_last=False)


def with_wish(prepared: Prepared, **wish: Any) -> Prepared:
    return replace(prepared, recipe=prepared.recipe.changed(plan=wish))


def fastest(prepared: Prepared, runs: int, images: int) -> Engine:
    """The engine that has the runs done first, by the rates of training steps; the simplest unless another clearly is.

    `images`: on how many all of them train.
    """
    together = rate(prepared, images)
    if runs < 2 or images < together * START_SECONDS:  # done before another process has begun
        return Engine()
    seconds = {Engine(): images / together}
    count = min(cores(), runs)
    if count > 1 and device_of(prepared.recipe.plan.device) == "cpu":
        with threads(max(1, cores() // count)):
            alone = rate(prepared, images)
        rounds = -(-runs // count)
        seconds[Engine("processes", count)] = START_SECONDS + rounds * (images / runs) / alone
    largest = at_once("batched", prepared)
    batched = rate_of_fleet(prepared, min(runs, largest), together)
    if batched > CLEARLY * together:
        seconds[Engine("batched", largest)] = images / batched
    return min(seconds, key=lambda engine: seconds[engine])


def foreseen(study: Study, prepared: Prepared, runs: int) -> float:
    """Seconds that the training steps of so many runs take by their measured rate; all else comes on top."""
    count, images = min(study.engine.at_once, runs), trained_on({"": prepared}, runs)
    with threads(max(1, cores() // count) if study.engine.kind == "processes" else torch.get_num_threads()):
        together = rate(prepared, images) * (count if study.engine.kind == "processes" else 1)
    if study.engine.kind == "batched":
        together = max(together, rate_of_fleet(prepared, count, together))
    return images / together


def rate(prepared: Prepared, images: int) -> float:
    """Images a second of a training step with the threads that torch has now, where runs train on so many images."""
    plan = choose_plan(prepared, images)
    return images_per_second(plan, new_network(prepared), shape_of(prepared), classify.loss) or 1.0


def rate_of_fleet(prepared: Prepared, members: int, alone: float) -> float:
    """Images a second of all members; 0 where no fleet can be, or where its steps would be long."""
    batch, channels, height, width = shape_of(prepared)
    if unsuited(prepared.recipe) or members * batch / alone > LONG_STEP:
        return 0.0
    try:
        fleet = stack([new_network(prepared)] * members)
    except InputError:
        return 0.0

    def loss(scores: Any, labels: Tensor) -> Tensor:
        return Losses()(scores, labels.expand(members, -1)).sum()

    return members * images_per_second(
        choose_plan(by_torch(prepared)), fleet, (batch, members * channels, height, width), loss
    )


def shape_of(prepared: Prepared) -> tuple[int, int, int, int]:
    """Of the images of a training step."""
    batch, preprocess = min(prepared.recipe.micro_batch, len(prepared.indices("train"))), prepared.preprocess
    return batch, preprocess.channels, preprocess.size, preprocess.size


@contextmanager
def threads(count: int) -> Iterator[None]:
    """torch computes with so many threads inside."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
