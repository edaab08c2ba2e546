"""Rules of optimization: which parameters decay, and how the rate goes."""

from saccade.optim.groups import decay_groups
from saccade.optim.schedules import warmup_cosine

__all__ = ["decay_groups", "warmup_cosine"]
