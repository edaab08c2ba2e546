"""A member of a fleet is trained as it is alone."""

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from io import BytesIO

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from saccade import InputError
from saccade.layers import edit
from saccade.layers.fleet import members, stack
from saccade.optim import Average, Optimizer, decay_groups, exponential, uniform
from saccade.optim.average import Share
from saccade.tasks import classify
from saccade.training.disturbance import Disturbance
from saccade.training.fleet import FleetTrainer, Losses, correct
from saccade.training.steps import OutOfMemory, Trainer
from saccade.zoo import NETWORKS, find
from saccade.zoo.network import Scores

pytestmark = pytest.mark.usefixtures("one_thread")

CLASSES = 5
RATES, MOMENTA, DECAYS, SMOOTHINGS = (
    torch.tensor(values, dtype=torch.float64)
    for values in ([0.1, 0.01, 0.03], [0.9, 0.5, 0.0], [1e-3, 0.0, 0.1], [0.0, 0.1, 0.3])
)


@dataclass(frozen=True)
class Case:
    """A network, and images small enough for a quick step."""

    words: str
    side: int
    batch: int = 6
    count: int = 3
    pace: float = 1.0  # by which rates are multiplied where steps are many
    clip: float | None = None  # likewise


LENET, RESNET = Case("lenet5", 28), Case("resnet20", 12)
# The last maps of MobileNet are single pixels, whose batch norm is chaotic: at full pace the twin ends 20 and more away
DENSENET, MOBILENET = Case("densenet40", 8), Case("mobilenet_v2", 32, pace=0.01, clip=1.0)
GOOGLENET = Case("googlenet", 79, batch=3, count=2)
CASES = [LENET, RESNET, DENSENET, MOBILENET, GOOGLENET]


def networks(case: Case, seed: int = 0) -> list[nn.Module]:
    """In 64 bits, each with its own weights."""
    torch.manual_seed(seed)
    channels = NETWORKS[case.words].channels
    return [find(case.words).build(CLASSES, channels).double().train() for _ in range(case.count)]


def batches(case: Case, steps: int = 1) -> list[tuple[list[Tensor], list[Tensor]]]:
    """Each member's own images and labels."""
    generator = torch.Generator().manual_seed(1)
    shape = (case.batch, NETWORKS[case.words].channels, case.side, case.side)
    return [
        (
            [torch.randn(shape, generator=generator, dtype=torch.float64) for _ in range(case.count)],
            [torch.randint(CLASSES, (case.batch,), generator=generator) for _ in range(case.count)],
        )
        for _ in range(steps)
    ]


def numbers(rule: str, k: int | slice) -> dict[str, Tensor | float]:
    """Rates for Adam are smaller, as it scales the gradient to 1."""
    if rule == "adam":
        own: dict[str, Tensor] = {"lr": RATES[k] / 100, "beta1": MOMENTA[k], "beta2": 1 - RATES[k] / 100}
    else:
        own = {"lr": RATES[k], "momentum": MOMENTA[k]}
    return {name: value if value.dim() else value.item() for name, value in own.items()}


def alone(network: nn.Module, rule: str, k: int, clip: float | None = None, micro_batch: int = 64) -> Trainer:
    """The training of member k without the others. The loss is not brought to 32 bits, as that of `classify` is."""

    def loss(scores: Tensor | Scores, truth: Tensor) -> Tensor:
        if isinstance(scores, Scores):
            return loss(scores.main, truth) + classify.AUXILIARY * sum(loss(each, truth) for each in scores.auxiliary)
        return functional.cross_entropy(scores, truth, label_smoothing=SMOOTHINGS[k].item())

    optimizer = Optimizer(decay_groups(network, DECAYS[k].item()), rule, **numbers(rule, k))
    return Trainer(network, optimizer, loss, classify.correct, nullcontext, micro_batch, clip)


def together(
    own: Sequence[nn.Module], rule: str, clip: float | Tensor | None = None, micro_batch: int = 64
) -> FleetTrainer:
    count = len(own)
    fleet = stack(own)
    groups = decay_groups(fleet, DECAYS[:count], members=count)
    optimizer = Optimizer(groups, rule, members=count, **numbers(rule, slice(count)))
    return FleetTrainer(fleet, optimizer, Losses(SMOOTHINGS[:count]), correct, nullcontext, micro_batch, clip)


def wide(batch: tuple[list[Tensor], list[Tensor]]) -> tuple[Tensor, Tensor]:
    return torch.cat(batch[0], dim=1), torch.stack(batch[1])


def state_of(optimizer: Optimizer, weights: Sequence[nn.Parameter]) -> list[Tensor]:
    return [t for p in weights for t in optimizer.state[p].values() if isinstance(t, Tensor)]


def share(tensors: Sequence[Tensor], k: int, count: int) -> list[Tensor]:
    """Of member k."""
    return [t.detach().unflatten(0, (count, -1))[k].flatten() for t in tensors]


def assert_equal_to(found: Sequence[Tensor], expected: Sequence[Tensor], what: str, tolerance: float = 1e-12) -> None:
    for i, (a, b) in enumerate(zip(found, expected, strict=True)):
        scale = max(1.0, b.detach().double().abs().max().item())
        assert (a - b.flatten()).abs().max() <= tolerance * scale, f"{what}, tensor {i}"


def warm(trainer: FleetTrainer, solos: Sequence[Trainer]) -> None:
    """The state after some steps: Adam's first one divides rounding errors by eps where a gradient is nothing else."""
    torch.manual_seed(2)
    weights = [p for p in trainer.network.parameters() if p.requires_grad]
    for i, p in enumerate(weights):
        for name in ("mean", "squares"):
            own = [torch.rand_like(list(solo.network.parameters())[i]) + 0.5 for solo in solos]
            for solo, values in zip(solos, own, strict=True):
                solo.optimizer.state[list(solo.network.parameters())[i]] |= {"step": 7, name: values}
            trainer.optimizer.state[p] |= {"step": 7, name: torch.cat(own)}


def both_rules(quick: Sequence[tuple[Case, str]]) -> list:
    """Every case with either rule; what is not quick is slow."""
    return [
        pytest.param(case, rule, id=f"{case.words} {rule}", marks=[] if (case, rule) in quick else [pytest.mark.slow])
        for case in CASES
        for rule in ("nesterov", "adam")
    ]


@pytest.mark.parametrize(
    ("case", "rule"), both_rules([*((case, "nesterov") for case in CASES), *((case, "adam") for case in CASES[:4])])
)
def test_one_step_is_the_step_alone(case: Case, rule: str) -> None:
    """Weights, statistics, state of the optimizer, loss: to 1e-12, with rates, momenta, decays and smoothing of its own.

    Dropout (GoogLeNet, MobileNet v2) draws what it draws alone.
    """
    own = networks(case)
    trainer = together(own, rule)
    solos = [alone(network, rule, k) for k, network in enumerate(own)]
    if rule == "adam":
        warm(trainer, solos)
    [batch] = batches(case)
    trainer.network.seed_draws(list(range(case.count)))
    step = trainer.step(*wide(batch))
    for k, solo in enumerate(solos):
        torch.manual_seed(k)
        expected = solo.step(batch[0][k], batch[1][k])
        assert step.losses[k].item() == pytest.approx(expected.loss.item(), rel=1e-6)  # alone it is added up in 32 bits
        assert step.correct[k] == expected.correct
        weights, fleet_weights = list(solo.network.parameters()), list(trainer.network.parameters())
        assert_equal_to(share(fleet_weights, k, case.count), weights, "weights")
        assert_equal_to(share(list(trainer.network.buffers()), k, case.count), list(solo.network.buffers()), "statistics")
        kept, expected_kept = state_of(trainer.optimizer, fleet_weights), state_of(solo.optimizer, weights)  # type: ignore[arg-type]
        assert_equal_to(share(kept, k, case.count), expected_kept, "state")


@pytest.mark.parametrize(("case", "rule"), both_rules([(LENET, "nesterov"), (LENET, "adam"), (RESNET, "nesterov")]))
def test_many_steps_stay_as_close_as_a_twin_moved_by_one_rounding(case: Case, rule: str) -> None:
    """20 free steps. Rounding grows as the training is chaotic, so the measure is a run alone whose weights were moved to
    the next floats: the fleet may be 100 times as far from the run alone, over weights and statistics each."""
    own = networks(case)
    trainer = together(own, rule, case.clip)
    solos = [alone(network, rule, k, case.clip) for k, network in enumerate(own)]
    twins = [alone(moved(network), rule, k, case.clip) for k, network in enumerate(own)]
    for group in (group for each in (trainer, *solos, *twins) for group in each.optimizer.param_groups):
        group["lr"] = group["lr"] * case.pace
    for i, batch in enumerate(batches(case, 20)):
        trainer.network.seed_draws([100 * k + i for k in range(case.count)])
        trainer.step(*wide(batch))
        for k, pair in enumerate(zip(solos, twins, strict=True)):
            for each in pair:
                torch.manual_seed(100 * k + i)
                each.step(batch[0][k], batch[1][k])
    for k, (found, solo, twin) in enumerate(zip(members(trainer.network), solos, twins, strict=True)):
        for kind in ("parameters", "buffers"):
            distance, allowed = (
                far(getattr(each, kind)(), getattr(solo.network, kind)()) for each in (found, twin.network)
            )
            assert allowed < 1e-3, "the twin is lost, which shows nothing"
            assert distance <= 100 * allowed, f"{kind} of member {k}: {distance:.1e}, the twin {allowed:.1e}"
            print(f"{case.words} {rule} member {k} {kind}: {distance:.1e}, twin {allowed:.1e}")


def moved(network: nn.Module) -> nn.Module:
    twin = copy.deepcopy(network)
    with torch.no_grad():
        for p in twin.parameters():
            p.copy_(torch.nextafter(p, torch.where(torch.rand_like(p) < 0.5, -torch.inf, torch.inf)))
    return twin


def far(ones: Iterator[Tensor], others: Iterator[Tensor]) -> float:
    pairs = [(a.double(), b.double()) for a, b in zip(ones, others, strict=True)]
    return torch.stack([(a - b).norm() for a, b in pairs]).norm().item() if pairs else 0.0


@pytest.mark.parametrize("mixed", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
def test_losses_and_counts_are_those_of_each_member(mixed: bool, weighted: bool) -> None:
    torch.manual_seed(0)
    scores, weights = torch.randn(3, 6, CLASSES).bfloat16(), torch.rand(3, CLASSES) if weighted else None
    truth = torch.rand(3, 6, CLASSES).softmax(2) if mixed else torch.randint(CLASSES, (3, 6))
    smoothing = [0.0, 0.1, 0.5]
    beside = Scores(scores, (scores.flip(0), scores.flip(1)))
    for given in (scores, beside):
        found = Losses(torch.tensor(smoothing), weights)(given, truth)
        assert found.dtype == torch.float32
        for k in range(3):
            own = given[k] if isinstance(given, Tensor) else Scores(given.main[k], tuple(a[k] for a in given.auxiliary))
            solo = classify.Loss(smoothing[k], None if weights is None else weights[k])
            torch.testing.assert_close(found[k], solo(own, truth[k]))
            assert correct(given, truth)[k] == classify.correct(own, truth[k])
    shared = Losses(0.2, None if weights is None else weights[0])(scores, truth)
    torch.testing.assert_close(shared[1], classify.Loss(0.2, None if weights is None else weights[0])(scores[1], truth[1]))


def test_gradients_are_clipped_by_each_members_own_length() -> None:
    own = networks(RESNET)
    limits = torch.tensor([0.5, 1e9, 0.01])
    trainer = together(own, "nesterov", clip=limits)
    [batch] = batches(RESNET)
    trainer.step(*wide(batch))
    for k, found in enumerate(members(trainer.network)):
        solo = alone(own[k], "nesterov", k, clip=limits[k].item())
        solo.step(batch[0][k], batch[1][k])
        assert_equal_to([p.flatten() for p in found.parameters()], list(solo.network.parameters()), "weights")


def test_parts_of_the_batch_add_up_as_alone() -> None:
    own = networks(RESNET)
    trainer = together(own, "nesterov", micro_batch=4)
    [batch] = batches(RESNET)
    step = trainer.step(*wide(batch))
    for k, found in enumerate(members(trainer.network)):
        solo = alone(own[k], "nesterov", k, micro_batch=4)
        expected = solo.step(batch[0][k], batch[1][k])
        assert step.losses[k].item() == pytest.approx(expected.loss.item(), rel=1e-6)
        assert_equal_to([p.flatten() for p in found.parameters()], list(solo.network.parameters()), "weights")
        assert_equal_to([b.flatten() for b in found.buffers()], list(solo.network.buffers()), "statistics")


def bits(trainer: FleetTrainer, k: int) -> list[Tensor]:
    weights = list(trainer.network.parameters())
    all_of_it = [*weights, *trainer.network.buffers(), *state_of(trainer.optimizer, weights)]
    return [t.clone() for t in share(all_of_it, k, trainer.members)]


def same(ones: Sequence[Tensor], others: Sequence[Tensor]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(ones, others, strict=True))


def stopped_at_half(trainer: FleetTrainer, twin: FleetTrainer, kept: Callable[[FleetTrainer, int], list[Tensor]]) -> None:
    """Member 1 keeps from there on what the twin's changes; the others do not notice."""
    for i, batch in enumerate(batches(RESNET, 4)):
        if i == 2:
            trainer.stop(1)
            before = kept(trainer, 1)
        for each in (trainer, twin):
            each.step(*wide(batch))
    assert same(kept(trainer, 1), before)
    assert not any(map(torch.equal, kept(twin, 1)[:4], before))
    for k in (0, 2):
        assert same(kept(trainer, k), kept(twin, k))


@pytest.mark.parametrize("rule", ["nesterov", "adam", "muon"])
def test_a_member_that_stopped_keeps_every_bit(rule: str) -> None:
    trainer, twin = (together(networks(RESNET), "nesterov"), together(networks(RESNET), "nesterov"))
    if rule != "nesterov":
        for each in (trainer, twin):
            groups = decay_groups(each.network, DECAYS, members=3)
            each.optimizer = Optimizer(groups, rule, RATES / 100, members=3)
    stopped_at_half(trainer, twin, bits)


def test_a_member_that_never_starts_keeps_every_bit() -> None:
    trainer = together(networks(LENET), "adam")
    trainer.stop(0)
    before = [t.clone() for t in share(list(trainer.network.parameters()), 0, 3)]
    trainer.step(*wide(batches(LENET)[0]))
    assert same(share(list(trainer.network.parameters()), 0, 3), before)
    weights = list(trainer.network.parameters())
    assert not any(t.any() for t in share(state_of(trainer.optimizer, weights), 0, 3))


@pytest.mark.parametrize("radius", [0.0, 0.05])
def test_a_loss_that_is_not_finite_stops_its_member_alone(radius: float) -> None:
    """With the bits from before that step; the others train as if nothing had happened."""
    trainer, twin = (together(networks(RESNET), "nesterov", clip=1.0) for _ in "ab")
    trainer.radius = twin.radius = radius
    good = batches(RESNET, 4)
    bad = copy.deepcopy(good)
    bad[2][0][1][0, 0, 0, 0] = torch.nan
    twin_steps = twin.steps(wide(batch) for batch in good)
    for i, _ in enumerate(trainer.steps(wide(batch) for batch in bad)):
        if i == 1:
            before = bits(trainer, 1)
        next(twin_steps)
    assert trainer.failed == {1: 2}
    assert trainer.active.tolist() == [True, False, True]
    assert same(bits(trainer, 1), before)
    assert all(t.isfinite().all() for t in bits(trainer, 1))
    for k in (0, 2):
        assert same(bits(trainer, k), bits(twin, k))


def test_a_fleet_goes_on_from_a_checkpoint_with_the_same_bits() -> None:
    trainer, resumed = together(networks(RESNET), "adam"), together(networks(RESNET, seed=5), "adam")
    given = [wide(batch) for batch in batches(RESNET, 4)]
    for batch in given[:2]:
        trainer.step(*batch)
    trainer.stop(1)
    file = BytesIO()
    state = [trainer.network.state_dict(), trainer.optimizer.state_dict(), trainer.active]
    torch.save(state, file)
    file.seek(0)
    network, optimizer, resumed.active = torch.load(file, weights_only=True)
    resumed.network.load_state_dict(network)
    resumed.optimizer.load_state_dict(optimizer)
    for batch in given[2:]:
        trainer.step(*batch)
        resumed.step(*batch)
    assert all(same(bits(trainer, k), bits(resumed, k)) for k in range(3))


def test_losses_that_are_looked_at_later() -> None:
    trainer, twin = (together(networks(LENET), "adam") for _ in "ab")
    trainer.look_every = 3
    good = batches(LENET, 5)
    bad = copy.deepcopy(good)
    bad[1][0][2].fill_(torch.inf)
    bad[4][0][0].fill_(torch.inf)
    failed = [dict(trainer.failed) for _ in trainer.steps(wide(batch) for batch in bad)]
    assert failed == [{}, {}, {2: 1}, {2: 1}, {2: 1}]
    assert trainer.failed == {2: 1, 0: 4}, "what is left is looked at in the end"
    list(twin.steps(wide(batch) for batch in good))
    assert same(bits(trainer, 1), bits(twin, 1))


def test_training_ends_when_all_have_stopped() -> None:
    trainer = together(networks(LENET), "nesterov")
    seen = []
    for i, step in enumerate(trainer.steps(wide(batch) for batch in batches(LENET, 9))):
        seen.append(step)
        trainer.stop(i)
    assert len(seen) == 3
    assert {tuple(step.losses.shape) for step in seen} == {(3,)}
    assert seen[0].images == 6


def test_sharpness_aware_steps_with_a_radius_and_draws_of_each() -> None:
    own = networks(RESNET)
    for network in own:
        edit.dropout(network, 0.5)
    trainer = together(own, "nesterov")
    trainer.radius = torch.tensor([0.05, 0.0, 0.2])
    [batch] = batches(RESNET)
    trainer.network.seed_draws([7, 8, 9])
    trainer.step(*wide(batch))
    for k, found in enumerate(members(trainer.network)):
        solo = alone(own[k], "nesterov", k)
        solo.disturbance.radius = trainer.radius[k].item()
        torch.manual_seed(7 + k)
        solo.step(batch[0][k], batch[1][k])
        assert_equal_to([p.flatten() for p in found.parameters()], list(solo.network.parameters()), "weights")
        assert_equal_to([b.flatten() for b in found.buffers()], list(solo.network.buffers()), "statistics")


SHARES, DEVIATIONS = (0.1, 0.0, 0.02), (0.0, 0.3, 0.01)  # of the noise on weights and on gradients


def noises(weights: Sequence[float], gradients: Sequence[float]) -> list[Disturbance]:
    """Each with its own generator, in a state of its own."""
    return [
        Disturbance(weight_std=weight, gradient_std=gradient, generator=torch.Generator().manual_seed(k))
        for k, (weight, gradient) in enumerate(zip(weights, gradients, strict=True))
    ]


@pytest.mark.parametrize("case", [LENET, RESNET], ids=["lenet5", "resnet20"])
@pytest.mark.parametrize(
    ("weights", "gradients"),
    [(SHARES, (0.0,) * 3), ((0.0,) * 3, DEVIATIONS), (SHARES, DEVIATIONS)],
    ids=["on weights", "on gradients", "on both"],
)
@pytest.mark.parametrize("radius", [0.0, 0.05])
def test_one_step_with_noise_is_the_step_alone(
    case: Case, weights: Sequence[float], gradients: Sequence[float], radius: float
) -> None:
    """Of its own strength, which may be none, by its own draws, at clipped gradients, in both passes of SAM the same."""
    own = networks(case)
    trainer = together(own, "nesterov", clip=0.5)
    trainer.radius, trainer.disturbances = radius, noises(weights, gradients)
    solos = [alone(network, "nesterov", k, clip=0.5) for k, network in enumerate(own)]
    plain = [copy.deepcopy(network) for network in own]
    [batch] = batches(case)
    trainer.step(*wide(batch))
    for k, (solo, noise) in enumerate(zip(solos, noises(weights, gradients), strict=True)):
        solo.disturbance, noise.radius = noise, radius
        solo.step(batch[0][k], batch[1][k])
        kept = list(solo.network.parameters())
        assert_equal_to(share(list(trainer.network.parameters()), k, 3), kept, "weights")
        assert_equal_to(share(list(trainer.network.buffers()), k, 3), list(solo.network.buffers()), "statistics")
        fleet_state = state_of(trainer.optimizer, list(trainer.network.parameters()))
        assert_equal_to(share(fleet_state, k, 3), state_of(solo.optimizer, kept), "state")
        assert torch.equal(noise.generator.get_state(), trainer.disturbances[k].generator.get_state())
        without = alone(plain[k], "nesterov", k, clip=0.5)
        without.disturbance.radius = radius
        without.step(batch[0][k], batch[1][k])
        assert (far(without.network.parameters(), iter(kept)) > 1e-6) == bool(weights[k] or gradients[k])


def averages(trainer: FleetTrainer, solos: Sequence[Trainer], shares: Sequence[Share], count: int) -> list[Average]:
    """Of the members alone, after so many steps with other weights than theirs, and the same in the fleet."""
    found = [Average(solo.network, share) for solo, share in zip(solos, shares, strict=True)]
    stacked = Average(
        trainer.network, lambda n: torch.tensor([share(n) for share in shares], dtype=torch.float64), trainer.members
    )
    generator = torch.Generator().manual_seed(3)
    for each in found:
        each.count = count
        for p in each.network.parameters():
            p.copy_(torch.randn(p.shape, generator=generator, dtype=p.dtype))
    for p, *own in zip(stacked.network.parameters(), *(each.network.parameters() for each in found), strict=True):
        p.copy_(torch.cat(own))
    stacked.count, trainer.average = count, stacked
    return found


@pytest.mark.parametrize("case", [LENET, RESNET], ids=["lenet5", "resnet20"])
@pytest.mark.parametrize("count", [0, 1, 5])
def test_one_step_of_an_average_is_the_step_alone(case: Case, count: int) -> None:
    """With a decay of its own, warm or not, or as a plain mean; the first weights are taken as they are."""
    own = networks(case)
    trainer = together(own, "nesterov")
    solos = [alone(network, "nesterov", k) for k, network in enumerate(own)]
    found = averages(trainer, solos, [exponential(0.5), exponential(0.05, warm=False), uniform], count)
    [batch] = batches(case)
    trainer.step(*wide(batch))
    assert trainer.average is not None
    for k, (solo, average) in enumerate(zip(solos, found, strict=True)):
        solo.step(batch[0][k], batch[1][k])
        average.update()
        for fleet, one in ((trainer.network, solo.network), (trainer.average.network, average.network)):
            assert_equal_to(share(list(fleet.parameters()), k, 3), list(one.parameters()), "weights")
            assert_equal_to(share(list(fleet.buffers()), k, 3), list(one.buffers()), "statistics")
    assert trainer.average.count == count + 1


def test_a_member_that_stopped_draws_nothing_and_keeps_its_average() -> None:
    """The others draw and average as if it went on."""
    trainer, twin = (together(networks(RESNET), "nesterov") for _ in "ab")
    for each in (trainer, twin):
        each.disturbances = noises((0.1, 0.1, 0.1), (0.2, 0.2, 0.2))
        each.average = Average(each.network, exponential(0.9), 3)

    def kept(of: FleetTrainer, k: int) -> list[Tensor]:
        assert of.average is not None
        tensors = [*of.average.network.parameters(), *of.average.network.buffers()]
        return [*bits(of, k), *(t.clone() for t in share(tensors, k, 3)), of.disturbances[k].generator.get_state()]

    stopped_at_half(trainer, twin, kept)


class Hungry(nn.Dropout):
    """Asks for a petabyte: a real refusal by torch's allocator."""

    def forward(self, x: Tensor) -> Tensor:
        torch.empty(2**50)
        return x


def test_out_of_memory_leaves_all_as_it_was() -> None:
    """Micro-batches are left alone: smaller ones would give other statistics than alone."""
    trainer = together(networks(RESNET), "nesterov")
    trainer.step(*wide(batches(RESNET)[0]))
    trainer.disturbances = noises(SHARES, DEVIATIONS)
    before, states = [bits(trainer, k) for k in range(3)], [n.generator.get_state() for n in trainer.disturbances]
    trainer.network.network.head.add_module("hungry", Hungry())  # type: ignore[union-attr, operator]
    with pytest.raises(OutOfMemory, match="3 members with 64 images each"):
        trainer.step(*wide(batches(RESNET)[0]))
    assert all(same(bits(trainer, k), before[k]) for k in range(3))
    assert same([noise.generator.get_state() for noise in trainer.disturbances], states)


@pytest.mark.parametrize("case", [LENET, RESNET], ids=["without buffers", "with buffers"])
def test_another_error_of_the_network_comes_through(case: Case) -> None:
    trainer = together(networks(case), "nesterov")
    with pytest.raises(RuntimeError, match=r"expected input.* to have \d+ channels"):
        trainer.step(torch.randn(4, 5, 28, 28, dtype=torch.float64), torch.zeros(3, 4, dtype=torch.long))


def test_an_optimizer_for_others_is_refused() -> None:
    fleet = stack(networks(LENET))
    optimizer = Optimizer(decay_groups(fleet, 0.0, members=1), "sgd")
    with pytest.raises(InputError, match="the optimizer is for 1 members, the fleet has 3"):
        FleetTrainer(fleet, optimizer, Losses(), correct, nullcontext, 64)
    fitting = Optimizer(decay_groups(fleet, 0.0, members=3), "sgd", members=3)
    with pytest.raises(InputError, match="the noise is that of 2 members, the fleet has 3"):
        FleetTrainer(fleet, fitting, Losses(), correct, nullcontext, 64, disturbances=[Disturbance()] * 2)


def test_a_fleet_learns_in_16_bits() -> None:
    torch.manual_seed(0)
    own = [find("lenet5").build(CLASSES, 1) for _ in range(2)]
    fleet = stack(own).to(memory_format=torch.channels_last)
    optimizer = Optimizer(decay_groups(fleet, 1e-4, members=2), "adam", torch.tensor([1e-3, 3e-3]), members=2)
    trainer = FleetTrainer(
        fleet, optimizer, Losses(), correct, lambda: torch.autocast("cpu", torch.bfloat16), micro_batch=64
    )
    truth = torch.randint(CLASSES, (2, 32))
    images = (torch.randn(2, 32, 28, 28) + truth[:, :, None, None]).transpose(0, 1)
    losses = torch.stack([step.losses for step in trainer.steps([(images, truth)] * 30)])
    assert losses.dtype == torch.float32
    assert (losses[-1] < losses[0] / 2).all()
