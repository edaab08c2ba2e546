"""Fields without effect are refused where a user gives them, and only there."""

import pytest

from saccade import InputError
from saccade.commands.training import recipe_of
from saccade.experiment.idle import NEEDS
from saccade.experiment.recipe import field_names, make_recipe


def test_fields_without_effect_are_refused_by_name() -> None:
    with pytest.raises(InputError, match=r"schedule.factor: it has no effect without schedule.name step or plateau"):
        recipe_of("digits", schedule={"factor": 0.5})
    with pytest.raises(InputError, match=r"stop.improvement: it has no effect without stop.patience"):
        recipe_of("digits", stop={"improvement": 0.01})
    with pytest.raises(InputError, match=r"optimizer.momentum: it has no effect without a schedule.name but one-cycle"):
        recipe_of("digits", schedule={"name": "one-cycle"}, optimizer={"momentum": 0.5})
    with pytest.raises(InputError, match=r"schedule.warmup: it has no effect without a schedule.name but one-cycle"):
        recipe_of("digits", schedule={"name": "one-cycle", "warmup": 3})
    with pytest.raises(InputError, match=r"mix.mixup: it has no effect without a batch of two images"):
        recipe_of("digits", batch=1, mix={"mixup": 0.2})
    with pytest.raises(InputError, match=r"optimizer.decay: it has no effect without optimizer.weight_decay above 0"):
        recipe_of("digits", optimizer={"weight_decay": 0, "decay": "l2"})
    assert recipe_of("digits", schedule={"name": "step", "factor": 0.5}).schedule.factor == 0.5
    assert recipe_of("digits", augment={"padding": 2}).augment.padding == 2


def test_whole_recipes_repeat_whatever_stands_in_them() -> None:
    words = make_recipe({"data": "digits"}).model_dump()
    del words["data"]
    assert recipe_of("digits", **words) == make_recipe({"data": "digits"})


def test_every_field_named_exists_and_has_no_effect_by_default() -> None:
    usual = make_recipe({"data": "digits"})
    assert set(NEEDS) <= set(field_names())
    idle = [name for name, (works, _) in NEEDS.items() if not works(usual)]
    acting = {"schedule.end", "schedule.warmup", "optimizer.momentum", "augment.padding", "augment.scale"}
    acting |= {"regularize.norm_momentum", "optimizer.decay", "mix.mixup", "mix.cutmix"}
    assert set(NEEDS) - set(idle) == acting
