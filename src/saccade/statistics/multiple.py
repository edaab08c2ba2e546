"""Several comparisons at once."""

from collections.abc import Sequence

import numpy as np


def holm(p_values: Sequence[float]) -> np.ndarray:
    """P-values (m,) adjusted for being m, in the order given (Holm 1979, Scand J Stat 6:65).

    Those at most 0.05 are wrong in at most 5 % of such families, however the comparisons depend on one another. ValueError
    for values outside 0 to 1.
    """
    raw = np.asarray(p_values, dtype=np.float64)
    if raw.ndim != 1 or not ((raw >= 0) & (raw <= 1)).all():
        raise ValueError(f"p-values are a list of numbers from 0 to 1, not {p_values}")
    order = np.argsort(raw, kind="stable")
    adjusted = np.empty_like(raw)
    adjusted[order] = np.minimum(1, np.maximum.accumulate(raw[order] * np.arange(len(raw), 0, -1)))
    return adjusted
