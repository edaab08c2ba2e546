"""Comparisons on real digits: what the folds hold, what is read when, what is said, how they go on."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_digits
from sklearn.tree import DecisionTreeClassifier

import saccade
from saccade import InputError, commands
from saccade.cli import main
from saccade.commands.studying import seconds_of
from saccade.data.batches import Resident
from saccade.data.split import Fold, folded
from saccade.data.store import open_stored
from saccade.events import finish
from saccade.experiment import fit, run, setup
from saccade.experiment.advice import Budget, Spread, advice, duration, purchases
from saccade.experiment.claim import said_by_ps, started
from saccade.experiment.compare import check_folds
from saccade.experiment.division import bootstrap_sample
from saccade.experiment.engine import planned, prepare_all, trained_on, travels, with_wish
from saccade.experiment.folds import OutOfFold, out_of_fold
from saccade.experiment.looks import Series, at_full_length, paid
from saccade.experiment.members import Member
from saccade.experiment.processes import in_processes
from saccade.experiment.recipe import make_recipe
from saccade.experiment.settings import Folds
from saccade.experiment.setup import prepare
from saccade.experiment.study import Study, open_study
from saccade.experiment.terms import Terms
from saccade.experiment.verdict import accuracy, concluded, contrast, counsel, headline, judged, overall, spread
from saccade.report.comparison import flips

SMALL: dict[str, Any] = {
    "network": "lenet5",
    "epochs": 4,
    "batch": 16,
    "optimizer": {"lr": 0.02},
    "plan": {"precision": "fp32", "channels_last": True},
}


@pytest.fixture(scope="module")
def digits() -> tuple[np.ndarray, np.ndarray]:
    found = load_digits()
    return (found.images[:300] * 15.9).astype(np.uint8).repeat(2, 1).repeat(2, 2), found.target[:300]


@pytest.fixture(scope="module")
def study(digits: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], Path]:
    """A recipe against itself with a rate at which it hardly learns."""
    place = tmp_path_factory.mktemp("compare") / "study"
    work = commands.compare(digits, folds=3, out=place, engine="serial", b={"optimizer": {"lr": 1e-5}}, **SMALL)
    return finish(work), place


def read(run: Path) -> dict[str, Any]:
    return json.loads((run / "record.json").read_text())


def parts(run: Path) -> np.ndarray:
    with np.load(run / "split.npz") as found:
        return found["parts"]


def test_a_recipe_is_better_than_its_crippled_self(study: Any) -> None:
    record, place = study
    assert record["verdict"] == "a"
    assert record["headline"] == "a is better"
    assert record["difference"]["high"] < 0
    assert record["difference"]["n"] == record["images"] == 300
    page = (place / "report.html").read_text()
    assert ">a is better<" in page
    assert page.count("<img") > 4
    assert [record["recipes"][name]["differs"] for name in "ab"] == [{"optimizer.lr": 0.02}, {"optimizer.lr": 1e-05}]
    assert "optimizer.lr 0.02" in page
    assert "optimizer.lr 1e-05" in page


def test_recipes_under_comparison_train_in_one_precision(digits: Any) -> None:
    """What decides is the length of all runs: a short recipe must not compute otherwise than a long one."""
    plans = {"a": {"precision": "bf16", "channels_last": True}, "b": {"precision": "fp32", "channels_last": True}}
    recipes = {name: make_recipe(SMALL | {"data": "digits", "plan": plan}) for name, plan in plans.items()}
    prepared = finish(prepare_all(recipes, digits))
    assert {plan.precision for plan in planned(prepared, 10**6, "serial").values()} == {"fp32"}
    assert {plan.precision for plan in planned({"a": prepared["a"]}, 10**6, "serial").values()} == {"bf16"}
    short = {name: with_wish(each, precision=None, channels_last=None) for name, each in prepared.items()}
    short["b"] = replace(short["b"], recipe=short["b"].recipe.changed(epochs=10_000))
    assert trained_on(short, 6) == 3 * 10_004 * len(short["a"].indices("train"))
    assert len(set(planned(short, trained_on(short, 6), "serial").values())) == 1


def test_every_image_is_scored_once_by_networks_that_never_saw_it(study: Any) -> None:
    record, place = study
    with np.load(place / "out-of-fold.npz") as found:
        assert len(set(found["ids"].tolist())) == 300
        assert found["probabilities_a"].shape == (1, 1, 300, 10)
        right = {name: found[f"probabilities_{name}"][0, 0].argmax(1) == found["labels"] for name in "ab"}
    held = [parts(place / f"a-0-0-fold-{i}") == "test" for i in range(3)]
    assert (np.sum(held, axis=0) == 1).all()
    for i in range(3):
        assert (parts(place / f"a-0-0-fold-{i}") == parts(place / f"b-0-0-fold-{i}")).all()
        assert read(place / f"a-0-0-fold-{i}")["test_read"] == 1
    pair = record["pairs"][0]
    assert pair["mcnemar"]["only_a"] == (right["a"] & ~right["b"]).sum()
    assert pair["flips"]["wrong_to_right"] == (right["b"] & ~right["a"]).sum()
    assert record["recipes"]["a"]["accuracy"]["value"] == pytest.approx(right["a"].mean(), abs=0.01)


def test_a_stopped_comparison_goes_on_to_the_same_answer(digits: Any, study: Any, tmp_path: Path) -> None:
    record, place = study
    kept = (place / "b-0-0-fold-2" / "record.json").read_text()
    untouched = (place / "a-0-0-fold-0" / "model.safetensors").stat().st_mtime_ns
    (place / "b-0-0-fold-2" / "record.json").unlink()
    words: dict[str, Any] = {"folds": 3, "out": place, "b": {"optimizer": {"lr": 1e-5}}, **SMALL}
    again = finish(commands.compare(digits, **words))
    (place / "b-0-0-fold-2" / "record.json").write_text(kept)
    assert again["pairs"] == record["pairs"]
    assert (place / "a-0-0-fold-0" / "model.safetensors").stat().st_mtime_ns == untouched
    refused = {
        r"\(margin differs: 0.005 there, 0.1 asked for\)": {"margin": 0.1},
        r"\(b.optimizer.lr differs: 1e-05 there, 0.1 asked for\)": {"b": {"optimizer": {"lr": 0.1}}},
        r"\(epochs differs: 4 there, 5 asked for\)": {"epochs": 5},
        r"\(folds differs: 3 there, 4 asked for\)": {"folds": 4},
    }
    for said, other in refused.items():
        with pytest.raises(InputError, match=f"another study is in there {said}; choose another --out"):
            finish(commands.compare(digits, **words | other))
    images, labels = digits
    with pytest.raises(InputError, match="the images have changed since this study began"):
        finish(commands.compare((images[::-1], labels[::-1]), **words))


def test_more_repeats_and_seeds_go_on_with_a_finished_comparison(digits: Any, tmp_path: Path) -> None:
    words: dict[str, Any] = {"folds": 2, "b": {"seed": 7}, "engine": "serial", **SMALL, "epochs": 1}
    place, fresh = tmp_path / "study", tmp_path / "fresh"
    first = finish(commands.compare(digits, out=place, **words))
    assert first["looks"] == 1
    before = {file: file.stat().st_mtime_ns for file in place.rglob("model.safetensors")}
    finish(commands.compare(digits, out=place, seeds=2, **words))
    notes: list[str] = []
    work = commands.compare(digits, out=place, repeats=2, seeds=2, **words)
    record = finish(work, lambda event: notes.append(str(event)))
    assert any("8 of 16 runs are done already" in note for note in notes)
    assert all(file.stat().st_mtime_ns == time for file, time in before.items())
    assert (record["repeats"], record["seeds"], record["looks"]) == (2, 2, 3)
    assert "The third look at this comparison" in (place / "report.html").read_text()
    assert any("third look" in note for note in notes)
    at_once = finish(commands.compare(digits, out=fresh, repeats=2, seeds=2, **words))
    assert record["pairs"] == at_once["pairs"]
    with pytest.raises(InputError, match=r"\(repeats differs: 2 there, 1 asked for; there can only be more\)"):
        finish(commands.compare(digits, out=place, seeds=2, **words))
    again = finish(commands.compare(digits, out=place, repeats=2, seeds=2, **words))
    assert again["looks"] == 3


def test_selection_never_reads_the_outer_fold(digits: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every reading of an image is written down, and the moment at which the one reading of the outer fold begins."""
    readings: list[tuple[str, np.ndarray]] = []
    phase = ["training"]

    class Recording(Resident):
        def take(self, indices: np.ndarray) -> Any:
            readings.append((phase[0], indices.copy()))
            return super().take(indices)

    evaluate = run.final_outcomes

    def final(found: fit.Fit) -> Any:
        phase[0] = "the end"
        return evaluate(found)

    monkeypatch.setattr(fit, "Resident", Recording)
    monkeypatch.setattr(run, "final_outcomes", final)
    fold = Folds(3).recipe(make_recipe({"data": "arrays", **SMALL, "stop": {"patience": 2}}), 0, (0, 1, 0))
    finish(run.train(fold, tmp_path / "run", digits))
    outer = np.flatnonzero(parts(tmp_path / "run") == "test")
    during = np.unique(np.concatenate([indices for when, indices in readings if when == "training"]))
    assert len(outer) == 100
    assert len(during) == 200
    assert not np.isin(during, outer).any()
    at_the_end = np.concatenate([indices for when, indices in readings if when == "the end"])
    assert np.isin(outer, at_the_end).all()


numbers = st.integers(0, 400)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 1), numbers), min_size=40, max_size=200), st.integers(0, 99), st.integers(2, 4))
def test_units_never_straddle_folds(drawn: list[tuple[int, int]], seed: int, count: int) -> None:
    labels, units = np.array(drawn).T
    if min(len(np.unique(units[labels == label])) for label in (0, 1) if (labels == label).any()) < count:
        return
    parts = np.full(len(labels), "train", "<U5")
    try:
        held = [folded(labels, parts, units, Fold(i, count), seed) == "validation" for i in range(count)]
    except InputError as error:  # large units leave no division with every class on both sides
        if "one would hold all images of a class, or none at all" not in str(error):
            raise
        return
    assert (np.sum(held, axis=0) == 1).all()
    for fold in held:
        assert not np.isin(units[fold], units[~fold]).any()


def test_duplicates_and_groups_never_straddle_a_fold(data: Path, tmp_path: Path) -> None:
    """Real photos, one of them twice under another name, with a column of groups."""
    files = sorted((data / "clothing-small" / "train").glob("*/*.jpg"))
    classes = sorted({file.parent.name for file in files})[:3]
    rows, groups = [], {}
    for name in classes:
        for i, file in enumerate(f for f in files if f.parent.name == name):
            if i < 12:
                rows.append((file, name, f"{name}-{i // 2}"))
    copy = tmp_path / "again.jpg"
    copy.write_bytes(rows[0][0].read_bytes())
    rows.append((copy, rows[0][1], ""))
    table = tmp_path / "photos.csv"
    table.write_text("path,label,owner\n" + "".join(f"{file},{label},{group}\n" for file, label, group in rows))
    groups = {str(file): group for file, _, group in rows}
    recipe = make_recipe({"data": str(table), **SMALL, "epochs": 1, "split": {"group": "owner"}, "images": {"size": 32}})
    for number in range(3):
        fold = Folds(3).recipe(recipe, 0, (0, number, 0))
        record = finish(run.train(fold, tmp_path / f"run-{number}"))
        with np.load(tmp_path / f"run-{number}" / "split.npz") as found:
            ids, sides = found["ids"], found["parts"]
        assert open_stored(record["images"]["fingerprint"]) is not None
        side: dict[str, set[str]] = {}
        for name, part in zip(ids.tolist(), sides.tolist(), strict=True):
            group = groups.get(name, groups.get(str(tmp_path / name), name)) or groups[str(rows[0][0])]
            side.setdefault(group, set()).add(part)
        assert len(side) == 18
        assert all(len(each) == 1 for each in side.values())


def test_folds_within_folds(digits: Any, tmp_path: Path) -> None:
    """The inner folds validate in turn all that is not in the outer fold."""
    base = Folds(3).recipe(make_recipe({"data": "arrays", **SMALL, "epochs": 1}), 5, (0, 2, 0))
    sides = []
    for number in range(2):
        finish(run.train(base.changed(split={"folds": 2, "fold": number}), tmp_path / f"run-{number}", digits))
        sides.append(parts(tmp_path / f"run-{number}"))
    assert ((sides[0] == "test") == (sides[1] == "test")).all()
    assert ((sides[0] == "validation") ^ (sides[1] == "validation") ^ (sides[0] == "test")).all()


def test_fewer_training_images_and_bootstrap_samples(digits: Any, tmp_path: Path) -> None:
    few = make_recipe({"data": "arrays", **SMALL, "epochs": 1, "split": {"images": 60}})
    fewer = few.changed(split={"images": 30, "bootstrap": True})
    records = [finish(run.train(each, tmp_path / f"run-{i}", digits)) for i, each in enumerate((few, fewer))]
    assert [record["splits"]["train"]["images"] for record in records] == [60, 30]
    larger, smaller = (np.flatnonzero(parts(tmp_path / f"run-{i}") == "train") for i in range(2))
    assert np.isin(smaller, larger).all()
    assert min(records[1]["splits"]["train"]["per_class"]) >= 2
    drawn = bootstrap_sample(np.arange(1000), 3)
    assert len(drawn) == 1000
    assert 0.6 < len(np.unique(drawn)) / 1000 < 0.66
    assert (drawn == bootstrap_sample(np.arange(1000), 3)).all()


def test_processes_train_what_one_process_trains(digits: Any, study: Any, tmp_path: Path) -> None:
    """With the same number of threads to the bit; here processes have one, so nearly."""
    recipe = make_recipe({"data": "arrays", **SMALL})
    good = Folds(3).members(recipe, "a", 0)[:2]
    bad = Member("bad", good[0].recipe.changed(optimizer={"lr": 1e9}))
    records = finish(in_processes([*good, bad], 2, tmp_path, digits))
    assert list(records) == [*(member.name for member in good), "bad"]
    assert "the loss is" in records["bad"]["failed"]
    for member in good:
        with (
            np.load(tmp_path / member.name / "predictions.npz") as found,
            np.load(study[1] / member.name / "predictions.npz") as alone,
        ):
            assert (found["ids"] == alone["ids"]).all()
            np.testing.assert_allclose(found["probabilities"], alone["probabilities"], atol=0.02)


@pytest.mark.slow
def test_an_interrupted_comparison_in_processes_loses_nothing(tmp_path: Path) -> None:
    words = "compare digits --network lenet5 --epochs 30 --folds 2 --b.seed 9 --engine processes --out study --json".split()
    command = [sys.executable, "-m", "saccade.cli.entry", *words]
    first = subprocess.Popen(command, cwd=tmp_path, env=dict(os.environ), stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 120
    while not list(tmp_path.glob("study/*/metrics.jsonl")) and time.monotonic() < deadline:
        time.sleep(0.2)
    first.send_signal(signal.SIGINT)
    _, said = first.communicate(timeout=60)
    assert first.returncode == 130
    assert "nothing is lost: the same words with --out study go on" in said
    epochs = {file.parent.name: len(file.read_text().splitlines()) for file in tmp_path.glob("study/*/metrics.jsonl")}
    assert epochs
    second = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False)
    assert second.returncode == 0, second.stderr
    assert json.loads(second.stdout)["pairs"][0]["verdict"] in ("a", "b", "equivalent", "not distinguishable")


def test_a_study_at_which_another_process_works_is_left_alone(tmp_path: Path) -> None:
    recipe = make_recipe({"data": "digits"})
    place = open_study(tmp_path / "study", "compare", recipe, {}).place
    other = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    (place / "study.pid").write_text(f"{other.pid}\n")
    with pytest.raises(InputError, match=f"process {other.pid} is at work in this study"):
        open_study(place, "compare", recipe, {})
    other.communicate(b"\n")
    assert open_study(place, "compare", recipe, {}).place == place


def test_a_number_that_another_process_has_now_does_not_block_a_study(tmp_path: Path) -> None:
    """As after a reboot: alive is a process with the owner's number, but it is not the one that wrote it."""
    recipe = make_recipe({"data": "digits"})
    place = open_study(tmp_path / "study", "compare", recipe, {}).place
    kept = place / "study.pid"
    assert kept.read_text() == f"{os.getpid()} {started(os.getpid())}\n"
    other = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    boot, ticks = started(other.pid).split()
    kept.write_text(f"{other.pid} {boot} {ticks}\n")
    with pytest.raises(InputError, match=f"process {other.pid} is at work in this study"):
        open_study(place, "compare", recipe, {})
    for earlier in (f"{boot} {int(ticks) - 1}", f"another-boot {ticks}"):
        kept.write_text(f"{other.pid} {earlier}\n")
        assert open_study(place, "compare", recipe, {}).place == place
    said = said_by_ps(other.pid)
    assert said == "" or (said == said_by_ps(other.pid) and re.search(r"\d\d:\d\d:\d\d \d{4}", said))
    other.communicate(b"\n")
    assert started(other.pid) == ""


def test_only_what_was_finished_was_looked_at(tmp_path: Path) -> None:
    """The record of an earlier look is still there while a growth is under way, and after it was stopped."""
    place, recipe = tmp_path / "study", make_recipe({"data": "digits"})

    def opened(repeats: int, seeds: int = 1) -> int:
        return open_study(place, "compare", recipe, {"repeats": repeats, "seeds": seeds}).looks

    def finished(repeats: int, seeds: int = 1) -> None:
        (place / "record.json").write_text(json.dumps({"repeats": repeats, "seeds": seeds}))

    assert opened(1) == 1
    assert opened(2) == 1  # nothing was there to be looked at
    finished(2)
    assert [opened(2), opened(3), opened(4), opened(4, 2)] == [1, 2, 2, 2]
    finished(4, 2)
    assert [opened(4, 2), opened(4, 3), opened(5, 3)] == [2, 3, 3]


def test_nothing_that_is_no_run_is_removed(tmp_path: Path) -> None:
    (tmp_path / "a-0-0-fold-0").mkdir()
    (tmp_path / "a-0-0-fold-0" / "thesis.txt").write_text("mine")
    with pytest.raises(InputError, match="this is not the folder of a run"):
        finish(Study(tmp_path).run(Member("a-0-0-fold-0", make_recipe({"data": "digits"}))))
    assert (tmp_path / "a-0-0-fold-0" / "thesis.txt").read_text() == "mine"
    with pytest.raises(AssertionError):
        Member("../elsewhere", make_recipe({"data": "digits"}))


def test_data_of_the_main_script_stay_in_its_process(digits: Any) -> None:
    assert travels(digits)
    assert travels(None)
    mine = type("Mine", (), {"__module__": "__main__"})
    assert not travels(mine())
    assert not travels(lambda: None)


def test_a_study_is_no_run(study: Any) -> None:
    with pytest.raises(InputError, match="this is a study of several runs"):
        finish(commands.evaluate(study[1]))
    with pytest.raises(InputError, match="this is a study of several runs"):
        finish(commands.predict(study[1], study[1] / "report.html"))


def test_with_a_budget_repeats_are_what_it_pays_for(digits: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words: dict[str, Any] = {"folds": 2, "b": {"seed": 7}, "margin": 1e-6, "engine": "serial", **SMALL, "epochs": 1}
    short = finish(commands.compare(digits, budget=1e-3, out=tmp_path / "short", **words))
    assert (short["repeats"], short["level"]) == (1, 0.95)
    assert "rounds of folds instead of 1" in short["advice"]
    assert not re.search("repeats? |runs", short["advice"])
    assert len(list((tmp_path / "short").glob("*/record.json"))) == 4
    monkeypatch.setattr(Series, "seconds", lambda self, records: 10.0)
    whole = finish(commands.compare(digits, budget=31, out=tmp_path / "whole", **words))
    assert (whole["repeats"], whole["level"]) == (3, 0.975)
    assert len(whole["pairs"][0]["by_fold"]["a"]) == 3
    clear = words | {"b": {"optimizer": {"lr": 1e-5}}, "epochs": 6}
    decided = finish(commands.compare(digits, budget=31, out=tmp_path / "decided", **clear | {"folds": 5}))
    assert (decided["verdict"], decided["repeats"], decided["level"]) == ("a", 1, 0.975)


def test_a_round_that_is_longer_than_the_budget_is_told_before_and_after(digits: Any, tmp_path: Path) -> None:
    words: dict[str, Any] = {"folds": 2, "b": {"seed": 7}, "engine": "serial", **SMALL, "epochs": 1}
    place, notes = tmp_path / "study", list[str]()
    work = commands.compare(digits, budget=1e-3, out=place, **words)
    record = finish(work, lambda event: notes.append(getattr(event, "text", "")))
    foreseen = [
        i for i, note in enumerate(notes) if "for its training steps alone, more than the budget of 0.001 s" in note
    ]
    first = next(i for i, note in enumerate(notes) if note.startswith("[1/4]"))
    assert [i < first for i in foreseen] == [True]
    took = [note for note in notes if note.startswith("a round of folds takes")]
    assert len(took) == 1
    assert took[0].endswith("s, more than the budget of 0.001 s, so it is the only one")
    assert record["budget"]["seconds"] == 1e-3 < record["budget"]["round_seconds"]
    assert "more than the budget of 0.001 s." in (place / "report.html").read_text()
    notes.clear()
    finish(
        commands.compare(digits, budget=1e-3, out=place, **words), lambda event: notes.append(getattr(event, "text", ""))
    )
    assert not any("training steps alone" in note for note in notes)  # they are trained already


def test_a_budget_that_is_kept_is_not_said_to_be_overrun(
    digits: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Series, "seconds", lambda self, records: 400.0)
    words: dict[str, Any] = {"folds": 2, "b": {"seed": 7}, "engine": "serial", **SMALL, "epochs": 1}
    notes: list[str] = []
    work = commands.compare(digits, budget=600, out=tmp_path / "study", **words)
    finish(work, lambda event: notes.append(getattr(event, "text", "")))
    assert "a round of folds takes 400 s; the budget pays for 1" in notes
    assert not any("more than the budget" in note for note in notes)
    page = (tmp_path / "study" / "report.html").read_text()
    assert "more than the budget" not in page
    assert not any("judged twice" in words for words in (page, *notes))


def test_the_number_of_rounds_does_not_hang_on_where_runs_were_stopped() -> None:
    """Two runs of the same speed, of which one was stopped early, are counted alike."""
    whole = {"seconds": 21.0, "times": {"training": 16.0, "validation": 4.0}, "epochs": {"planned": 10, "trained": 10}}
    early = {"seconds": 7.0, "times": {"training": 4.8, "validation": 1.2}, "epochs": {"planned": 10, "trained": 3}}
    assert at_full_length(whole) == at_full_length(early) == pytest.approx(21)
    assert paid(50.0, 21.0, True) == (
        "a round of folds takes 21 s, counted as if no run had been stopped early; the budget pays for 2"
    )


def test_rounds_of_runs_that_are_stopped_early_are_counted_whole(digits: Any, tmp_path: Path) -> None:
    words = {"folds": 2, "b": {"seed": 7}, "engine": "serial", **SMALL, "epochs": 40, "stop": {"patience": 1}}
    notes: list[str] = []
    record = finish(
        commands.compare(digits, budget=1e-3, out=tmp_path / "study", **words),
        lambda event: notes.append(getattr(event, "text", "")),
    )
    met = [read(file.parent) for file in (tmp_path / "study").glob("*/record.json")]
    assert all(each["epochs"]["trained"] < 40 for each in met)
    assert record["budget"]["round_seconds"] > 1.2 * sum(each["seconds"] for each in met)
    assert any("counted as if no run had been stopped early, more than the budget" in note for note in notes)


def test_of_three_the_settled_one_trains_no_more(digits: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Series, "seconds", lambda self, records: 10.0)
    words: dict[str, Any] = {"folds": 5, "margin": 1e-6, "b": {"seed": 7}, "c": {"optimizer": {"lr": 1e-5}}}
    words |= {**SMALL, "epochs": 6}
    record = finish(commands.compare(digits, budget=25, engine="serial", out=tmp_path / "study", **words))
    assert {name: row["repeats"] for name, row in record["recipes"].items()} == {"a": 2, "b": 2, "c": 1}
    assert [pair["repeats"] for pair in record["pairs"]] == [2, 1, 1]
    assert (record["level"], record["interval_level"]) == (0.975, pytest.approx(1 - 0.025 / 3))
    assert [pair["verdict"] for pair in record["pairs"]][1:] == ["a", "b"]
    assert len(list((tmp_path / "study").glob("c-*/record.json"))) == 5
    page = (tmp_path / "study" / "report.html").read_text()
    assert "A and b: 5 folds, divided twice, trained once, 10 runs; c: 5 folds, divided once" in page
    assert "All 3 together, the intervals are at 97.5" in page
    assert "judged twice, after the first and after all, each time at 97.5 %" in page
    assert len(set(re.findall("Accuracy of [abc] and [abc], fold by fold", page))) == 3
    with np.load(tmp_path / "study" / "out-of-fold.npz") as found:
        assert found["fold"].shape == (2, 300)
        assert [len(found[f"probabilities_{name}"]) for name in "abc"] == [2, 2, 1]


def test_budgets_are_times() -> None:
    assert [seconds_of(each) for each in ("20min", "2h", "90s", "90", "1.5m", 7, None)] == [1200, 7200, 90, 90, 90, 7, None]
    for wrong in ("soon", "-5s", "1.2.3h", "-20min"):
        with pytest.raises(InputError, match=f'budget: a positive time such as 90s, 20min or 2h, not "{wrong}"'):
            seconds_of(wrong)


def test_names_are_checked_before_the_data_are_read(digits: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def opened(*_: Any) -> None:
        raise AssertionError("the data were read")

    monkeypatch.setattr(setup, "open_source", opened)
    with pytest.raises(InputError, match='b: there is no network "lenet6", did you mean "lenet5"'):
        finish(commands.compare(digits, b={"network": "lenet6"}))
    with pytest.raises(InputError, match='there is no network "lenet6"'):
        finish(commands.crossval(digits, network="lenet6"))
    with pytest.raises(InputError, match='mobilenet_v1 has no option "widht"'):
        finish(commands.bias_variance(digits, {"network.widht": [0.5, 1]}, network="mobilenet_v1"))


WRONG = {
    "nothing to compare": "",
    "the same recipe": "--b.epochs 30",
    "2 at least, not 1": "--b.epochs 2 --folds 1",
    "between 0 and 1, such as 0.005, not -0.1": "--b.epochs 2 --margin -0.1",
    "differ in images.size \\(a 8, b 32\\)": "--network resnet20 --b.images.size 32",
    "differ in split.test": "--b.split.test 0.1",
    'there is no field "netwrok".*network': "--b.netwrok plain20",
    "--b.network needs a value": "--b.network",
    "compare: --b needs a value": "--b --out study",
    "compare: --b.network needs a value": "--b.network --out study",
    "a and b differ in data, which a comparison has in common": "--network lenet5 --b.data mnist",
    "are the same recipe": "--network lenet5 --b.data=digits",
    'engine: "serail" is none of auto, serial, processes, batched, did you mean "serial"': "--b.epochs 2 --engine serail",
    "400 folds: the rarest class has only 174 images \\(or groups\\)": "--b.epochs 2 --folds 400",
    'there is no network "plain21"': "--b.network plain21",
    "budget: a positive time such as 20min, not 0 s": "--b.epochs 2 --budget 0s",
    'budget: a positive time such as 90s, 20min or 2h, not "-5s"': "--b.epochs 2 --budget -5s",
    'a positive time such as 90s, 20min or 2h, not "-5min"': "--b.epochs 2 --budget=-5min",
}


@pytest.mark.parametrize("said", WRONG)
def test_bad_words_get_one_clear_line(
    said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["compare", "digits", *WRONG[said].split()]) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("saccade: ")
    assert re.search(said, error), error


def test_one_image_of_a_class_is_not_several() -> None:
    with pytest.raises(InputError, match=r"3 folds: the rarest class has only 1 image \(or group\) to divide among them"):
        folded(np.array([0, 0, 0, 1]), np.full(4, "train"), np.arange(4), Fold(0, 3), 0)


def test_recipes_with_data_of_their_own_are_refused(digits: Any, tmp_path: Path) -> None:
    images, labels = digits
    for own in ("mnist", (images[::-1], labels[::-1])):
        with pytest.raises(InputError, match="compare: a and b differ in data"):
            finish(commands.compare(digits, b={"data": own}, out=tmp_path / "study", **SMALL))
    with pytest.raises(InputError, match="compare: a and b are the same recipe"):
        finish(commands.compare(digits, b={"data": digits}, out=tmp_path / "study", **SMALL))
    assert not (tmp_path / "study").exists()


def test_data_of_a_recipe_file_give_way_to_the_data_that_are_named(tmp_path: Path) -> None:
    """As for `saccade train DATA --recipe FILE`; without DATA the files have to agree."""
    files = {}
    for name, data in {"a": "digits", "b": "MNIST"}.items():
        files[name] = tmp_path / f"{name}.yaml"
        files[name].write_text(f"data: {data}\nnetwork: lenet5\nseed: {len(files)}\nepochs: 1\nplan: {{precision: fp32}}\n")
    with pytest.raises(InputError, match="compare: a and b differ in data"):
        finish(commands.compare(**files))
    notes: list[str] = []
    work = commands.compare("digits", folds=2, engine="serial", out=tmp_path / "study", **files)
    finish(work, lambda event: notes.append(getattr(event, "text", "")))
    said = [note for note in notes if "the recipe says" in note]
    assert said == ["b: the recipe says data: MNIST; compared is on digits, as on the command line"]


def test_without_the_store_no_image_is_taken_to_stand_alone(
    study: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, place = study
    members = Folds(3).members(make_recipe({"data": "arrays", **SMALL}), "a", 0)
    assert len(out_of_fold(Study(place), Folds(3), members).units) == 300
    monkeypatch.setenv("SACCADE_CACHE", str(tmp_path / "cleared"))
    with pytest.raises(
        InputError, match=r"cleared: the decoded images are gone, .* with --out decode them again and go on"
    ):
        out_of_fold(Study(place), Folds(3), members)
    with pytest.raises(InputError, match="the decoded images are gone"):
        Study(place).units("a-0-0-fold-0", "validation")


# --- verdicts, without training


def test_every_run_of_a_series_has_its_own_seed() -> None:
    """One start for all folds would move them together, unseen by the spread between them; a and b share each."""
    recipe = make_recipe({"data": "digits", "seed": 7})
    members = Folds(3, 2, 2).members(recipe, "a", 0)
    assert len({member.recipe.seed for member in members}) == len(members) == 12
    other = Folds(3, 2, 2).members(recipe.changed(network="plain20"), "b", 0)
    assert [member.recipe.seed for member in members] == [member.recipe.seed for member in other]


def test_recipes_that_would_have_other_folds_are_refused(digits: Any) -> None:
    """As where duplicates are found in the pixels that one recipe stores, and not in those of the other."""
    recipe = make_recipe({"data": "arrays", **SMALL})
    one, other = (finish(prepare(Folds(3).recipe(recipe, seed), digits)) for seed in (0, 1))
    check_folds({"a": one, "b": one})
    with pytest.raises(InputError, match="have other folds; give one"):
        check_folds({"a": one, "b": other})


def test_a_class_that_one_fold_would_hold_wholly_is_refused() -> None:
    """Its images are in three groups, of which the splitter may put all into one fold to make the folds equally large."""
    labels, units = np.array([0] * 30 + [1] * 6), np.array([*range(30), 30, 30, 31, 31, 32, 32])
    sides = folded(labels, np.full(36, "train"), units, Fold(0, 3), 0)
    assert set(labels[sides == "train"]) == {0, 1}
    together = np.array([*range(30), 30, 30, 30, 30, 31, 0])  # the last belongs to an image of the other class
    found = {outcome(labels, together, seed) for seed in range(40)}
    assert found <= {"divided", "refused"}


def outcome(labels: np.ndarray, units: np.ndarray, seed: int) -> str:
    try:
        sides = [folded(labels, np.full(len(labels), "train"), units, Fold(i, 2), seed) for i in range(2)]
    except InputError as error:
        return "refused" if "one would hold all images of a class" in str(error) else str(error)
    return "divided" if all(set(labels[each == "train"]) == {0, 1} for each in sides) else "a class is missing"


def simulated(seed: int, worse: float = 0.0, names: str = "ab") -> dict[str, OutOfFold]:
    """Real cross-validation on 300 digits: trees that draw features at random; `worse`: share of b's labels shuffled."""
    generator = np.random.default_rng(seed)
    images, labels = load_digits(return_X_y=True)
    where = generator.permutation(len(labels))[:300]
    images, labels = images[where], labels[where]
    fold = generator.permutation(np.arange(300) % 5)
    found = {}
    for name in names:
        likely = np.zeros((300, 10), np.float32)
        for k in range(5):
            tree = DecisionTreeClassifier(max_features=8, random_state=int(generator.integers(2**31)))
            handicap = worse if name == "b" else 0.0
            shuffled = np.where(generator.random(300) < handicap, generator.permutation(labels), labels)
            tree.fit(images[fold != k], shuffled[fold != k])
            likely[fold == k] = tree.predict_proba(images[fold == k])
        found[name] = OutOfFold(np.arange(300).astype(str), labels, np.arange(300), likely[None, None], fold[None])
    return found


def verdict(found: dict[str, OutOfFold], margin: float = 0.005) -> dict[str, Any]:
    pairs = len(found) * (len(found) - 1) // 2
    return concluded(list(found), judged(found, Terms(margin, 0.95, pairs)), margin)


def test_a_against_a_names_a_winner_in_at_most_7_of_100() -> None:
    winners = [verdict(simulated(seed))["verdict"] in ("a", "b") for seed in range(100)]
    assert sum(winners) <= 7


def test_of_three_that_are_the_same_none_is_called_better_in_more_than_7_of_100() -> None:
    pairs = [verdict(simulated(seed, names="abc"))["pairs"] for seed in range(100)]
    assert sum(any(pair["verdict"] in "abc" for pair in three) for three in pairs) <= 7


def test_a_against_a_crippled_a_is_found() -> None:
    verdicts = [verdict(simulated(seed, worse=0.5))["verdict"] for seed in range(20)]
    assert verdicts.count("a") >= 15
    assert "b" not in verdicts


def test_of_several_pairs_verdict_interval_and_p_agree() -> None:
    """Somewhere in these Holm's p would have said better where the joint interval still holds zero."""
    stricter = 0
    for seed in range(20):
        found = simulated(seed, worse=0.2 + 0.02 * seed, names="abc")
        pairs = judged(found, Terms(0.005, 0.95, 3))
        holm = saccade.statistics.holm([pair["p_unadjusted"] for pair in pairs])
        for pair, adjusted in zip(pairs, holm, strict=True):
            leaves_zero_out = pair["difference"]["low"] > 0 or pair["difference"]["high"] < 0
            assert leaves_zero_out == (pair["p"] <= 0.05) == (pair["verdict"] in "abc")
            assert pair["p"] == pytest.approx(min(1, 3 * pair["p_unadjusted"]))
            stricter += adjusted <= 0.05 < pair["p"]
        alone = judged({name: found[name] for name in "ab"}, Terms(0.005))[0]
        both = next(pair for pair in pairs if (pair["a"], pair["b"]) == ("a", "b"))
        assert alone["difference"]["low"] > both["difference"]["low"]
        assert alone["p"] == pytest.approx(both["p_unadjusted"])
    assert stricter


def test_all_that_is_said_of_three_pairs_is_right_at_once() -> None:
    """2,000 families: a and b are the same, c is better than both by just the margin, so neither is equivalent to it."""
    generator, terms = np.random.default_rng(0), Terms(0.1, 0.95, 3)
    wrong = missed = 0
    for _ in range(2000):
        values = generator.normal(0, 0.2, (3, 30)) + np.array([[0], [0], [0.1]])
        contrasts = {
            (i, j): saccade.statistics.Contrast(float(d.mean()), float(d.std(ddof=1)) / 30**0.5, 29, 30)
            for i, j in ((0, 1), (0, 2), (1, 2))
            for d in [values[j] - values[i]]
        }
        said = {pair: terms.decided(each) for pair, each in contrasts.items()}
        below = [said[pair] == "different" and contrasts[pair].value < 0 for pair in ((0, 2), (1, 2))]
        wrong += said[0, 1] == "different" or "equivalent" in (said[0, 2], said[1, 2]) or any(below)
        intervals = {pair: each.interval(1 - terms.alpha) for pair, each in contrasts.items()}
        truth = {(0, 1): 0.0, (0, 2): 0.1, (1, 2): 0.1}
        missed += any(not each.low <= truth[pair] <= each.high for pair, each in intervals.items())
    print(f"anything wrong {wrong / 2000:.4f}, any interval missed {missed / 2000:.4f}")
    assert wrong / 2000 <= 0.06
    assert missed / 2000 <= 0.06


def outcomes(right: np.ndarray, fold: np.ndarray) -> OutOfFold:
    """Of images of two classes, named rightly where `right` (R, S, N)."""
    n = right.shape[-1]
    likely = np.stack([right, 1 - right], -1).astype(np.float32)
    return OutOfFold(np.arange(n).astype(str), np.zeros(n, int), np.arange(n), likely, fold)


def test_folds_that_agree_by_chance_prove_nothing() -> None:
    """Two folds of 10 images with the same difference: no spread between folds, yet hardly any evidence."""
    fold = (np.arange(20) % 2)[None]
    a, b = np.ones((1, 1, 20)), np.ones((1, 1, 20))
    a[0, 0, :2] = 0
    found = {"a": outcomes(a, fold), "b": outcomes(b, fold)}
    assert contrast(found["a"], found["b"]).error > 0
    assert verdict(found)["verdict"] == "not distinguishable"


def with_copies(found: dict[str, OutOfFold]) -> dict[str, OutOfFold]:
    """Four copies of every image, grouped."""
    return {
        name: OutOfFold(
            np.arange(4 * len(each.ids)).astype(str),
            each.labels.repeat(4),
            each.units.repeat(4),
            each.probabilities.repeat(4, axis=2),
            each.fold.repeat(4, axis=1),
        )
        for name, each in found.items()
    }


def test_copies_in_groups_tell_no_more_than_one_of_each() -> None:
    """The same difference, error, components and prospects as without the copies."""
    once = simulated(0, worse=0.2)
    copied = with_copies(once)
    one, other = (spread(found["a"], found["b"]) for found in (once, copied))
    assert vars(one.components) == pytest.approx(vars(other.components))
    assert (one.units, one.of_images) == (other.units, pytest.approx(other.of_images))
    assert one.contrast(0.1, images=3).error == pytest.approx(other.contrast(0.1, images=3).error)
    scores = [accuracy(found["a"]) for found in (once, copied)]
    assert (scores[0].low, scores[0].high) == (pytest.approx(scores[1].low), pytest.approx(scores[1].high))


def test_the_page_names_the_test_that_was_made() -> None:
    once = simulated(0, worse=0.2)
    for found, made, other in (
        (once, ("over images", "exact McNemar, "), "permutation"),
        (with_copies(once), ("over 300 groups", "permutation test over groups, "), "McNemar"),
    ):
        page = flips(verdict(found)["pairs"][0], [str(i) for i in range(10)], {})
        assert all(words in page for words in made)
        assert other not in page


def test_the_same_outcomes_are_equivalent_and_sides_can_be_swapped() -> None:
    generator = np.random.default_rng(0)
    few = outcomes(np.ones((1, 1, 200)), (np.arange(200) % 5)[None])
    assert verdict({"a": few, "b": few})["verdict"] == "not distinguishable"  # nothing differed, in 200 images
    fold = (np.arange(2000) % 5)[None]
    a, b = (outcomes((generator.random((1, 1, 2000)) < p).astype(float), fold) for p in (0.9, 0.6))
    assert verdict({"a": a, "b": a})["verdict"] == "equivalent"
    one, other = verdict({"a": a, "b": b}), verdict({"a": b, "b": a})
    assert (one["verdict"], other["verdict"]) == ("a", "b")
    assert one["difference"]["low"] == pytest.approx(-other["difference"]["high"])
    three = verdict({"a": b, "b": b, "c": a})
    assert three["verdict"] == "c"
    assert three["headline"] == "c is better than every other"
    assert [pair["verdict"] for pair in three["pairs"]] == ["equivalent", "c", "c"]
    assert overall(["a", "b"], [{"a": "a", "b": "b", "verdict": "equivalent"}]) == "equivalent"


def design(generator: np.random.Generator, folds: Folds, n: int = 600) -> dict[str, OutOfFold]:
    """a names every image rightly; b by chances that images, their folds and the seeds have of their own."""
    fold = np.stack([generator.permutation(np.arange(n) % folds.count) for _ in range(folds.repeats)])
    ease = generator.normal(0.8, 0.05, n)
    shape = (folds.repeats, folds.seeds, folds.count)
    effects = generator.normal(0, 0.02, (folds.repeats, 1, folds.count)) + generator.normal(0, 0.06, shape)
    chance = ease + np.stack([effects[r][:, fold[r]] for r in range(folds.repeats)])
    right = (generator.random(chance.shape) < chance).astype(float)
    return {"a": outcomes(np.ones_like(right), fold), "b": outcomes(right, fold)}


@pytest.mark.parametrize(("kind", "count"), [("repeats", 3), ("seeds", 6), ("images", 4)])
def test_what_is_bought_is_what_was_promised(kind: str, count: int) -> None:
    """200 comparisons promise a variance for more of something; 200 that have it meet the same, on average."""
    generator, now = np.random.default_rng(0), Folds(5, 6, 2)
    promised = [spread(**design(generator, now)).bought(kind, count, 0.1).error ** 2 for _ in range(200)]
    then = {"repeats": Folds(5, 9, 2), "seeds": Folds(5, 6, 8), "images": now}[kind]
    n = 600 * (count if kind == "images" else 1)
    met = [spread(**design(generator, then, n)).contrast(0.1).error ** 2 for _ in range(200)]
    print(f"{count} more {kind}: promised {np.mean(promised) ** 0.5:.5f}, met {np.mean(met) ** 0.5:.5f}")
    assert np.mean(promised) == pytest.approx(np.mean(met), rel=0.12)
    assert np.mean(promised) < np.mean([spread(**design(generator, now)).contrast(0.1).error ** 2 for _ in range(100)])


PARTS = saccade.statistics.Components(image=0.1, split=0.0, seed=0.0, image_by_split=0.0, residual=0.1)
TERMS = Terms(0.001)


def test_advice_names_the_cheapest_purchase_that_decides() -> None:
    """Folds that differ by their seeds alone: seeds help most; with little between seeds, repeats do."""
    by_seed = Spread(Folds(5, 3, 2), 4e-4, 7e-4, 1e-6, 10**5, PARTS)
    words, rows = advice(0.02, by_seed, TERMS), {row["kind"]: row for row in purchases(0.02, by_seed, TERMS)}
    assert re.match(r"\d+ more seeds? \(\d+ runs\) would narrow ±\d\.\d\d to ±\d\.\d\d percentage points and decide", words)
    count = rows["seeds"]["enough"]
    assert TERMS.decided(by_seed.bought("seeds", count, 0.02)) == "different"
    assert TERMS.decided(by_seed.bought("seeds", count - 1, 0.02)) == ""
    assert rows["seeds"]["runs"] == 2 * 5 * 3 * count
    assert rows["seeds"]["half_width"] < 0.02
    assert 0.5 <= rows["seeds"]["chance"] < 0.7
    assert rows["seeds"]["doubled"] < rows["repeats"]["doubled"]
    assert "Twice as many would give: seeds ±" in words
    by_fold = Spread(Folds(5, 3, 2), 4e-4, 1e-6, 1e-6, 10**5, PARTS)
    assert re.match(r"\d+ more repeats? \(", advice(0.0208, by_fold, TERMS))


def test_advice_says_what_cannot_be_known_or_bought() -> None:
    one_seed = Spread(Folds(5), 2e-4, None, 1e-6, 10**5, saccade.statistics.Components(0.2, None, None, None, None))
    words = advice(0.02, one_seed, TERMS)
    assert re.search(r"Twice as many would give: repeats ±\d\.\d\d, images ±\d\.\d\d\.$", words)
    assert next(row for row in purchases(0.02, one_seed, TERMS) if row["kind"] == "seeds")["doubled"] is None
    hopeless = advice(1e-4, one_seed, TERMS)
    assert hopeless.startswith("No affordable number of runs will separate them: 20 more repeats would narrow ±")
    assert "Nor would 100 times the images." in hopeless
    few = Spread(Folds(5), 0.1 * 5 / 1000, None, 1e-4, 1000, saccade.statistics.Components(0.1, None, None, None, None))
    assert re.search(r"About \d+ times the images would", advice(0.011, few, TERMS))
    assert "show that they are equivalent" in advice(0.0, one_seed, Terms(0.02))


def test_advice_with_a_budget_is_in_words_that_the_command_takes() -> None:
    """A study has one budget: more of it is another study, whose rounds are judged on the terms of two looks."""
    budget = Budget(100.0, replace(TERMS, level=0.975))
    by_fold = Spread(Folds(5, 3, 2), 4e-4, 1e-6, 1e-6, 10**5, PARTS)
    words = advice(0.0245, by_fold, budget.terms, budget)
    met = re.match(
        r"(\d+) rounds of folds instead of 3 would narrow ±\d\.\d\d to ±(\d\.\d\d) percentage points and decide", words
    )
    assert met
    more = int(met[1]) - 3
    assert budget.terms.decided(by_fold.bought("repeats", more, 0.0245)) == "different"
    assert budget.terms.decided(by_fold.bought("repeats", more - 1, 0.0245)) == ""
    asked = re.search(r"They take --budget (\w+) and another --out\.", words)
    assert asked
    assert (seconds_of(asked[1]) or 0) // budget.seconds >= int(met[1])
    assert not re.search("repeats? |runs", words)
    by_seed = Spread(Folds(5, 3, 2), 4e-4, 7e-4, 1e-6, 10**5, PARTS)
    words = advice(0.02, by_seed, budget.terms, budget)
    assert re.match(r"\d seeds in a fold instead of 2 .* They take --seeds \d --budget \w+ and another --out\.", words)
    ended = advice(0.02, by_seed, budget.terms, replace(budget, ended=True))
    assert "and another --out, with these two recipes alone." in ended
    hopeless = advice(1e-4, by_fold, budget.terms, budget)
    assert hopeless.startswith("No affordable budget will separate them: 23 rounds of folds instead of 3 would narrow")


def test_a_second_round_of_a_budget_is_promised_on_the_terms_of_its_second_look() -> None:
    one_round = Spread(Folds(5, 1, 2), 4e-4, 7e-4, 1e-6, 10**5, PARTS)
    budget = Budget(100.0, replace(TERMS, level=0.975))
    with_time, without = (
        {row["kind"]: row["doubled"] for row in purchases(0.02, one_round, TERMS, each)} for each in (budget, None)
    )
    assert with_time["repeats"] > without["repeats"]
    assert with_time == without | {"repeats": with_time["repeats"]}


def test_budgets_that_are_advised_are_read_and_never_less() -> None:
    for seconds in (0.2, 59.5, 119.9, 121, 3599, 7201, 40_000):
        asked = seconds_of(duration(seconds))
        assert asked is not None
        assert seconds <= asked <= 1.5 * seconds + 1


def test_advice_of_three_is_on_each_undecided_pair_the_nearest_to_a_decision_first() -> None:
    found = simulated(0, worse=0.8, names="abc")
    terms = Terms(0.005, 0.95, 3)
    pairs = judged(found, terms)
    assert [pair["verdict"] for pair in pairs] == ["a", "not distinguishable", "c"]
    said = counsel(found, pairs, terms)
    assert said["advice"].startswith("a and c: ")
    assert [row["kind"] for row in said["purchases"]] == ["repeats", "seeds", "images"]
    open_ = [
        pair | {"verdict": "not distinguishable", "p_unadjusted": p} for pair, p in zip(pairs, (0.1, 0.9, 0.5), strict=True)
    ]
    several = counsel(found, open_, terms)
    assert re.fullmatch("a and b: .*\nb and c: .*\na and c: .*\nWhat more seeds .*", several["advice"])
    assert [(row["a"], row["b"]) for row in several["purchases"][::3]] == [("a", "b"), ("b", "c"), ("a", "c")]
    assert counsel(found, pairs[:1], terms) == {
        "advice": "This is decided; more runs would only tell the size of the difference more closely.",
        "purchases": [],
    }
    assert headline("not distinguishable", pairs, 0.005).startswith("no recipe is better than every other")


def test_advice_of_four_is_on_the_pairs_nearest_to_a_decision_and_farthest_from_it() -> None:
    found, terms = simulated(0, names="acde"), Terms(0.005, 0.95, 6)
    chances = (0.9, 0.5, 0.1, 0.6, 0.95, 0.7)
    pairs = [
        pair | {"verdict": "not distinguishable", "p_unadjusted": p}
        for pair, p in zip(judged(found, terms), chances, strict=True)
    ]
    several = counsel(found, pairs, terms)
    assert re.fullmatch("a and e: .*\nc and e: .*\nWhat more seeds .*", several["advice"])
    assert len(several["purchases"]) == 3 * 6


def test_compare_is_exported() -> None:
    assert callable(saccade.compare)
