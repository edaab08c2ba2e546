"""What the numbers of an optimizer may be."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from saccade.errors import InputError

Range = tuple[Callable[[Tensor], Tensor], str]
ABOVE_0: Range = (lambda x: x > 0, "above 0")
AT_LEAST_0: Range = (lambda x: x >= 0, "at least 0")
SHARE: Range = (lambda x: (x >= 0) & (x < 1), "at least 0 and below 1")
COUNT: Range = (lambda x: (x >= 1) & (x == x.round()), "a whole number above 0")
RANGES = {
    **dict.fromkeys(("lr", "trust"), ABOVE_0),
    **dict.fromkeys(("weight_decay", "l1", "eps", "rho", "deviation"), AT_LEAST_0),
    **dict.fromkeys(("momentum", "gamma", "beta1", "beta2"), SHARE),
    **dict.fromkeys(("iterations", "members"), COUNT),
}
CHOICES = {"epsilon": ("outside", "inside"), "scale": ("original", "adam")}
PER_MEMBER = {*RANGES} - {"iterations", "members"}


def check(name: str, value: Any, members: int = 1) -> None:
    """InputError unless a value of this name is in its range and finite in 32 bits: a number, or one a member."""
    if name in CHOICES:
        check_choice(name, value, CHOICES[name])
        return
    try:
        numbers = torch.as_tensor(value, dtype=torch.float64)
    except (TypeError, ValueError, RuntimeError):
        raise InputError(f"{name} is a number, not {value!r}") from None
    if numbers.dim() and (numbers.shape != (members,) or name not in PER_MEMBER):
        raise InputError(f"{name} is one number{many(members)}, not a tensor of shape {tuple(numbers.shape)}")
    within, words = RANGES[name]
    for right, expected in ((within(numbers), words), (numbers.float().isfinite(), "finite in 32 bits")):
        if not right.all():
            raise InputError(f"{name} must be {expected}, not {numbers[~right][0].item():g}")


def check_choice(name: str, value: Any, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise InputError(f'{name} is {" or ".join(choices)}, not "{value}"')


def many(members: int) -> str:
    return f" or ({members},), one a member," if members > 1 else " (give `members` for one a member)"
