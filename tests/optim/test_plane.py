"""The surfaces have their minima where they say, and the rules go down them."""

import numpy as np
import pytest
import torch

from saccade.optim.plane import SURFACES, trajectories
from saccade.optim.rules import RULES


@pytest.mark.parametrize("name", SURFACES)
def test_the_minimum_is_the_lowest_place(name: str) -> None:
    surface = SURFACES[name]
    place = torch.tensor(surface.minimum, dtype=torch.float64)
    hessian = torch.autograd.functional.hessian(surface.height, tuple(place))
    slope = torch.autograd.functional.jacobian(surface.height, tuple(place))
    assert torch.stack(slope).abs().max() == 0
    assert torch.linalg.eigvalsh(torch.tensor(hessian)).min() > 0
    x, y = torch.meshgrid(*(torch.linspace(*side, 201, dtype=torch.float64) for side in surface.sides), indexing="ij")
    assert surface.height(x, y).min() >= surface.height(*place) - 1e-12


def test_plain_descent_in_the_ravine_is_the_closed_form() -> None:
    """Each coordinate shrinks by 1 - lr * curvature in every step, and grows beyond a rate of 2 / 100."""
    paths = trajectories("sgd", SURFACES["ravine"], (-1.0, 0.3), 20, [0.019, 0.021])
    steps = np.arange(21)[:, None]
    assert paths.shape == (2, 21, 2)
    for path, rate in zip(paths, (0.019, 0.021), strict=True):
        assert path == pytest.approx(np.array([-1.0, 0.3]) * (1 - rate * np.array([1, 100])) ** steps)
    assert abs(paths[1, -1, 1]) > abs(paths[1, 0, 1])


@pytest.mark.parametrize("rule", RULES)
def test_every_rate_goes_its_own_way(rule: str) -> None:
    """Also where another one leaves the numbers."""
    surface, rates = SURFACES["rosenbrock"], [1e-4, 1e-2, 1e3]
    together = trajectories(rule, surface, surface.start, 40, rates)
    for i, rate in enumerate(rates[:2]):
        alone = trajectories(rule, surface, surface.start, 40, [rate])[0]
        assert together[i] == pytest.approx(alone, rel=1e-9, nan_ok=True)


def test_nobody_leaves_the_saddle_point_itself() -> None:
    for rule in RULES:
        assert not trajectories(rule, SURFACES["saddle"], (0.0, 0.0), 5, [0.1]).any()


@pytest.mark.parametrize(("rule", "lr"), [("momentum", 1e-3), ("nesterov", 1e-3), ("adam", 0.02), ("rmsprop", 2e-3)])
def test_rules_come_down_rosenbrocks_valley(rule: str, lr: float) -> None:
    surface = SURFACES["rosenbrock"]
    path = trajectories(rule, surface, surface.start, 3000, [lr])[0]
    assert path[0] == pytest.approx(np.array(surface.start))
    assert np.linalg.norm(path[-1] - surface.minimum) < 0.1
