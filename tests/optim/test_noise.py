"""Noise on weights and gradients."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from saccade.layers.fleet import members, stack
from saccade.optim.noise import (
    add_gradient_noise,
    add_members_gradient_noise,
    annealed_std,
    filter_noise,
    noisy_members,
    noisy_weights,
)
from saccade.tasks import classify
from saccade.zoo import find


def built() -> tuple[nn.Module, torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    return find("resnet20").build(4, 3), torch.randn(4, 3, 8, 8), torch.arange(4)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@settings(deadline=None, max_examples=20)
@given(std=st.floats(0.001, 100), seed=st.integers(0, 99))
def test_the_weights_are_the_old_ones_bit_for_bit_afterwards(std: float, seed: int) -> None:
    network = find("lenet5").build(4, 1)
    before = [p.detach().clone() for p in network.parameters()]
    with noisy_weights(network, std, generator(seed)):
        assert not torch.equal(before[0], next(network.parameters()))
    for ours, old in zip(network.parameters(), before, strict=True):
        assert ours.detach().numpy().tobytes() == old.numpy().tobytes()


def test_also_after_an_error_inside() -> None:
    network, *_ = built()
    before = [p.detach().clone() for p in network.parameters()]
    with pytest.raises(KeyError), noisy_weights(network, 0.5, generator()):
        raise KeyError
    assert all(torch.equal(a, b) for a, b in zip(network.parameters(), before, strict=True))


def test_the_gradient_is_that_of_the_noisy_weights_and_the_step_one_of_the_clean() -> None:
    network, images, labels = built()
    twin, *_ = built()
    with torch.no_grad():
        draws = generator()
        for weight in twin.parameters():
            if weight.squeeze().dim() > 1:
                weight.add_(filter_noise(weight, 0.1, draws))
    classify.loss(twin.train()(images), labels).backward()
    with noisy_weights(network, 0.1, generator()):
        classify.loss(network.train()(images), labels).backward()
    clean, *_ = built()
    torch.optim.SGD(network.parameters(), lr=0.1).step()
    for ours, noisy, old in zip(network.parameters(), twin.parameters(), clean.parameters(), strict=True):
        assert noisy.grad is not None
        assert torch.equal(ours, old.detach().add(noisy.grad, alpha=-0.1))


def test_a_backward_pass_outside_is_refused_by_autograd() -> None:
    network, images, labels = built()
    with noisy_weights(network, 0.1, generator()):
        loss = classify.loss(network(images), labels)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


def test_each_filter_has_its_own_share_and_norms_biases_and_frozen_weights_none() -> None:
    network, *_ = built()
    stem = network.stem.conv.weight  # type: ignore[union-attr]
    with torch.no_grad():
        stem[0] *= 100
    network.stages[0].requires_grad_(False)  # type: ignore[index]
    before = {name: p.detach().clone() for name, p in network.named_parameters()}
    with noisy_weights(network, 0.1, generator()):
        moved = {name for name, p in network.named_parameters() if not torch.equal(p, before[name])}
    assert moved == {name for name, p in before.items() if p.dim() > 1 and not name.startswith("stages.0.")}


def test_the_noise_is_gaussian_with_the_share_of_each_filters_size() -> None:
    weight = torch.randn(6, 40, 25, 20) * torch.tensor([1, 10, 0.1, 0, 3, 5]).view(6, 1, 1, 1)
    noise = filter_noise(weight, 0.2, generator())
    size = weight.square().mean((1, 2, 3)).sqrt()
    count = weight[0].numel()
    found = noise.square().mean((1, 2, 3)).sqrt()
    torch.testing.assert_close(found, 0.2 * size, rtol=4 / math.sqrt(2 * count), atol=0)
    assert (noise.mean((1, 2, 3)).abs() <= 4 * 0.2 * size / math.sqrt(count)).all()
    kurtosis = (noise[0] / found[0]).pow(4).mean().item()
    assert kurtosis == pytest.approx(3, abs=4 * math.sqrt(24 / count))


def test_gradients_get_the_noise_of_their_generator_and_nothing_else() -> None:
    network, images, labels = built()
    network.head[-1].bias.requires_grad_(False)  # type: ignore[index, union-attr]
    classify.loss(network(images), labels).backward()
    before = [p.grad.clone() for p in network.parameters() if p.grad is not None]
    state = torch.get_rng_state()
    add_gradient_noise(network.parameters(), 0.3, generator(7))
    assert torch.equal(torch.get_rng_state(), state)
    after = [p.grad for p in network.parameters() if p.grad is not None]
    noise = torch.cat([(a - b).flatten() for a, b in zip(after, before, strict=True)])
    assert len(after) == len(list(network.parameters())) - 1
    assert noise.std().item() == pytest.approx(0.3, rel=4 / math.sqrt(2 * len(noise)))
    again = [g.clone() for g in before]
    draws = generator(7)
    for gradient, noisy in zip(again, after, strict=True):
        assert torch.equal(gradient.add(torch.randn(gradient.shape, generator=draws), alpha=0.3), noisy)


def test_the_variance_falls_as_published() -> None:
    """sigma^2 = eta / (1 + t)^0.55."""
    assert [annealed_std(t, 0.3) ** 2 for t in (0, 1, 99)] == pytest.approx([0.3, 0.3 / 2**0.55, 0.3 / 100**0.55])


def test_members_of_a_fleet_get_the_noise_they_get_alone_and_keep_their_bits() -> None:
    alone = [find("resnet20").build(4, 3) for _ in range(3)]
    fleet, stds = stack(alone), (0.1, 0.0, 2.0)
    before, draws = [p.detach().clone() for p in fleet.parameters()], [generator(k) for k in range(3)]
    with noisy_members(fleet, stds, draws):
        noisy = members(fleet)
    assert all(torch.equal(a, b) for a, b in zip(fleet.parameters(), before, strict=True))
    for k, network in enumerate(alone):
        with noisy_weights(network, stds[k], generator(k)):
            for found, expected in zip(noisy[k].parameters(), network.parameters(), strict=True):
                torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-6)
    assert torch.equal(draws[1].get_state(), generator(1).get_state()), "nothing is drawn where there is no noise"


def test_gradients_of_members_get_the_noise_they_get_alone() -> None:
    alone, stds = [find("resnet20").build(4, 3) for _ in range(3)], (0.0, 0.3, 0.01)
    fleet = stack(alone)
    for p in (*fleet.parameters(), *(p for each in alone for p in each.parameters())):
        p.grad = torch.zeros_like(p)
    add_members_gradient_noise(fleet.parameters(), stds, [generator(k) for k in range(3)])
    for k, network in enumerate(alone):
        add_gradient_noise(network.parameters(), stds[k], generator(k))
        for wide, own in zip(fleet.parameters(), network.parameters(), strict=True):
            assert wide.grad is not None
            assert own.grad is not None
            if stds[k]:
                assert torch.equal(wide.grad.unflatten(0, (3, -1))[k], own.grad)
            else:
                assert not wide.grad.unflatten(0, (3, -1))[k].any()


def test_a_negative_deviation_is_refused() -> None:
    network, *_ = built()
    with pytest.raises(ValueError, match="noise on weights"), noisy_members(network, [0.1, -1.0], [generator()] * 2):
        pass
    with pytest.raises(ValueError, match="noise on weights"), noisy_weights(network, float("nan"), generator()):
        pass
    with pytest.raises(ValueError, match="noise on gradients"):
        add_gradient_noise(network.parameters(), float("nan"), generator())
