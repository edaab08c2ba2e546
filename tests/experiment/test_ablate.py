"""Which regularizers a recipe has, by the network that it builds and the images that it sees, and which rows that makes."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torch import nn

from saccade import InputError, commands
from saccade.cli import main
from saccade.events import Note, finish
from saccade.experiment.ablate import Change, changes, summary
from saccade.experiment.assemble import regularize
from saccade.experiment.recipe import Recipe, make_recipe
from saccade.experiment.recipe_files import read_recipe
from saccade.experiment.regularizers import REGULARIZERS, Choice, as_built
from saccade.layers import edit
from saccade.report.studies import ablation_page
from saccade.zoo import find

Fields = dict[str, dict[str, Any]]
QUICK: dict[str, Any] = {
    "network": "resnet20",
    "epochs": 1,
    "batch": 32,
    "images": {"size": 16},
    "plan": {"precision": "fp32", "channels_last": True},
}
# Fields of these sections that no row switches, and why
NO_ROW = {
    "augment.padding": "how far a random shift goes",
    "augment.scale": "how small a random resized crop may be",
    "regularize.block": "how large the squares of DropBlock are",
    "average.decay": "how long the moving average remembers",
    "average.start": "where the plain average begins",
    "stop.patience": "early stopping chooses by the validation images, which are to measure the rows",
    "stop.improvement": "of early stopping",
}


def network_of(name: str) -> nn.Module:
    with torch.device("meta"):
        return find(name).build(10, 3)


def changes_of(fields: Fields, names: list[str], network: str = "resnet20") -> list[Change]:
    recipe = make_recipe({"data": "digits", "network": network, **fields})
    return changes(recipe, as_built(recipe, network_of(network)), names)


def everything() -> Fields:
    fields: Fields = {}
    for each in REGULARIZERS.values():
        for section, values in each.on.items():
            fields[section] = fields.get(section, {}) | values
    return fields


def test_every_field_of_a_regularizer_has_a_row_or_a_reason() -> None:
    sections = {"augment", "mix", "regularize", "balance", "average", "stop"}
    asked = {f"{each}.{field}" for each in sections for field in type(getattr(Recipe(data=""), each)).model_fields}
    asked |= {f"optimizer.{field}" for field in ("weight_decay", "l1", "sam", "clip")}
    switched = {
        f"{section}.{field}" for each in REGULARIZERS.values() for section, values in each.off.items() for field in values
    }
    assert asked == switched | set(NO_ROW)
    assert not switched & set(NO_ROW)


def test_a_policy_takes_no_number_of_another() -> None:
    """A magnitude of 14 is one of RandAugment's, and none of AugMix."""
    found = changes_of({"augment": {"policy": "randaugment", "magnitude": 14}}, ["AugMix", "RandAugment"])
    assert [(each.name, each.recipe.augment.magnitude) for each in found] == [
        ("with AugMix in place of RandAugment", None),
        ("without RandAugment", None),
    ]


def test_every_word_of_a_choice_has_a_row() -> None:
    words = {
        "augment.policy": {"randaugment", "trivialaugment", "augmix"},
        "augment.crop": {"pad", "resized"},
        "average.kind": {"ema", "swa"},
        "balance.by": {"weights", "effective", "sampling"},
        "regularize.norm": {"batch", "group", "layer", "instance"},
    }
    found: dict[str, set[str]] = {}
    for each in REGULARIZERS.values():
        if isinstance(each, Choice):
            found.setdefault(each.field, set()).add(each.word)
    assert found == words


@pytest.mark.parametrize("network", ["mobilenet_v2", "vgg11", "alexnet", "nin", "googlenet", "efficientnet_b0"])
def test_dropout_that_a_network_has_of_its_own_is_switched_off(network: str) -> None:
    features, paths = changes_of({}, ["dropout", "stochastic depth"], network)
    assert features.name == "without dropout"
    assert features.recipe.regularize.dropout == 0
    assert paths.recipe.regularize.dropout is None  # the network's own
    assert paths.name == f"with{'out' if network == 'efficientnet_b0' else ''} stochastic depth"
    built = network_of(network)
    regularize(built, features.recipe.regularize)
    assert not any(each.p for each in built.modules() if isinstance(each, nn.Dropout))


def test_dropout_that_the_recipe_switches_off_is_switched_on() -> None:
    network = network_of("mobilenet_v2")
    recipe = make_recipe({"data": "digits", "network": "mobilenet_v2", "regularize": {"dropout": 0}})
    edit.dropout(network, 0)
    [change] = changes(recipe, as_built(recipe, network), ["dropout"])
    assert change.name == "with dropout"
    assert change.recipe.regularize.dropout == 0.3
    assert [change.name for change in changes_of({}, ["dropout"])] == ["with dropout"]


@pytest.mark.parametrize(
    ("fields", "names", "expected"),
    [
        (
            {"augment": {"policy": "randaugment"}},
            ["RandAugment", "TrivialAugment", "AugMix"],
            ["without RandAugment", "with TrivialAugment in place of RandAugment", "with AugMix in place of RandAugment"],
        ),
        (
            {"average": {"kind": "swa"}},
            ["EMA of weights", "SWA of weights"],
            ["with EMA of weights in place of SWA of weights", "without SWA of weights"],
        ),
        ({}, ["EMA of weights", "SWA of weights"], ["with EMA of weights", "with SWA of weights"]),
        (
            {"balance": {"by": "effective"}},
            ["class weights", "effective number", "balanced sampling"],
            [
                "with class weights in place of effective number",
                "without effective number",
                "with balanced sampling in place of effective number",
            ],
        ),
        (
            {"regularize": {"norm": "group"}},
            ["batch norm", "group norm"],
            ["with batch norm in place of group norm", "without group norm"],
        ),
        (
            {"augment": {"hue": 0.1, "crop": "resized"}},
            ["brightness and contrast", "saturation", "hue", "random shift", "random resized crop"],
            [
                "with brightness and contrast",
                "with saturation",
                "without hue",
                "with random shift in place of random resized crop",
                "without random resized crop",
            ],
        ),
        ({"optimizer": {"clip": 1.0}}, ["gradient clipping", "L1"], ["without gradient clipping", "with L1"]),
        ({"augment": {"crop": "none", "contrast": 0.1}}, ["brightness and contrast"], ["without brightness and contrast"]),
    ],
)
def test_a_row_is_named_by_what_the_recipe_has(fields: Fields, names: list[str], expected: list[str]) -> None:
    assert [change.name for change in changes_of(fields, names)] == expected


@pytest.mark.parametrize("fields", [{}, everything()])
def test_what_is_switched_on_is_in_the_recipe_and_what_is_switched_off_is_not(fields: Fields) -> None:
    for change in changes_of(fields, list(REGULARIZERS)):
        regularizer = REGULARIZERS[change.regularizer]
        assert regularizer.is_in(change.recipe) == (change.word == "with"), change.name


def test_without_batch_norm_nothing_is_left_that_needs_it() -> None:
    fields = {"regularize": {"norm_momentum": 0.2, "freeze_statistics": True}}
    for change in changes_of(fields, ["batch norm", "group norm"]):
        assert change.recipe.regularize.norm_momentum is None
        assert not change.recipe.regularize.freeze_statistics


@pytest.fixture(scope="module")
def digits() -> tuple[np.ndarray, np.ndarray]:
    """As many images of each digit, grey."""
    found = load_digits()
    chosen = np.concatenate([np.flatnonzero(found.target == digit)[:20] for digit in range(10)])
    return (found.images[chosen] * 15.9).astype(np.uint8), found.target[chosen]


@pytest.mark.slow
def test_what_the_network_drops_of_its_own_is_trained_without(digits: Any, tmp_path: Path) -> None:
    words = QUICK | {"network": "mobilenet_v2", "images": {"size": 32}, "split": {"images": 60, "test": 0}}
    record = finish(commands.ablate(digits, only="dropout", seeds=1, engine="serial", out=tmp_path / "study", **words))
    assert [(row["change"], row["regularizer"]) for row in record["rows"]] == [("without", "dropout")]
    assert "difference" in record["rows"][0]
    assert read_recipe(tmp_path / "study" / "without-dropout-0" / "recipe.yaml")["regularize"]["dropout"] == 0


def test_rows_without_any_effect_are_left_out_with_their_reason(digits: Any, tmp_path: Path) -> None:
    only = ["hue", "saturation", "grayscale", "frozen statistics", "class weights", "mixup"]
    work = commands.ablate(digits, only=only, seeds=1, engine="serial", out=tmp_path / "study", **QUICK)
    notes, record = [], {}
    while not record:
        try:
            event = next(work)
        except StopIteration as stop:
            record = stop.value
        else:
            notes += [event.text] if isinstance(event, Note) else []
    assert [row["regularizer"] for row in record["rows"]] == ["mixup"]
    assert record["left_out"] == {
        "hue": "the images are grey",
        "saturation": "the images are grey",
        "grayscale": "the images are grey",
        "frozen statistics": "the network starts with statistics of no images; it is for --weights",
        "class weights": "every class has as many training images",
    }
    assert "not tried: hue, saturation, grayscale (the images are grey)" in "\n".join(notes)
    assert "2 runs" in "\n".join(notes)  # as it is, and with mixup
    assert "class weights: every class has as many training images" in ablation_page(record)


def test_what_the_network_has_nothing_for_is_not_tried(digits: Any, tmp_path: Path) -> None:
    words = QUICK | {"network": "lenet5", "images": {"size": 28}}
    norms = r"batch norm, group norm \(the network has no batch norm\)"
    paths = r"stochastic depth \(the network has no residual block\)"
    with pytest.raises(InputError, match=f"^ablate: nothing to try: {norms}; {paths}$"):
        finish(commands.ablate(digits, only="batch norm,group norm,stochastic depth", out=tmp_path / "study", **words))
    assert not (tmp_path / "study").exists()


def test_early_stopping_does_not_choose_the_epoch_that_is_measured(digits: Any, tmp_path: Path) -> None:
    words = QUICK | {"epochs": 3, "optimizer": {"lr": 1e-6}, "stop": {"patience": 1, "improvement": 0.9}}
    record = finish(commands.ablate(digits, only="mixup", seeds=1, engine="serial", out=tmp_path / "study", **words))
    assert "difference" in record["rows"][0]
    for run in ("as-it-is-0", "with-mixup-0"):
        assert len((tmp_path / "study" / run / "metrics.jsonl").read_text().splitlines()) == 3


@pytest.mark.parametrize("only", [",", "", " , "])
def test_no_regularizer_at_all_is_refused(only: str, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["ablate", "digits", "--only", only, "--out", str(tmp_path / "study")]) == 2
    [line] = capsys.readouterr().err.strip().splitlines()
    assert line.startswith("saccade: ablate: --only names no regularizer; leave it out for all")
    with pytest.raises(InputError, match="names no regularizer"):
        finish(commands.ablate("digits", only=[""], out=tmp_path / "study"))


@pytest.mark.slow
def test_every_row_comes_to_its_end_on_colour_images(digits: Any, tmp_path: Path) -> None:
    images, labels = digits
    coloured = np.stack([images, images // 2, 255 - images], axis=3)[:150]  # unequal classes
    words = QUICK | {"epochs": 2, "optimizer": {"lr": 0.01}}  # without batch norm a higher rate diverges
    record = finish(commands.ablate((coloured, labels[:150]), seeds=1, engine="serial", out=tmp_path / "study", **words))
    assert {row["regularizer"] for row in record["rows"]} | set(record["left_out"]) == set(REGULARIZERS)
    assert set(record["left_out"]) == {"frozen statistics"}
    assert not [row for row in record["rows"] if "failed" in row]


def test_the_terminal_says_how_many_rows_can_be_told_from_chance() -> None:
    rows = [{"name": "a", "p_adjusted": 0.01}, {"name": "b", "p_adjusted": 0.2}, {"name": "c", "failed": "no"}]
    assert summary(rows).startswith("1 of 2 changes make a difference that can be told from chance (Holm)")
