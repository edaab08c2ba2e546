"""Values that no training can use get one line with the name of their field, before a run folder is made."""

from pathlib import Path
from typing import Any

import pytest

from saccade import InputError, commands
from saccade.cli import main
from saccade.events import Note, finish
from saccade.experiment.recipe import make_recipe
from saccade.experiment.schedule import share_of_rate, shortened
from saccade.experiment.setup import few_steps

STEP, RESTARTS = ["--schedule.name", "step"], ["--schedule.name", "restarts"]
OWN_PLACE = "has a place of its own for weight decay"
ALONE = "a single image of {} px leaves a batch norm of {} one value of each channel"


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        ([*STEP, "--schedule.at", "nan"], "schedule.at should be a finite number, not nan"),
        ([*STEP, "--schedule.at", "1,inf"], "schedule.at should be a finite number, not inf"),
        ([*STEP, "--schedule.at", "-3"], "schedule.at should be epochs above 0, each later than the one before, not [-3]"),
        (
            [*STEP, "--schedule.at", "5,2"],
            "schedule.at should be epochs above 0, each later than the one before",
        ),
        ([*STEP, "--schedule.at", "1,a"], "schedule.at should be numbers, such as 15,25, not '1,a'"),
        ([*STEP, "--schedule.at", "1"], "schedule.at: the rate would never fall at 1, as training ends after epoch 1"),
        ([*RESTARTS, "--schedule.cycle", "1e-9"], "schedule.cycle: a cycle has two steps at least, which 1e-09 epochs"),
        ([*RESTARTS, "--schedule.cycle", "inf"], "schedule.cycle should be a finite number"),
        (["--schedule.warmup", "inf"], "schedule.warmup should be a finite number"),
        (["--augment.noise", "1e300"], "augment.noise should be less than or equal to 1, not 1e+300"),
        (["--augment.noise", "inf"], "augment.noise should be a finite number"),
        (["--mix.mixup", "inf"], "mix.mixup should be a finite number"),
        (["--mix.cutmix", "1e300"], "mix.cutmix should be less than or equal to 100"),
        (["--mix.mixup", "true"], "mix.mixup should be a number, not True"),
        (["--images.channels", "true"], "images.channels should be a number, not True"),
        (["--optimizer.clip", "inf"], "optimizer.clip should be a finite number"),
        (["--optimizer.sam", "inf"], "optimizer.sam should be a finite number"),
        (["--optimizer.lr", "inf"], "optimizer.lr should be a finite number, not inf"),
        (["--optimizer.lr", "1e-320"], "optimizer.lr should be 1e-12 or more, as no weight would change by less"),
        (["--optimizer.lr="], "optimizer.lr: there is no value; leave --optimizer.lr out"),
        (["--optimizer.eps", "1e300"], "optimizer.eps should be less than or equal to 100"),
        (["--optimizer.weight_decay", "inf"], "optimizer.weight_decay should be a finite number"),
        (["--optimizer.l1", "inf"], "optimizer.l1 should be a finite number"),
        (["--optimizer.rates", "stem=inf"], 'optimizer.rates: a factor is at most 1,000, not "stem=inf"'),
        (["--optimizer.rates", "stem=nan"], "optimizer.rates: a factor is above 0"),
        (["--optimizer.rates", "stem=0.1,,head=2"], 'nothing is between two commas, or beside one, in "stem=0.1,,head=2"'),
        (["--optimizer.rates", "stem=2,"], 'optimizer.rates: nothing is between two commas, or beside one, in "stem=2,"'),
        (["--optimizer.rates", "=0.1"], 'optimizer.rates: part=factor such as stem=0.1, not "=0.1"'),
        (["--optimizer.freeze", "stem, ,head"], "optimizer.freeze: nothing is between two commas"),
        (["--lr", "1e38", "--rates", "stem=9"], "lr must be finite in 32 bits, not 9e+38"),
        (["--regularize.weight_noise", "1e10"], "regularize.weight_noise should be less than or equal to 1"),
        (["--regularize.gradient_noise", "inf"], "regularize.gradient_noise should be a finite number"),
        (["--augment.policy", "augmix", "--augment.magnitude", "30"], "augment.magnitude should be 1 to 10 with augmix"),
        (
            ["--augment.policy", "randaugment", "--augment.magnitude", "31"],
            "augment.magnitude should be less than",
        ),
        (["--augment.magnitude", "5"], "augment.magnitude: it has no effect without augment.policy randaugment or augmix"),
        (["--optimizer.rule", "adam", "--optimizer.trust", "0.1"], "optimizer.trust: adam has none, it has beta1"),
        (["--optimizer.rule", "lars", "--optimizer.decay", "l2"], f"optimizer.decay: lars {OWN_PLACE}"),
        (["--optimizer.rule", "lamb", "--optimizer.decay", "decoupled"], f"optimizer.decay: lamb {OWN_PLACE}"),
        (["--split.weights", "nowhere.npz"], "nowhere.npz: cannot be read (No such file or directory); split.weights"),
        (["--network", "resnet18", "--images.size", "32", "--batch", "1"], ALONE.format(32, "resnet18")),
        (["--network", "resnet20", "--images.size", "4", "--batch", "1"], ALONE.format(4, "resnet20")),
    ],
)
def test_bad_values_get_one_line_and_no_folder(
    words: list[str], answer: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    run = tmp_path / "run"
    assert main(["train", "digits", "--epochs", "1", "--split.images", "60", "--out", str(run), *words]) == 2
    err = capsys.readouterr().err
    assert answer in err.strip().splitlines()[-1]
    assert "Traceback" not in err
    assert not run.exists()


def test_of_a_part_that_has_two_factors_the_last_counts() -> None:
    """Where it stands in the line, too: a later factor of the whole stem would otherwise go before it."""
    settings = make_recipe({"data": "x", "optimizer": {"rates": "stem.0=0.1, stem=0.5, stem.0 = 0.2"}}).optimizer
    assert list(settings.parts_rates().items()) == [("stem", 0.5), ("stem.0", 0.2)]


@pytest.mark.parametrize("regularize", [{"norm": "group"}, {"freeze_statistics": True}])
def test_single_images_train_where_no_batch_norm_is_in_the_way(regularize: dict[str, Any], tmp_path: Path) -> None:
    words = {"network": "resnet20", "images": {"size": 4}, "split": {"images": 20}, "epochs": 1, "batch": 1}
    finish(commands.train("digits", out=tmp_path / "run", regularize=regularize, **words))


@pytest.mark.parametrize("high", ["inf", "nan", "1e300"])
def test_a_range_of_rates_has_an_end(high: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tune-rate", "digits", "--to", high]) == 2
    assert "tune-rate: 0 < from < to, to at most 1e+30" in capsys.readouterr().err


def test_a_warm_up_that_is_cut_is_said_once(tmp_path: Path) -> None:
    words = {"network": "lenet5", "images": {"size": 28}, "split": {"images": 60}, "epochs": 4}
    work = commands.train("digits", out=tmp_path / "run", schedule={"warmup": 3}, **words)
    notes = [event.text for event in work if isinstance(event, Note)]
    assert notes.count("schedule.warmup: cut from 3 epochs to 0.8, a fifth of all") == 1
    fields: list[dict[str, Any]] = [{"warmup": 0.8}, {"warmup": 1}, {"warmup": 3, "name": "one-cycle"}]
    assert not any(list(shortened(make_recipe({"data": "digits", "epochs": 4, "schedule": each}))) for each in fields)


def test_the_rate_falls_at_the_epochs_named() -> None:
    recipe = make_recipe({"data": "x", "epochs": 10, "schedule": {"name": "step", "at": [4, 8.5], "warmup": 1}})
    shares = [share_of_rate(recipe, step, 10, []) for step in (9, 10, 39, 40, 84, 85, 99)]
    assert shares == pytest.approx([10 / 11, 1, 1, 0.1, 0.1, 0.01, 0.01])


@pytest.mark.parametrize(
    ("optimizer", "decay"),
    [
        ({}, 5e-4),
        ({"rule": "adam"}, 5e-4),
        ({"rule": "lars"}, 5e-4),
        ({"rule": "adamw"}, 0.01),
        ({"rule": "muon"}, 0.01),
        ({"rule": "adam", "decay": "decoupled"}, 0.01),
        ({"rule": "adamw", "decay": "l2"}, 5e-4),
        ({"rule": "adamw", "weight_decay": 0.0}, 0.0),
    ],
)
def test_weight_decay_unset_is_what_the_recipe_says(optimizer: dict[str, Any], decay: float) -> None:
    from saccade.experiment.setup import settled

    assert settled(make_recipe({"data": "x", "optimizer": optimizer})).optimizer.weight_decay == decay


def test_a_place_for_decay_that_is_no_place_of_the_rule() -> None:
    from saccade.experiment.setup import settled

    with pytest.raises(InputError, match="adam has none, it has beta1, beta2, eps, epsilon"):
        settled(make_recipe({"data": "x", "optimizer": {"rule": "adam", "trust": 0.01}}))


def test_a_single_step_is_one() -> None:
    recipe = make_recipe({"data": "digits", "epochs": 1, "batch": 64})
    assert next(iter(few_steps(recipe, 64))).startswith("only 1 step of training in all, 1 an epoch")
