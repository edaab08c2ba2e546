"""Comparisons on real digits: what the folds hold, what is read when, what is said, how they go on."""

import json
import os
import re
import signal
import subprocess
import sys
import time
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
from saccade.experiment import fit, run
from saccade.experiment.advice import Spread, advice
from saccade.experiment.compare import Series, check_folds
from saccade.experiment.division import bootstrap_sample
from saccade.experiment.engine import travels
from saccade.experiment.folds import Folds, OutOfFold
from saccade.experiment.processes import Member, in_processes
from saccade.experiment.recipe import make_recipe
from saccade.experiment.setup import prepare
from saccade.experiment.study import Study, open_study
from saccade.experiment.verdict import contrast, judged, overall

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
    assert "A is better" in page
    assert page.count("<img") > 4
    assert "optimizer.lr 1e-05" in page


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
    with pytest.raises(InputError, match="another study is in there"):
        finish(commands.compare(digits, **words | {"margin": 0.1}))
    images, labels = digits
    with pytest.raises(InputError, match="the images have changed since this study began"):
        finish(commands.compare((images[::-1], labels[::-1]), **words))


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
    held = [folded(labels, parts, units, Fold(i, count), seed) == "validation" for i in range(count)]
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


def test_a_failed_run_is_reported_and_the_others_are_kept(digits: Any, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="3 of 6 runs failed, the first \\(b-0-0-fold-0\\): the loss is"):
        finish(commands.compare(digits, folds=3, out=tmp_path / "study", b={"optimizer": {"lr": 1e9}}, **SMALL))
    assert len(list((tmp_path / "study").glob("a-*/record.json"))) == 3


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
        finish(commands.predict(study[1], study[1] / "none.png"))


def test_with_a_budget_repeats_are_what_it_pays_for(digits: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words: dict[str, Any] = {"folds": 2, "b": {"seed": 7}, "margin": 1e-6, **SMALL, "epochs": 1}
    short = finish(commands.compare(digits, budget=1e-3, out=tmp_path / "short", **words))
    assert (short["repeats"], short["level"]) == (1, 0.95)
    assert len(list((tmp_path / "short").glob("*/record.json"))) == 4
    monkeypatch.setattr(Series, "seconds", lambda self, records: 10.0)
    whole = finish(commands.compare(digits, budget=31, out=tmp_path / "whole", **words))
    assert (whole["repeats"], whole["level"]) == (3, 0.975)
    assert len(whole["pairs"][0]["by_fold"]["a"]) == 3
    clear = words | {"b": {"optimizer": {"lr": 1e-5}}, "epochs": 6}
    decided = finish(commands.compare(digits, budget=31, out=tmp_path / "decided", **clear | {"folds": 5}))
    assert (decided["verdict"], decided["repeats"], decided["level"]) == ("a", 1, 0.975)


def test_budgets_are_times() -> None:
    assert [seconds_of(each) for each in ("20min", "2h", "90s", "90", "1.5m", 7, None)] == [1200, 7200, 90, 90, 90, 7, None]
    with pytest.raises(InputError, match='such as 90s, 20min or 2h, not "soon"'):
        seconds_of("soon")


WRONG = {
    "nothing to compare": "",
    "the same recipe": "--b.epochs 30",
    "2 at least, not 1": "--b.epochs 2 --folds 1",
    "between 0 and 1, such as 0.005, not -0.1": "--b.epochs 2 --margin -0.1",
    "differ in images.size \\(a 8, b 32\\)": "--network resnet20 --b.images.size 32",
    "differ in split.test": "--b.split.test 0.1",
    'there is no field "netwrok".*network': "--b.netwrok plain20",
    "--b.network needs a value": "--b.network",
    'engine: "serail" is none of auto, serial, processes, batched, did you mean "serial"': "--b.epochs 2 --engine serail",
    "400 folds: the rarest class has only": "--b.epochs 2 --folds 400",
    'there is no network "plain21"': "--b.network plain21",
    "budget: more than no time": "--b.epochs 2 --budget 0s",
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


def simulated(seed: int, worse: float = 0.0) -> dict[str, OutOfFold]:
    """Real cross-validation on 300 digits: trees that draw features at random; `worse`: share of b's labels shuffled."""
    generator = np.random.default_rng(seed)
    images, labels = load_digits(return_X_y=True)
    where = generator.permutation(len(labels))[:300]
    images, labels = images[where], labels[where]
    fold = generator.permutation(np.arange(300) % 5)
    found = {}
    for name, handicap in (("a", 0.0), ("b", worse)):
        likely = np.zeros((300, 10), np.float32)
        for k in range(5):
            tree = DecisionTreeClassifier(max_features=8, random_state=int(generator.integers(2**31)))
            shuffled = np.where(generator.random(300) < handicap, generator.permutation(labels), labels)
            tree.fit(images[fold != k], shuffled[fold != k])
            likely[fold == k] = tree.predict_proba(images[fold == k])
        found[name] = OutOfFold(np.arange(300).astype(str), labels, np.arange(300), likely[None, None], fold[None])
    return found


def test_a_against_a_names_a_winner_in_at_most_7_of_100() -> None:
    winners = [judged(simulated(seed), 0.005, 0.95)["verdict"] in ("a", "b") for seed in range(100)]
    assert sum(winners) <= 7


def test_a_against_a_crippled_a_is_found() -> None:
    verdicts = [judged(simulated(seed, worse=0.5), 0.005, 0.95)["verdict"] for seed in range(20)]
    assert verdicts.count("a") >= 15
    assert "b" not in verdicts


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
    assert judged(found, 0.005, 0.95)["verdict"] == "not distinguishable"


def test_the_same_outcomes_are_equivalent_and_sides_can_be_swapped() -> None:
    generator = np.random.default_rng(0)
    few = outcomes(np.ones((1, 1, 200)), (np.arange(200) % 5)[None])
    assert judged({"a": few, "b": few}, 0.005, 0.95)["verdict"] == "not distinguishable"  # nothing differed, in 200 images
    fold = (np.arange(2000) % 5)[None]
    a, b = (outcomes((generator.random((1, 1, 2000)) < p).astype(float), fold) for p in (0.9, 0.6))
    assert judged({"a": a, "b": a}, 0.005, 0.95)["verdict"] == "equivalent"
    one, other = judged({"a": a, "b": b}, 0.005, 0.95), judged({"a": b, "b": a}, 0.005, 0.95)
    assert (one["verdict"], other["verdict"]) == ("a", "b")
    assert one["difference"]["low"] == pytest.approx(-other["difference"]["high"])
    three = judged({"a": b, "b": b, "c": a}, 0.005, 0.95)
    assert three["verdict"] == "c"
    assert three["headline"] == "c is better than every other"
    assert [pair["verdict"] for pair in three["pairs"]] == ["equivalent", "c", "c"]
    assert overall(["a", "b"], [{"a": "a", "b": "b", "verdict": "equivalent"}]) == "equivalent"


def test_advice_counts_the_runs_that_would_decide() -> None:
    pair = {"verdict": "not distinguishable", "difference": {"value": 0.02}}
    spread = Spread(of_folds=0.0002, of_images=1e-6)
    repeats = int(advice(pair, spread, Folds(5)).split()[0])
    assert spread.half_width(5, 1 + repeats) < 0.02 <= spread.half_width(5, repeats)
    assert "No affordable number" in advice({**pair, "difference": {"value": 1e-4}}, spread, Folds(5))
    assert "times the images" in advice({**pair, "difference": {"value": 1e-3}}, Spread(1e-7, 1e-5), Folds(5))
    assert "decided" in advice({**pair, "verdict": "a"}, spread, Folds(5))


def test_compare_is_exported() -> None:
    assert callable(saccade.compare)
