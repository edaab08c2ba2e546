"""What update rules do on surfaces over a plane, for a picture."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from saccade.optim import RULES
from saccade.optim.plane import SURFACES, Surface, trajectories

STEPS = 150
POINTS = 121
RATES = 10.0 ** np.arange(-4, 1.01, 0.25)  # of which each rule has the one that brings it lowest


def watched(rules: Sequence[str]) -> dict[str, Any]:
    """For each surface its sides, minimum, lines of equal height, and the path of every rule at its best rate.

    Rules that need matrices (Muon) have nothing to do on a plane and are left out.
    """
    plane = [rule for rule in rules if RULES[rule].otherwise is None]
    return {name: drawn(surface, plane) for name, surface in SURFACES.items()}


def drawn(surface: Surface, rules: Sequence[str]) -> dict[str, Any]:
    paths = {rule: best_path(rule, surface) for rule in rules}
    return {
        "sides": surface.sides,
        "minimum": surface.minimum,
        "heights": heights(surface).tolist(),
        "paths": {rule: path.tolist() for rule, path in paths.items()},
        "note": f"{STEPS} steps, each rule at the best of {len(RATES)} rates; the circle is the lowest point",
    }


def best_path(rule: str, surface: Surface) -> np.ndarray:
    """The path that ends lowest, of those that stay within the picture where there is one."""
    paths = list(trajectories(rule, surface, surface.start, STEPS, RATES.tolist()))
    low, high = np.array(surface.sides).T
    inside = [path for path in paths if ((low <= path) & (path <= high)).all()]
    finite = [path for path in paths if np.isfinite(path).all()]
    return min(inside or finite, key=lambda path: height(surface, path[-1]))


def height(surface: Surface, place: np.ndarray) -> float:
    x, y = torch.tensor(place)
    return float(surface.height(x, y))


def heights(surface: Surface) -> np.ndarray:
    """(POINTS, POINTS) over the sides, rows from the bottom up."""
    (left, right), (bottom, top) = surface.sides
    ys, xs = torch.meshgrid(torch.linspace(bottom, top, POINTS), torch.linspace(left, right, POINTS), indexing="ij")
    return surface.height(xs, ys).numpy()
