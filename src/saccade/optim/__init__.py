"""Rules of optimization: how weights change, which of them decay, how the rate goes, and averages of weights."""

from saccade.optim.average import Average, exponential, uniform
from saccade.optim.groups import decay_groups, freeze, vectors_apart
from saccade.optim.noise import annealed_std
from saccade.optim.optimizer import Optimizer
from saccade.optim.rules import RULES, find_rule
from saccade.optim.sam import sam_step
from saccade.optim.schedules import (
    SCHEDULES,
    one_cycle_momentum,
    plateau,
    scaled_rate,
    warmed,
)

__all__ = [
    "RULES", "SCHEDULES", "Average", "Optimizer", "annealed_std", "decay_groups", "exponential", "find_rule", "freeze",
    "one_cycle_momentum", "plateau", "sam_step", "scaled_rate", "uniform", "vectors_apart",
    "warmed",
]  # fmt: skip
