"""Fleets of real runs: each member trains as it would alone, stops and fails for itself, and goes on to the same bits."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fleet_studies import BATCHED, RECIPE, SMALL, assert_same_bits, assert_same_files, broken_off, distance, measures, train
from sklearn.datasets import load_digits

from saccade import InputError, commands
from saccade.data.batches import Resident
from saccade.events import Event, Interrupted, Progress, finish
from saccade.experiment import assemble, engine, fit, run
from saccade.experiment.engine import settle
from saccade.experiment.feed import Feed
from saccade.experiment.fleet import Fleets
from saccade.experiment.members import Member
from saccade.experiment.settings import Folds, check_engine
from saccade.experiment.study import Engine, Study
from saccade.training.fleet import FleetTrainer
from saccade.training.steps import OutOfMemory

pytestmark = pytest.mark.usefixtures("one_thread")

# What members of a fleet may have of their own
OTHERS: dict[str, dict[str, Any]] = {
    "seed": {"seed": 5},
    "rate": {"optimizer": {"lr": 0.01, "momentum": 0.5, "weight_decay": 0.01}, "schedule": {"name": "one-cycle"}},
    "smoothing": {"regularize": {"label_smoothing": 0.2}, "balance": {"by": "weights"}},
    "mixup": {"mix": {"mixup": 0.4}, "optimizer": {"clip": 0.5}},
    "cutmix": {"mix": {"cutmix": 1.0, "mixup": 0.2}, "augment": {"rotate": 10}},
    "sam": {"optimizer": {"sam": 0.05, "l1": 1e-5}, "schedule": {"name": "constant", "warmup": 0}},
    "sample": {"split": {"bootstrap": True}, "balance": {"by": "sampling"}},
    "weight noise": {"regularize": {"weight_noise": 0.1}},
    "gradient noise": {"regularize": {"gradient_noise": 1e-3}, "optimizer": {"clip": 1.0}},
    "ema": {"average": {"kind": "ema", "decay": 0.9}, "regularize": {"weight_noise": 0.03, "gradient_noise": 1e-4}},
    "slow ema": {"average": {"kind": "ema"}},
    "swa": {"average": {"kind": "swa", "start": 0}},
}


@pytest.fixture(scope="module")
def digits() -> tuple[np.ndarray, np.ndarray]:
    found = load_digits()
    return (found.images[:300] * 15.9).astype(np.uint8).repeat(2, 1).repeat(2, 2), found.target[:300]


def test_members_train_as_alone(digits: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two epochs of LeNet-5 in 32 bits: weights to 1e-5, and the very images in the very order.

    The training parts are of 203 to 205 images, so the last batch of an epoch is not of one size.
    """
    orders: dict[str, list[np.ndarray]] = {}
    several = Feed.several

    def recording(self: Feed, epoch: int, first: int, order: list[np.ndarray]) -> Any:
        orders.setdefault(f"{now}{self.recipe.seed}{self.recipe.model_dump()}", []).extend(order)
        return several(self, epoch, first, order)

    monkeypatch.setattr(Feed, "several", recording)
    members = [Member("plain", RECIPE), *(Member(name, RECIPE.changed(**words)) for name, words in OTHERS.items())]
    members[1] = Member("seed", members[1].recipe.changed(split={"seed": 9, "validation": 0.145}))
    now = "alone"
    train(tmp_path / "alone", digits, members, Engine())
    now = "fleet"
    records, said = train(tmp_path / "fleet", digits, members)
    lines = [f"[{i}/{len(members)}] {member.name}" for i, member in enumerate(members, 1)]
    assert [note.split(":")[0] for note in said] == lines
    assert not list((tmp_path / "fleet").glob("fleet-*"))
    sizes = set()
    for member in members:
        one, other = tmp_path / "fleet" / member.name, tmp_path / "alone" / member.name
        assert_same_files(one, other)
        assert distance(one, other) < 1e-5, member.name
        for a, b in zip(measures(one), measures(other), strict=True):
            assert a == pytest.approx(b, abs=1e-5)
        assert records[member.name]["notes"][0] == f"trained as one network with {len(OTHERS)} other runs"
        sizes.add(records[member.name]["splits"]["train"]["images"] % 16)
    assert len(sizes) > 1
    alone, fleet = ([order for key, order in orders.items() if key.startswith(each)] for each in ("alone", "fleet"))
    for one_order, other_order in zip(alone, fleet, strict=True):
        assert all((x == y).all() for x, y in zip(one_order, other_order, strict=True))


@pytest.mark.parametrize(("images", "steps"), [(40, 1), (100, 3)])
def test_deep_networks_drop_what_they_drop_alone(
    images: int, steps: int, digits: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ResNet-20 with dropout and stochastic depth. One step to 1e-5; after three, in which batch norm of small maps is
    chaotic, the fleet is at most 30 times as far from runs alone as are runs alone whose first weights were moved by one
    rounding.

    Adam's eps is large, for its first step would divide rounding errors by it.
    """
    data = digits[0][:140], digits[1][:140]
    recipe = RECIPE.changed(network="resnet20", epochs=1, batch=40, split={"images": images, "validation": 0.05})
    recipe = recipe.changed(
        regularize={"dropout": 0.5, "drop_path": 0.2}, optimizer={"lr": 1e-3, "eps": 1e-3, "rule": "adamw"}
    )
    rates = {"dropout": 0.1, "drop_path": 0.4}
    members = [Member("a", recipe), Member("b", recipe.changed(regularize=rates, seed=3))]
    train(tmp_path / "alone", data, members, Engine())
    _, said = train(tmp_path / "fleet", data, members)
    assert len(said) == 2
    assert [len(measures(tmp_path / "fleet" / name)) for name in "ab"] == [1, 1]
    assert measures(tmp_path / "fleet" / "a")[0]["step"] == steps
    far = max(distance(tmp_path / "fleet" / name, tmp_path / "alone" / name) for name in "ab")
    if steps == 1:
        assert far < 1e-5
        return
    build = assemble.new_network
    monkeypatch.setattr(assemble, "new_network", lambda prepared: moved(build(prepared)))
    train(tmp_path / "twin", data, members, Engine())
    allowed = max(distance(tmp_path / "twin" / name, tmp_path / "alone" / name) for name in "ab")
    assert far <= 30 * allowed
    assert allowed < 0.01, "the twins are lost, which shows nothing"


@torch.no_grad()
def moved(network: torch.nn.Module) -> torch.nn.Module:
    for p in network.parameters():
        p.copy_(torch.nextafter(p, torch.full_like(p, torch.inf)))
    return network


def test_a_member_that_diverges_fails_alone(digits: Any, tmp_path: Path) -> None:
    members = [
        Member("bad", RECIPE.changed(optimizer={"lr": 1e9})),
        *(Member(f"good-{i}", RECIPE.changed(seed=i)) for i in (0, 1)),
    ]
    alone, _ = train(tmp_path / "alone", digits, members, Engine())
    fleet, said = train(tmp_path / "fleet", digits, members)
    words = [each["bad"]["failed"].replace(str(tmp_path / how), "") for how, each in (("alone", alone), ("fleet", fleet))]
    assert words[0] == words[1]
    assert "the loss is nan at step 3 (epoch 1); the last good state, of step 0, is in" in words[1]
    assert (tmp_path / "fleet" / "bad" / "checkpoint.pt").is_file()
    assert f"[1/3] bad: failed: {fleet['bad']['failed']}" in said
    for name in ("good-0", "good-1"):
        assert distance(tmp_path / "fleet" / name, tmp_path / "alone" / name) < 1e-5
    again, _ = train(tmp_path / "fleet", digits, members)
    assert again["bad"]["failed"].replace(str(tmp_path / "fleet"), "") == words[0]


# Its decay doubles the weights at every step, until in the second epoch there is no number for them
GROWING = RECIPE.changed(
    epochs=4,
    seed=3,
    optimizer={"lr": 0.01, "weight_decay": 209, "momentum": 0.0},
    schedule={"name": "constant", "warmup": 0},
)
STOPPING = [
    Member("long", RECIPE.changed(epochs=4)),
    Member("stopped", RECIPE.changed(epochs=4, seed=1, stop={"patience": 1, "improvement": 0.9})),
    Member("short", RECIPE.changed(epochs=3, seed=2)),
    Member("bad", GROWING),
    Member("other", RECIPE.changed(epochs=4, seed=4)),
]


@pytest.fixture(scope="module")
def unbroken(digits: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    place = tmp_path_factory.mktemp("unbroken") / "study"
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    records, _ = train(place, digits, STOPPING)
    torch.set_num_threads(threads)
    return place, records


def test_each_stops_for_itself(digits: Any, unbroken: Any, tmp_path: Path) -> None:
    place, records = unbroken
    alone, _ = train(tmp_path / "alone", digits, STOPPING, Engine())
    assert "(epoch 2); the last good state, of step 13, is in" in records["bad"]["failed"]
    assert records["bad"]["failed"].replace(str(place), "") == alone["bad"]["failed"].replace(str(tmp_path / "alone"), "")
    assert records["stopped"]["epochs"]["trained"] == 2
    assert records["short"]["epochs"]["trained"] == 3
    assert records["long"]["epochs"]["trained"] == 4
    assert "stopped early, after epoch 2 of 4" in records["stopped"]["notes"]
    for name in ("long", "stopped", "short", "other"):
        assert records[name]["epochs"] == alone[name]["epochs"]
        assert distance(place / name, tmp_path / "alone" / name) < 1e-4
        assert len(measures(place / name)) == records[name]["epochs"]["trained"]


@pytest.mark.parametrize("steps", [1, 14, 30, 47])
def test_killed_fleets_go_on_to_the_same_bits(digits: Any, unbroken: Any, tmp_path: Path, steps: int) -> None:
    """13 steps an epoch: in the first, in the second, after one has stopped, after another has ended."""
    broken_off(tmp_path, digits, STOPPING, steps)
    records, _ = train(tmp_path, digits, STOPPING)
    assert {name for name, record in records.items() if "failed" in record} == {"bad"}
    assert_same_bits(tmp_path, unbroken[0], ["long", "stopped", "short", "other"])
    assert not list(tmp_path.glob("fleet-*"))


def test_the_first_of_a_fleet_may_leave_it(digits: Any, unbroken: Any, tmp_path: Path) -> None:
    """The fleet that goes on has another name then; nothing of the old one is left."""
    members = [STOPPING[1], STOPPING[3], STOPPING[2], STOPPING[0], STOPPING[4]]
    train(tmp_path / "unbroken", digits, members)
    for steps in (30, 3, 3):
        broken_off(tmp_path / "study", digits, members, steps)
    train(tmp_path / "study", digits, members)
    assert_same_bits(tmp_path / "study", tmp_path / "unbroken", ["long", "stopped", "short", "other"])
    assert not list((tmp_path / "study").glob("fleet-*"))


def test_every_step_may_be_the_last_one(digits: Any, tmp_path: Path) -> None:
    """With a checkpoint after every step, killed in the middle of each epoch and twice, members with Adam and SAM."""
    recipe = RECIPE.changed(optimizer={"rule": "adam", "lr": 1e-3, "sam": 0.05}, regularize={"dropout": 0.3})
    images = [{"images": number, "seed": 1} for number in (150, 180, 181)]
    members = [Member(f"m-{i}", recipe.changed(seed=i, split=each)) for i, each in enumerate(images)]
    train(tmp_path / "unbroken", digits, members)
    members = [Member(m.name, m.recipe.changed(checkpoint={"seconds": 0.0})) for m in members]
    for steps in (3, 6, 7):
        broken_off(tmp_path / "study", digits, members, steps)
    records, _ = train(tmp_path / "study", digits, members)
    assert_same_bits(tmp_path / "study", tmp_path / "unbroken", list(records))


def test_ctrl_c_keeps_that_very_step(digits: Any, tmp_path: Path) -> None:
    members = [Member(f"m-{i}", RECIPE.changed(seed=i)) for i in range(2)]
    train(tmp_path / "unbroken", digits, members)
    (tmp_path / "study").mkdir()
    taken = []

    def interrupt(event: Event) -> None:
        taken.append(event)
        if sum(isinstance(each, Progress) for each in taken) == 5:
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(Interrupted) as stopped:
        finish(Study(tmp_path / "study", digits, BATCHED).runs(members), interrupt)
    assert Path(str(stopped.value)).parent == tmp_path / "study"
    kept = torch.load(tmp_path / "study" / "fleet-m-0.pt", weights_only=True)["members"]
    assert {name: state["position"]["batch"] for name, state in kept.items()} == {"m-0": 5, "m-1": 5}
    train(tmp_path / "study", digits, members)
    assert_same_bits(tmp_path / "study", tmp_path / "unbroken", ["m-0", "m-1"])


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_a_process_that_is_really_killed_loses_nothing(tmp_path: Path, number: signal.Signals) -> None:
    words = "compare digits --network lenet5 --epochs 6 --folds 2 --engine batched --plan.precision fp32"
    words += " --b.average.kind ema --b.regularize.weight_noise 0.05 --b.regularize.gradient_noise 1e-4"
    command = [sys.executable, "-m", "saccade.cli.entry", *words.split(), "--out"]
    subprocess.run([*command, "unbroken"], cwd=tmp_path, capture_output=True, timeout=300, check=True)
    first = subprocess.Popen([*command, "study"], cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 120
    while not list(tmp_path.glob("study/*/metrics.jsonl")) and time.monotonic() < deadline:
        time.sleep(0.02)
    first.send_signal(number)
    _, said = first.communicate(timeout=60)
    assert first.returncode == (130 if number == signal.SIGINT else -number)
    assert ("nothing is lost: the same words with --out study go on" in said) == (number == signal.SIGINT)
    assert len(list(tmp_path.glob("study/fleet-*.pt"))) == 1
    assert not list(tmp_path.glob("study/*/record.json"))
    subprocess.run([*command, "study"], cwd=tmp_path, capture_output=True, timeout=300, check=True)
    names = [file.parent.name for file in tmp_path.glob("unbroken/*/record.json")]
    assert len(names) == 4
    assert_same_bits(tmp_path / "study", tmp_path / "unbroken", names)


def test_selection_never_reads_the_outer_fold(digits: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    readings: list[tuple[str, np.ndarray]] = []
    phase = ["training"]

    class Recording(Resident):
        def take(self, indices: np.ndarray) -> Any:
            readings.append((phase[0], indices.copy()))
            return super().take(indices)

    evaluate = run.final_outcomes

    def final(found: fit.Fit) -> Any:
        phase[0] = "the end"
        outcomes = evaluate(found)
        phase[0] = "training"
        return outcomes

    monkeypatch.setattr(fit, "Resident", Recording)
    monkeypatch.setattr(run, "final_outcomes", final)
    fold = Folds(3).recipe(RECIPE, 0, (0, 1, 0))
    members = [Member(f"m-{i}", fold.changed(seed=i, epochs=2 + i)) for i in range(3)]
    train(tmp_path / "study", digits, members)
    with np.load(tmp_path / "study" / "m-0" / "split.npz") as found:
        outer = np.flatnonzero(found["parts"] == "test")
    during = np.unique(np.concatenate([indices for when, indices in readings if when == "training"]))
    assert (len(outer), len(during)) == (100, 200)
    assert not np.isin(during, outer).any()
    assert np.isin(outer, np.concatenate([indices for when, indices in readings if when == "the end"])).all()


def test_those_that_cannot_be_one_network_are_not(digits: Any, tmp_path: Path) -> None:
    """Two fleets by their batches, and each other one alone with its reason."""
    recipe = RECIPE.changed(epochs=1)
    members = [Member(f"m-{i}", recipe.changed(seed=i)) for i in range(3)]
    members += [Member(f"wide-{i}", recipe.changed(seed=i, batch=32)) for i in range(2)]
    members += [Member(f"few-{i}", recipe.changed(split={"images": 40 * i})) for i in range(1, 5)]
    members += [Member("odd", recipe.changed(network="resnet21"))]
    compiled = Member("compiled", recipe.changed(plan={"compiled": True}))
    fleets, alone = Fleets(tmp_path, digits, 3).divided([*members, compiled])
    assert [list(fleet) for fleet in fleets] == [["m-0", "m-1", "m-2"], ["wide-0", "wide-1"]]
    assert alone["a compiled network is one alone"] == ["compiled"]
    records, said = train(tmp_path, digits, members)
    assert [record["network"] for record in records.values() if "failed" not in record] == ["lenet5"] * 9
    assert "there is no network" in records["odd"]["failed"]
    why = "one after the other, for no other run has the same network, batch, precision and number of steps"
    assert f"few-1, few-2, few-3 and 1 more: {why}" in said
    assert records["m-0"]["notes"][0] == "trained as one network with 2 other runs"
    assert records["wide-0"]["notes"][0] == "trained as one network with 1 other run"
    assert not any("as one network" in note for note in records["few-1"]["notes"])


def test_where_memory_is_short_halves_train(digits: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    members = [Member(f"m-{i}", RECIPE.changed(seed=i)) for i in range(5)]
    train(tmp_path / "alone", digits, members, Engine())
    step = FleetTrainer.step

    def short(self: FleetTrainer, images: torch.Tensor, truth: torch.Tensor) -> Any:
        if self.members > 2:
            raise OutOfMemory
        return step(self, images, truth)

    monkeypatch.setattr(FleetTrainer, "step", short)
    records, said = train(tmp_path / "fleet", digits, members)
    assert [note for note in said if "memory" in note] == [
        "out of memory with 5 runs at once; half as many from now on",
        "out of memory with 3 runs at once; half as many from now on",
    ]
    for name in records:
        assert distance(tmp_path / "fleet" / name, tmp_path / "alone" / name) < 1e-5
    assert not list((tmp_path / "fleet").glob("fleet-*"))


def test_a_comparison_by_fleets(digits: Any, tmp_path: Path) -> None:
    words = {name: value for name, value in SMALL.items() if name != "data"}
    words |= {"folds": 3, "b": {"regularize": {"label_smoothing": 0.1}}}
    one = finish(commands.compare(digits, engine="serial", out=tmp_path / "serial", **words))
    other = finish(commands.compare(digits, engine="batched", out=tmp_path / "batched", **words))
    assert other["difference"]["value"] == pytest.approx(one["difference"]["value"], abs=0.02)
    settled = json.loads((tmp_path / "batched" / "settled.json").read_text())
    assert settled["engine"] == {"kind": "batched", "at_once": 8 if not torch.cuda.is_available() else 16}
    again = finish(commands.compare(digits, out=tmp_path / "batched", **words))
    assert again["pairs"] == other["pairs"]


@pytest.mark.parametrize(
    ("rates", "chosen"),
    [
        ({"together": 1e9, "alone": 1e9, "fleet": 1e10}, "serial"),  # done before anything else would have begun
        ({"together": 100.0, "alone": 50.0, "fleet": 105.0}, "serial"),
        ({"together": 100.0, "alone": 90.0, "fleet": 150.0}, "processes"),
        ({"together": 100.0, "alone": 50.0, "fleet": 150.0}, "batched"),
    ],
)
def test_auto_takes_what_is_done_first(
    rates: dict[str, float], chosen: str, digits: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "cores", lambda: 2)
    monkeypatch.setattr(engine, "rate", lambda *_: rates["together" if torch.get_num_threads() == 2 else "alone"])
    monkeypatch.setattr(engine, "rate_of_fleet", lambda *_: rates["fleet"])
    prepared = finish(engine.prepare_all({"a": RECIPE.changed(epochs=20, plan={"device": "cpu"})}, digits))
    torch.set_num_threads(2)
    found = finish(settle(Study(tmp_path, digits), prepared, 10))
    assert found.study.engine.kind == chosen
    assert found.study.processes == (2 if chosen == "processes" else 1)


def test_fleets_are_measured_where_they_can_be(digits: Any) -> None:
    prepared = finish(engine.prepare_all({"a": RECIPE}, digits))["a"]
    alone = engine.rate(prepared, 1)
    assert engine.rate_of_fleet(prepared, 4, alone) > 0.1 * alone
    assert engine.rate_of_fleet(prepared, 4, 4 * 16 / 2.0) == 0  # two seconds a step
    compiled = finish(engine.prepare_all({"a": RECIPE.changed(plan={"compiled": True})}, digits))["a"]
    assert engine.rate_of_fleet(compiled, 4, alone) == 0
    with pytest.raises(InputError, match="batched"):
        check_engine("bached")
