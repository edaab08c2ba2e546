"""The learning-rate range test (arXiv:1506.01186, section 3.3): the rate grows from step to step until the loss does."""

import math
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

from saccade.errors import InputError
from saccade.events import Note, Progress, Work
from saccade.experiment.fit import Fit, Position
from saccade.experiment.recipe import Recipe
from saccade.experiment.run import check_network, choose_plan
from saccade.experiment.settings import LEAST_STEPS, RangeTest
from saccade.experiment.setup import prepare
from saccade.training.steps import Batch

Record = dict[str, Any]
KEEP = 0.9  # of the moving average of the loss
CLEARLY = 2.0  # deviations of the first losses, by which they must fall: noise alone does in 1 of 300 tests of 100 steps
DIVERGED = 3.0  # times the lowest loss so far


def tune_rate(recipe: Recipe, test: RangeTest, data: Any = None) -> Work[Record]:
    """Rates evenly in the logarithm, one a step, and the loss of each; a rate is suggested.

    The suggestion is a tenth of the rate at which the smoothed loss was lowest, as is usual: there training is about to get
    worse, which is `highest`. InputError where the loss does not clearly fall. Nothing is kept of the network.
    """
    prepared = yield from prepare(recipe, data)
    check_network(prepared)
    plan = choose_plan(prepared)
    yield Note(f"plan: {plan}")
    fit = Fit(prepared, plan, Path(), Position())
    rates = np.geomspace(test.low, test.high, test.steps)
    losses: list[float] = []
    with plan.on_cores():
        for i, step in enumerate(fit.trainer.steps(at_rates(fit, rates))):
            losses.append(step.loss.item())
            yield Progress("trying rates", i + 1, test.steps)
            if not math.isfinite(losses[-1]) or (
                i >= LEAST_STEPS and smoothed(losses)[-1] > DIVERGED * min(smoothed(losses))
            ):
                break
    found = suggested(rates, [loss for loss in losses if math.isfinite(loss)])
    if found["highest"] == float(f"{rates[-1]:.2g}"):
        yield Note(f"the loss was still falling at the last rate; a higher --to than {test.high:g} may find a better one")
    return {"rule": prepared.recipe.optimizer.rule, "network": prepared.recipe.network, **found}


def at_rates(fit: Fit, rates: np.ndarray) -> Iterator[Batch]:
    """A batch for each rate, through as many epochs as it takes; the rates are those of the recipe, scaled as there."""
    assert fit.recipe.optimizer.lr is not None
    scale = fit.rate / fit.recipe.optimizer.lr
    batches = ((epoch, i, batch) for epoch in count() for i, batch in fit.feed.batches(epoch))
    for rate, (epoch, i, batch) in zip(rates, batches, strict=False):
        for group in fit.trainer.optimizer.param_groups:
            group["lr"] = group["rate"] * rate * scale
        fit.set_noise(epoch, i)
        yield batch


def smoothed(losses: list[float]) -> np.ndarray:
    """The moving average of the losses, its start corrected as Adam's is."""
    found, average = [], 0.0
    for i, loss in enumerate(losses, start=1):
        average = KEEP * average + (1 - KEEP) * loss
        found.append(average / (1 - KEEP**i))
    return np.array(found)


def suggested(rates: np.ndarray, losses: list[float]) -> Record:
    """Rates, losses, smoothed losses, and what follows from them."""
    if len(losses) < LEAST_STEPS:
        raise InputError(f"tune-rate: the loss was not finite after {len(losses)} steps; begin lower, with --from")
    smooth, rates = smoothed(losses), rates[: len(losses)]
    before = np.array(losses[:LEAST_STEPS])
    lowest = LEAST_STEPS - 1 + int(smooth[LEAST_STEPS - 1 :].argmin())  # before, the average is of a few losses
    if before.mean() - smooth[lowest] < CLEARLY * before.std():
        raise InputError(
            f"tune-rate: the loss, {before.mean():.3g} at first, has not clearly fallen at any rate from {rates[0]:g} to "
            f"{rates[-1]:g}; try a higher --to, more --steps, or a lower --from"
        )
    return {
        "rates": rates.tolist(),
        "losses": losses,
        "smoothed": smooth.tolist(),
        "suggestion": float(f"{max(rates[0], rates[lowest] / 10):.2g}"),
        "highest": float(f"{rates[lowest]:.2g}"),
    }
