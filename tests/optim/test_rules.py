"""Every rule against torch.optim on a real network, and against plain transcriptions of its equation."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from optim.digits import trained
from torch import Tensor, nn

from saccade.optim.fused import KERNELS
from saccade.optim.optimizer import Optimizer
from saccade.optim.rules import RULES, orthogonal

STEPS = 100
Equation = Callable[..., Iterator[np.ndarray]]

# rule, its numbers, torch's class, torch's numbers, whether every operation comes in the same order
PEERS = [
    ("sgd", {"lr": 0.2, "weight_decay": 1e-4}, torch.optim.SGD, {}, True),
    ("momentum", {"lr": 0.05, "weight_decay": 5e-4}, torch.optim.SGD, {"momentum": 0.9}, True),
    ("nesterov", {"lr": 0.05, "weight_decay": 5e-4}, torch.optim.SGD, {"momentum": 0.9, "nesterov": True}, True),
    ("adadelta", {"lr": 1.0, "weight_decay": 0.01}, torch.optim.Adadelta, {}, True),
    ("adagrad", {"lr": 0.01, "weight_decay": 0.01}, torch.optim.Adagrad, {}, False),
    ("rmsprop", {"lr": 1e-3, "weight_decay": 0.01}, torch.optim.RMSprop, {}, False),
    ("adam", {"lr": 1e-3, "weight_decay": 0.01}, torch.optim.Adam, {}, False),
    ("adamw", {"lr": 1e-3, "weight_decay": 0.1}, torch.optim.AdamW, {}, False),
]


@pytest.mark.parametrize(("rule", "numbers", "peer", "more", "same_order"), PEERS, ids=[row[0] for row in PEERS])
def test_torch_on_lenet(rule: str, numbers: dict[str, Any], peer: Any, more: dict[str, Any], same_order: bool) -> None:
    """The same bits in float32 where each operation is torch's; else, in float64, within 1e-6 (met: 1e-14)."""
    dtype = torch.float32 if same_order else torch.float64
    ours, first, last = trained(lambda params: Optimizer(params, rule, fused=False, **numbers), STEPS, dtype)
    theirs, *_ = trained(lambda params: peer(params, foreach=True, **numbers, **more), STEPS, dtype)
    assert last < 0.9 * first  # it learns, so the two went a long way together
    if same_order:
        assert torch.equal(ours, theirs)
    else:
        assert (ours - theirs).abs().max() < 1e-6


@pytest.mark.parametrize(("rule", "numbers", "peer", "more", "same_order"), PEERS, ids=[row[0] for row in PEERS])
def test_torchs_own_kernels_are_these_equations(
    rule: str, numbers: dict[str, Any], peer: Any, more: dict[str, Any], same_order: bool
) -> None:
    """In float64 within 1e-6 of the equation (met: 1e-14), and the bits of torch's optimizer with the same kernel."""
    if RULES[rule].update not in KERNELS:
        pytest.skip("torch has none")
    with_kernel, *_ = trained(lambda params: Optimizer(params, rule, l1=1e-4, **numbers), 30, torch.float64)
    equation, *_ = trained(lambda params: Optimizer(params, rule, l1=1e-4, fused=False, **numbers), 30, torch.float64)
    assert (with_kernel - equation).abs().max() < 1e-6
    ours, *_ = trained(lambda params: Optimizer(params, rule, **numbers), 30, torch.float32)
    theirs, *_ = trained(lambda params: peer(params, fused=True, **numbers, **more), 30, torch.float32)
    assert torch.equal(ours, theirs)


def test_torchs_muon_on_the_matrices_of_lenet() -> None:
    """The same bits: both iterate in bfloat16 by the same products."""
    pytest.importorskip("torch", minversion="2.9")
    numbers = {"lr": 0.05, "weight_decay": 0.1}
    ours, first, last = trained(lambda params: Optimizer(params, "muon", **numbers), STEPS, torch.float32, only=2)
    theirs, *_ = trained(lambda params: torch.optim.Muon(params, **numbers), STEPS, torch.float32, only=2)
    assert last < 0.8 * first
    assert torch.equal(ours, theirs)


# The equations of the course notes, in numpy. Each is handed gradients and gives the change of the weights.


def sgd(gradients: Any, lr: float) -> Iterator[np.ndarray]:
    for g in gradients:
        yield -lr * g


def momentum(gradients: Any, lr: float, beta: float = 0.9) -> Iterator[np.ndarray]:
    a = 0.0
    for g in gradients:
        a = beta * a + g
        yield -lr * a


def adagrad(gradients: Any, lr: float, eps: float = 1e-10) -> Iterator[np.ndarray]:
    squares = 0.0
    for g in gradients:
        squares = squares + g**2
        yield -lr / np.sqrt(squares + eps) * g


def adadelta(gradients: Any, lr: float, gamma: float = 0.9, eps: float = 1e-6) -> Iterator[np.ndarray]:
    squares, steps = 0.0, 0.0
    for g in gradients:
        squares = gamma * squares + (1 - gamma) * g**2
        change = np.sqrt(steps + eps) / np.sqrt(squares + eps) * g
        steps = gamma * steps + (1 - gamma) * change**2
        yield -lr * change


def rmsprop(gradients: Any, lr: float, gamma: float = 0.99, eps: float = 1e-8) -> Iterator[np.ndarray]:
    squares = 0.0
    for g in gradients:
        squares = gamma * squares + (1 - gamma) * g**2
        yield -lr / np.sqrt(squares + eps) * g


def adam(gradients: Any, lr: float, eps: float = 1e-8, inside: bool = False) -> Iterator[np.ndarray]:
    m, v = 0.0, 0.0
    for t, g in enumerate(gradients, 1):
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2
        m_hat, v_hat = m / (1 - 0.9**t), v / (1 - 0.999**t)
        yield -lr * m_hat / (np.sqrt(v_hat + eps) if inside else np.sqrt(v_hat) + eps)


def adam_inside(gradients: Any, lr: float) -> Iterator[np.ndarray]:
    return adam(gradients, lr, eps=1e-3, inside=True)


SLOPES = np.linspace(0.1, 3.0, 12).reshape(3, 4)
START = np.linspace(-1.0, 1.0, 12).reshape(3, 4)


def slope(w: Any) -> Any:
    """The gradient of a function that is no quadratic, with a flat place."""
    return SLOPES * w + w**3 / 2


@pytest.mark.parametrize(
    ("rule", "numbers", "equation"),
    [
        ("sgd", {}, sgd),
        ("momentum", {}, momentum),
        ("adagrad", {"epsilon": "inside"}, adagrad),
        ("adadelta", {}, adadelta),
        ("rmsprop", {"epsilon": "inside"}, rmsprop),
        ("adam", {}, adam),
        ("adam", {"epsilon": "inside", "eps": 1e-3}, adam_inside),
    ],
)
def test_the_equation_of_the_notes(rule: str, numbers: dict[str, Any], equation: Equation) -> None:
    """Gradients come from each side's own weights, so that any difference would grow."""
    w = START.copy()
    changes = equation((slope(w) for _ in iter(int, 1)), 0.05)
    for _ in range(50):
        w += next(changes)
    assert descend(rule, {"lr": 0.05, **numbers})[-1] == pytest.approx(w, abs=1e-12)


def test_nesterov_walks_on_the_places_ahead_of_the_notes() -> None:
    """a <- beta a + grad L(W - eta beta a); W <- W - eta a. The weights here are its W - eta beta a."""
    w, a, lr, beta = START.copy(), np.zeros_like(START), 0.05, 0.9
    ahead = []
    for _ in range(50):
        a = beta * a + slope(w - lr * beta * a)
        w = w - lr * a
        ahead.append(w - lr * beta * a)
    assert np.stack(descend("nesterov", {"lr": lr})) == pytest.approx(np.stack(ahead), abs=1e-12)


def descend(rule: str, numbers: dict[str, Any], steps: int = 50) -> list[np.ndarray]:
    """Where a rule goes from START on the same function."""
    w = nn.Parameter(torch.tensor(START))
    optimizer = Optimizer([w], rule, fused=False, **numbers)
    path = []
    for _ in range(steps):
        w.grad = torch.tensor(slope(w.detach().numpy()))
        optimizer.step()
        path.append(w.detach().numpy().copy())
    return path


def weights_and_gradients(steps: int) -> tuple[list[np.ndarray], list[list[np.ndarray]]]:
    """A convolution, a dense layer, a bias that starts from zero, and one that has no gradient at first."""
    draw = np.random.default_rng(0)
    shapes = [(4, 3, 3, 3), (5, 8), (5,), (6,)]
    weights = [draw.normal(size=shape) for shape in shapes]
    weights[2][:] = 0
    gradients = [[draw.normal(size=shape) for shape in shapes] for _ in range(steps)]
    gradients[0][3][:] = 0
    return weights, gradients


def applied(optimizer: Optimizer, params: list[nn.Parameter], gradients: list[list[np.ndarray]]) -> None:
    for each in gradients:
        for p, g in zip(params, each, strict=True):
            p.grad = torch.tensor(g)
        optimizer.step()


def test_lars_is_the_paper_tensor_by_tensor() -> None:
    """arXiv:1708.03888, algorithm 1, with the rate inside of the momentum, which is the same at a constant rate."""
    lr, beta, decay, trust = 2.0, 0.9, 0.01, 0.02
    weights, gradients = weights_and_gradients(20)
    params = [nn.Parameter(torch.tensor(w)) for w in weights]
    applied(Optimizer(params, "lars", lr, momentum=beta, weight_decay=decay, trust=trust), params, gradients)
    for i, w in enumerate(weights):
        velocity = np.zeros_like(w)
        for each in gradients:
            g = each[i]
            sizes = np.linalg.norm(w), np.linalg.norm(g)
            local = trust * sizes[0] / (sizes[1] + decay * sizes[0]) if min(sizes) > 0 else 1.0
            velocity = beta * velocity + lr * local * (g + decay * w)
            w = w - velocity
        assert params[i].detach().numpy() == pytest.approx(w, abs=1e-12)


def test_lamb_is_the_paper_tensor_by_tensor() -> None:
    """arXiv:1904.00962, algorithm 2."""
    lr, decay = 0.02, 0.1
    weights, gradients = weights_and_gradients(20)
    params = [nn.Parameter(torch.tensor(w)) for w in weights]
    applied(Optimizer(params, "lamb", lr, weight_decay=decay), params, gradients)
    for i, w in enumerate(weights):
        for change in adam([each[i] for each in gradients], -1.0, eps=1e-6):
            r = change + decay * w
            sizes = np.linalg.norm(w), np.linalg.norm(r)
            w = w - lr * (sizes[0] / sizes[1] if min(sizes) > 0 else 1.0) * r
        assert params[i].detach().numpy() == pytest.approx(w, abs=1e-12)


@pytest.mark.parametrize(("rows", "columns"), [(6, 20), (20, 6), (9, 9)])
def test_muons_matrix_is_nearly_orthogonal_with_the_same_singular_vectors(rows: int, columns: int) -> None:
    generator = torch.Generator().manual_seed(rows)
    x = torch.randn(2, rows, columns, generator=generator, dtype=torch.float64)
    left, _, right = torch.linalg.svd(x, full_matrices=False)
    found = orthogonal(x, 5)
    inner = left.mT @ found @ right.mT
    values = inner.diagonal(dim1=-2, dim2=-1)
    assert values.min() > 0.3
    assert values.max() < 1.3
    assert (inner - torch.diag_embed(values)).abs().max() < 1e-12


def test_muon_takes_a_kernel_as_the_matrix_of_its_filters() -> None:
    kernel = torch.randn(8, 3, 2, 2, generator=torch.Generator().manual_seed(0))
    found: list[Tensor] = []
    for shape in (kernel.shape, (8, 12)):
        w = nn.Parameter(kernel.clone().view(shape))
        optimizer = Optimizer([w], "muon", 0.1)
        w.grad = kernel.sin().view(shape)
        optimizer.step()
        found.append(w.detach().view(8, 12))
    assert torch.equal(*found)


def test_muon_for_what_is_a_matrix_and_adamw_for_the_rest() -> None:
    net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Flatten(), nn.Linear(8, 4))
    optimizer = Optimizer(net.parameters(), "muon", 0.02)
    by_rule = {group["rule"]: group for group in optimizer.param_groups}
    assert [tuple(p.shape) for p in by_rule["muon"]["params"]] == [(8, 3, 3, 3), (4, 8)]
    assert [tuple(p.shape) for p in by_rule["adamw"]["params"]] == [(8,), (8,), (8,), (4,)]
    assert by_rule["muon"]["lr"] == 0.02
    assert by_rule["adamw"]["lr"] == pytest.approx(1e-3) == pytest.approx(0.02 * by_rule["adamw"]["rate"])


def test_the_state_is_as_large_as_the_table_says() -> None:
    for name, rule in RULES.items():
        w = nn.Parameter(torch.ones(3, 4))
        optimizer = Optimizer([w], name)
        w.grad = torch.ones(3, 4)
        optimizer.step()
        tensors = [value for value in optimizer.state[w].values() if isinstance(value, Tensor)]
        assert len(tensors) == len(rule.state)
        assert all(tensor.shape == w.shape for tensor in tensors)
