"""How many processes train the runs of a study on this machine: measured, then kept for the whole of the study."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch

from saccade.errors import InputError, suggestion
from saccade.events import Note, Work
from saccade.experiment.assemble import new_network
from saccade.experiment.processes import cores
from saccade.experiment.recipe import Recipe, make_recipe
from saccade.experiment.run import check_network, choose_plan, with_plan
from saccade.experiment.setup import Prepared, prepare
from saccade.experiment.study import Study, quietly
from saccade.tasks import classify
from saccade.training.plan import device_of, images_per_second
from saccade.writing import write_text

ENGINES = ("auto", "serial", "processes")
SETTLED = "settled.json"
START_SECONDS = 8.0  # until a new process trains: torch is imported, kernels are chosen


@dataclass(frozen=True)
class Settled:
    """A study whose machine is decided: its processes, and each of its recipes complete and with its plan."""

    study: Study
    recipes: dict[str, Recipe]


def check_engine(name: str) -> None:
    if name not in ENGINES:
        raise InputError(f'engine: "{name}" is none of {", ".join(ENGINES)}{suggestion(name, ENGINES)}')


def prepare_all(recipes: Mapping[str, Recipe], data: Any = None) -> Work[dict[str, Prepared]]:
    """Each recipe with its images, and seen to fit its network, before anything is written."""
    prepared: dict[str, Prepared] = {}
    for name, recipe in recipes.items():
        work = prepare(recipe, data)
        prepared[name] = yield from quietly(work, "data") if prepared else work  # what it says of the data, once
        check_network(prepared[name])
        prepared[name] = replace(prepared[name], recipe=prepared[name].recipe.changed(batch=recipe.batch))
    return prepared


def settle(study: Study, prepared: Mapping[str, Prepared], runs: int, engine: str = "auto") -> Work[Settled]:
    """Measure how `runs` of the recipes train fastest on this machine; or read what was settled before."""
    file = study.place / SETTLED
    if file.is_file():
        kept = json.loads(file.read_text(encoding="utf-8"))
        found = {name: make_recipe(words) for name, words in kept["recipes"].items()}
        return Settled(replace(study, processes=kept["processes"]), found)
    first = next(iter(prepared.values()))
    processes = 1 if engine == "serial" else cores() if engine == "processes" else fastest(first, runs)
    with threads(max(1, cores() // processes)):
        complete = {name: planned(each) for name, each in prepared.items()}
    words = {"processes": processes, "recipes": {name: recipe.model_dump(mode="json") for name, recipe in complete.items()}}
    write_text(file, json.dumps(words, indent=1) + "\n")
    how = "one after the other" if processes == 1 else f"{processes} at a time, each in a process of its own"
    yield Note(f"{runs} runs, {how}")
    return Settled(replace(study, processes=processes), complete)


def planned(prepared: Prepared) -> Recipe:
    """With the plan of this machine: all runs of a recipe compute with the same precision."""
    return with_plan(prepared.recipe, choose_plan(prepared))


def fastest(prepared: Prepared, runs: int) -> int:
    """The number of processes that has the runs done first: 1, or one a core, by the rate of training steps."""
    count = min(cores(), runs)
    if count < 2 or device_of(prepared.recipe.plan.device) != "cpu":
        return 1
    images = prepared.recipe.epochs * len(prepared.indices("train"))
    together = rate(prepared)
    if runs * images < together * START_SECONDS:  # done before another process has begun
        return 1
    with threads(max(1, cores() // count)):
        alone = rate(prepared)
    rounds = -(-runs // count)
    return count if START_SECONDS + rounds * images / alone < runs * images / together else 1


def rate(prepared: Prepared) -> float:
    """Images a second of a training step with the threads that torch has now."""
    plan, preprocess = choose_plan(prepared), prepared.preprocess
    batch = min(prepared.recipe.micro_batch, len(prepared.indices("train")))
    shape = (batch, preprocess.channels, preprocess.size, preprocess.size)
    return images_per_second(plan, new_network(prepared), shape, classify.loss) or 1.0


@contextmanager
def threads(count: int) -> Iterator[None]:
    """torch computes with so many threads inside."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
