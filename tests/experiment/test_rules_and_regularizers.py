"""Every rule of update, schedule and regularizer of the recipe acts, and resumes to the same bits."""

import signal
from copy import deepcopy
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal, get_args, get_origin

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file
from sklearn.datasets import load_digits

from saccade import InputError
from saccade.cli import main
from saccade.events import Interrupted, Progress, Work, finish
from saccade.experiment import folder
from saccade.experiment.fit import Fit, Position
from saccade.experiment.recipe import Recipe, flat, make_recipe
from saccade.experiment.recipe_sections import RuleName, ScheduleName
from saccade.experiment.regularizers import REGULARIZERS
from saccade.experiment.run import begin, ready, resume, train
from saccade.layers.norms import reestimate
from saccade.optim import RULES, SCHEDULES

Fields = dict[str, Any]
BASE: Fields = {
    "data": "arrays",
    "network": "resnet20",
    "images": {"size": 16, "channels": 1},
    "epochs": 3,
    "batch": 32,
    "plan": {"device": "cpu", "precision": "fp32", "channels_last": True},
}
RULE_CASES: dict[str, Fields] = {rule: {"optimizer": {"rule": rule}} for rule in RULES}
SCHEDULE_CASES: dict[str, Fields] = {name: {"schedule": {"name": name}} for name in (*SCHEDULES, "plateau")}
COLOUR: Fields = {"images": {"channels": 3}}
REGULARIZER_CASES: dict[str, Fields] = {
    name: each.on | (COLOUR if "colour" in each.needs else {}) for name, each in REGULARIZERS.items()
}
MORE_CASES: dict[str, Fields] = {
    "decoupled": {"optimizer": {"decay": "decoupled", "clip": 1.0, "reference_batch": 16}},
    "momentum of batch norm": {"regularize": {"norm_momentum": 0.3}},
    "no norm": {
        "regularize": {"norm": "none"},
        "optimizer": {"lr": 0.01, "decay": "l2", "clip": 1.0},
        "augment": {"crop": "none", "flip": True},
    },
    "parts": {
        "optimizer": {"freeze": "stem", "rates": "stages.0=0.5,head=2", "momentum": 0.8},
        "schedule": {"name": "step", "at": (1, 2), "factor": 0.5, "warmup": 0.3},
        "augment": {"crop": "pad", "padding": 3},
    },
    "numbers of Adam": {
        "optimizer": {"rule": "adam", "beta1": 0.8, "beta2": 0.99, "eps": 1e-6},
        "schedule": {"name": "restarts", "cycle": 1.5, "end": 0.1},
        "stop": {"patience": 1, "improvement": 0.02},
    },
    "numbers of RMSprop": {
        "optimizer": {"rule": "rmsprop", "gamma": 0.9, "eps": 1e-4},
        "schedule": {"name": "linear", "end": 0.2},
        "augment": {"crop": "resized", "scale": 0.6},
    },
    "SWA from the second epoch on": {"average": {"kind": "swa", "start": 0.3}},
    "early stopping": {"stop": {"patience": 1}},
    "last epoch": {"checkpoint": {"select": "last"}},
    "affine": {"augment": {"rotate": 5, "translate": 0.1, "zoom": 0.1, "shear": 5}},
    "all colours": {**COLOUR, "augment": dict.fromkeys("brightness contrast saturation hue grayscale blur".split(), 0.3)},
    "strong RandAugment": {"augment": {"policy": "randaugment", "operations": 3, "magnitude": 14}},
    "strong AugMix": {"augment": {"policy": "augmix", "operations": 2, "magnitude": 8}},
    "eps inside": {"optimizer": {"rule": "adam", "epsilon": "inside", "eps": 1e-3}},
    "eps outside": {"optimizer": {"rule": "rmsprop", "epsilon": "outside", "eps": 1e-3}},
    "trust": {"optimizer": {"rule": "lars", "trust": 0.01}},
    "Muon as published": {"optimizer": {"rule": "muon", "scale": "original"}},
    "Muon as large as Adam": {"optimizer": {"rule": "muon", "scale": "adam", "iterations": 3}},
    "full batch": {"batch": "full"},
    "micro-batches": {"plan": {"micro_batch": 8}},
}
# Many at once, so that the fast tests go through all of the code
TOGETHER: dict[str, Fields] = {
    "rules 1": {
        "optimizer": {"rule": "adamw", "sam": 0.05, "l1": 1e-5, "clip": 1.0},
        "regularize": {"weight_noise": 0.05, "gradient_noise": 1e-3, "dropout": 0.2, "drop_path": 0.1},
        "mix": {"mixup": 0.2, "cutmix": 1.0},
        "average": {"kind": "ema", "decay": 0.9},
        "schedule": {"name": "one-cycle"},
    },
    "rules 2": {
        "optimizer": {"rule": "muon"},
        "regularize": {"label_smoothing": 0.1, "spatial_dropout": 0.1, "drop_block": 0.1, "block": 3, "norm": "group"},
        "augment": {"erase": 0.3, "cutout": 0.3, "noise": 0.05, "policy": "trivialaugment", "rotate": 10},
        "average": {"kind": "swa", "start": 0.3},
        "balance": {"by": "sampling"},
        "schedule": {"name": "plateau", "patience": 0},
        "plan": {"micro_batch": 8},
    },
}
ALONE = RULE_CASES | SCHEDULE_CASES | REGULARIZER_CASES | MORE_CASES


def recipe(fields: Fields) -> Recipe:
    words = dict(BASE)
    for name, value in fields.items():
        words[name] = {**words.get(name, {}), **value} if isinstance(value, dict) else value
    return make_recipe(words)


@pytest.fixture(scope="module")
def digits() -> tuple[np.ndarray, np.ndarray]:
    """In colour, which all but a few cases turn grey."""
    found = load_digits()
    images = (found.images[:240] * 15.9).astype(np.uint8)
    return np.stack([images, images // 2, 255 - images], axis=3), found.target[:240]


def test_every_field_and_every_word_is_in_a_case() -> None:
    cases = [flat(each) for each in (ALONE | TOGETHER).values()]
    for section in ("augment", "mix", "optimizer", "schedule", "regularize", "balance", "average", "stop"):
        usual = getattr(Recipe(data=""), section)
        for name, info in type(usual).model_fields.items():
            given = {case[f"{section}.{name}"] for case in cases if f"{section}.{name}" in case} - {getattr(usual, name)}
            words = {
                word
                for kind in (info.annotation, *get_args(info.annotation))
                if get_origin(kind) is Literal
                for word in get_args(kind)
            } - {getattr(usual, name)}
            assert given, f"{section}.{name} is in no case"
            assert words <= given, f"{section}.{name}: no case has {words - given}"


def interrupted(wanted: Recipe, run: Path, digits: Any, after: int) -> None:
    """Train, with Ctrl-C after so many steps, perhaps inside an epoch."""

    def stopping() -> Work[None]:
        steps = 0
        for event in train(wanted, run, digits):
            yield event
            steps += isinstance(event, Progress) and event.what.startswith("epoch")
            if steps == after and isinstance(event, Progress):
                signal.raise_signal(signal.SIGINT)

    with pytest.raises(Interrupted):
        finish(stopping())


def weights(run: Path) -> dict[str, bytes]:
    return {name: value.tobytes() for name, value in load_file(run / "model.safetensors").items()}


@pytest.mark.parametrize(
    "fields",
    [pytest.param(each, id=name) for name, each in TOGETHER.items()]
    + [pytest.param(each, id=name, marks=pytest.mark.slow) for name, each in ALONE.items()],
)
def test_an_interrupted_run_resumes_to_the_same_bits(fields: Fields, digits: Any, tmp_path: Path) -> None:
    wanted = recipe(fields)
    whole = finish(train(wanted, tmp_path / "whole", digits))
    interrupted(wanted, tmp_path / "stopped", digits, 2 if wanted.batch == "full" else 8)
    again = finish(resume(tmp_path / "stopped", digits))
    assert weights(tmp_path / "whole") == weights(tmp_path / "stopped")
    assert whole["scores"] == again["scores"]


PLAIN: Fields = {"augment": {"crop": "none", "flip": False}, "optimizer": {"weight_decay": 0}}
SAME = ("nesterov", "cosine", "batch norm", "early stopping", "last epoch")  # as the recipe is, or it may be the same


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in ALONE if name not in SAME])
def test_every_option_changes_what_is_learned(name: str, digits: Any, tmp_path: Path) -> None:
    usual = recipe(PLAIN)
    usual = usual.changed(images=ALONE[name].get("images", {}))  # the same images, grey or in colour
    changed = usual.changed(**ALONE[name])
    for run, each in (("usual", usual), ("changed", changed)):
        finish(train(each, tmp_path / run, digits))
    assert weights(tmp_path / "usual") != weights(tmp_path / "changed")


def test_the_recipe_knows_every_rule_and_schedule() -> None:
    assert set(get_args(RuleName)) == set(RULES)
    assert set(get_args(ScheduleName)) == {*SCHEDULES, "plateau"}


@pytest.mark.parametrize("kind", ["ema", "swa"])
def test_averaged_weights_have_the_statistics_that_images_give_them(kind: str, digits: Any, tmp_path: Path) -> None:
    wanted = recipe({"epochs": 2, "average": {"kind": kind}, "checkpoint": {"select": "last"}})
    fit = begin(finish(ready(wanted, digits)), tmp_path / "run")
    finish(fit.work())
    assert fit.average is not None
    anew = deepcopy(fit.average.network)
    reestimate(anew, fit.feed.for_statistics(1))
    for name, value in anew.state_dict().items():
        assert torch.equal(value, fit.best[name]), name
    assert not torch.equal(fit.best["stem.norm.running_var"], fit.network.state_dict()["stem.norm.running_var"])


def test_early_stopping_ends_a_run_and_keeps_the_best_epoch(digits: Any, tmp_path: Path) -> None:
    wanted = recipe({"epochs": 12, "optimizer": {"lr": 1e-6}, "stop": {"patience": 2, "improvement": 0.5}})
    found = finish(train(wanted, tmp_path / "run", digits))
    assert (found["epochs"]["trained"], found["epochs"]["planned"]) == (3, 12)
    best = max(
        folder.read_metrics(tmp_path / "run"), key=lambda each: (each["validation_accuracy"], -each["validation_loss"])
    )
    assert found["epochs"]["best"] == best["epoch"]
    assert found["scores"]["validation"]["accuracy"]["value"] == best["validation_accuracy"]
    assert found["scores"]["validation"]["log_loss"]["value"] == pytest.approx(best["validation_loss"], rel=1e-6)


def test_what_the_images_leave_without_effect_is_told(digits: Any) -> None:
    said: list[str] = []
    words = {"augment": {"hue": 0.1}, "regularize": {"freeze_statistics": True}}
    finish(ready(recipe(words), digits), lambda event: said.append(getattr(event, "text", "")))
    assert "hue has no effect: the images are grey" in said
    with pytest.raises(InputError, match=r"augment.scale: it has no effect without augment.crop resized, and at 16 px"):
        finish(ready(recipe({"augment": {"scale": 0.8}}), digits))


def test_patience_counts_by_what_chooses_the_best_epoch() -> None:
    """Of equal accuracies a lower loss is a new best, so no run ends in the epoch that is its best."""
    fit = SimpleNamespace(recipe=recipe({"stop": {"patience": 2}}), position=Position())
    for accuracy, loss, stops in (
        (0.5, 1.0, False),
        (0.5, 0.9, False),
        (0.5, 0.8, False),
        (0.5, 0.9, False),
        (0.4, 0.1, True),
    ):
        fit.position.history.append({"validation_accuracy": accuracy, "validation_loss": loss})
        assert Fit.stopped(fit) == stops


@pytest.mark.parametrize("seed", range(4))
def test_stochastic_weight_averaging_ends_with_an_average_of_several(digits: Any, tmp_path: Path, seed: int) -> None:
    """Also where validation likes the weights of an epoch before it better."""
    words = {
        "epochs": 5,
        "seed": seed,
        "average": {"kind": "swa", "start": 0.4},
        "schedule": {"name": "linear", "end": 1.0},
    }
    found = finish(train(recipe(words), tmp_path / "run", digits))
    assert found["epochs"]["best"] in (4, 5)


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        (["--optimizer.lr", "0"], "optimizer.lr should be greater than 0"),
        (["--optimizer.momentum", "1.0"], "optimizer.momentum should be less than 1"),
        (["--optimizer.rule", "adam", "--optimizer.momentum", "0.9"], "optimizer.momentum: adam has none, it has beta1"),
        (["--optimizer.rule", "addam"], "optimizer.rule should be"),
        (["--mix.mixup", "-0.1"], "mix.mixup should be greater than or equal to 0"),
        (["--regularize.label_smoothing", "1.2"], "regularize.label_smoothing should be less than 1"),
        (["--regularize.dropout", "1"], "regularize.dropout should be less than 1"),
        (
            ["--network", "vgg11", "--images.size", "32", "--regularize.drop_path", "0.1"],
            "vgg11: stochastic depth: the network",
        ),
        (["--network", "lenet5", "--images.size", "28", "--regularize.norm", "group"], "no batch norm"),
        (["--optimizer.freeze", "stagse.0"], 'no part "stagse.0", did you mean "stages.0"?'),
        (["--split.validation", "0", "--stop.patience", "3"], "stop.patience: there are no validation images"),
        (["--batch", "0"], "saccade: batch should be greater than or equal to 1"),
        (["--schedule.factor", "2"], "schedule.factor should be less than 1"),
    ],
)
def test_bad_values_get_one_line(words: list[str], answer: str, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["train", "digits", "--epochs", "1", "--out", str(tmp_path / "run"), *words]) == 2
    err = capsys.readouterr().err.strip().splitlines()
    assert answer in err[-1]
    assert "Traceback" not in "\n".join(err)
