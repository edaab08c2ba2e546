"""The learning rate as a function of the step."""

from math import cos, pi


def warmup_cosine(step: int, total: int, warmup: int) -> float:
    """The share of the full rate at this step: a line up to 1 over `warmup` steps, then half a cosine down to 0.

    Warm-up: arXiv:1706.02677, section 2.2; cosine: arXiv:1608.03983, equation 5 without restarts. Step 0 of `total` is
    the first.
    """
    if step < warmup:
        return (step + 1) / (warmup + 1)
    return (1 + cos(pi * (step - warmup) / max(1, total - warmup))) / 2
