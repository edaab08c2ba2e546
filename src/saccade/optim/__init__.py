"""Rules of optimization: which parameters decay, and how the rate goes."""

from saccade.optim.groups import decay_groups, freeze
from saccade.optim.schedules import warmup_cosine

__all__ = ["decay_groups", "freeze", "warmup_cosine"]
