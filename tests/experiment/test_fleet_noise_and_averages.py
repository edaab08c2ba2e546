"""Noise on weights and gradients, and averages of weights, in fleets of real runs: each member's are those it has alone."""

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fleet_studies import RECIPE, SMALL, assert_same_bits, assert_same_files, broken_off, distance, measures, train
from sklearn.datasets import load_digits
from torch import Tensor

from saccade import commands
from saccade.data.preprocess import Preprocess
from saccade.events import finish
from saccade.experiment import assemble
from saccade.experiment.fit import Fit, Position
from saccade.experiment.fleet_fit import FleetFit
from saccade.experiment.members import Member
from saccade.experiment.recipe import Recipe
from saccade.experiment.run import Ready, begin, ready
from saccade.experiment.study import Engine
from saccade.tasks import classify
from saccade.training.fleet import FleetTrainer
from saccade.training.footprint import Peak
from saccade.training.interrupt import Interruption
from saccade.training.steps import OutOfMemory

pytestmark = pytest.mark.usefixtures("one_thread")

MEMBERS: dict[str, dict[str, Any]] = {
    "plain": {},
    "weight noise": {"regularize": {"weight_noise": 0.1}},
    "gradient noise": {"regularize": {"gradient_noise": 1e-3}, "optimizer": {"clip": 1.0}},
    "both": {"regularize": {"weight_noise": 0.02, "gradient_noise": 1e-4}, "optimizer": {"sam": 0.05}},
    "ema": {"average": {"kind": "ema", "decay": 0.1}},
    "slow ema": {"average": {"kind": "ema"}, "regularize": {"weight_noise": 0.05, "label_smoothing": 0.1}},
    "swa": {"average": {"kind": "swa", "start": 0}, "augment": {"rotate": 10}},
    "late swa": {"average": {"kind": "swa", "start": 0.5}, "regularize": {"gradient_noise": 1e-3}},
}


@pytest.fixture(scope="module")
def digits() -> tuple[np.ndarray, np.ndarray]:
    found = load_digits()
    return (found.images[:180] * 15.9).astype(np.uint8).repeat(2, 1).repeat(2, 2), found.target[:180]


@pytest.fixture
def in_64_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Networks, images behind the augmentation, and the loss, alone too."""
    build, normalize = assemble.new_network, Preprocess.normalize
    monkeypatch.setattr(assemble, "new_network", lambda prepared: build(prepared).double())
    monkeypatch.setattr(Preprocess, "normalize", lambda self, images: normalize(self, images.double()))
    monkeypatch.setattr(classify.Loss, "__call__", lambda self, scores, truth: self.of(scores, truth))


def tensors(state: Any, path: str = "") -> dict[str, Tensor]:
    """Of a state, by their places in it."""
    if isinstance(state, Tensor):
        return {path: state}
    items = state.items() if isinstance(state, dict) else enumerate(state) if isinstance(state, list | tuple) else ()
    return {name: t for key, value in items for name, t in tensors(value, f"{path}/{key}").items()}


def epoch(of: Fit | FleetFit) -> None:
    """One more, with its validation."""
    with Interruption() as interruption, Peak("cpu") as peak:
        finish(of.epoch(interruption, peak))


def differences(fleet: Fit, alone: Fit) -> dict[str, float]:
    """Between the states of a member, at each place, as shares of what is there where that is large."""
    found, expected = tensors(fleet.state()), tensors(alone.state())
    assert found.keys() == expected.keys()
    return {
        name: ((found[name] - t).abs().max() / t.abs().max().clamp(min=1)).item() if t.numel() else 0.0
        for name, t in expected.items()
    }


def decided(recipe: Recipe, members: dict[str, dict[str, Any]], data: Any) -> dict[str, Ready]:
    recipes = {name: recipe.changed(**fields).changed(seed=i) for i, (name, fields) in enumerate(members.items())}
    return {name: finish(ready(each, data)) for name, each in recipes.items()}


def begun(each: dict[str, Ready], place: Path) -> list[Fit]:
    place.mkdir()
    return [begin(copy.deepcopy(how), place / name) for name, how in each.items()]


@pytest.mark.usefixtures("in_64_bits")
@pytest.mark.parametrize(
    ("network", "size", "steps"),
    [("lenet5", None, 1), ("lenet5", None, 8), ("resnet20", 8, 1)],
    ids=["lenet5", "lenet5, 8 steps", "resnet20"],
)
def test_an_epoch_from_the_same_state_is_the_epoch_alone(
    network: str, size: int | None, steps: int, digits: Any, tmp_path: Path
) -> None:
    """The second of two: weights, statistics, averages, the best of both, the optimizer's state. To 1e-12 in one step."""
    split = {"images": 40, "validation": 0.2, "test": 0}
    recipe = RECIPE.changed(network=network, epochs=2, batch=40 // steps, split=split, images={"size": size})
    how = decided(recipe, MEMBERS, digits)
    together, alone = begun(how, tmp_path / "fleet"), begun(how, tmp_path / "alone")
    assert together[0].batches_per_epoch == steps
    fleet = FleetFit(together, tmp_path / "fleet.pt")
    epoch(fleet)
    for member, solo in zip(together, alone, strict=True):
        state = copy.deepcopy(member.state())
        solo.restore(state)
        solo.position = Position(**state["position"])
    epoch(fleet)
    for member, solo in zip(together, alone, strict=True):
        epoch(solo)
        found = differences(member, solo)
        assert solo.average is None or any(name.startswith("/average/network") for name in found)
        assert max(found.values()) <= 1e-12 * steps**2, (member.run.name, max(found, key=found.__getitem__))
        assert member.position.best_epoch == solo.position.best_epoch


AVERAGED = {
    "noise": {"regularize": {"weight_noise": 0.05, "gradient_noise": 1e-3}, "split": {"images": 98}},
    "ema": {"average": {"kind": "ema", "decay": 0.9}, "split": {"images": 102}},
    "stopped": {"average": {"kind": "ema"}, "stop": {"patience": 1, "improvement": 0.9}, "split": {"images": 98}},
    "swa": {"average": {"kind": "swa", "start": 0.3}, "split": {"images": 102}},
    "plain": {"split": {"images": 102}},
}
STOPPING = [
    Member(name, RECIPE.changed(**fields).changed(epochs=3, seed=i, split={"test": 0.1}))
    for i, (name, fields) in enumerate(AVERAGED.items())
]


@pytest.fixture(scope="module")
def unbroken(digits: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("unbroken") / "study"
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    train(place, digits, STOPPING)
    torch.set_num_threads(threads)
    return place


def test_each_stops_with_its_own_average(digits: Any, unbroken: Path, tmp_path: Path) -> None:
    """The last batches are of two sizes, so that some stand still while the others draw and average."""
    alone, _ = train(tmp_path / "alone", digits, STOPPING, Engine())
    assert alone["stopped"]["epochs"]["trained"] == 2
    assert len({record["splits"]["train"]["images"] for record in alone.values()}) == 2
    for member in STOPPING:
        assert_same_files(unbroken / member.name, tmp_path / "alone" / member.name)
        assert distance(unbroken / member.name, tmp_path / "alone" / member.name) < 1e-5, member.name


@pytest.mark.parametrize("seconds", [30.0, 0.0], ids=["from the last epoch", "from the last step"])
def test_killed_fleets_go_on_to_the_same_bits(digits: Any, unbroken: Path, tmp_path: Path, seconds: float) -> None:
    """Killed in each epoch, with the last checkpoint from between two epochs or from that very step."""
    members = [Member(m.name, m.recipe.changed(checkpoint={"seconds": seconds})) for m in STOPPING]
    per_epoch = measures(unbroken / "plain")[0]["step"]
    for steps in (3, per_epoch + 1, per_epoch - 1):
        broken_off(tmp_path, digits, members, int(steps))
    train(tmp_path, digits, members)
    assert_same_bits(tmp_path, unbroken, [member.name for member in members])


def test_where_memory_is_short_halves_go_on(digits: Any, unbroken: Path, tmp_path: Path, monkeypatch: Any) -> None:
    """From a step inside an epoch, with averages under way."""
    step, taken = FleetTrainer.step, []

    def short(self: FleetTrainer, images: Tensor, truth: Tensor) -> Any:
        taken.append(self.members)
        if len(taken) > 3 and self.members > 3:
            raise OutOfMemory
        return step(self, images, truth)

    monkeypatch.setattr(FleetTrainer, "step", short)
    members = [Member(m.name, m.recipe.changed(checkpoint={"seconds": 0.0})) for m in STOPPING]
    _, said = train(tmp_path, digits, members)
    assert "out of memory with 5 runs at once; half as many from now on" in said
    for member in members:
        assert distance(tmp_path / member.name, unbroken / member.name) < 1e-5


def test_an_ablation_by_fleets(digits: Any, tmp_path: Path) -> None:
    """Rows with noise and averages and those without are one fleet, and every number is the one of training alone."""
    words: dict[str, Any] = {name: value for name, value in SMALL.items() if name != "data"}
    words |= {"only": "noise on weights,noise on gradients,EMA of weights,SWA of weights", "seeds": 2}
    one = finish(commands.ablate(digits, engine="serial", out=tmp_path / "serial", **words))
    other = finish(commands.ablate(digits, engine="batched", out=tmp_path / "batched", **words))
    assert [row["change"] for row in other["rows"]] == [row["change"] for row in one["rows"]]
    runs = sorted(file.parent.name for file in tmp_path.glob("serial/*/record.json"))
    assert len(runs) == 10
    for name in runs:
        fleet, alone = (json.loads((tmp_path / how / name / "record.json").read_text()) for how in ("batched", "serial"))
        assert any("trained as one network" in note for note in fleet["notes"])
        assert_same_files(tmp_path / "batched" / name, tmp_path / "serial" / name)
        for part, scores in alone["scores"].items():
            for score, value in scores.items():
                assert fleet["scores"][part][score]["value"] == pytest.approx(value["value"], abs=1e-4), (name, score)
    for row, expected in zip(other["rows"], one["rows"], strict=True):
        assert row["difference"]["value"] == pytest.approx(expected["difference"]["value"], abs=1e-6)


def test_a_comparison_by_fleets(digits: Any, tmp_path: Path) -> None:
    """Of deep networks with batch norm, whose averages have statistics of their own."""
    words: dict[str, Any] = {name: value for name, value in SMALL.items() if name != "data"}
    words |= {"network": "resnet20", "epochs": 1, "batch": 64, "images": {"size": 8}, "folds": 2}
    words |= {"a": {"average": {"kind": "ema", "decay": 0.5}}, "b": {"average": {"kind": "swa", "start": 0}}}
    one = finish(commands.compare(digits, engine="serial", out=tmp_path / "serial", **words))
    other = finish(commands.compare(digits, engine="batched", out=tmp_path / "batched", **words))
    assert other.keys() == one.keys()
    for name in (file.parent.name for file in tmp_path.glob("serial/*/record.json")):
        assert_same_files(tmp_path / "batched" / name, tmp_path / "serial" / name)
        assert distance(tmp_path / "batched" / name, tmp_path / "serial" / name) < 1e-4
