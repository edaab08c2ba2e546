"""Races, ablations and range tests on real digits: what they choose by, what they read, how they go on."""

import io
import json
import re
import sys
from contextlib import suppress
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import load_file
from sklearn.datasets import load_digits

import saccade
from saccade import InputError, commands
from saccade.cli import main
from saccade.events import finish
from saccade.experiment.race import not_counted
from saccade.experiment.recipe import make_recipe
from saccade.experiment.recipe_files import read_recipe, recipe_file, shipped
from saccade.experiment.trajectories import watched
from saccade.experiment.tune import suggested
from saccade.layers import edit
from saccade.report.studies import nowhere

SMALL: dict[str, Any] = {
    "network": "resnet20",
    "epochs": 2,
    "batch": 32,
    "images": {"size": 16},
    "plan": {"precision": "fp32", "channels_last": True},
}


QUICK = SMALL | {"network": "lenet5", "images": {"size": 28}}  # where no residual block is needed


@pytest.fixture(scope="module")
def digits() -> tuple[np.ndarray, np.ndarray]:
    found = load_digits()
    return (found.images[:300] * 15.9).astype(np.uint8), found.target[:300]


def read(run: Path) -> dict[str, Any]:
    return json.loads((run / "record.json").read_text())


def closed(page: str) -> bool:
    """Whether every element of the page that must be closed is."""
    open_: list[str] = []

    class Tags(HTMLParser):
        def handle_starttag(self, tag: str, attributes: Any) -> None:
            if tag not in ("meta", "line", "circle", "polyline", "polygon", "path", "image", "rect", "br"):
                open_.append(tag)

        def handle_endtag(self, tag: str) -> None:
            if open_ and open_[-1] == tag:
                open_.pop()

    Tags().feed(page)
    return not open_


def test_a_race_searches_by_validation_and_reads_test_with_other_seeds(digits: Any, tmp_path: Path) -> None:
    split = {"seed": 5}  # of search and runs alike, or images that chose the rate would be among those that test it
    words = {"rules": "sgd, adamw", "rates": 1, "seeds": 2, "out": tmp_path / "race", **QUICK, "split": split}
    record = finish(commands.race(digits, **words))
    rows = {row["rule"]: row for row in record["rules"]}
    assert set(rows) == {"sgd", "adamw"}
    for rule, row in rows.items():
        search = next((tmp_path / "race").glob(f"{rule}-search-*"))
        assert read(search)["test_read"] == 0
        assert "test" not in read(search)["scores"]
        runs = [read(tmp_path / "race" / f"{rule}-run-{i}") for i in range(2)]
        assert [run["seed"] for run in runs] == [1, 2]
        assert all(run["test_read"] == 1 for run in runs)
        assert row["accuracy"]["value"] == pytest.approx(
            np.mean([run["scores"]["test"]["accuracy"]["value"] for run in runs])
        )
        assert 0 <= row["accuracy"]["low"] <= row["accuracy"]["value"] <= row["accuracy"]["high"] <= 1
        with (
            np.load(tmp_path / "race" / search.name / "split.npz") as one,
            np.load(tmp_path / "race" / f"{rule}-run-0" / "split.npz") as two,
        ):
            assert np.array_equal(one["parts"], two["parts"])
    page = (tmp_path / "race" / "report.html").read_text()
    assert closed(page)
    assert "rosenbrock" in page
    before = {file: file.stat().st_mtime_ns for file in (tmp_path / "race").rglob("model.safetensors")}
    (tmp_path / "race" / "sgd-run-1" / "record.json").unlink()  # as if it had been stopped there
    again = finish(commands.race(digits, **words))
    assert again["rules"][0]["by_seed"] == record["rules"][0]["by_seed"]
    untouched = [file for file, time in before.items() if file.stat().st_mtime_ns == time]
    assert len(untouched) == len(before) - 1
    with pytest.raises(InputError, match="another study is in there \\(rules differs: "):
        finish(commands.race(digits, **words | {"rules": ["sgd"]}))


def test_an_ablation_switches_one_thing_at_a_time_and_reads_no_test_part(digits: Any, tmp_path: Path) -> None:
    only = ["label smoothing", "mixup", "stochastic depth"]
    fields = SMALL | {"images": {"size": 8}, "epochs": 1, "regularize": {"label_smoothing": 0.1}}
    record = finish(commands.ablate(digits, only=only, seeds=2, out=tmp_path / "study", **fields))
    changes = {row["regularizer"]: row["change"] for row in record["rows"]}
    assert changes == {"label smoothing": "without", "mixup": "with", "stochastic depth": "with"}
    runs = [file.parent for file in (tmp_path / "study").glob("*/record.json")]
    assert len(runs) == 8
    assert all(read(run)["test_read"] == 0 for run in runs)
    assert all(read(run)["selected_on"].startswith("nothing") for run in runs)
    base = read_recipe(tmp_path / "study" / "as-it-is-0" / "recipe.yaml")
    other = read_recipe(tmp_path / "study" / "without-label-smoothing-0" / "recipe.yaml")
    assert [name for name in base if base[name] != other[name]] == ["regularize"]
    for row in record["rows"]:
        found = row["difference"]
        assert found["low"] <= found["value"] <= found["high"]
        assert found["value"] == pytest.approx(row["accuracy"]["value"] - record["base"]["accuracy"]["value"])
    adjusted = [row["p_adjusted"] for row in record["rows"]]
    assert adjusted == pytest.approx(saccade.statistics.holm([row["p"] for row in record["rows"]]).tolist())
    page = (tmp_path / "study" / "report.html").read_text()
    assert closed(page)
    assert f"{sum(p <= 0.05 for p in adjusted)} of 3 changes make a difference" in page


def test_seeds_of_a_race_and_of_an_ablation_train_as_one_network(digits: Any, tmp_path: Path) -> None:
    """The batched engine is asked for; what it trains is scored and reported as what is trained alone."""
    fields = QUICK | {"batch": 16}
    words = {"rules": "sgd", "rates": 3, "seeds": 2, **fields}
    several = finish(commands.race(digits, **words, engine="batched", out=tmp_path / "race"))
    alone = finish(commands.race(digits, **words, engine="serial", out=tmp_path / "alone"))
    for run in ("sgd-run-0", "sgd-run-1"):
        assert any("trained as one network with 1 other run" in note for note in read(tmp_path / "race" / run)["notes"])
    assert len(list((tmp_path / "race").glob("sgd-search-*"))) >= 3
    assert several["rules"][0]["lr"] == alone["rules"][0]["lr"]
    assert several["rules"][0]["accuracy"]["value"] == pytest.approx(alone["rules"][0]["accuracy"]["value"], abs=0.1)
    record = finish(
        commands.ablate(digits, only=["label smoothing"], seeds=3, engine="batched", out=tmp_path / "ablate", **fields)
    )
    assert "difference" in record["rows"][0]
    runs = [*(tmp_path / "ablate").glob("as-it-is-*"), *(tmp_path / "ablate").glob("with-label-smoothing-*")]
    assert len(runs) == 6
    assert all(any("trained as one network" in note for note in read(run)["notes"]) for run in runs)


def test_without_validation_images_a_race_and_an_ablation_say_so_before_training(digits: Any, tmp_path: Path) -> None:
    fields = SMALL | {"split": {"validation": 0}}
    for work in (
        commands.race(digits, out=tmp_path / "race", **fields),
        commands.ablate(digits, out=tmp_path / "a", **fields),
    ):
        with pytest.raises(InputError, match=r"validation images, and there are none; set --split.validation"):
            finish(work)
    assert not (tmp_path / "race").exists()
    assert not (tmp_path / "a").exists()


def test_folds_of_an_ablation_hold_every_image_once(digits: Any, tmp_path: Path) -> None:
    fields = QUICK | {"epochs": 1}
    record = finish(commands.ablate(digits, only=["mixup"], seeds=1, folds=3, out=tmp_path / "study", **fields))
    held = []
    for i in range(3):
        with np.load(tmp_path / "study" / f"as-it-is-fold-{i}-0" / "split.npz") as found:
            held.append(found["parts"] == "validation")
            parts = found["parts"]
    assert (np.stack(held).sum(0) == (parts != "test")).all()
    assert record["rows"][0]["difference"]["n"] == 3


def test_what_cannot_be_switched_on_is_said_and_the_others_go_on(
    digits: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(network: object, rate: float) -> int:
        raise InputError("dropout: the layer that gives the scores is not in a sequence")

    monkeypatch.setattr(edit, "dropout", refused)
    only = ["stochastic depth", "dropout", "L1"]
    fields = {**QUICK, "epochs": 1, "network": "lenet5", "images": {"size": 28}, "engine": "serial"}
    record = finish(commands.ablate(digits, only=only, seeds=1, out=tmp_path / "study", **fields))
    rows = {row["regularizer"]: row for row in record["rows"]}
    assert record["left_out"] == {"stochastic depth": "the network has no residual block"}
    assert "not in a sequence" in rows["dropout"]["failed"]
    assert "difference" in rows["L1"]


def test_a_range_test_finds_rates_between_its_ends(digits: Any, tmp_path: Path) -> None:
    record = finish(commands.tune_rate(digits, 1e-4, 10.0, 60, tmp_path / "rate.html", **SMALL))
    assert 1e-4 <= record["suggestion"] <= record["highest"] <= 10
    assert len(record["losses"]) == len(record["rates"]) == len(record["smoothed"])
    assert min(record["smoothed"]) < record["smoothed"][0]
    assert closed((tmp_path / "rate.html").read_text())


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        (["race", "digits", "--rules", "sgd,adan"], "not 'adan', did you mean \"adam\"?"),
        (["race", "digits", "--rules", "sgd,sgd"], "name each rule once"),
        (["race", "digits", "--tries", "2"], "tries are an odd number"),
        (["ablate", "digits", "--only", "mixip"], 'there is no regularizer "mixip", did you mean "mixup"?'),
        (["ablate", "digits", "--seeds", "0"], "seeds: 1 at least"),
        (["ablate", "digits", "--only", "early stopping"], "early stopping has no row, as it would choose by the images"),
        (["race", "digits", "--engine", "serail"], 'engine: "serail" is none of auto, serial, processes, batched'),
        (["ablate", "digits", "--engine", "serail"], 'engine: "serail" is none of auto, serial, processes, batched'),
        (["tune-rate", "digits"], "--out is a page, a file that ends in .html"),
        (
            ["train", "digits", "--recipe", "resnet20-cifar"],
            'there is no recipe "resnet20-cifar", did you mean "resnet20-cifar10"?',
        ),
    ],
)
def test_bad_words(words: list[str], answer: str, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main([*words, "--out", str(tmp_path / "out")]) == 2
    err = capsys.readouterr().err.strip().splitlines()
    assert answer in err[-1]


class Terminal(io.StringIO):
    """What a person sees: standard output and error on one screen."""

    def isatty(self) -> bool:
        return True


def test_on_a_terminal_results_are_shown_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Terminal()
    monkeypatch.setattr(sys, "stdout", screen)
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.chdir(tmp_path)
    words = ["learning-curve", "digits", "--network", "lenet5", "--epochs", "1", "--sizes", "50,100", "--seeds", "2"]
    assert main([*words, "--engine", "serial"]) == 0
    assert screen.getvalue().count("50 images: accuracy") == 1
    assert screen.getvalue().count("100 images: accuracy") == 1


def test_results_go_to_standard_output_where_it_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["bias-variance", "digits", "--network", "lenet5", "--epochs", "1", "--members", "2", "--engine", "serial"]
    assert main(words) == 0
    assert capsys.readouterr().out.startswith("epochs 1: log loss")


def test_paths_over_surfaces_end_lower_than_they_begin() -> None:
    for surface in watched(["sgd", "adam", "muon"]).values():
        assert set(surface["paths"]) == {"sgd", "adam"}
        assert all(np.isfinite(path).all() for path in surface["paths"].values())


@pytest.mark.parametrize("field", ["rule", "lr", "decay", "momentum", "beta2", "eps"])
def test_a_race_refuses_what_each_rule_has_for_itself(field: str, digits: Any, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=f"optimizer.{field}: in a race each rule has its own; leave it out"):
        finish(commands.race(digits, rules="sgd,adam", out=tmp_path / "study", optimizer={field: 0.1}, **SMALL))
    assert not (tmp_path / "study").exists()


def test_a_race_says_what_of_a_recipe_file_it_does_not_count() -> None:
    recipe = make_recipe({"data": "x", "optimizer": {"rule": "adam", "lr": 0.1, "beta1": 0.8, "weight_decay": 0.1}})
    said = ["optimizer.lr, optimizer.beta1 of the recipe: not counted, in a race each rule has its own"]
    assert list(not_counted(recipe)) == said
    assert not list(not_counted(make_recipe({"data": "x", "optimizer": {"weight_decay": 0.1}})))


def test_recipes_that_ship_are_complete_and_say_what_to_expect() -> None:
    assert set(shipped()) == {"lenet5-mnist", "resnet20-cifar10", "resnet18-photos", "mobilenet-photos"}
    for name, file in shipped().items():
        text = file.read_text()
        said = dict(re.findall(r"^# (Command|Cost|Expected): +(.+)$", text, re.MULTILINE))
        assert set(said) == {"Command", "Cost", "Expected"}, name
        assert f"--recipe {name}" in said["Command"]
        assert re.search(r"\d+ (s|minutes|hours) on", said["Cost"]), name
        make_recipe({"data": "digits", **read_recipe(recipe_file(name))})


@pytest.mark.parametrize("width", ["60", "80", "100"])
def test_recipes_that_ship_are_named_where_one_is_chosen(
    width: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", width)
    with pytest.raises(SystemExit):
        main(["train", "--help"])
    told = " ".join(capsys.readouterr().out.split())
    assert main(["train", "digits", "--recipe", "nowhere"]) == 2
    refused = capsys.readouterr().err
    for name in shipped():
        assert name in told.partition("--recipe FILE")[2].partition("--network")[0]
        assert name in refused


def test_views_are_the_mean_of_what_is_said_of_each(tmp_path: Path) -> None:
    found = saccade.train("digits", out=tmp_path / "run", network="lenet5", images={"size": 28}, epochs=1)
    assert load_file(Path(found["run"]) / "model.safetensors")
    for i, image in enumerate(load_digits().images[:4]):
        picture = Image.fromarray((image * 15).astype(np.uint8)).resize((28, 28))
        picture.save(tmp_path / f"{i}.png")
        picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(tmp_path / f"{i}m.png")
    plain = saccade.predict(tmp_path / "run", [tmp_path / f"{i}{m}.png" for i in range(4) for m in ("", "m")]).probabilities
    both = saccade.predict(tmp_path / "run", [tmp_path / f"{i}.png" for i in range(4)], views="mirror").probabilities
    np.testing.assert_allclose(both, plain.reshape(4, 2, -1).mean(1), atol=1e-6)
    scored = saccade.evaluate(tmp_path / "run", views="mirror")["scores"]["test"]["accuracy"]
    assert scored["n"] == found["scores"]["test"]["accuracy"]["n"]
    with pytest.raises(InputError, match='views: "miror" is none of'):
        saccade.predict(tmp_path / "run", tmp_path / "0.png", views="miror")
    for views in ("five", "ten"):
        with pytest.raises(InputError, match=f"views: {views} are corners of a larger image, .* mirror and shifts"):
            saccade.evaluate(tmp_path / "run", views=views)


TUNED = QUICK | {"plan": {"precision": "fp32", "channels_last": False, "images_last": False}}


def tuned(digits: Any, low: float = 1e-3, high: float = 1.0, **fields: Any) -> dict[str, Any]:
    return finish(commands.tune_rate(digits, low, high, 60, **TUNED | fields))


@pytest.fixture(scope="module")
def plain(digits: Any) -> dict[str, Any]:
    return tuned(digits)


def test_a_range_test_is_of_the_rate_that_the_recipe_has_before_it_is_scaled(digits: Any, plain: Any) -> None:
    """Four times the batch that the rate is for: what is tried as 0.001 is a step of 0.004, as in training."""
    assert TUNED["batch"] == 32
    scaled = tuned(digits, low=2.5e-4, high=0.25, optimizer={"reference_batch": 8})
    assert scaled["losses"] == pytest.approx(plain["losses"], rel=1e-5)
    assert scaled["suggestion"] == pytest.approx(plain["suggestion"] / 4, rel=0.05)


def test_a_range_test_draws_by_the_seed_and_has_the_noise_of_training(digits: Any, plain: Any) -> None:
    one, other = (tuned(digits, regularize={"dropout": 0.5})["losses"] for _ in range(2))
    assert one == other
    assert one != tuned(digits, regularize={"dropout": 0.5}, seed=1)["losses"]
    assert plain["losses"] != tuned(digits, regularize={"gradient_noise": 0.1})["losses"]


def test_a_range_in_which_nothing_is_learned_suggests_nothing(digits: Any) -> None:
    with pytest.raises(InputError, match=r"has not clearly fallen at any rate .*; try a higher --to"):
        tuned(digits, low=1e-9, high=1e-7)


def test_noise_is_seldom_taken_for_learning() -> None:
    """1 in 300 of tests of 100 steps, as the threshold says."""
    rates, taken = np.geomspace(1e-5, 10, 100), 0
    for seed in range(300):
        losses = np.random.default_rng(seed).normal(2.3, 0.1, 100).tolist()
        with suppress(InputError):
            suggested(rates, losses)
            taken += 1
    assert taken <= 3


def test_the_picture_of_a_race_names_who_is_not_in_it() -> None:
    assert "Without muon, which works on matrices" in nowhere(watched(["sgd", "muon"]), ["sgd", "muon"])
    assert nowhere(watched(["sgd"]), ["sgd"]) == ""
