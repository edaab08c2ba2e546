"""`saccade sharpness` as a user does it, on short runs of real digits."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torch.nn import functional

import saccade
from saccade.cli import main
from saccade.errors import InputError
from saccade.events import Progress, finish
from saccade.experiment import model
from saccade.experiment import sharpness as experiment
from saccade.experiment.settings import SharpnessSettings
from saccade.experiment.training_images import TrainingImages, training_images

TRAIN = ["--network", "lenet5", "--images.size", "28", "--epochs", "2", "--plan.precision", "fp32"]
FEW = ["--images", "30", "--subsamples", "2"]
MEASURES = {"loss", "eigenvalue_1", "eigenvalue_2", "eigenvalue_3", "trace", "trace_standard_error"}
KESKAR = {f"keskar_{space}_{epsilon}" for space in ("full", "subspace") for epsilon in ("0.001", "0.0005")}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "digits"
    assert main(["train", "digits", *TRAIN, "--out", str(folder)]) == 0
    return folder


@pytest.fixture(scope="module")
def found(run: Path) -> dict[str, Any]:
    return saccade.sharpness(run, images=30, subsamples=2)


def images_of(run: Path, **settings: Any) -> tuple[TrainingImages, list[np.ndarray]]:
    record = json.loads((run / "record.json").read_text())
    found = finish(training_images(run, record, model.load(run).preprocess, None))
    return found, experiment.subsamples(found, SharpnessSettings(**settings), 7)


def test_the_command_prints_a_table_and_writes_what_it_found(
    run: Path, found: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    before = {name: (run / name).read_bytes() for name in ("model.safetensors", "record.json", "split.npz")}
    assert main(["sharpness", str(run), *FEW]) == 0
    out, err = capsys.readouterr()
    assert "largest eigenvalue" in out
    assert "over 2 disjoint subsamples of 30 training images each" in out
    stages = [re.sub("[0-9.e-]+(,|$)", "x,", line) for line in err.splitlines()]
    assert stages[:2] == [f"[{i}/2] loss x, largest eigenvalue x," for i in (1, 2)]
    assert stages[2:] == [f"page: {run / 'sharpness.html'}"]
    written = json.loads((run / "sharpness.json").read_text())
    assert written == found  # the same seed gives the same numbers
    assert set(written["measures"]) == MEASURES | KESKAR
    for each in written["measures"].values():
        assert each["n"] == len(each["values"]) == 2
        assert each["mean"] == pytest.approx(np.mean(each["values"]))
        assert each["deviation"] == pytest.approx(np.std(each["values"], ddof=1))
    assert written["weights"] == 61_706
    assert (run / "sharpness.html").read_text().startswith("<!doctype html>")
    assert {name: (run / name).read_bytes() for name in before} == before
    assert not [file.name for file in run.iterdir() if file.name.endswith(".part")]


def test_only_training_images_are_looked_at_and_no_image_twice(run: Path) -> None:
    images, samples = images_of(run, images=100, subsamples=5)
    with np.load(run / "split.npz") as split:
        train = split["parts"] == "train"
        assert (images.rows == np.flatnonzero(train)).all()
        assert (images.labels == split["labels"][train]).all()
    drawn = np.concatenate(samples)
    assert [len(sample) for sample in samples] == [100] * 5
    assert len(np.unique(drawn)) == 500


def test_unset_every_training_image_is_used_up_to_256_in_a_subsample(run: Path) -> None:
    assert [len(sample) for sample in images_of(run)[1]] == [244] * 5  # 1,222 of them
    assert [len(sample) for sample in images_of(run, subsamples=2)[1]] == [256] * 2


def test_the_numbers_are_those_of_the_selected_weights(run: Path, found: dict[str, Any]) -> None:
    """The loss of every subsample against the plain forward pass; the gap to the box against the slope in it."""
    loaded, seed = model.load(run), json.loads((run / "record.json").read_text())["seed"]
    images, _ = images_of(run)
    settings = SharpnessSettings(images=30, subsamples=2)
    samples = experiment.subsamples(images, settings, experiment.derive(seed, "sharpness"))
    for sample, loss in zip(samples, found["measures"]["loss"]["values"], strict=True):
        pixels = torch.from_numpy(images.store.pixels[images.rows[sample]])
        with torch.inference_mode():
            scores = loaded.network(loaded.preprocess(pixels))
        assert loss == pytest.approx(functional.cross_entropy(scores, torch.from_numpy(images.labels[sample])).item())
    values = {name: each["values"] for name, each in found["measures"].items()}
    for i in range(2):
        assert values["eigenvalue_1"][i] > values["eigenvalue_2"][i] > values["eigenvalue_3"][i]
        assert values["keskar_full_0.001"][i] > 2 * values["keskar_full_0.0005"][i] > 0
        assert values["keskar_subspace_0.001"][i] > 2 * values["keskar_subspace_0.0005"][i] > 0


@pytest.mark.slow
def test_64_bits_find_the_same(run: Path, found: dict[str, Any]) -> None:
    double = saccade.sharpness(run, images=30, subsamples=2, precision="float64")
    for name in ("loss", "eigenvalue_1", "keskar_full_0.001"):
        assert double["measures"][name]["values"] == pytest.approx(found["measures"][name]["values"], rel=5e-3)


def test_the_surface_has_the_loss_at_its_centre(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(experiment, "LINE", (-1.0, -0.5, 0.0, 0.5, 1.0))
    monkeypatch.setattr(experiment, "PLANE", (-1.0, -0.5, 0.0, 0.5, 1.0))
    assert main(["sharpness", str(run), *FEW, "--surface", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    loss = result["measures"]["loss"]
    assert result["line"]["mean"][2] == result["plane"]["mean"][2][2] == pytest.approx(loss["mean"])
    assert result["line"]["deviation"][2] == pytest.approx(loss["deviation"])
    assert np.shape(result["plane"]["mean"]) == np.shape(result["plane"]["deviation"]) == (5, 5)
    assert [row[2] for row in result["plane"]["mean"]] == pytest.approx(result["line"]["mean"])  # the first direction
    assert min(result["line"]["mean"]) == result["line"]["mean"][2]
    assert "Over a random plane" in (run / "sharpness.html").read_text()


@pytest.mark.slow
def test_images_that_are_gone_are_asked_for_and_recognized_among_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    digits = load_digits()
    pixels, folder = (digits.images * 15).astype(np.uint8)[:600], tmp_path / "run"
    settings = {"network": "lenet5", "images": {"size": 28}, "plan": {"precision": "fp32"}, "epochs": 1}
    saccade.train((pixels, digits.target[:600]), out=folder, **settings)
    monkeypatch.setattr(experiment, "PROBES", 2)
    before = saccade.sharpness(folder, images=10, subsamples=2)
    monkeypatch.setenv("SACCADE_CACHE", str(tmp_path / "empty"))
    capsys.readouterr()
    assert main(["sharpness", str(folder)]) == 2
    error = capsys.readouterr().err.strip()
    assert error.endswith("the images of the run are needed: name them, or other labelled ones, with --data")
    assert len(error.splitlines()) == 1
    mixed = np.random.default_rng(0).permutation(900)
    others = (digits.images * 15).astype(np.uint8)[:900][mixed], np.full(900, 3)  # labels are those of the run
    others[1][:10] = 4
    assert saccade.sharpness(folder, others, images=10, subsamples=2) == before
    capsys.readouterr()
    half = np.arange(300, 900)
    saccade.sharpness(folder, ((digits.images * 15).astype(np.uint8)[half], digits.target[half]), images=10, subsamples=2)
    assert "of the 408 images that trained the run are not in" in capsys.readouterr().err
    with pytest.raises(InputError, match="none of the 408 images that trained the run is there"):
        saccade.sharpness(folder, (pixels[:, ::-1, ::-1].copy(), digits.target[:600]))


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        (["--images", "600"], "5 subsamples of 600 take 3,000 training images and there are 1,222; lower --images or"),
        (["--subsamples", "2000"], "2000 subsamples of 1 take 2,000 training images and there are 1,222"),
        (["--images", "0"], "images: at least 1 in each subsample, not 0"),
        (["--subsamples", "1"], "subsamples: at least 2, as one alone has no spread, not 1"),
        (["--images", "many"], "invalid int value: 'many'"),
        (["--precision", "float46"], 'precision: float32 or float64, not "float46", did you mean "float64"?'),
        (["--surfaces"], 'no option "--surfaces", did you mean "--surface"?'),
        (["--data", "nowhere"], "nowhere: there is no such file or folder"),
    ],
)
def test_bad_words(run: Path, words: list[str], answer: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sharpness", str(run), *words]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert answer in err.splitlines()[-1]
    assert len(err.splitlines()) == 1


def test_what_is_no_run_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sharpness", str(tmp_path / "nowhere")]) == 2
    assert "there is no such run folder" in capsys.readouterr().err
    assert main(["sharpness", str(tmp_path)]) == 2
    assert "this is not the folder of a finished run" in capsys.readouterr().err


def test_interrupted_it_leaves_nothing_behind(
    tmp_path: Path, run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    for name in ("sharpness.json", "sharpness.html"):
        (run / name).unlink(missing_ok=True)
    monkeypatch.setattr(experiment, "trace", interrupted)
    assert main(["sharpness", str(run), *FEW]) == 130
    assert not [file.name for file in run.iterdir() if "sharpness" in file.name]


def test_it_tells_how_far_it_is(run: Path) -> None:
    work = experiment.sharpness(run, SharpnessSettings(images=20, subsamples=2))
    told = [next(work) for _ in range(5)]
    assert all(isinstance(each, Progress) and each.total == 2 for each in told)
    work.close()


def test_frozen_parts_are_no_weights_and_a_subspace_too_large_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    frozen = ["--optimizer.freeze", "stem,stages.0", "--epochs", "1"]
    assert main(["train", "digits", *TRAIN, *frozen, "--out", str(tmp_path / "run")]) == 0
    monkeypatch.setattr(experiment, "LARGEST_SUBSPACE", 1)
    monkeypatch.setattr(experiment, "PROBES", 2)
    capsys.readouterr()
    assert main(["sharpness", str(tmp_path / "run"), "--images", "20", "--subsamples", "2", "--json"]) == 0
    out, err = capsys.readouterr()
    result = json.loads(out)
    assert result["weights"] == 61_706 - 156 - 2_416
    assert set(result["measures"]) == MEASURES | {name for name in KESKAR if "full" in name}
    assert "left out: a random subspace" in err
