"""Studies of which some runs diverge, for real: what is left is scored, and what failed is named."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_digits

from saccade import InputError, commands
from saccade.cli import main
from saccade.cli.ensembles import in_words as ensemble_in_words
from saccade.events import Interrupted, Note, finish
from saccade.experiment.failures import summary
from saccade.experiment.looks import Series
from saccade.experiment.members import Member
from saccade.experiment.study import Study

SMALL: dict[str, Any] = {
    "network": "lenet5",
    "epochs": 3,
    "batch": 16,
    "optimizer": {"lr": 0.02},
    "plan": {"precision": "fp32", "channels_last": True},
}
DIVERGES = {"optimizer": {"lr": 1e30}}


@pytest.fixture(scope="module")
def digits() -> tuple[np.ndarray, np.ndarray]:
    found = load_digits()
    return (found.images[:300] * 15.9).astype(np.uint8).repeat(2, 1).repeat(2, 2), found.target[:300]


@pytest.fixture
def diverging(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """From now on the runs of these names train at a rate at which the loss is soon no number."""

    def arrange(*names: str) -> None:
        runs = Study.runs

        def some(self: Study, members: Any) -> Any:
            changed = [Member(m.name, m.recipe.changed(**DIVERGES)) if m.name in names else m for m in members]
            return runs(self, changed)

        monkeypatch.setattr(Study, "runs", some)

    return arrange


def heard(work: Any) -> tuple[Any, list[str]]:
    notes: list[str] = []
    return finish(work, lambda event: notes.append(getattr(event, "text", ""))), notes


def test_which_runs_failed_is_told_in_one_line() -> None:
    assert summary({"a": "why"}, 1) == "1 of 1 run failed (a): why"
    assert summary(dict.fromkeys("abcde", "why"), 9) == "5 of 9 runs failed (a, b, c, 2 more); the first: why"


@pytest.mark.parametrize("engine", ["serial", "batched"])
def test_a_bag_goes_on_without_a_member_that_failed(
    engine: str, digits: Any, diverging: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    diverging("member-1")
    record, notes = heard(commands.bag(digits, 4, engine=engine, out=tmp_path / "bag", **SMALL))
    assert [Path(row["run"]).name for row in record["members"]] == ["member-0", "member-2", "member-3"]
    [failed] = record["failed"]
    assert (failed["run"], failed["seed"]) == ("member-1", 1)
    assert "the loss is" in failed["why"] or "no longer finite" in failed["why"]
    said = "member-1 could not be trained and is left out of the 4"
    assert any(note.startswith(said) for note in notes)
    assert any(note.startswith(said) for note in record["notes"])
    page = (tmp_path / "bag" / "report.html").read_text()
    assert said in page
    assert "3 bagged lenet5" in page
    assert "of 3 (1 failed and left out)" in ensemble_in_words(record)
    assert "saccade bag --members 4" in page
    assert finish(commands.predict(tmp_path / "bag", list(digits[0][:3]))).uncertainty is not None
    assert finish(commands.bag(digits, 4, engine=engine, out=tmp_path / "bag", **SMALL)) == record


def test_one_member_is_no_bag(digits: Any, diverging: Any, tmp_path: Path) -> None:
    diverging("member-0", "member-2")
    with pytest.raises(InputError, match=r"^bag: 2 of 3 runs failed \(member-0, member-2\); the first: "):
        finish(commands.bag(digits, 3, engine="serial", out=tmp_path / "bag", **SMALL))


def test_boosting_ends_before_a_member_that_failed(digits: Any, diverging: Any, tmp_path: Path) -> None:
    diverging("member-1")
    record, notes = heard(commands.boost(digits, 3, out=tmp_path / "boost", **SMALL))
    assert len(record["members"]) == 1
    assert record["notes"][0].startswith("member 2 could not be trained, so boosting ends with 1: ")
    assert record["notes"][0] in notes
    diverging("member-0")
    with pytest.raises(InputError, match=r"^boost: 1 of 1 run failed \(member-0\): "):
        finish(commands.boost(digits, 3, out=tmp_path / "none", **SMALL))


def test_a_curve_goes_on_with_the_members_that_are_there(digits: Any, diverging: Any, tmp_path: Path) -> None:
    diverging("value-0-1", "value-1-0")
    place = tmp_path / "study"
    record, notes = heard(commands.learning_curve(digits, [50, 100, 200], 3, "serial", place, **SMALL))
    assert [row["members"] for row in record["rows"]] == [2, 2, 3]
    assert [(each["value"], each["run"]) for each in record["failed"]] == [(50, "value-0-1"), (100, "value-1-0")]
    assert any(note.startswith("50 images: accuracy") and note.endswith("by 2 runs: value-0-1 failed") for note in notes)
    assert "gain" not in record["rows"][1]  # of the three seeds one alone was trained on 50 and on 100 images
    right = {i: one_if_right(place, f"value-1-{i}") for i in (1, 2)}
    gains = np.mean([one_if_right(place, f"value-2-{i}") - right[i] for i in (1, 2)])
    assert record["rows"][2]["gain"]["value"] == pytest.approx(gains)
    page = (place / "report.html").read_text()
    assert "Could not be trained" in page
    assert "value-0-1, at split.images 50" in page


def one_if_right(study: Path, run: str) -> np.ndarray:
    with np.load(study / run / "predictions.npz") as found:
        there = found["parts"] == "validation"
        right = found["probabilities"][there].argmax(1) == found["labels"][there]
        return right[np.argsort(found["ids"][there])].astype(float)


def test_a_value_that_diverges_is_left_out_of_its_curve(
    digits: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    words = "digits --network lenet5 --epochs 1 --members 2 --engine serial --plan.precision fp32"
    assert main(f"bias-variance {words} --out study --vary lr=1e30,0.02".split()) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[0].startswith("optimizer.lr 0.02: log loss")
    assert out[1].startswith("optimizer.lr 1e+30: left out, 2 of 2 runs failed (value-0-0, value-0-1); the first: ")
    record = json.loads((tmp_path / "study" / "record.json").read_text())
    assert [row["value"] for row in record["rows"]] == [0.02]
    assert record["scored"] > 0
    assert "Could not be trained" in (tmp_path / "study" / "report.html").read_text()
    assert main(f"bias-variance {words} --out none --vary lr=1e30".split()) == 2
    assert "bias-variance: 2 of 2 runs failed (value-0-0, value-0-1)" in capsys.readouterr().err


def test_the_other_folds_are_kept_and_no_score_is_given(digits: Any, diverging: Any, tmp_path: Path) -> None:
    diverging("run-0-0-fold-1")
    place = tmp_path / "study"
    words: dict[str, Any] = {"folds": 3, "engine": "serial", "out": place, **SMALL}
    with pytest.raises(
        InputError, match=r"crossval: 1 of 3 runs failed \(run-0-0-fold-1\): (.|\n)*--out try the rest again"
    ):
        finish(commands.crossval(digits, **words))
    assert len(list(place.glob("run-*/record.json"))) == 2
    assert not (place / "record.json").exists()


def test_a_last_run_that_fails_takes_no_score_away(digits: Any, diverging: Any, tmp_path: Path) -> None:
    diverging("final")
    place = tmp_path / "study"
    record, notes = heard(commands.crossval(digits, folds=2, final=True, engine="serial", out=place, **SMALL))
    assert record["scores"]["out_of_fold"]["accuracy"]["n"] == 300
    assert "final" not in record
    assert record["final_failed"].startswith("1 of 1 run failed (final): ")
    assert any(note.startswith("the run on all images failed") for note in notes)
    assert "The run on all images failed" in (place / "report.html").read_text()


@pytest.fixture(scope="module")
def lost(digits: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], Path]:
    """a is trained, b diverges in every run."""
    place = tmp_path_factory.mktemp("compare") / "study"
    work = commands.compare(digits, folds=3, engine="serial", out=place, b=DIVERGES, **SMALL)
    return finish(work), place


def test_of_two_recipes_of_which_one_diverges_the_other_is_scored(lost: Any) -> None:
    record, place = lost
    assert (record["verdict"], record["difference"], record["pairs"]) == ("not comparable", None, [])
    assert record["headline"] == "b could not be trained"
    assert record["recipes"]["a"]["accuracy"]["n"] == 300
    failed = record["recipes"]["b"]
    assert failed["failed"].startswith("3 of 3 runs failed (b-0-0-fold-0, b-0-0-fold-1, b-0-0-fold-2); the first: ")
    assert (failed["network"], failed["differs"]) == ("lenet5", {"optimizer.lr": 1e30})
    assert record["recipes"]["a"]["differs"] == {"optimizer.lr": SMALL["optimizer"]["lr"]}
    assert json.loads((place / "record.json").read_text()) == record
    page = (place / "report.html").read_text()
    assert ">b could not be trained<" in page
    assert failed["failed"] in page
    with np.load(place / "out-of-fold.npz") as found:
        assert "probabilities_a" in found.files
        assert "probabilities_b" not in found.files


def test_a_comparison_that_says_nothing_leaves_with_2_and_its_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    words = (
        "compare digits --network lenet5 --epochs 1 --folds 2 --engine serial --plan.precision fp32 --b.optimizer.lr 1e30"
    )
    assert main([*words.split(), "--out", "study"]) == 2
    out = capsys.readouterr().out.splitlines()
    assert out[0] == "b could not be trained"
    assert out[2].startswith("b  lenet5 (optimizer.lr 1e+30): 2 of 2 runs failed (b-0-0-fold-0, b-0-0-fold-1); the first: ")
    assert main([*words.split(), "--out", "study", "--json"]) == 2
    assert json.loads(capsys.readouterr().out)["verdict"] == "not comparable"


def test_of_three_the_two_that_are_left_are_compared(digits: Any, diverging: Any, tmp_path: Path) -> None:
    diverging("c-0-0-fold-2")
    words: dict[str, Any] = {"b": {"optimizer": {"lr": 1e-5}}, "c": {"seed": 7}}
    record = finish(commands.compare(digits, folds=3, engine="serial", out=tmp_path / "study", **words, **SMALL))
    assert [(pair["a"], pair["b"]) for pair in record["pairs"]] == [("a", "b")]
    assert record["interval_level"] == pytest.approx(0.95)
    assert record["headline"].endswith("; c could not be trained")
    assert record["recipes"]["c"]["failed"].startswith("1 of 3 runs failed (c-0-0-fold-2): ")
    assert "; c could not be trained" in (tmp_path / "study" / "report.html").read_text()


def test_where_no_recipe_can_be_trained_that_is_an_error(digits: Any, tmp_path: Path) -> None:
    words = SMALL | DIVERGES
    with pytest.raises(InputError, match=r"compare: neither a nor b could be trained; a: 2 of 2 runs failed"):
        finish(commands.compare(digits, folds=2, engine="serial", out=tmp_path / "study", b={"seed": 3}, **words))


def test_a_recipe_that_fails_in_a_later_round_is_out(
    digits: Any, diverging: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    diverging("b-1-0-fold-0")
    monkeypatch.setattr(Series, "seconds", lambda self, records: 10.0)
    words: dict[str, Any] = {"folds": 2, "b": {"seed": 7}, "margin": 1e-6, "engine": "serial", **SMALL, "epochs": 1}
    record = finish(commands.compare(digits, budget=25, out=tmp_path / "study", **words))
    assert (record["verdict"], record["headline"]) == ("not comparable", "b could not be trained")
    assert record["recipes"]["b"]["failed"].startswith("1 of 4 runs failed (b-1-0-fold-0): ")
    assert record["recipes"]["a"]["repeats"] == 2


@pytest.mark.parametrize("kind", ["train", "compare"])
def test_ctrl_c_between_steps_names_the_folder_that_goes_on(kind: str, digits: Any, tmp_path: Path) -> None:
    work = {
        "train": lambda: commands.train(digits, out=tmp_path / "run", **SMALL),
        "compare": lambda: commands.compare(digits, folds=2, out=tmp_path, engine="serial", b=DIVERGES, **SMALL),
    }[kind]()
    wanted = {"train": "writing to", "compare": "[1/4]"}[kind]
    next(event for event in work if isinstance(event, Note) and event.text.startswith(wanted))
    with pytest.raises(Interrupted) as stopped:
        work.throw(KeyboardInterrupt())
    folder = Path(str(stopped.value))
    assert (folder if kind == "train" else folder.parent) == tmp_path / ("run" if kind == "train" else "")
