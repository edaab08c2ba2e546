"""How the learning rate of a run goes, by the recipe: from epochs to steps, and whether they fit into the training."""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

from saccade.errors import InputError
from saccade.experiment.recipe import Recipe
from saccade.experiment.recipe_sections import ScheduleSection
from saccade.optim import SCHEDULES, plateau, warmed

WARMUP_SHARE = 1 / 5  # of all epochs, at most


def share_of_rate(recipe: Recipe, step: int, per_epoch: int, losses: Sequence[float]) -> float:
    """The share of the full rate at this step of all, after epochs of these validation losses."""
    settings, total = recipe.schedule, recipe.epochs * per_epoch
    warmup = round(warmup_epochs(recipe) * per_epoch)
    if settings.name == "plateau":
        falls = plateau(losses, factor=settings.factor, patience=settings.patience)
        return falls * warmed(SCHEDULES["constant"], warmup)(step, total)
    schedule = partial(SCHEDULES[settings.name], **schedule_options(settings, per_epoch, warmup))
    return warmed(schedule, warmup)(step, total)


def warmup_epochs(recipe: Recipe) -> float:
    """Epochs of the line up, which one-cycle has in itself."""
    settings = recipe.schedule
    return 0 if settings.name == "one-cycle" else min(settings.warmup, recipe.epochs * WARMUP_SHARE)


def schedule_options(settings: ScheduleSection, per_epoch: int, warmup: int) -> dict[str, Any]:
    """What the schedule of this name takes, in steps after the warm-up."""
    if settings.name == "step":
        at = None if settings.at is None else [round(epoch * per_epoch) - warmup for epoch in settings.at]
        return {"factor": settings.factor, "at": at}
    if settings.name in ("linear", "cosine"):
        return {"end": settings.end}
    if settings.name == "restarts":
        return {"end": settings.end, "cycle": None if settings.cycle is None else settings.cycle * per_epoch}
    return {}


def check_schedule(recipe: Recipe, per_epoch: int) -> None:
    """InputError for a fall of the rate after the end of training, and for a cycle of less than two steps."""
    settings = recipe.schedule
    if settings.name == "step" and settings.at is not None and settings.at[-1:] >= (recipe.epochs,):
        raise InputError(
            f"schedule.at: the rate would never fall at {settings.at[-1]:g}, as training ends after epoch {recipe.epochs}"
        )
    if settings.name == "restarts" and settings.cycle is not None and settings.cycle * per_epoch < 2:
        raise InputError(
            f"schedule.cycle: a cycle has two steps at least, which {settings.cycle:g} epochs have not "
            f"(an epoch has {per_epoch})"
        )


def shortened(recipe: Recipe) -> Iterator[str]:
    """A remark where a warm-up that was asked for is cut; the usual one says so where it is described."""
    asked, usual = recipe.schedule.warmup, ScheduleSection().warmup
    if recipe.schedule.name != "one-cycle" and usual != asked > (kept := warmup_epochs(recipe)):
        yield f"schedule.warmup: cut from {asked:g} epochs to {kept:g}, a fifth of all"
