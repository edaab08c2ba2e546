"""Cross-validation and curves on real digits: what chooses, what reports, and what is said of bias and variance."""

import json
import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.metrics import accuracy_score

from saccade import InputError, commands, statistics
from saccade.cli import main
from saccade.cli.studies import searched
from saccade.events import finish

SMALL: dict[str, Any] = {
    "network": "lenet5",
    "epochs": 6,
    "batch": 16,
    "optimizer": {"lr": 0.02},
    "plan": {"precision": "fp32", "channels_last": True},
}
LONGER = SMALL | {"epochs": 12}


@pytest.fixture(scope="module")
def digits() -> tuple[np.ndarray, np.ndarray]:
    found = load_digits()
    return (found.images[:300] * 15.9).astype(np.uint8).repeat(2, 1).repeat(2, 2), found.target[:300]


def read(run: Path) -> dict[str, Any]:
    return json.loads((run / "record.json").read_text())


@pytest.fixture(scope="module")
def nested(digits: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], Path]:
    """Ten of the labels are wrong; two rates are tried, of which one hardly learns."""
    images, labels = digits
    wrong = labels.copy()
    wrong[:10] = (labels[:10] + 5) % 10
    place = tmp_path_factory.mktemp("crossval") / "study"
    search = {"optimizer.lr": [1e-5, 0.02]}
    words = {"folds": 3, "search": search, "inner": 2, "final": True, "engine": "serial", "out": place}
    return finish(commands.crossval((images, wrong), **words, **LONGER)), place


def test_inner_folds_choose_and_outer_folds_report(nested: Any, digits: Any) -> None:
    record, place = nested
    assert record["chosen"] == [{"optimizer.lr": 0.02}] * 3
    score = record["scores"]["out_of_fold"]["accuracy"]
    assert score["n"] == 300
    assert score["low"] <= score["value"] <= score["high"]
    assert score["value"] > 0.6
    with np.load(place / "out-of-fold.npz") as found:
        assert sorted(found["ids"].tolist(), key=int) == [str(i) for i in range(300)]
        likely, labels = found["probabilities_recipe"][0, 0], found["labels"]
    assert score["value"] == pytest.approx(accuracy_score(labels, likely.argmax(1)))
    assert np.array(record["confusion"]).sum() == 300
    searches = list(place.glob("run-*-choice-*"))
    assert len(searches) == 12
    for run in searches:
        assert read(run)["test_read"] == 0
        with np.load(run / "split.npz") as inner, np.load(place / run.name.partition("-choice")[0] / "split.npz") as outer:
            assert ((inner["parts"] == "test") == (outer["parts"] == "test")).all()


def test_the_last_run_trains_on_all_images(nested: Any) -> None:
    record, place = nested
    assert record["final"] == str(place / "final")
    final = read(place / "final")
    assert final["splits"]["train"]["images"] == 300
    assert final["scores"] == {}
    assert (place / "final" / "report.html").is_file()


def test_wrong_labels_are_among_those_to_look_at(nested: Any) -> None:
    record, place = nested
    suspects = [each["id"] for each in record["label_errors"]]
    assert len({str(i) for i in range(10)} & set(suspects)) >= 6
    with np.load(place / "out-of-fold.npz") as found:
        expected = statistics.likely_label_errors(found["labels"], found["probabilities_recipe"][0, 0])
        assert suspects == [str(each) for each in found["ids"][expected]]
    page = (place / "report.html").read_text()
    assert "Labels to look at" in page
    assert page.count("<img") == min(24, len(suspects))


def test_it_goes_on_where_it_was_stopped(nested: Any, digits: Any) -> None:
    record, place = nested
    images, labels = digits
    wrong = labels.copy()
    wrong[:10] = (labels[:10] + 5) % 10
    kept = (place / "run-0-0-fold-1" / "record.json").read_text()
    before = (place / "run-0-0-fold-0" / "model.safetensors").stat().st_mtime_ns
    (place / "run-0-0-fold-1" / "record.json").unlink()
    words = {"folds": 3, "search": {"optimizer.lr": [1e-5, 0.02]}, "inner": 2, "final": True, "out": place}
    again = finish(commands.crossval((images, wrong), **words, **LONGER))
    (place / "run-0-0-fold-1" / "record.json").write_text(kept)
    assert again["by_fold"] == record["by_fold"]
    assert (place / "run-0-0-fold-0" / "model.safetensors").stat().st_mtime_ns == before


def test_bias_and_variance_add_up_and_fall_with_more_images(digits: Any, tmp_path: Path) -> None:
    vary = {"split.images": [40, 200]}
    record = finish(commands.bias_variance(digits, vary, 3, "serial", tmp_path / "study", **SMALL))
    few, many = record["rows"]
    assert record["scored"] == 35
    for row in (few, many):
        for name in ("log_loss", "kohavi_wolpert", "domingos"):
            parts = row[name]
            total = parts["bias"]["value"] + parts["variance"]["value"]
            assert total == pytest.approx(parts["error"]["value"], abs=1e-9)
    assert many["log_loss"]["error"]["value"] < few["log_loss"]["error"]["value"]
    runs = sorted(each.name for each in (tmp_path / "study").iterdir() if each.is_dir())
    assert runs == [f"value-{k}-{i}" for k in range(2) for i in range(3)]
    assert all(read(tmp_path / "study" / name)["test_read"] == 0 for name in runs)
    assert "The error is lowest at split.images 200" in (tmp_path / "study" / "report.html").read_text()


def test_options_of_a_network_can_be_varied(digits: Any, tmp_path: Path) -> None:
    fields = SMALL | {"network": "mobilenet_v1", "epochs": 1, "images": {"size": 32}}
    vary = {"network.width": [0.1, 0.2]}
    record = finish(commands.bias_variance(digits, vary, 2, "serial", tmp_path / "study", **fields))
    small, large = (row["parameters"] for row in record["rows"])
    assert 2 < large / small < 4.5


def test_a_learning_curve_doubles_its_images(digits: Any, tmp_path: Path) -> None:
    record = finish(commands.learning_curve(digits, seeds=2, engine="serial", out=tmp_path / "study", **SMALL))
    images = [row["images"] for row in record["rows"]]
    assert images[-1] == 205
    assert all(1.8 < b / a < 2.2 for a, b in pairwise(images))
    assert record["rows"][-1]["accuracy"]["value"] > record["rows"][0]["accuracy"]["value"]
    gain = record["rows"][-1]["gain"]
    values = [row["accuracy"]["value"] for row in record["rows"]]
    assert gain["value"] == pytest.approx(values[-1] - values[-2])


def test_values_to_search_are_read_from_the_command_line() -> None:
    assert searched(["lr=0.1,1e-2,wd=0"], "search") == {"optimizer.lr": [0.1, 0.01], "optimizer.weight_decay": [0]}
    assert searched(["lr=0.1", "mix.mixup=0,0.2"], "search") == {"optimizer.lr": [0.1], "mix.mixup": [0, 0.2]}
    with pytest.raises(InputError, match="write a field and its values"):
        searched(["0.1"], "search")


WRONG = {
    'there is no field "optimizer.rl"': "crossval digits --search optimizer.rl=1,2",
    "optimizer.lr should be greater than 0, not -1": "crossval digits --search lr=-1,1",
    "split.folds is nothing to be chosen": "crossval digits --search split.folds=2,3",
    "inner: two folds at least": "crossval digits --search lr=1,2 --inner 1",
    "2 at least, not 1": "crossval digits --folds 1",
    "vary: one field, not 2": "bias-variance digits --vary lr=1,2 wd=0,1",
    "members: two at least": "bias-variance digits --vary lr=1,2 --members 1",
    "each once": "bias-variance digits --vary lr=1,1",
    "an option of a network; name it": "bias-variance digits --vary network.width=0.5,1",
    'no option "width"': "bias-variance digits --network lenet5 --vary network.width=0.5,1",
    "early stopping would choose": "learning-curve digits --stop.patience 3",
    "sizes: whole numbers": "learning-curve digits --sizes few",
    "it is measured on validation images": "learning-curve digits --split.validation 0",
}


@pytest.mark.parametrize("said", WRONG)
def test_bad_words_get_one_clear_line(
    said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(WRONG[said].split()) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("saccade: ")
    assert re.search(said, error), error
    assert not (tmp_path / "runs").exists()
