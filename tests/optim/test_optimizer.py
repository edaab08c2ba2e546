"""The optimizer around the rules: fleets, penalties, groups, checkpoints, schedulers, bad values."""

import copy
import io
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from optim.digits import batch_loss, network, trained
from torch import Tensor, nn
from torch._dynamo.testing import CompileCounter
from torch.optim.optimizer import register_optimizer_step_post_hook

from saccade.optim.blocks import BLOCK
from saccade.optim.groups import decay_groups, vectors_apart
from saccade.optim.optimizer import Optimizer, moving_in_tensors, update
from saccade.optim.rules import RULES, Terms

SHAPES = [(4, 3, 3, 3), (6, 5), (1, 7), (5,), (1,)]
MEMBERS = 3
# One value a member for every number there is
NUMBERS: dict[str, list[float]] = {
    "momentum": [0.9, 0.0, 0.5],
    "gamma": [0.9, 0.99, 0.5],
    "beta1": [0.9, 0.0, 0.5],
    "beta2": [0.999, 0.9, 0.99],
    "eps": [1e-8, 1e-3, 1e-5],
    "trust": [0.001, 0.02, 0.1],
    "weight_decay": [0.0, 0.1, 0.01],
    "l1": [0.0, 0.001, 0.01],
}


def gradients_of(w: Tensor, step: int) -> Tensor:
    """Of each weight by itself, so that a fleet's are its members' own."""
    return torch.sin(3 * w + step) + w


def walk(optimizer: torch.optim.Optimizer, params: list[nn.Parameter], steps: range) -> None:
    for step in steps:
        for p in params:
            p.grad = gradients_of(p.detach(), step)
        optimizer.step()


def starts(member: int) -> list[Tensor]:
    generator = torch.Generator().manual_seed(member)
    return [torch.randn(shape, generator=generator, dtype=torch.float64) for shape in SHAPES]


def fleet_of(members: list[list[Tensor]]) -> list[nn.Parameter]:
    return [nn.Parameter(torch.cat(same)) for same in zip(*members, strict=True)]


def choices(rule: str) -> list[dict[str, str]]:
    rules = RULES[rule]
    found: list[dict[str, str]] = [{"decay": "l2"}, {"decay": "decoupled"}] if rules.decay != "own" else [{}]
    return found + [{"epsilon": "inside"}] * ("epsilon" in rules.hyperparameters)


@pytest.mark.parametrize(("rule", "kinds"), [(rule, kinds) for rule in RULES for kinds in choices(rule)])
def test_each_member_of_a_fleet_goes_as_it_would_alone(rule: str, kinds: dict[str, str]) -> None:
    """In float64 within 1e-12 over 30 steps, every number with a value a member."""
    rates = [RULES[rule].default_lr * factor for factor in (0.3, 1.0, 2.0)]
    names = [name for name in NUMBERS if name in {*RULES[rule].hyperparameters, "weight_decay", "l1"}]
    fleet = fleet_of([starts(k) for k in range(MEMBERS)])
    own = {name: torch.tensor(NUMBERS[name], dtype=torch.float64) for name in names}
    optimizer = Optimizer(fleet, rule, torch.tensor(rates, dtype=torch.float64), members=MEMBERS, **own, **kinds)
    walk(optimizer, fleet, range(30))
    for k in range(MEMBERS):
        alone = [nn.Parameter(w) for w in starts(k)]
        walk(Optimizer(alone, rule, rates[k], **{name: NUMBERS[name][k] for name in names}, **kinds), alone, range(30))
        for many, one in zip(fleet, alone, strict=True):
            assert (many.chunk(MEMBERS)[k] - one).abs().max() < 1e-12


def test_members_may_share_numbers_and_still_have_norms_of_their_own() -> None:
    for rule in ("lars", "lamb", "muon"):
        fleet = fleet_of([starts(k) for k in range(MEMBERS)])
        walk(Optimizer(fleet, rule, members=MEMBERS), fleet, range(10))
        for k in range(MEMBERS):
            alone = [nn.Parameter(w) for w in starts(k)]
            walk(Optimizer(alone, rule), alone, range(10))
            for many, one in zip(fleet, alone, strict=True):
                assert (many.chunk(MEMBERS)[k] - one).abs().max() < 1e-12


@settings(deadline=None, max_examples=30)
@given(lr=st.floats(1e-4, 0.5), decay=st.floats(1e-4, 0.5), rule=st.sampled_from(["sgd", "momentum", "rmsprop", "adam"]))
def test_l2_is_decoupled_decay_under_plain_descent_and_no_other(lr: float, decay: float, rule: str) -> None:
    """arXiv:1711.05101, propositions 1 and 2. `starts` has gradients of all sizes, which Adam's rate would even out."""
    ends = []
    for kind in ("l2", "decoupled"):
        params = [nn.Parameter(w) for w in starts(0)]
        walk(Optimizer(params, rule, lr, weight_decay=decay, decay=kind), params, range(3))
        ends.append(torch.cat([p.detach().flatten() for p in params]))
    gap = (ends[0] - ends[1]).abs().max()
    assert gap < 1e-12 if rule == "sgd" else gap > 1e-9


@settings(deadline=None, max_examples=30)
@given(lr=st.floats(1e-3, 0.1), l1=st.floats(1e-3, 1.0), w=st.floats(-2, 2))
def test_l1_pulls_every_weight_by_the_same_amount(lr: float, l1: float, w: float) -> None:
    p = nn.Parameter(torch.tensor([w], dtype=torch.float64))
    p.grad = torch.zeros_like(p)
    Optimizer([p], "sgd", lr, l1=l1).step()
    sign = (w > 0) - (w < 0)
    assert p.item() == pytest.approx(w - lr * l1 * sign, abs=1e-15)


@settings(deadline=None, max_examples=30)
@given(scale=st.floats(1e-3, 1e3), rule=st.sampled_from(["adagrad", "rmsprop", "adam"]))
def test_adaptive_rules_do_not_see_the_scale_of_the_loss(scale: float, rule: str) -> None:
    ends = []
    for factor in (1.0, scale):
        p = nn.Parameter(torch.tensor([1.0, -2.0], dtype=torch.float64))
        optimizer = Optimizer([p], rule, 0.01, eps=0.0)
        for step in range(5):
            p.grad = factor * (p.detach() + step + 1)
            optimizer.step()
        ends.append(p.detach())
    assert torch.allclose(*ends, rtol=1e-10)


@pytest.mark.parametrize("rule", RULES)
def test_a_checkpoint_goes_on_with_the_same_bits(rule: str) -> None:
    """Saved in the middle, loaded from bytes without code, on LeNet-5 with decay on some groups."""

    def made(net: nn.Module) -> Optimizer:
        return Optimizer(decay_groups(net, 0.01), rule, l1=1e-5)

    def go(net: nn.Module, optimizer: Optimizer, steps: range) -> None:
        for step in steps:
            optimizer.zero_grad()
            batch_loss(net, step, torch.float32).backward()
            optimizer.step()

    unbroken, broken = network(torch.float32), network(torch.float32)
    go(unbroken, made(unbroken), range(10))
    optimizer = made(broken)
    go(broken, optimizer, range(5))
    file = io.BytesIO()
    torch.save({"network": broken.state_dict(), "optimizer": optimizer.state_dict()}, file)
    file.seek(0)
    found = torch.load(file, weights_only=True)
    fresh = network(torch.float32)
    fresh.load_state_dict(found["network"])
    again = made(fresh)
    again.load_state_dict(found["optimizer"])
    go(fresh, again, range(5, 10))
    for a, b in zip(unbroken.parameters(), fresh.parameters(), strict=True):
        assert torch.equal(a, b)


def test_a_fleets_checkpoint_keeps_its_numbers() -> None:
    rates = torch.tensor([0.1, 0.2, 0.3], dtype=torch.float64)
    fleet = fleet_of([starts(k) for k in range(MEMBERS)])
    optimizer = Optimizer(fleet, "adam", rates, members=MEMBERS)
    walk(optimizer, fleet, range(3))
    twin = [nn.Parameter(p.detach().clone()) for p in fleet]
    other = Optimizer(twin, "adam", 1.0, members=MEMBERS)
    other.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    walk(optimizer, fleet, range(3, 6))
    walk(other, twin, range(3, 6))
    assert all(torch.equal(a, b) for a, b in zip(fleet, twin, strict=True))


def test_a_copy_works_by_itself() -> None:
    w = nn.Parameter(torch.ones(3))
    w.grad = torch.ones(3)
    twin = copy.deepcopy(Optimizer([w], "adam", 0.1))
    (other,) = twin.param_groups[0]["params"]
    other.grad = torch.ones(3)
    twin.step()
    assert torch.equal(w, torch.ones(3))
    assert not torch.equal(other, w)


@pytest.mark.parametrize("name", ["CosineAnnealingLR", "OneCycleLR", "LambdaLR"])
def test_torchs_schedulers_steer_it_as_they_steer_torchs(name: str) -> None:
    arguments: dict[str, dict[str, Any]] = {
        "CosineAnnealingLR": {"T_max": 10},
        "OneCycleLR": {"max_lr": 0.1, "total_steps": 12},
        "LambdaLR": {"lr_lambda": lambda step: 0.9**step},
    }
    ends = []
    for make in (lambda p: Optimizer(p, "momentum", 0.05), lambda p: torch.optim.SGD(p, 0.05, momentum=0.9, fused=True)):
        params = [nn.Parameter(w) for w in starts(0)]
        optimizer = make(params)
        scheduler = getattr(torch.optim.lr_scheduler, name)(optimizer, **arguments[name])
        for step in range(10):
            walk(optimizer, params, range(step, step + 1))
            scheduler.step()
        ends.append(torch.cat([p.detach().flatten() for p in params]))
    assert torch.equal(*ends)


def test_hooks_see_its_steps_and_profilers_its_name() -> None:
    params, seen = [nn.Parameter(w) for w in starts(0)], []
    optimizer = Optimizer(params)
    optimizer.register_step_pre_hook(lambda *_: seen.append("before"))
    handle = optimizer.register_step_post_hook(lambda *_: seen.append("after"))
    walk(optimizer, params, range(1))
    handle.remove()
    with register_optimizer_step_post_hook(lambda *_: seen.append("after any")):
        walk(optimizer, params, range(1, 2))
    assert seen == ["before", "after", "before", "after any"]
    other = Optimizer([nn.Parameter(w) for w in starts(1)])
    with torch.profiler.profile() as profile:
        walk(other, other.param_groups[0]["params"], range(1))
    assert "Optimizer.step#Optimizer.step" in {event.key for event in profile.key_averages()}


@pytest.mark.parametrize("rule", ["momentum", "adam"])
def test_a_gradient_may_lie_otherwise_in_memory_than_its_weight(rule: str) -> None:
    """A kernel that looks at no strides would give each weight the gradient of another."""
    generator = torch.Generator().manual_seed(0)
    start, gradient = torch.randn(2, 8, 4, 3, 3, generator=generator)
    ends = []
    lines, last = torch.contiguous_format, torch.channels_last
    for orders in ((lines, lines), (last, lines), (lines, last), (last, last)):
        w = nn.Parameter(start.clone(memory_format=orders[0]))
        optimizer = Optimizer([w], rule, 0.1)
        for _ in range(3):
            w.grad = gradient.contiguous(memory_format=orders[1])
            optimizer.step()
        ends.append(w.detach())
    for end in ends[1:]:
        assert torch.allclose(end, ends[0], rtol=0, atol=1e-6)


def test_a_checkpoint_may_come_from_another_memory_format() -> None:
    start, gradient = torch.randn(2, 8, 4, 3, 3, generator=torch.Generator().manual_seed(0))
    ends = []
    for order in (torch.contiguous_format, torch.channels_last):
        first = nn.Parameter(start.clone())
        before = Optimizer([first], "momentum", 0.1)
        first.grad = gradient
        before.step()
        w = nn.Parameter(first.detach().clone(memory_format=order))
        after = Optimizer([w], "momentum", 0.1)
        after.load_state_dict(before.state_dict())
        w.grad = gradient.clone(memory_format=order)
        after.step()
        ends.append(w.detach())
    assert torch.allclose(*ends, rtol=0, atol=1e-6)


@pytest.mark.parametrize("rule", ["momentum", "lamb", "muon"])
def test_the_update_compiles_whole_and_does_not_again_for_every_rate(rule: str) -> None:
    counter = CompileCounter()
    compiled = torch.compile(update, backend=counter, fullgraph=True)
    ends = []
    for change in (update, compiled):
        w = torch.linspace(-1, 1, 12, dtype=torch.float64).view(4, 3)
        state = {name: [torch.zeros_like(w)] for name in RULES[rule].state}
        fixed = {**RULES[rule].hyperparameters, "decay": RULES[rule].decay, "weight_decay": 0.01, "l1": 0.0}
        for t in range(1, 7):
            terms = Terms([gradients_of(w, t)], [w], state, t, corrections=RULES[rule].corrections(fixed, t))
            change(RULES[rule], *moving_in_tensors(terms, {**fixed, "lr": 0.1 / t}))
        ends.append(w)
    assert torch.allclose(*ends, rtol=0, atol=1e-12)
    assert counter.frame_count == 1


def test_large_networks_go_in_blocks_without_another_result() -> None:
    """A wide layer of several blocks, in channels-last too, gets what torch gives it."""
    generator = torch.Generator().manual_seed(0)
    wide = torch.randn(300, 64, 3, 3, generator=generator)
    assert wide.numel() > BLOCK
    ends = []
    for make in (lambda p: Optimizer(p, "momentum", 0.05, fused=False), lambda p: torch.optim.SGD(p, 0.05, momentum=0.9)):
        params = [nn.Parameter(wide.to(memory_format=torch.channels_last)), nn.Parameter(wide.flatten(1)[:, :5].clone())]
        walk(make(params), params, range(3))
        ends.append(params)
    for a, b in zip(*ends, strict=True):
        assert torch.equal(a, b)
        assert a.stride() == b.stride()


def test_a_parameter_without_a_gradient_stays_and_its_count_too() -> None:
    """Adam's correction counts each parameter's own steps, as torch's does."""
    ends = []
    for make in (lambda p: Optimizer(p, "adam", 0.01), lambda p: torch.optim.Adam(p, 0.01)):
        params = [nn.Parameter(w) for w in starts(0)]
        optimizer = make(params)
        for step in range(10):
            for i, p in enumerate(params):
                p.grad = gradients_of(p.detach(), step) if step % (i + 1) == 0 else None
            optimizer.step()
        ends.append(torch.cat([p.detach().flatten() for p in params]))
    assert torch.allclose(*ends, rtol=0, atol=1e-14)


def test_gradients_are_only_read() -> None:
    for rule in RULES:
        w = nn.Parameter(torch.ones(4, 3))
        w.grad = torch.full((4, 3), 0.5)
        Optimizer([w], rule, weight_decay=0.1, l1=0.1).step()
        assert torch.equal(w.grad, torch.full((4, 3), 0.5))


@pytest.mark.parametrize("rule", RULES)
def test_counters_on_the_device_and_rates_in_tensors_give_the_same(rule: str) -> None:
    """What a captured step needs: nothing in it is a number of Python that changes."""
    ends = []
    for capturable in (False, True):
        params = [nn.Parameter(w) for w in starts(0)]
        lr = torch.tensor(0.01, dtype=torch.float64) if capturable else 0.01
        walk(Optimizer(params, rule, lr, capturable=capturable), params, range(10))
        ends.append(torch.cat([p.detach().flatten() for p in params]))
    assert torch.allclose(*ends, rtol=0, atol=1e-13)


def test_a_group_may_have_a_rule_of_its_own() -> None:
    params = [nn.Parameter(w) for w in starts(0)]
    groups = [{"params": params[:2], "rate": 0.1}, {"params": params[2:], "rule": "momentum", "weight_decay": 0.0}]
    optimizer = Optimizer(groups, "lars", 2.0, weight_decay=0.1)
    first, second = optimizer.param_groups
    assert (first["lr"], first["decay"], first["weight_decay"]) == (0.2, "own", 0.1)
    assert (second["lr"], second["decay"], second["momentum"]) == (0.05, "l2", 0.9)
    walk(optimizer, params, range(3))


def test_a_recipe_leaves_norms_and_biases_of_lars_to_momentum() -> None:
    """These take the very steps that momentum alone would take; the others those of LARS."""
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(16, 2))
    alone = copy.deepcopy(net)
    groups = decay_groups(net, 0.01, {"0": 0.5})
    optimizer = Optimizer(vectors_apart(groups, "lars", {"momentum": 0.8, "trust": 0.02}), "lars", 2.0, trust=0.02)
    rules = {tuple(p.shape): group["rule"] for group in optimizer.param_groups for p in group["params"]}
    assert rules == {(4, 3, 3, 3): "lars", (2, 16): "lars", (4,): "momentum", (2,): "momentum"}
    vectors = [group for group in optimizer.param_groups if group["rule"] == "momentum"]
    assert [group["lr"] for group in vectors] == [0.025, 0.05]
    assert [(group["momentum"], group["weight_decay"]) for group in vectors] == [(0.8, 0)] * 2
    images = torch.randn(5, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    biases = torch.optim.SGD([alone[3].bias], 0.05, momentum=0.8)
    for _ in range(3):
        for each in (net, alone):
            each.zero_grad()
            each(images).square().sum().backward()
        alone[3].bias.grad.copy_(net[3].bias.grad)
        optimizer.step()
        biases.step()
    assert torch.allclose(net[3].bias, alone[3].bias, rtol=0, atol=1e-6)
    assert vectors_apart(groups, "adam", {}) == groups


@pytest.mark.parametrize(
    ("rule", "numbers", "words"),
    [
        ("sgd", {"lr": 0.0}, "lr must be above 0, not 0"),
        ("sgd", {"lr": -1}, "lr must be above 0, not -1"),
        ("sgd", {"lr": float("nan")}, "lr must be above 0, not nan"),
        ("sgd", {"lr": float("inf")}, "lr must be finite in 32 bits, not inf"),
        ("sgd", {"lr": 1e300}, "lr must be finite in 32 bits, not 1e\\+300"),
        ("sgd", {"lr": "fast"}, "lr is a number, not 'fast'"),
        ("momentum", {"momentum": 1.0}, "momentum must be at least 0 and below 1, not 1"),
        ("momentum", {"momentum": -0.1}, "momentum must be at least 0 and below 1, not -0.1"),
        ("adam", {"beta2": 1.0}, "beta2 must be at least 0 and below 1, not 1"),
        ("adam", {"eps": -1e-8}, "eps must be at least 0, not -1e-08"),
        ("adam", {"epsilon": "around"}, 'epsilon is outside or inside, not "around"'),
        ("adamw", {"weight_decay": -0.1}, "weight_decay must be at least 0, not -0.1"),
        ("lamb", {"decay": "l2"}, 'decay: lamb has a place of its own for it, "own", not "l2"'),
        ("adam", {"momentum": 0.9}, 'adam has no "momentum"'),
        ("adam", {"beta": 0.9}, 'adam has no "beta", did you mean "beta'),
        ("adm", {}, 'there is no update rule "adm", did you mean "adam"'),
        ("muon", {"iterations": 0}, "iterations must be a whole number above 0, not 0"),
        ("sgd", {"members": 2}, r"shape \(3,\) cannot be divided among 2 members"),
        ("sgd", {"lr": torch.tensor([0.1, 0.1])}, r"lr is one number \(give `members`"),
        ("sgd", {"members": 3, "lr": torch.tensor([0.1, 0.1, -0.1])}, "lr must be above 0, not -0.1"),
        ("sgd", {"members": 3, "lr": torch.tensor([0.1, 0.1])}, r"lr is one number or \(3,\), one a member"),
    ],
)
def test_bad_values_get_one_clear_line(rule: str, numbers: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words) as caught:
        Optimizer([nn.Parameter(torch.ones(3))], rule, **numbers)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("rule", ["lars", "lamb", "muon"])
def test_rules_without_a_peer_in_torch_learn_the_digits(rule: str) -> None:
    _, first, last = trained(lambda params: Optimizer(params, rule, 0.02 if rule == "lamb" else None), 40, torch.float32)
    assert last < 0.8 * first
