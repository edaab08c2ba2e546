"""Cross-validation and curves on real digits: what chooses, what reports, and what is said of bias and variance."""

import csv
import json
import re
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits
from sklearn.metrics import accuracy_score

from saccade import InputError, commands, statistics
from saccade.cli import main
from saccade.cli.studies import scored as scored_lines
from saccade.cli.studies import searched
from saccade.data.batches import Resident
from saccade.events import finish
from saccade.experiment import crossval, fit, run, setup
from saccade.experiment.crossval import SUSPECTS
from saccade.experiment.folds import OutOfFold
from saccade.experiment.lowest import above_lowest, headline, method
from saccade.experiment.suspects import suspected, write_suspects
from saccade.report.crossval import crossval_page

SMALL: dict[str, Any] = {
    "network": "lenet5",
    "epochs": 6,
    "batch": 16,
    "optimizer": {"lr": 0.02},
    "plan": {"precision": "fp32", "channels_last": True},
}
LONGER = SMALL | {"epochs": 8}


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
    for each in searches:
        assert read(each)["test_read"] == 0
        outer_run = place / each.name.partition("-choice")[0]
        with np.load(each / "split.npz") as inner, np.load(outer_run / "split.npz") as outer:
            assert ((inner["parts"] == "test") == (outer["parts"] == "test")).all()


def test_the_scores_of_a_cross_validation_say_what_their_intervals_hold_for(
    nested: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    record, place = nested
    assert main(["evaluate", str(place)]) == 0
    said = capsys.readouterr()
    lines = said.out.splitlines()
    assert len(lines) == len(record["scores"]["out_of_fold"])
    assert all(line.startswith("out of fold ") for line in lines)
    over_folds, over_images = said.err.splitlines()
    assert over_folds.startswith("The interval of the accuracy is over folds")
    assert over_images.startswith("The others are for the networks of the first division alone")
    page = (place / "report.html").read_text()
    assert over_folds in page
    assert over_images in page
    assert "out of fold" in page
    assert "out_of_fold" not in page


@dataclass
class Reading:
    """The run that read images, whether its training had ended by then, and which images."""

    run: str
    ended: bool
    images: np.ndarray


def recorded(monkeypatch: pytest.MonkeyPatch) -> list[Reading]:
    """Every reading of an image from now on, by whatever run is under way."""
    readings: list[Reading] = []
    under_way = {"run": "", "ended": False}
    construct, evaluate, measure = fit.Fit.__init__, run.final_outcomes, setup.statistics_of

    class Recording(Resident):
        def take(self, indices: np.ndarray) -> Any:
            readings.append(Reading(**under_way, images=np.array(indices)))
            return super().take(indices)

    def begin(self: fit.Fit, *words: Any) -> None:
        under_way.update(run=words[2].name, ended=False)
        construct(self, *words)

    def end(found: fit.Fit) -> Any:
        under_way["ended"] = True
        return evaluate(found)

    def statistics_of(pixels: Any, images: np.ndarray) -> Any:
        readings.append(Reading("normalization", False, images))
        return measure(pixels, images)

    monkeypatch.setattr(fit, "Resident", Recording)
    monkeypatch.setattr(fit.Fit, "__init__", begin)
    monkeypatch.setattr(run, "final_outcomes", end)
    monkeypatch.setattr(setup, "statistics_of", statistics_of)
    return readings


def test_a_nested_search_never_reads_the_outer_fold(digits: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of all readings of all runs: inner runs never take an image of their outer fold, the outer run does so once ended."""
    readings = recorded(monkeypatch)
    search, place = {"optimizer.lr": [0.01, 0.02]}, tmp_path / "study"
    fields = SMALL | {"epochs": 2, "stop": {"patience": 1}}
    finish(commands.crossval(digits, folds=3, search=search, inner=2, engine="serial", out=place, **fields))
    chosen = max(i for i, each in enumerate(readings) if "choice" in each.run)
    for fold in range(3):
        name = f"run-0-0-fold-{fold}"
        with np.load(place / name / "split.npz") as found:
            outer = np.flatnonzero(found["parts"] == "test")
        assert len(outer) == 100
        searching = [each for each in readings if each.run.startswith(f"{name}-choice")]
        assert len({each.run for each in searching}) == 4
        inside = np.unique(np.concatenate([each.images for each in searching]))
        assert len(inside) == 200  # all others, in one inner fold or the other
        assert not np.isin(inside, outer).any()
        own = [(i, each) for i, each in enumerate(readings) if each.run == name]
        assert min(i for i, _ in own) > chosen
        assert not np.isin(np.concatenate([each.images for _, each in own if not each.ended]), outer).any()
        at_the_end = np.concatenate([each.images for _, each in own if each.ended])
        assert np.isin(outer, at_the_end).all()
        assert read(place / name)["test_read"] == 1
    assert all(len(each.images) < 300 for each in readings if each.run == "normalization")


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


def test_of_many_labels_to_look_at_all_are_counted(nested: Any, tmp_path: Path) -> None:
    record, place = nested
    assert record["label_errors_found"] == len(record["label_errors"])
    with np.load(place / "out-of-fold.npz") as found:
        likely, labels, ids = (found[name] for name in ("probabilities_recipe", "labels", "ids"))
    wrong = (labels + 1) % 10  # all of them: what the networks say is another class than the label for most
    every = OutOfFold(ids, wrong, np.arange(300) // 2, likely, np.arange(300)[None] % 3)
    total = len(statistics.likely_label_errors(wrong, likely[0, 0]))
    assert total > SUSPECTS
    said = record | crossval.described(every, read(place / "run-0-0-fold-0"), crossval.CrossValidation())
    assert (said["label_errors_found"], len(said["label_errors"])) == (total, SUSPECTS)
    assert f"{total} labels to look at: {place / 'label-errors.csv'}" in scored_lines(said)
    page = crossval_page(said, {})
    assert f"{total} images are confidently another class" in page
    assert "The 24 most doubtful are shown, all are in label-errors.csv beside this page" in page
    write_suspects(tmp_path, suspected(every, record["classes"]))
    listed = list(csv.DictReader((tmp_path / "label-errors.csv").read_text(encoding="utf-8").splitlines()))
    assert len(listed) == total
    assert listed[0]["id"] == said["label_errors"][0]["id"]
    assert (place / "label-errors.csv").read_text().count("\n") == 1 + record["label_errors_found"]


def test_the_page_of_a_cross_validation_says_what_its_intervals_go_over(nested: Any) -> None:
    record, place = nested
    assert record["units"] == 300
    page = (place / "report.html").read_text()
    assert "Wilson's, or the exact one-sided limit where that is wider" in page
    assert "counts for, over images." in page
    assert "groups" not in page
    assert "counts for, over 150 groups of images" in crossval_page(record | {"units": 150}, {})


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
    assert many["above_lowest"] is None
    assert few["above_lowest"]["low"] > 0
    page = (tmp_path / "study" / "report.html").read_text()
    assert "<h1>The error is lowest at split.images 200</h1>" in page
    assert "by the intervals of the paired differences" in page


def test_a_value_is_not_called_lowest_alone_where_others_may_be_as_low() -> None:
    """By paired differences, which tell more than intervals that overlap; by those where nothing is paired."""
    rng = np.random.default_rng(0)
    images = rng.exponential(1.0, 200)
    losses = [{seed: images + shift + 0.01 * rng.standard_normal(200) for seed in range(3)} for shift in (0.1, 0.0, 0.001)]
    above = above_lowest(losses, np.arange(200))
    spread = {"low": 0.8, "high": 1.2}
    means = [{"log_loss": {"error": {"value": float(np.mean(list(each.values()))), **spread}}} for each in losses]
    rows = [
        {"value": i, "above_lowest": difference, **mean} for i, difference, mean in zip("abc", above, means, strict=True)
    ]
    best, other = ("b", "c") if above[1] is None else ("c", "b")
    assert headline("lr", rows) == f"The error is lowest at lr {best}, but not distinguishable from {other}"
    unpaired = [row | {"above_lowest": None} for row in rows]
    assert headline("lr", unpaired).startswith(f"The error is lowest at lr {best}, but not distinguishable from a, ")
    assert (method(rows) == method(unpaired)) is False


def test_bias_and_variance_of_one_recipe_are_a_sentence_and_a_table(digits: Any, tmp_path: Path) -> None:
    work = commands.bias_variance(digits, None, 2, "serial", tmp_path / "study", **SMALL | {"epochs": 1})
    notes: list[str] = []
    (row,) = finish(work, lambda event: notes.append(getattr(event, "text", "")))["rows"]
    loss = {name: row["log_loss"][name]["value"] for name in ("error", "bias", "variance")}
    page = (tmp_path / "study" / "report.html").read_text()
    assert f"<h1>{100 * loss['bias'] / loss['error']:.1f}\u202f% of the log loss is bias</h1>" in page
    assert "lowest at" not in page
    assert "at each value" not in page
    assert "<svg" not in page
    (told,) = (note for note in notes if note.startswith(f"epochs 1: log loss {loss['error']:.3f} ("))
    assert re.search(rf"= bias {loss['bias']:.3f} \(.* to .*\) \+ variance {loss['variance']:.3f} \(.* to .*\)$", told)


@pytest.fixture(scope="module")
def grouped(digits: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The digits as files with a column of 30 groups, ten images each."""
    place = tmp_path_factory.mktemp("grouped")
    lines = ["path,label,writer"]
    for i, (image, label) in enumerate(zip(*digits, strict=True)):
        Image.fromarray(image).save(place / f"{i}.png")
        lines.append(f"{i}.png,{label},{i // 10}")
    (place / "digits.csv").write_text("\n".join(lines) + "\n")
    return place / "digits.csv"


def scored(study: Path, names: list[str]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What these runs said of the validation images, their labels and their writers."""
    likely = []
    for name in names:
        with np.load(study / name / "predictions.npz") as found:
            there = np.flatnonzero(found["parts"] == "validation")
            there = there[np.argsort(found["ids"][there])]
            likely.append(found["probabilities"][there])
            ids, labels = found["ids"][there], found["labels"][there]
    return np.stack(likely), labels, np.array([int(Path(each).stem) // 10 for each in ids.tolist()])


def test_curves_draw_groups_whole(grouped: Path, tmp_path: Path) -> None:
    words = SMALL | {"epochs": 1, "split": {"group": "writer", "validation": 0.4, "test": 0}}
    curve = finish(commands.learning_curve(grouped, [50, 100], 2, "serial", tmp_path / "curve", **words))
    likely, labels, writers = scored(tmp_path / "curve", ["value-1-0", "value-1-1"])
    right = (likely.argmax(2) == labels).astype(float)
    expected = statistics.share_over_runs(right, groups=writers)
    assert curve["rows"][1]["accuracy"] == pytest.approx(expected.to_dict())
    assert curve["rows"][1]["accuracy"]["high"] != pytest.approx(statistics.share_over_runs(right).high)
    before = (scored(tmp_path / "curve", ["value-0-0", "value-0-1"])[0].argmax(2) == labels).astype(float)
    gain = statistics.mean_over_runs(right - before, groups=writers)
    assert curve["rows"][1]["gain"] == pytest.approx(gain.to_dict())
    parts = finish(commands.bias_variance(grouped, None, 2, "serial", tmp_path / "parts", **words))
    likely, labels, writers = scored(tmp_path / "parts", ["value-0-0", "value-0-1"])
    expected_parts = statistics.log_loss_decomposition(likely, labels, writers)
    assert parts["rows"][0]["log_loss"]["bias"] == pytest.approx(expected_parts.bias.to_dict())
    assert parts["rows"][0]["domingos"]["bias"]["high"] == pytest.approx(
        statistics.zero_one_domingos(likely.argmax(2), labels, writers).bias.high
    )


def test_runs_draw_groups_whole(grouped: Path, tmp_path: Path) -> None:
    words = SMALL | {"epochs": 1, "split": {"group": "writer", "validation": 0.4, "test": 0}}
    record = finish(commands.train(grouped, out=tmp_path / "run", **words))
    likely, labels, writers = scored(tmp_path, ["run"])
    expected = statistics.share((likely[0].argmax(1) == labels).astype(float), writers)
    assert record["scores"]["validation"]["accuracy"] == pytest.approx(expected.to_dict())
    assert expected.high != pytest.approx(statistics.share((likely[0].argmax(1) == labels).astype(float)).high)


def test_races_and_ablations_draw_groups_whole(grouped: Path, tmp_path: Path) -> None:
    words = SMALL | {"epochs": 1, "split": {"group": "writer", "validation": 0.4, "test": 0}, "engine": "serial"}
    record = finish(commands.ablate(grouped, only=["mixup"], seeds=2, out=tmp_path / "ablation", **words))
    after, labels, writers = scored(tmp_path / "ablation", ["with-mixup-0", "with-mixup-1"])
    before = scored(tmp_path / "ablation", ["as-it-is-0", "as-it-is-1"])[0]
    change = (after.argmax(2) == labels).astype(float) - (before.argmax(2) == labels)
    expected = statistics.mean_over_runs(change, groups=writers)
    assert record["rows"][0]["difference"] == pytest.approx(expected.to_dict())
    words.pop("optimizer")  # which each rule of a race has for itself
    raced = finish(commands.race(grouped, rules="momentum", rates=1, seeds=2, out=tmp_path / "race", **words))
    likely, labels, writers = scored(tmp_path / "race", ["momentum-run-0", "momentum-run-1"])
    right = (likely.argmax(2) == labels).astype(float)
    expected = statistics.share_over_runs(right, groups=writers)
    assert raced["rules"][0]["accuracy"] == pytest.approx(expected.to_dict())


def test_options_of_a_network_can_be_varied(digits: Any, tmp_path: Path) -> None:
    fields = SMALL | {"network": "mobilenet_v1", "epochs": 1, "images": {"size": 32}}
    vary = {"network.width": [0.1, 0.2]}
    record = finish(commands.bias_variance(digits, vary, 2, "serial", tmp_path / "study", **fields))
    small, large = (row["parameters"] for row in record["rows"])
    assert 2 < large / small < 4.5


def test_data_can_be_varied_and_their_images_are_not_paired(tmp_path: Path) -> None:
    rng, places = np.random.default_rng(0), [tmp_path / "one", tmp_path / "two"]
    for place, count in zip(places, (20, 30), strict=True):
        for k in range(2 * count):
            (place / "ab"[k % 2]).mkdir(parents=True, exist_ok=True)
            Image.fromarray(rng.integers(0, 256, (28, 28), dtype=np.uint8)).save(place / "ab"[k % 2] / f"{k}.png")
    fields = SMALL | {"epochs": 1}
    vary = {"data": [str(place) for place in places]}
    record = finish(commands.bias_variance(str(places[0]), vary, 2, "serial", tmp_path / "study", **fields))
    assert [row["above_lowest"] for row in record["rows"]] == [None, None]


def test_a_learning_curve_doubles_its_images(digits: Any, tmp_path: Path) -> None:
    record = finish(commands.learning_curve(digits, seeds=2, engine="serial", out=tmp_path / "study", **SMALL))
    images = [row["images"] for row in record["rows"]]
    assert images[-1] == 205
    assert all(1.8 < b / a < 2.2 for a, b in pairwise(images))
    assert record["rows"][-1]["accuracy"]["value"] > record["rows"][0]["accuracy"]["value"]
    gain = record["rows"][-1]["gain"]
    values = [row["accuracy"]["value"] for row in record["rows"]]
    assert gain["value"] == pytest.approx(values[-1] - values[-2])


def test_a_learning_curve_says_why_its_sizes_are_others_and_gains_points(digits: Any, tmp_path: Path) -> None:
    notes: list[str] = []
    work = commands.learning_curve(digits, [48, 100], 2, "serial", tmp_path / "study", **SMALL | {"epochs": 2})
    rows = finish(work, lambda event: notes.append(getattr(event, "text", "")))["rows"]
    others = [f"{row['images']} in place of {row['value']}" for row in rows if row["images"] != row["value"]]
    assert others
    said = f"Each class gives its share of all the images there are, rounded: {', '.join(others)}."
    assert said in notes
    page = (tmp_path / "study" / "report.html").read_text()
    assert said in page
    gained = f"{100 * rows[1]['gain']['value']:+.2f}".replace("-", "−")
    assert f"it gained {gained} (" in page
    assert ") percentage points; while" in page


def test_one_value_leaves_nothing_to_choose_and_that_is_said(digits: Any, tmp_path: Path) -> None:
    notes: list[str] = []
    words = {"folds": 2, "search": {"optimizer.lr": [0.05]}, "engine": "serial", "out": tmp_path / "study"}
    work = commands.crossval(digits, **words, **SMALL | {"epochs": 1})
    record = finish(work, lambda event: notes.append(str(event)))
    assert any("search: one value of optimizer.lr leaves nothing to choose; 0.05 is used in every fold" in n for n in notes)
    assert record["chosen"] == []
    assert "lr: 0.05" in (tmp_path / "study" / "run-0-0-fold-0" / "recipe.yaml").read_text()


def test_values_to_search_are_read_from_the_command_line() -> None:
    assert searched(["lr=0.1,1e-2,wd=0"], "search") == {"optimizer.lr": [0.1, 0.01], "optimizer.weight_decay": [0]}
    assert searched(["lr=0.1", "mix.mixup=0,0.2"], "search") == {"optimizer.lr": [0.1], "mix.mixup": [0, 0.2]}
    with pytest.raises(InputError, match="write a field and its values"):
        searched(["0.1"], "search")


def test_searches_that_are_written_one_by_one_add_up(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[dict[str, Any]] = []

    def crossval(*_: Any, search: dict[str, Any], **__: Any) -> Any:
        asked.append(search)
        raise InputError("enough")

    monkeypatch.setattr(commands, "crossval", crossval)
    assert main("crossval digits --search lr=0.1,lr=0.2 --search wd=0 mix.mixup=0,1".split()) == 2
    assert main("crossval digits".split()) == 2
    assert asked == [{"optimizer.lr": [0.1, 0.2], "optimizer.weight_decay": [0], "mix.mixup": [0, 1]}, {}]


@pytest.mark.parametrize("values", [[], [0.1, 0.1], [1, 1.0], "sgd"])
def test_values_to_choose_from_are_several_and_each_once(values: Any, digits: Any) -> None:
    with pytest.raises(InputError, match=r"optimizer\.lr: one value at least, each once, not "):
        finish(commands.crossval(digits, search={"optimizer.lr": values}, **SMALL))
    with pytest.raises(InputError, match=r"optimizer\.lr: one value at least, each once, not "):
        finish(commands.bias_variance(digits, {"optimizer.lr": values}, **SMALL))


def test_sizes_beyond_all_images_are_all_images_and_are_said(digits: Any, tmp_path: Path) -> None:
    notes: list[str] = []
    work = commands.learning_curve(digits, [100, 5000, 100, 9000], 2, "serial", tmp_path / "study", **SMALL | {"epochs": 1})
    record = finish(work, lambda event: notes.append(getattr(event, "text", "")))
    assert [(row["value"], row["images"]) for row in record["rows"]] == [(100, 101), (205, 205)]
    assert "sizes: there are 205 training images, which is what 5,000 and 9,000 come to" in notes


WRONG = {
    'there is no field "optimizer.rl"': "crossval digits --search optimizer.rl=1,2",
    "optimizer.lr should be greater than 0, not -1": "crossval digits --search lr=-1,1",
    "split.folds is nothing to be chosen": "crossval digits --search split.folds=2,3",
    "inner: two folds at least": "crossval digits --search lr=1,2 --inner 1",
    "optimizer.lr: one value at least, each once, not 0.1, 0.1": "crossval digits --search lr=0.1,0.1",
    "search: lr has an empty value; write lr=0.01,0.1": "crossval digits --search lr=",
    "search: lr has an empty value; write": "crossval digits --search lr=0.1,",
    "vary: lr has an empty value; write lr=0.01,0.1": "bias-variance digits --vary lr=",
    "vary: one field, not 2 .optimizer.lr, optimizer.weight_decay.": "bias-variance digits --vary lr=1,2 --vary wd=0,1",
    "seeds: two at least, for their spread is what is measured, not 0": "learning-curve digits --seeds 0",
    "split.images should be greater than or equal to 2, not 0": "learning-curve digits --network lenet5 --sizes 0,100",
    "sizes: a curve takes two sizes at least, and there is one, 1,222 images": (
        "learning-curve digits --network lenet5 --sizes 5000,100000"
    ),
    "sizes: a curve takes two sizes at least, and there is one, 100 images": (
        "learning-curve digits --network lenet5 --sizes 100"
    ),
    "2 at least, not 1": "crossval digits --folds 1",
    'there is no network "foo"': "crossval digits --search network=lenet5,foo",
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


def test_networks_of_a_search_that_do_not_take_the_images_are_told_before_anything_trains(tmp_path: Path) -> None:
    """Each would get another size of its own, but a search has one size for all, as a comparison has."""
    place = tmp_path / "study"
    with pytest.raises(InputError, match=r"search: network=lenet5: lenet5 does not take images of 1x8x8 .*--images.size"):
        finish(commands.crossval("digits", search={"network": ["resnet20", "lenet5"]}, out=place, epochs=1))
    assert not place.exists()
