"""The learning rate as a function of the step: each gives the share of the full rate.

`step` 0 of `total`, one at least, is the first. A schedule knows nothing of what was before, so a resumed run has the
rates of the unbroken one.
"""

from collections.abc import Callable, Sequence
from math import cos, inf, pi
from typing import Any

Schedule = Callable[..., float]  # of step and total, and of options by name


def constant(step: int, total: int) -> float:
    return 1.0


def staircase(step: int, total: int, *, at: int | Sequence[int] | None = None, factor: float = 0.1) -> float:
    """Times `factor` every `at` steps, or at each of these steps.

    Unset: after half and after three quarters, as arXiv:1512.03385 trains on CIFAR (section 4.2).
    """
    if at is None:
        at = (-(-total // 2), -(-3 * total // 4))
    if isinstance(at, int):
        if at < 1:
            raise ValueError(f"the rate falls every so many steps, one at least, not every {at}")
        return factor ** (step // at)
    return factor ** sum(place <= step for place in at)


def linear(step: int, total: int, *, end: float = 0.0) -> float:
    """A line from 1 to `end`, which would be reached at step `total`."""
    return 1 + (end - 1) * step / total


def cosine(step: int, total: int, *, end: float = 0.0) -> float:
    """Half a cosine from 1 to `end`, which would be reached at step `total`.

    arXiv:1608.03983, equation 5 without restarts.
    """
    return half_cosine(1.0, end, step, total)


def restarts(step: int, total: int, *, cycle: float | None = None, growth: float = 1.0, end: float = 0.0) -> float:
    """Half a cosine over `cycle` steps, then anew over `growth` times as many, and so on (arXiv:1608.03983, section 3).

    `cycle` unset: as long as makes the end of the third cycle the end of training.
    """
    if cycle is None:
        cycle = total / (1 + growth + growth**2)
    if cycle <= 0 or growth < 1:
        raise ValueError(f"a cycle has some steps and the next is no shorter, not {cycle:g} steps and {growth:g} times")
    place = step % cycle if growth == 1 else float(step)
    while place >= cycle:
        place, cycle = place - cycle, cycle * growth
    return half_cosine(1.0, end, place, cycle)


def one_cycle(step: int, total: int, *, rise: float = 0.3, start: float = 1 / 25, end: float = 4e-6) -> float:
    """Half a cosine up from `start` to 1 over the share `rise` of all steps, then one down to `end` at the last step.

    arXiv:1708.07120, with cosines in place of its lines, as torch's OneCycleLR has it.
    """
    return two_cosines(step, total, rise, (start, 1.0, end))


def one_cycle_momentum(step: int, total: int, *, rise: float = 0.3, high: float = 0.95, low: float = 0.85) -> float:
    """The momentum (not a share) that goes with `one_cycle`: low where the rate is high (arXiv:1803.09820, section 4.3)."""
    return two_cosines(step, total, rise, (high, low, high))


def warmed(schedule: Schedule, warmup: int) -> Schedule:
    """The schedule after a line up to its first value over `warmup` steps (arXiv:1706.02677, section 2.2).

    The schedule itself begins when the line ends, and has the steps that are left.
    """

    def share(step: int, total: int, **options: Any) -> float:
        left = max(1, total - warmup)
        if step < warmup:
            return (step + 1) / (warmup + 1) * schedule(0, left, **options)
        return schedule(step - warmup, left, **options)

    return share


def plateau(
    losses: Sequence[float], *, factor: float = 0.1, patience: int = 10, threshold: float = 1e-4, cooldown: int = 0
) -> float:
    """Times `factor` for every `patience` + 1 validations in a row without a new best: the share after these losses.

    A loss is a new best below (1 - threshold) times the best before; during `cooldown` validations after a fall none is
    counted. Torch's ReduceLROnPlateau as a function of the whole history, so nothing but that is to be kept.
    """
    share, best, bad, resting = 1.0, inf, 0, 0
    for loss in losses:
        if loss < best * (1 - threshold):
            best, bad = loss, 0
        else:
            bad += 1
        if resting > 0:
            resting, bad = resting - 1, 0
        if bad > patience:
            share, bad, resting = share * factor, 0, cooldown
    return share


def scaled_rate(rate: float, batch: int, reference: int = 256) -> float:
    """The linear scaling rule: k times the batch, k times the rate (arXiv:1706.02677, section 2.1)."""
    return rate * batch / reference


def half_cosine(start: float, end: float, step: float, steps: float) -> float:
    """From `start` at step 0 to `end` at step `steps`."""
    return end + (start - end) * (1 + cos(pi * step / steps)) / 2


def two_cosines(step: int, total: int, rise: float, values: tuple[float, float, float]) -> float:
    """From the first value to the second at step `rise * total - 1`, and to the third at the last step."""
    if not 0 < rise < 1:
        raise ValueError(f"the rate rises for a share of all steps between 0 and 1, not {rise:g}")
    first, second, third = values
    top, last = max(0.0, rise * total - 1), total - 1
    if step <= top:
        return half_cosine(first, second, step, top) if top else second
    return half_cosine(second, third, step - top, last - top)


SCHEDULES: dict[str, Schedule] = {
    "constant": constant,
    "step": staircase,
    "linear": linear,
    "cosine": cosine,
    "restarts": restarts,
    "one-cycle": one_cycle,
}
