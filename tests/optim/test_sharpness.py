"""Curvature and sharpness against quadratics in closed form, and a small real network against its full Hessian."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from sklearn.datasets import load_digits
from torch import Generator, Tensor, nn
from torch.nn import functional

from saccade.optim.hessian import quadratic_forms, top_eigenvalues, trace
from saccade.optim.landscape import filter_normalized, heights
from saccade.optim.sharpness import Subspace, full_space, keskar_sharpness, random_subspace
from saccade.optim.surface import Surface, evaluating, flat, loss_surface

Made = Callable[[], nn.Module]


def generator(seed: int = 0) -> Generator:
    return torch.Generator().manual_seed(seed)


def quadratic(matrix: Tensor, origin: Tensor, terms: int = 1) -> Surface:
    return Surface([lambda x: x @ matrix @ x / (2 * terms)] * terms, origin)


def symmetric(values: Tensor) -> Tensor:
    """With these eigenvalues, in directions that are no axes."""
    axes = torch.linalg.qr(torch.randn(len(values), len(values), generator=generator(), dtype=values.dtype))[0]
    return axes @ values.diag() @ axes.T


VALUES = torch.cat([torch.tensor([9.0, 8.9, 4.0, -20.0]), torch.linspace(-1, 1, 56)]).double()


@pytest.mark.parametrize("terms", [1, 3])
def test_a_quadratic_has_the_eigenvalues_and_the_trace_that_it_was_given(terms: int) -> None:
    """The two largest lie close together, and a negative one is larger in size than both."""
    surface = quadratic(symmetric(VALUES), torch.randn(60, generator=generator(1)).double(), terms)
    assert top_eigenvalues(surface, generator(), 3, tolerance=1e-8) == pytest.approx([9.0, 8.9, 4.0], rel=1e-6)
    found = trace(surface, generator(), probes=400)
    assert abs(found.value - VALUES.sum().item()) < 4 * found.standard_error
    # The variance of v'Hv for random signs is twice the squares off the diagonal
    matrix = symmetric(VALUES)
    exact = (2 * (matrix.square().sum() - matrix.diag().square().sum()) / 400).sqrt().item()
    assert found.standard_error == pytest.approx(exact, rel=0.2)


def test_the_trace_of_a_diagonal_hessian_needs_no_luck() -> None:
    found = trace(quadratic(VALUES.diag(), torch.zeros(60).double()), generator(), probes=2)
    assert found.value == pytest.approx(VALUES.sum().item())
    assert found.standard_error == pytest.approx(0, abs=1e-12)


def test_where_the_loss_is_linear_there_is_no_curvature() -> None:
    surface = Surface([lambda x: x.sum()], torch.ones(5))
    assert surface.curvature(surface.origin, torch.ones(5)).tolist() == [0] * 5
    assert surface.gradient(surface.origin)[1].tolist() == [1] * 5
    assert top_eigenvalues(surface, generator(), 2).tolist() == [0, 0]


@pytest.mark.parametrize("epsilon", [1e-3, 5e-4, 0.3])
@pytest.mark.parametrize("at_the_minimum", [False, True])
def test_keskars_sharpness_of_a_diagonal_quadratic_has_a_closed_form(epsilon: float, at_the_minimum: bool) -> None:
    """The largest value over the box is at the corner farther from the minimum, in every axis."""
    values = torch.linspace(0.1, 5, 40).double()
    x = torch.randn(40, generator=generator(2)).double() * (not at_the_minimum)
    box = epsilon * (x.abs() + 1)
    start = (values * x.square()).sum() / 2
    highest = (values * (x.abs() + box).square()).sum() / 2
    found = keskar_sharpness(quadratic(values.diag(), x), epsilon, full_space(x))
    assert found == pytest.approx((100 * (highest - start) / (1 + start)).item(), rel=1e-9)


def test_in_a_subspace_the_box_is_that_of_its_own_coordinates() -> None:
    """All 2^6 corners of a space of six dimensions, with the pseudo-inverse of numpy; f is convex, so one is best."""
    x = torch.randn(40, generator=generator(3)).double()
    surface = quadratic(symmetric(torch.linspace(0.1, 5, 40).double()), x)
    space = random_subspace(x, generator(), 6)
    matrix = torch.stack([space.into(axis) for axis in torch.eye(6).double()], 1)
    coordinates = np.linalg.pinv(matrix.numpy()) @ x.numpy()
    assert space.coordinates.numpy() == pytest.approx(coordinates)
    assert space.back(x).numpy() == pytest.approx((matrix.T @ x).numpy())
    box = torch.from_numpy(1e-3 * (abs(coordinates) + 1))
    signs = torch.cartesian_prod(*[torch.tensor([-1.0, 1.0]).double()] * 6)
    highest = max(surface.value(x + matrix @ (corner * box)) for corner in signs)
    start = surface.value(x)
    assert keskar_sharpness(surface, 1e-3, space) == pytest.approx((100 * (highest - start) / (1 + start)).item())


def small(norm: bool = False) -> nn.Module:
    """A convolutional network of 366 weights (382 with norm) for digits of 8x8."""
    first = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4) if norm else nn.Identity(), nn.ReLU(inplace=True))
    second = nn.Sequential(nn.MaxPool2d(2), nn.Conv2d(4, 4, 3), nn.Tanh(), nn.Dropout(0.5), nn.Flatten())
    return nn.Sequential(first, second, nn.Linear(4, 10))


def batches(images: int, size: int) -> list[tuple[Tensor, Tensor]]:
    found = load_digits()
    x, y = torch.tensor(found.images[:images]).float()[:, None] / 8 - 1, torch.tensor(found.target[:images])
    return list(zip(x.split(size), y.split(size), strict=True))


@pytest.fixture(scope="module", params=[False, True], ids=["plain", "norm"])
def trained(request: pytest.FixtureRequest) -> nn.Module:
    """After 150 steps on real digits, left in training mode."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = small(request.param)
        optimizer = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9)
        for images, labels in batches(600, 40) * 10:
            optimizer.zero_grad()
            functional.cross_entropy(network(images), labels).backward()
            optimizer.step()
    return network


def state(network: nn.Module) -> dict[str, Any]:
    return {name: tensor.clone() for name, tensor in network.state_dict().items()}


@pytest.fixture(scope="module")
def surface(trained: nn.Module) -> Surface:
    """In float64, over 120 digits in batches of unequal size."""
    return loss_surface(trained, functional.cross_entropy, batches(120, 50), torch.float64)


@pytest.fixture(scope="module")
def hessian(surface: Surface) -> Tensor:
    """Every second derivative, by torch's own function."""
    return torch.autograd.functional.hessian(lambda x: sum(term(x) for term in surface.terms), surface.origin)


def test_the_value_is_the_loss_in_evaluation_mode_over_all_images(trained: nn.Module, surface: Surface) -> None:
    images, labels = batches(120, 120)[0]
    with evaluating(trained), torch.no_grad():
        wanted = functional.cross_entropy(trained(images), labels).item()
    assert surface.value(surface.origin).item() == pytest.approx(wanted, rel=1e-5)
    assert trained.training


def test_the_gradient_is_torchs(trained: nn.Module, surface: Surface) -> None:
    images, labels = batches(120, 120)[0]
    with evaluating(trained):
        found = torch.autograd.grad(functional.cross_entropy(trained(images), labels), list(trained.parameters()))
    value, gradient = surface.gradient(surface.origin)
    assert gradient.numpy() == pytest.approx(flat(found).double().numpy(), abs=1e-6)
    assert value == surface.value(surface.origin)


def test_a_product_is_that_of_the_full_hessian(surface: Surface, hessian: Tensor) -> None:
    v = torch.randn(len(hessian), generator=generator(4), dtype=torch.float64)
    assert surface.curvature(surface.origin, v).numpy() == pytest.approx((hessian @ v).numpy(), rel=1e-8, abs=1e-12)


def test_eigenvalues_and_trace_are_those_of_the_full_hessian(surface: Surface, hessian: Tensor) -> None:
    exact = torch.linalg.eigvalsh(hessian).flip(0)[:4].numpy()
    assert top_eigenvalues(surface, generator(), 4, tolerance=1e-6) == pytest.approx(exact, rel=1e-4)
    found = trace(surface, generator(), probes=100)
    assert abs(found.value - hessian.trace().item()) < 4 * found.standard_error
    assert found.standard_error < 0.2 * abs(hessian.trace().item())


def test_float32_finds_the_same_to_its_own_precision(trained: nn.Module, surface: Surface) -> None:
    single = loss_surface(trained, functional.cross_entropy, batches(120, 50))
    double = top_eigenvalues(surface, generator(), tolerance=1e-6)
    assert top_eigenvalues(single, generator()) == pytest.approx(double, rel=1e-3)
    for epsilon in (1e-3, 5e-4):
        found = [keskar_sharpness(each, epsilon, full_space(each.origin)) for each in (single, surface)]
        assert found[0] == pytest.approx(found[1], rel=1e-2)


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 2**32), a=st.floats(-3, 3))
def test_products_are_symmetric_and_linear(seed: int, a: float) -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        surface = loss_surface(small(), functional.cross_entropy, batches(20, 20), torch.float64)
    u, v = torch.randn(2, len(surface.origin), generator=generator(seed), dtype=torch.float64)
    products = [surface.curvature(surface.origin, each) for each in (u, v, u + a * v)]
    assert (v @ products[0]).item() == pytest.approx((u @ products[1]).item(), rel=1e-8, abs=1e-10)
    assert products[2].numpy() == pytest.approx((products[0] + a * products[1]).numpy(), rel=1e-8, abs=1e-10)


@pytest.mark.parametrize("epsilon", [1e-3, 5e-4])
@pytest.mark.parametrize("dimensions", [None, 100])
def test_the_corners_are_as_high_as_what_the_papers_optimizer_finds(
    surface: Surface, epsilon: float, dimensions: int | None
) -> None:
    x = surface.origin
    space = random_subspace(x, generator(), dimensions) if dimensions else full_space(x)
    found = keskar_sharpness(surface, epsilon, space)
    assert found >= by_l_bfgs_b(surface, epsilon, space, 10) * (1 - 1e-3)
    assert found == pytest.approx(by_l_bfgs_b(surface, epsilon, space, 200), rel=0.05)


def deep(width: int, *, norm: bool = False, convolutions: bool = False) -> nn.Module:
    if not convolutions:
        hidden = [each for _ in range(2) for each in (nn.Linear(width, width), nn.Tanh())] if width < 32 else []
        return nn.Sequential(nn.Flatten(), nn.Linear(64, width), nn.Tanh(), *hidden, nn.Linear(width, 10))
    halves = []
    for channels in (1, width):
        kept = nn.BatchNorm2d(width) if norm else nn.Identity()
        halves.append(nn.Sequential(nn.Conv2d(channels, width, 3, padding=1), kept, nn.ReLU()))
    return nn.Sequential(halves[0], nn.MaxPool2d(2), halves[1], nn.Flatten(), nn.Linear(16 * width, 10))


@pytest.mark.slow
@pytest.mark.parametrize("space", ["full", "subspace"])
@pytest.mark.parametrize("kind", ["convolutions", "convolutions and norm", "dense", "deep"])
def test_at_sharp_minima_the_corners_are_nearly_as_high_as_what_is_found_in_20_times_as_long(kind: str, space: str) -> None:
    """The figures of `keskar_sharpness` are from networks such as these, trained until the slope is nearly nothing."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        convolutional = kind.startswith("convolutions")
        network = deep({"dense": 32, "deep": 16}.get(kind, 8), norm="norm" in kind, convolutions=convolutional)
        optimizer = torch.optim.SGD(network.parameters(), lr=0.05, momentum=0.9)
        for images, labels in batches(120, 120) * (600 if convolutional else 800):
            optimizer.zero_grad()
            functional.cross_entropy(network(images), labels).backward()
            optimizer.step()
    surface = loss_surface(network, functional.cross_entropy, batches(120, 120), torch.float64)
    within = full_space(surface.origin) if space == "full" else random_subspace(surface.origin, generator())
    for epsilon in (1e-3, 5e-4):
        found = keskar_sharpness(surface, epsilon, within)
        ratio = found / by_l_bfgs_b(surface, epsilon, within, 200)
        print(f"{kind}, {space}, epsilon {epsilon:g}: {ratio:.3f} of L-BFGS-B")
        assert ratio > 0.9


def by_l_bfgs_b(surface: Surface, epsilon: float, space: Subspace, iterations: int) -> float:
    box = epsilon * (space.coordinates.abs() + 1)

    def downwards(y: np.ndarray) -> tuple[float, np.ndarray]:
        value, gradient = surface.gradient(surface.origin + space.into(torch.from_numpy(y)))
        return -value.item(), -space.back(gradient).numpy()

    bounds = list(zip((-box).tolist(), box.tolist(), strict=True))
    found = minimize(
        downwards, np.zeros(len(box)), jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": iterations}
    )
    start = surface.value(surface.origin).item()
    return 100 * (-found.fun - start) / (1 + start)


def test_a_direction_has_the_filters_lengths_and_no_biases_or_scales(trained: nn.Module) -> None:
    direction = filter_normalized(trained, generator())
    place = 0
    for weight in trained.parameters():
        part, place = direction[place : place + weight.numel()].view(weight.shape), place + weight.numel()
        if weight.dim() == 1:
            assert not part.any()
        else:
            assert torch.allclose(part.flatten(1).norm(dim=1), weight.flatten(1).norm(dim=1), rtol=1e-5)
    assert place == len(direction)


def test_the_surface_of_a_relu_network_does_not_see_how_its_layers_share_their_scale() -> None:
    """f is the same function when a layer is multiplied by 8 and the next divided by it: the argument for the norms."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = nn.Sequential(
            nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(64, 10)
        )
    places = [(a, b) for a in (-1.0, -0.3, 0.0, 0.7) for b in (-1.0, 0.0, 0.5)]
    before = surface_of(network, places)
    curved = top_eigenvalues(loss_surface(network, functional.cross_entropy, batches(50, 50)), generator())
    first, second = network[0], network[2]
    with torch.no_grad():
        for weight, factor in ((first.weight, 8), (first.bias, 8), (second.weight, 1 / 8)):
            weight.mul_(factor)
    assert surface_of(network, places) == pytest.approx(before, rel=1e-5)
    again = top_eigenvalues(loss_surface(network, functional.cross_entropy, batches(50, 50)), generator())
    assert again > 2 * curved  # the Hessian does see it


def surface_of(network: nn.Module, places: list[tuple[float, float]]) -> list[float]:
    directions = [filter_normalized(network, generator(seed)) for seed in (1, 2)]
    found = loss_surface(network, functional.cross_entropy, batches(50, 50))
    return [height.item() for height in heights(found, directions, places)]


def test_the_centre_of_the_surface_is_the_loss(trained: nn.Module, surface: Surface) -> None:
    direction = filter_normalized(trained, generator())
    left, centre = heights(surface, [direction], [(-1.0,), (0.0,)])
    assert centre == surface.value(surface.origin)
    assert left > centre


class Interruption(Exception):
    pass


def test_the_network_is_never_written_to_even_when_the_work_breaks_off(trained: nn.Module) -> None:
    before = state(trained)
    calls = iter(range(200))

    def loss(scores: Tensor, labels: Tensor) -> Tensor:
        if next(calls, None) is None:
            raise Interruption
        return functional.cross_entropy(scores, labels)

    surface = loss_surface(trained, loss, batches(60, 30))
    top_eigenvalues(surface, generator(), tolerance=0.1)
    with pytest.raises(Interruption):
        trace(surface, generator(), probes=1000)
    assert all(torch.equal(before[name], tensor) for name, tensor in trained.state_dict().items())
    assert all(module.training for module in trained.modules())


def test_what_does_not_learn_is_no_part_of_the_vector(trained: nn.Module) -> None:
    last = trained[2]
    try:
        last.requires_grad_(False)
        surface = loss_surface(trained, functional.cross_entropy, batches(20, 20), torch.float64)
        assert len(surface.origin) == sum(weight.numel() for weight in trained[:2].parameters())
        assert len(surface.origin) == len(filter_normalized(trained, generator()))
        assert surface.curvature(surface.origin, torch.ones_like(surface.origin)).isfinite().all()
    finally:
        last.requires_grad_(True)


def test_draws_come_from_the_generator_alone(surface: Surface) -> None:
    first = torch.stack([*quadratic_forms(surface, generator(5), 3)])
    torch.rand(3)
    assert torch.equal(first, torch.stack([*quadratic_forms(surface, generator(5), 3)]))
    assert not torch.equal(first, torch.stack([*quadratic_forms(surface, generator(6), 3)]))


def test_bad_numbers_get_one_line() -> None:
    surface = quadratic(torch.eye(3), torch.ones(3))
    for count in (0, 3):
        with pytest.raises(ValueError, match="eigenvalues: from 1 to 2"):
            top_eigenvalues(surface, generator(), count)
    with pytest.raises(ValueError, match="probes: at least 2"):
        trace(surface, generator(), probes=1)
    for epsilon in (0.0, -1.0, float("nan")):
        with pytest.raises(ValueError, match="epsilon: a number above 0"):
            keskar_sharpness(surface, epsilon, full_space(surface.origin))
    with pytest.raises(ValueError, match="dimensions: from 1 to the 3"):
        random_subspace(surface.origin, generator(), 4)
    with pytest.raises(ValueError, match="at least one batch"):
        loss_surface(small(), functional.cross_entropy, [])
    with pytest.raises(ValueError, match="no weight that learns"):
        loss_surface(nn.ReLU(), functional.cross_entropy, batches(2, 2))


def test_eigenvalues_that_are_not_found_are_not_made_up() -> None:
    surface = quadratic(torch.linspace(1, 1.001, 500).double().diag(), torch.zeros(500).double())
    with pytest.raises(ValueError, match="only 0 of 1 are known to 1e-12 after 1 restarts"):
        top_eigenvalues(surface, generator(), tolerance=1e-12, restarts=1)
