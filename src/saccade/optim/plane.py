"""Surfaces over the plane, on which one can watch the update rules."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from saccade.optim.optimizer import Optimizer


@dataclass(frozen=True)
class Surface:
    """A height over x and y (tensors of one shape), where it is lowest, where to start, and the part worth drawing."""

    height: Callable[[Tensor, Tensor], Tensor]
    minimum: tuple[float, float]
    start: tuple[float, float]
    sides: tuple[tuple[float, float], tuple[float, float]]  # of x, of y


def rosenbrock(x: Tensor, y: Tensor) -> Tensor:
    """(1 - x)^2 + 100 (y - x^2)^2: a curved valley with a nearly flat floor; 0 at (1, 1) (Rosenbrock 1960)."""
    return (1 - x) ** 2 + 100 * (y - x**2) ** 2


def saddle(x: Tensor, y: Tensor) -> Tensor:
    """x^2 / 2 + y^4 / 4 - y^2 / 2: a saddle at (0, 0), where the gradient vanishes; -1/4 at (0, 1) and at (0, -1)."""
    return x**2 / 2 + y**4 / 4 - y**2 / 2


def ravine(x: Tensor, y: Tensor) -> Tensor:
    """(x^2 + 100 y^2) / 2: a hundred times steeper across than along; 0 at (0, 0). Plain descent needs lr < 2 / 100."""
    return (x**2 + 100 * y**2) / 2


SURFACES = {
    "rosenbrock": Surface(rosenbrock, (1.0, 1.0), (-1.2, 1.0), ((-2.0, 2.0), (-1.0, 3.0))),
    "saddle": Surface(saddle, (0.0, 1.0), (1.0, 1e-3), ((-1.5, 1.5), (-1.5, 1.5))),
    "ravine": Surface(ravine, (0.0, 0.0), (-1.0, 0.3), ((-1.2, 1.2), (-0.5, 0.5))),
}


def trajectories(
    rule: str, surface: Surface, start: tuple[float, float], steps: int, rates: Sequence[float], **numbers: Any
) -> np.ndarray:
    """Where the rule goes at each rate: (rates, steps + 1, 2) float64, the start first. `numbers` are its hyperparameters.

    One fleet, a member a rate. A place is one tensor of two values, so LARS and LAMB measure it as a whole, and Muon, which
    needs matrices, leaves it to AdamW.
    """
    places = torch.tensor(start, dtype=torch.float64).repeat(len(rates)).requires_grad_()
    lr = torch.tensor(rates, dtype=torch.float64)
    optimizer = Optimizer([places], rule, lr, members=len(rates), **numbers)
    path = [places.detach().clone()]
    for _ in range(steps):
        optimizer.zero_grad()
        surface.height(*places.view(-1, 2).T).sum().backward()
        optimizer.step()
        path.append(places.detach().clone())
    return torch.stack(path).view(steps + 1, len(rates), 2).transpose(0, 1).numpy()
