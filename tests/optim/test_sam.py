"""Sharpness-aware minimization: its laws, and its equation."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from optim.digits import batch_loss, network
from torch import Tensor, nn

from saccade.optim.optimizer import Optimizer
from saccade.optim.rules import RULES
from saccade.optim.sam import ascend, sam_step


def normalized() -> nn.Sequential:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(64, 10))


@pytest.mark.parametrize("rule", RULES)
def test_radius_0_is_the_rule_itself(rule: str) -> None:
    ends = []
    for sharp in (False, True):
        net = network(torch.float32)
        optimizer = Optimizer(net.parameters(), rule)
        for step in range(3):

            def gradients(step: int = step) -> Tensor:
                optimizer.zero_grad()  # noqa: B023 (called at once)
                loss = batch_loss(net, step, torch.float32)  # noqa: B023
                loss.backward()
                return loss.detach()

            if sharp:
                sam_step(optimizer, gradients, 0.0, net)
            else:
                gradients()
                optimizer.step()
        ends.append(torch.cat([p.detach().flatten() for p in net.parameters()]))
    assert torch.equal(*ends)


@settings(deadline=None, max_examples=30)
@given(rho=st.floats(1e-3, 1.0), lr=st.floats(1e-3, 0.1))
def test_the_equation_on_a_quadratic(rho: float, lr: float) -> None:
    """w <- w - lr H (w + rho g / |g|) with g = H w, over two tensors with one norm."""
    curvature = torch.tensor([1.0, 5.0, 20.0], dtype=torch.float64)
    start = torch.tensor([1.0, -0.5, 0.3], dtype=torch.float64)
    parts = [nn.Parameter(start[:1].clone()), nn.Parameter(start[1:].clone())]
    optimizer = Optimizer(parts, "sgd", lr)

    def gradients() -> float:
        optimizer.zero_grad()
        loss = (curvature * torch.cat(parts) ** 2).sum() / 2
        loss.backward()
        return loss.item()

    loss = sam_step(optimizer, gradients, rho)
    g = curvature * start
    assert loss == pytest.approx((g * start).sum().item() / 2)
    assert torch.allclose(torch.cat(parts), start - lr * curvature * (start + rho * g / g.norm()), rtol=0, atol=1e-13)


def test_each_member_of_a_fleet_climbs_its_own_hill() -> None:
    draw = torch.Generator().manual_seed(0)
    shapes, members = [(4, 3), (5,)], 3
    rho = torch.tensor([0.0, 0.1, 1.0], dtype=torch.float64)
    fleet = [nn.Parameter(torch.randn(members * n, *rest, generator=draw, dtype=torch.float64)) for n, *rest in shapes]
    for p in fleet:
        p.grad = torch.randn(p.shape, generator=draw, dtype=torch.float64)
    for k in range(members):
        alone = [nn.Parameter(p.detach().chunk(members)[k].clone()) for p in fleet]
        for p, many in zip(alone, fleet, strict=True):
            assert many.grad is not None
            p.grad = many.grad.chunk(members)[k]
        before = torch.cat([p.detach().flatten() for p in alone])
        ascend(alone, rho[k].item())
        moved = torch.cat([p.detach().flatten() for p in alone]) - before
        assert moved.norm().item() == pytest.approx(rho[k].item(), abs=1e-14)
        if k == 0:
            many_moved = [nn.Parameter(p.detach().clone()) for p in fleet]
            for p, many in zip(many_moved, fleet, strict=True):
                p.grad = many.grad
            ascend(many_moved, rho, members)
        for p, many in zip(alone, many_moved, strict=True):
            assert torch.allclose(p, many.chunk(members)[k], rtol=0, atol=1e-14)


def test_weights_and_statistics_are_as_after_one_pass() -> None:
    """A rate of nearly nothing leaves the weights bitwise; batch norm has seen the batch once, and there."""
    images = torch.randn(8, 1, 6, 6, generator=torch.Generator().manual_seed(1))
    buffers, weights, seen = [], [], []
    for sharp in (False, True):
        net = normalized()
        nn.init.ones_(net[1].bias)  # a weight of 0 would show even this rate
        optimizer = Optimizer(net.parameters(), "sgd", 1e-30)

        def gradients() -> None:
            optimizer.zero_grad()  # noqa: B023 (called at once)
            net(images).square().mean().backward()  # noqa: B023
            seen.append(torch.cat([p.detach().flatten() for p in net.parameters()]))  # noqa: B023

        if sharp:
            sam_step(optimizer, gradients, 0.5, net)
        else:
            gradients()
            optimizer.step()
        buffers.append([buffer.clone() for buffer in net.buffers()])
        weights.append(torch.cat([p.detach().flatten() for p in net.parameters()]))
    assert torch.equal(*weights)
    assert all(torch.equal(a, b) for a, b in zip(*buffers, strict=True))
    assert (seen[2] - seen[1]).norm().item() == pytest.approx(0.5, rel=1e-4)


def test_a_gradient_of_zero_stays_zero() -> None:
    w = nn.Parameter(torch.ones(3))
    w.grad = torch.zeros(3)
    ascend([w], 0.1)
    assert torch.equal(w, torch.ones(3))


@pytest.mark.parametrize("rho", [-0.1, float("inf")])
def test_a_bad_radius_is_refused(rho: float) -> None:
    with pytest.raises(ValueError, match=r"rho must be (at least 0|finite)"):
        sam_step(Optimizer([nn.Parameter(torch.ones(1))], "sgd"), lambda: None, rho)
