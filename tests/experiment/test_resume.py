"""Exact resume: killed at any moment, a run goes on to the bits of the unbroken one. Real processes, really killed."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

from saccade.cli import main
from saccade.events import finish
from saccade.experiment.run import restored
from saccade.training import checkpoint

ARGUMENTS = (
    "--network lenet5 --images.size 28 --epochs 3 --batch 32 --plan.precision fp32 --plan.channels_last true".split()
)
ARGUMENTS += "--plan.device cpu --augment.brightness 0.2 --checkpoint.seconds 0 --json".split()


def saccade(*words: str, **more: Any) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "saccade", *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **more
    )


def finished(process: "subprocess.Popen[str]") -> dict[str, Any]:
    out, err = process.communicate(timeout=240)
    assert process.returncode == 0, err
    return json.loads(out)


def outcome(run: Path) -> tuple[dict[str, np.ndarray], list[dict[str, float]], np.ndarray]:
    history = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    for line in history:
        del line["seconds"]
    with np.load(run / "predictions.npz") as found:
        return load_file(run / "model.safetensors"), history, found["probabilities"]


def equal(a: Path, b: Path) -> bool:
    (one, one_history, one_likely), (two, two_history, two_likely) = outcome(a), outcome(b)
    weights = all(one[name].tobytes() == two[name].tobytes() for name in one)
    return weights and one_history == two_history and one_likely.tobytes() == two_likely.tobytes()


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("runs") / "unbroken"
    finished(saccade("train", "digits", *ARGUMENTS, "--out", str(run)))
    return run


def kill_after(run: Path, checkpoints: int, number: int, arguments: list[str] = ARGUMENTS) -> None:
    """Start the run and send the signal once it has written this many checkpoints, one a step."""
    process = saccade("train", "digits", *arguments, "--out", str(run))
    seen, last, limit = 0, 0, time.monotonic() + 120
    while seen < checkpoints:
        time.sleep(0.001)  # a step takes longer, and the run needs the core
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < limit
        try:
            now = (run / "checkpoint.pt").stat().st_mtime_ns
        except FileNotFoundError:
            now = 0
        seen, last = seen + (now != last), now
    os.kill(process.pid, number)
    process.communicate()
    assert not (run / "record.json").exists()


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that was killed in its first epoch."""
    run = tmp_path_factory.mktemp("runs") / "stopped"
    kill_after(run, 3, signal.SIGKILL)
    return run


@pytest.mark.parametrize("checkpoints", [3, 30, 60])
def test_a_killed_run_goes_on_to_the_same_bits(unbroken: Path, stopped: Path, tmp_path: Path, checkpoints: int) -> None:
    """In its first steps, in the middle of the first epoch, and in the second."""
    run = tmp_path / "killed"
    if checkpoints == 3:
        shutil.copytree(stopped, run)
    else:
        kill_after(run, checkpoints, signal.SIGKILL)
    finished(saccade("resume", str(run), "--json"))
    assert equal(run, unbroken)


def test_an_interrupted_run_keeps_its_place_says_so_and_goes_on(unbroken: Path, tmp_path: Path) -> None:
    run = tmp_path / "interrupted"
    kill_after(run, 20, signal.SIGINT)
    finished(saccade("resume", str(run), "--json"))
    assert equal(run, unbroken)


def test_the_same_seed_gives_the_same_run_and_another_seed_another(unbroken: Path, tmp_path: Path) -> None:
    same, other = tmp_path / "same", tmp_path / "other"
    finished(saccade("train", "--recipe", str(unbroken / "recipe.yaml"), "--out", str(same), "--json"))
    assert equal(same, unbroken)
    assert main(["train", "digits", *ARGUMENTS, "--seed", "1", "--out", str(other)]) == 0
    assert not equal(other, unbroken)


def resumed(run: Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    return main(["resume", str(run)]), capsys.readouterr().err


@pytest.mark.parametrize("edit", ["edited", "cut"])
def test_a_run_does_not_go_on_with_another_recipe(
    stopped: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], edit: str
) -> None:
    run = Path(shutil.copytree(stopped, tmp_path / "run"))
    whole = (run / "recipe.yaml").read_text()
    words = whole.replace("brightness: 0.2", "brightness: 0.9") if edit == "edited" else whole.partition("augment:")[0]
    (run / "recipe.yaml").write_text(words)
    code, answer = resumed(run, capsys)
    assert code == 2
    assert "Traceback" not in answer
    name = "augment.brightness is 0.9 here, and the run began with 0.2" if edit == "edited" else "augment.crop is None here"
    assert f"recipe.yaml: {name}" in answer
    assert not (run / "record.json").exists()


def test_rarer_checkpoints_change_no_bit(
    unbroken: Path, stopped: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = Path(shutil.copytree(stopped, tmp_path / "run"))
    words = (run / "recipe.yaml").read_text()
    (run / "recipe.yaml").write_text(words.replace("seconds: 0.0", "seconds: 30.0"))
    assert resumed(run, capsys)[0] == 0
    assert equal(run, unbroken)


def test_the_recipe_stays_the_same_however_often_a_run_goes_on(stopped: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(stopped, tmp_path / "run"))
    state = checkpoint.load(run / "checkpoint.pt")
    assert finish(restored(run, state)).state()["recipe"] == state["recipe"]


def test_a_checkpoint_of_an_older_version_goes_on_and_says_so(
    unbroken: Path, stopped: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = Path(shutil.copytree(stopped, tmp_path / "run"))
    state = checkpoint.load(run / "checkpoint.pt")
    del state["recipe"]
    checkpoint.save(run / "checkpoint.pt", state)
    code, said = resumed(run, capsys)
    assert code == 0
    assert "holds no recipe" in said
    assert equal(run, unbroken)


def test_a_finished_run_needs_no_checkpoint_any_more(
    unbroken: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = Path(shutil.copytree(unbroken, tmp_path / "run"))
    (run / "checkpoint.pt").write_bytes(b"damaged")
    code, said = resumed(run, capsys)
    assert code == 0
    assert "finished already" in said
