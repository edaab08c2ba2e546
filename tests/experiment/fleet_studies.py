"""Fleets of real runs beside the same runs alone: how they are trained, broken off and compared."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.torch import load_file

from saccade.events import Event, Note, Progress, finish
from saccade.experiment.members import Member
from saccade.experiment.recipe import make_recipe
from saccade.experiment.study import Engine, Study

SMALL: dict[str, Any] = {
    "data": "arrays",
    "network": "lenet5",
    "epochs": 2,
    "batch": 16,
    "optimizer": {"lr": 0.02},
    "plan": {"precision": "fp32", "channels_last": True},
}
RECIPE = make_recipe(SMALL)
BATCHED = Engine("batched", 16)


def train(place: Path, data: Any, members: Sequence[Member], how: Engine = BATCHED) -> tuple[dict[str, Any], list[str]]:
    """The records, and what was said."""
    place.mkdir(exist_ok=True)
    said: list[Event] = []
    records = finish(Study(place, data, how).runs(members), said.append)
    return records, [event.text for event in said if isinstance(event, Note)]


def distance(one: Path, other: Path) -> float:
    """The largest between two weights or statistics."""
    a, b = (load_file(each / "model.safetensors") for each in (one, other))
    return max((a[name].double() - b[name].double()).abs().max().item() for name in a)


def measures(place: Path) -> list[dict[str, float]]:
    lines = [json.loads(line) for line in (place / "metrics.jsonl").read_text().splitlines()]
    return [{name: value for name, value in line.items() if name != "seconds"} for line in lines]


def assert_same_files(one: Path, other: Path) -> None:
    """All that two runs leave, apart from times and what differs by rounding."""
    assert sorted(file.name for file in one.iterdir()) == sorted(file.name for file in other.iterdir())
    assert (one / "recipe.yaml").read_text() == (other / "recipe.yaml").read_text()
    with np.load(one / "split.npz") as a, np.load(other / "split.npz") as b:
        assert all((a[name] == b[name]).all() for name in b)
    with np.load(one / "predictions.npz") as a, np.load(other / "predictions.npz") as b:
        assert (a["ids"] == b["ids"]).all()
        assert (a["parts"] == b["parts"]).all()
        np.testing.assert_allclose(a["probabilities"], b["probabilities"], atol=1e-3)
    a, b = (json.loads((each / "record.json").read_text()) for each in (one, other))
    assert a.keys() == b.keys()
    for name in ("network", "seed", "epochs", "selected_on", "split_by", "splits", "test_read"):
        assert a[name] == b[name], name


def broken_off(place: Path, data: Any, members: Sequence[Member], steps: int) -> None:
    """The study killed after so many steps: its generator is left where it is."""
    place.mkdir(exist_ok=True)
    work, taken = Study(place, data, BATCHED).runs(members), 0
    for event in work:
        taken += isinstance(event, Progress) and "as one" in event.what
        if taken == steps:
            break
    else:
        raise AssertionError("it had come to its end")
    work.close()


def assert_same_bits(place: Path, expected: Path, names: Sequence[str]) -> None:
    for name in names:
        assert (place / name / "model.safetensors").read_bytes() == (expected / name / "model.safetensors").read_bytes()
        assert measures(place / name) == measures(expected / name)
        with np.load(place / name / "predictions.npz") as a, np.load(expected / name / "predictions.npz") as b:
            assert a["probabilities"].tobytes() == b["probabilities"].tobytes()
