"""Every schedule against torch's, step for step."""

from collections.abc import Callable
from functools import partial
from math import cos, pi

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.optim import lr_scheduler

from saccade.optim.schedules import (
    SCHEDULES,
    Schedule,
    constant,
    cosine,
    linear,
    one_cycle,
    one_cycle_momentum,
    plateau,
    restarts,
    scaled_rate,
    staircase,
    warmed,
)

TOTAL = 120
Theirs = Callable[[torch.optim.Optimizer], lr_scheduler.LRScheduler]


def stepped(make: Theirs, count: int = TOTAL, key: str = "lr") -> list[float]:
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=1.0, momentum=0.9)
    scheduler, found = make(optimizer), []
    for _ in range(count):
        found.append(optimizer.param_groups[0][key])
        optimizer.step()
        scheduler.step()
    return found


CASES: list[tuple[str, Schedule, Theirs]] = [
    ("constant", constant, lambda o: lr_scheduler.ConstantLR(o, factor=1.0)),
    ("every", partial(staircase, at=25, factor=0.3), lambda o: lr_scheduler.StepLR(o, 25, gamma=0.3)),
    ("at", partial(staircase, at=[90, 30]), lambda o: lr_scheduler.MultiStepLR(o, [30, 90])),
    ("half", staircase, lambda o: lr_scheduler.MultiStepLR(o, [60, 90])),
    ("linear", linear, lambda o: lr_scheduler.LinearLR(o, 1.0, 0.0, TOTAL)),
    ("linear to", partial(linear, end=0.2), lambda o: lr_scheduler.LinearLR(o, 1.0, 0.2, TOTAL)),
    ("cosine", cosine, lambda o: lr_scheduler.CosineAnnealingLR(o, TOTAL)),
    ("cosine to", partial(cosine, end=0.05), lambda o: lr_scheduler.CosineAnnealingLR(o, TOTAL, eta_min=0.05)),
    (
        "restarts",
        partial(restarts, cycle=7, growth=2, end=0.01),
        lambda o: lr_scheduler.CosineAnnealingWarmRestarts(o, 7, 2, eta_min=0.01),
    ),
    ("equal restarts", partial(restarts, cycle=16), lambda o: lr_scheduler.CosineAnnealingWarmRestarts(o, 16)),
]


@pytest.mark.parametrize(("ours", "theirs"), [pytest.param(*case, id=name) for name, *case in CASES])
def test_a_schedule_is_torchs(ours: Schedule, theirs: Theirs) -> None:
    assert [ours(i, TOTAL) for i in range(TOTAL)] == pytest.approx(stepped(theirs), rel=1e-9, abs=1e-12)


@pytest.mark.parametrize(("total", "rise"), [(120, 0.3), (10, 0.3), (37, 0.5), (15, 0.8)])
def test_one_cycle_is_torchs_with_its_momentum(total: int, rise: float) -> None:
    def theirs(optimizer: torch.optim.Optimizer) -> lr_scheduler.LRScheduler:
        return lr_scheduler.OneCycleLR(optimizer, 1.0, total_steps=total, pct_start=rise)

    rates = [one_cycle(i, total, rise=rise) for i in range(total)]
    momenta = [one_cycle_momentum(i, total, rise=rise) for i in range(total)]
    assert rates[:-1] == pytest.approx(stepped(theirs, total - 1), rel=1e-9)
    assert momenta[:-1] == pytest.approx(stepped(theirs, total - 1, "momentum"), rel=1e-9)
    assert (rates[-1], momenta[-1]) == pytest.approx((1 / 25 / 1e4, 0.95))


def test_a_rise_of_less_than_a_step_begins_at_the_top() -> None:
    assert one_cycle(0, 5, rise=0.1) == 1
    assert one_cycle(0, 1) == 1


@given(total=st.integers(1, 1000), warmup=st.integers(0, 1200), data=st.data())
def test_warmed_cosine_has_the_bits_of_the_formula(total: int, warmup: int, data: st.DataObject) -> None:
    """A line up, then half a cosine: the floats that runs so far were trained with."""
    step = data.draw(st.integers(0, total - 1))
    line, fall = (step + 1) / (warmup + 1), (1 + cos(pi * (step - warmup) / max(1, total - warmup))) / 2
    expected = line if step < warmup else fall
    assert warmed(cosine, warmup)(step, total) == expected


@pytest.mark.parametrize("name", SCHEDULES)
@given(total=st.integers(2, 500), data=st.data())
def test_every_schedule_starts_its_line_low_and_stays_between_0_and_1(name: str, total: int, data: st.DataObject) -> None:
    schedule, warmup = SCHEDULES[name], data.draw(st.integers(0, total - 1))
    shares = [warmed(schedule, warmup)(i, total) for i in range(total)]
    assert all(0 <= share <= 1 + 1e-12 for share in shares)
    assert shares[:warmup] == pytest.approx([(i + 1) / (warmup + 1) * shares[warmup] for i in range(warmup)])
    assert shares[warmup:] == [schedule(i, total - warmup) for i in range(total - warmup)]


def test_options_go_through_the_warm_up() -> None:
    assert warmed(staircase, 10)(40, 100, at=30, factor=0.5) == 0.5
    assert warmed(cosine, 10)(100, 100, end=0.25) == 0.25


def test_three_cycles_end_with_the_training() -> None:
    shares = [restarts(i, 70, growth=2) for i in range(70)]
    assert [i for i, share in enumerate(shares) if share == 1] == [0, 10, 30]
    assert shares[-1] < 0.01


losses = st.lists(st.one_of(st.floats(0.01, 10), st.sampled_from([1.0, 0.9, 0.9999, float("nan")])), max_size=60)


@given(
    losses=losses,
    factor=st.sampled_from([0.1, 0.5]),
    patience=st.integers(0, 5),
    threshold=st.sampled_from([0, 1e-4, 0.05]),
    cooldown=st.integers(0, 4),
)
def test_plateau_is_torchs(losses: list[float], factor: float, patience: int, threshold: float, cooldown: int) -> None:
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=1.0)
    theirs = lr_scheduler.ReduceLROnPlateau(
        optimizer, factor=factor, patience=patience, threshold=threshold, cooldown=cooldown, eps=0
    )
    for i in range(len(losses) + 1):
        ours = plateau(losses[:i], factor=factor, patience=patience, threshold=threshold, cooldown=cooldown)
        assert ours == pytest.approx(optimizer.param_groups[0]["lr"], rel=1e-12)
        if i < len(losses):
            theirs.step(losses[i])


def test_k_times_the_batch_has_k_times_the_rate() -> None:
    assert scaled_rate(0.1, 8192) == pytest.approx(3.2)  # arXiv:1706.02677, section 2.1: 0.1 kn / 256
    assert scaled_rate(0.1, 64, reference=128) == 0.05


@pytest.mark.parametrize(
    ("schedule", "words"),
    [
        (partial(staircase, at=0), "one at least, not every 0"),
        (partial(restarts, cycle=0), "not 0 steps and 1 times"),
        (partial(restarts, cycle=5, growth=0.5), "not 5 steps and 0.5 times"),
        (partial(one_cycle, rise=1), "between 0 and 1, not 1"),
    ],
)
def test_options_that_cannot_be(schedule: Schedule, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        schedule(0, 10)
