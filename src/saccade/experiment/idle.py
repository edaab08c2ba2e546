"""Fields that another field leaves without effect: a user who sets one would believe that it did something."""

from collections.abc import Callable
from typing import Any

from saccade.errors import InputError
from saccade.experiment.recipe import Recipe, flat

MEASURED = ("randaugment", "augmix")  # policies of so many operations, so strong
# A field, whether it has an effect in a recipe, and what it needs
NEEDS: dict[str, tuple[Callable[[Recipe], bool], str]] = {
    "schedule.at": (lambda r: r.schedule.name == "step", "schedule.name step"),
    "schedule.factor": (lambda r: r.schedule.name in ("step", "plateau"), "schedule.name step or plateau"),
    "schedule.end": (
        lambda r: r.schedule.name in ("linear", "cosine", "restarts"),
        "schedule.name cosine, linear or restarts",
    ),
    "schedule.cycle": (lambda r: r.schedule.name == "restarts", "schedule.name restarts"),
    "schedule.warmup": (
        lambda r: r.schedule.name != "one-cycle",
        "a schedule.name but one-cycle, which has its own",
    ),
    "optimizer.momentum": (
        lambda r: r.schedule.name != "one-cycle",
        "a schedule.name but one-cycle, which moves the momentum between 0.95 and 0.85",
    ),
    "schedule.patience": (lambda r: r.schedule.name == "plateau", "schedule.name plateau"),
    "average.decay": (lambda r: r.average.kind == "ema", "average.kind ema"),
    "average.start": (lambda r: r.average.kind == "swa", "average.kind swa"),
    "regularize.block": (lambda r: r.regularize.drop_block > 0, "regularize.drop_block above 0"),
    "regularize.norm_momentum": (
        lambda r: not r.regularize.freeze_statistics,
        "statistics that move: regularize.freeze_statistics false",
    ),
    "optimizer.decay": (lambda r: r.optimizer.weight_decay != 0, "optimizer.weight_decay above 0"),
    "mix.mixup": (lambda r: r.batch != 1, "a batch of two images, for one has no other to be mixed with"),
    "mix.cutmix": (lambda r: r.batch != 1, "a batch of two images, for one has no other to be mixed with"),
    "stop.improvement": (lambda r: r.stop.patience is not None, "stop.patience"),
    "split.fold": (lambda r: r.split.folds is not None, "split.folds"),
    "split.outer_fold": (lambda r: r.split.outer is not None, "split.outer"),
    "augment.operations": (lambda r: r.augment.policy in MEASURED, "augment.policy randaugment or augmix"),
    "augment.magnitude": (lambda r: r.augment.policy in MEASURED, "augment.policy randaugment or augmix"),
    "augment.padding": (lambda r: r.augment.crop in (None, "pad"), "augment.crop pad"),
    "augment.scale": (lambda r: r.augment.crop in (None, "resized"), "augment.crop resized"),
}


def check_idle(recipe: Recipe, given: dict[str, Any]) -> None:
    """InputError for a field that was given (nested words), is not at its default, and has no effect."""
    usual = flat(Recipe(data="").model_dump())
    for name, value in flat(given).items():
        if name not in NEEDS or value == usual[name]:
            continue
        works, needs = NEEDS[name]
        if not works(recipe):
            raise InputError(f"{name}: it has no effect without {needs}; set that, or leave {name} out")
