"""The training step of a fleet: one pass, one update, and members that do not notice each other.

Every member is trained as it would be alone, on its own images and labels, with its own numbers: `optim.Optimizer` with
`members` takes (K,) rates, momenta and decays. A member that stops keeps every bit from then on.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from saccade.errors import InputError
from saccade.layers.fleet import Fleet
from saccade.optim import Average, Optimizer
from saccade.optim.lists import Number, norms, scale_
from saccade.optim.noise import add_members_gradient_noise, noisy_members
from saccade.optim.sam import sharpness_aware
from saccade.tasks.classify import AUXILIARY
from saccade.training.disturbance import Disturbance
from saccade.training.steps import OutOfMemory, is_out_of_memory, parts_of
from saccade.zoo.network import Scores

Batch = tuple[Tensor, Tensor]
Objective = Callable[[Any, Tensor], Tensor]  # of the scores of all members and their labels: one number a member, (K,)


@dataclass(frozen=True)
class Losses:
    """Each member's mean cross entropy in nats, (K,): of scores (K, B, classes) and labels (K, B), or probabilities
    (K, B, classes). For every member the value of `tasks.classify.Loss`.

    Computed in float32, or in float64 where the scores have it. `smoothing`: share of every label that is spread over all
    classes, a number or (K,). `weights`: how much an image of each class counts, (classes,) or (K, classes). Train on the
    sum: no member's gradient reaches another.
    """

    smoothing: Number = 0.0
    weights: Tensor | None = None

    def __call__(self, scores: Tensor | Scores, truth: Tensor) -> Tensor:
        if isinstance(scores, Scores):
            return self(scores.main, truth) + AUXILIARY * sum(self(each, truth) for each in scores.auxiliary)
        likely = scores.to(torch.promote_types(scores.dtype, torch.float32)).log_softmax(-1)
        weighted = likely if self.weights is None else likely * self.weights.to(likely).unsqueeze(-2)
        loss = of_truth(weighted, truth)
        if not isinstance(self.smoothing, Tensor) and not self.smoothing:
            return loss
        smoothing = torch.as_tensor(self.smoothing).to(likely)
        return (1 - smoothing) * loss - smoothing * weighted.mean((1, 2))


def of_truth(likely: Tensor, truth: Tensor) -> Tensor:
    """Minus the mean of what the labels (K, B), or probabilities (K, B, classes), find in (K, B, classes): (K,)."""
    if truth.is_floating_point():
        return -(likely * truth).sum(2).mean(1)
    return -likely.gather(2, truth.unsqueeze(2)).mean((1, 2))


def correct(scores: Tensor | Scores, truth: Tensor) -> Tensor:
    """How many images of each member have their own class as the highest score, (K,); as in `tasks.classify`."""
    main = scores.main if isinstance(scores, Scores) else scores
    return (main.detach().argmax(2) == (truth.argmax(2) if truth.is_floating_point() else truth)).sum(1)


@dataclass(frozen=True)
class FleetStep:
    """What one step saw. `losses` (the means) and `correct` (counts), both (K,), stay on the device until someone reads.

    Of members that have stopped they are numbers like any other, and mean nothing.
    """

    losses: Tensor
    correct: Tensor
    images: int  # of each member


@dataclass
class FleetTrainer:
    """What the steps of a fleet need.

    `micro_batch`: how many images of each member go through at once. `clip`: the longest gradient, of each member by
    itself, one number or (K,). `radius`: of sharpness-aware minimization, likewise. `look_every`: after so many steps the
    losses are looked at, for which the device is waited for. `disturbances`: of each member the noise on weights and
    gradients, with the generator that draws it; or none. `average`: of the weights of all members, taken in at every step.

    `active` (K,), on the CPU: who still learns; `stop` ends it for one. `failed`: members of which a loss was not finite,
    with the step, from 0. They have stopped; with `look_every` 1 with the bits from before that step, else with worthless
    ones of up to so many steps later. The others notice nothing either way.
    """

    network: Fleet
    optimizer: Optimizer
    losses: Objective
    correct: Objective
    precision: Callable[[], AbstractContextManager]
    micro_batch: int
    clip: Number | None = None
    radius: Number = 0.0
    look_every: int = 1
    disturbances: Sequence[Disturbance] = ()
    average: Average | None = None
    failed: dict[int, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.members = self.network.count
        self.active = torch.ones(self.members, dtype=torch.bool)
        self.taken = 0
        self.unseen: list[Tensor] = []
        for group in self.optimizer.param_groups:
            if group["members"] != self.members:
                raise InputError(f"the optimizer is for {group['members']} members, the fleet has {self.members}")
        if len(self.disturbances) not in (0, self.members):
            raise InputError(f"the noise is that of {len(self.disturbances)} members, the fleet has {self.members}")

    def stop(self, member: int) -> None:
        """From now on this member keeps every bit: weights, buffers, state of the optimizer and average."""
        self.active[member] = False

    def steps(self, batches: Iterable[Batch]) -> Iterator[FleetStep]:
        """One step for each batch of images (B, K C, H, W) and labels (K, B) or probabilities (K, B, classes).

        Ends with the batches, when all losses have been looked at, or when all members have stopped.
        """
        self.network.train()
        for images, truth in batches:
            yield self.step(images, truth)
            if not self.active.any():
                return
        self.look()

    def step(self, images: Tensor, truth: Tensor) -> FleetStep:
        """Gradients over the whole batch, then one update of the members that are active.

        OutOfMemory, with all as before, where this fleet is too large: half of its members at a time are trained the same,
        while smaller micro-batches would change the statistics of batch norm.
        """
        buffers = list(self.network.buffers())
        before = [buffer.clone() for buffer in buffers]
        with self.undone_by_errors(before):
            losses, right = self.gradients(images, truth)
        self.unseen.append(losses)
        self.taken += 1
        if len(self.unseen) >= self.look_every:
            self.look()
        if not self.active.all():
            still = (~self.active).nonzero().squeeze(1).to(losses.device)
            for buffer, old in zip(buffers, before, strict=True):
                put_rows(buffer, rows_of(old, self.members)[still], still, self.members)
        self.update()
        return FleetStep(losses, right, len(images))

    @contextmanager
    def undone_by_errors(self, before: Sequence[Tensor]) -> Iterator[None]:
        """After an error inside, the buffers and all draws are as before."""
        draws, generators = self.network.draws, [each.generator for each in self.disturbances]
        drawn, states = draws.streams and list(draws.streams), [each.get_state() for each in generators]
        try:
            yield
        except RuntimeError as error:
            for buffer, old in zip(self.network.buffers(), before, strict=True):
                buffer.copy_(old)
            draws.streams = drawn
            for generator, state in zip(generators, states, strict=True):
                generator.set_state(state)
            if not is_out_of_memory(error):
                raise
            raise OutOfMemory(f"{self.members} members with {self.micro_batch} images each") from error

    def gradients(self, images: Tensor, truth: Tensor) -> tuple[Tensor, Tensor]:
        """Losses and correct counts at the weights as they are; leaves the gradients to learn by."""
        draws = self.network.draws
        first = draws.streams

        def compute() -> tuple[Tensor, Tensor]:
            draws.streams = first and list(first)  # both passes of a sharpness-aware step drop the same
            return self.accumulate(images, truth)

        weights = parameters_of(self.optimizer)
        with self.noisy_weights():
            return sharpness_aware(weights, compute, self.radius, list(self.network.buffers()), self.members)

    def noisy_weights(self) -> AbstractContextManager[None]:
        stds = self.of_active([each.weight_std for each in self.disturbances])
        generators = [each.generator for each in self.disturbances]
        return noisy_members(self.network, stds, generators) if any(stds) else nullcontext()

    def of_active(self, stds: Sequence[float]) -> list[float]:
        """With 0 for the members that have stopped: a generator draws for the steps that its member takes."""
        return [std * on for std, on in zip(stds, self.active.tolist(), strict=False)]

    def accumulate(self, images: Tensor, truth: Tensor) -> tuple[Tensor, Tensor]:
        self.optimizer.zero_grad(set_to_none=True)
        totals, counts = [], []
        parts = parts_of(len(images), self.micro_batch)
        for part, own in zip(images.tensor_split(parts), truth.tensor_split(parts, dim=1), strict=True):
            with self.precision():
                scores = self.network(part)
            losses = self.losses(scores, own) * (len(part) / len(images))
            losses.sum().backward()
            totals.append(losses.detach())
            counts.append(self.correct(scores, own))
        return torch.stack(totals).sum(0), torch.stack(counts).sum(0)

    def update(self) -> None:
        """One step of the optimizer for the members that are active, and of their average."""
        if self.clip is not None:
            clip_(parameters_of(self.optimizer), self.clip, self.members)
        stds = self.of_active([each.gradient_std for each in self.disturbances])
        if any(stds):
            generators = [each.generator for each in self.disturbances]
            add_members_gradient_noise(self.network.parameters(), stds, generators)
        still = (~self.active).nonzero().squeeze(1)
        with unchanged(self.tensors, still, self.members) if len(still) else nullcontext():
            self.optimizer.step()
            if self.average is not None:
                self.average.update()

    def tensors(self) -> list[Tensor]:
        """All that a step changes: the weights, what the rule keeps of each of them, and the average."""
        weights = parameters_of(self.optimizer)
        kept = [t for p in weights if p in self.optimizer.state for t in self.optimizer.state[p].values()]
        average = [] if self.average is None else [*self.average.network.parameters(), *self.average.network.buffers()]
        return [t for t in (*weights, *kept, *average) if isinstance(t, Tensor)]

    def look(self) -> None:
        """Stop the members of which a loss was not finite, and note at which step."""
        first = self.taken - len(self.unseen)
        for i, row in enumerate([each.isfinite().tolist() for each in self.unseen]):
            for member, finite in enumerate(row):
                if not finite and self.active[member]:
                    self.failed[member] = first + i
                    self.stop(member)
        self.unseen.clear()


@torch.no_grad()
def clip_(parameters: Sequence[Tensor], longest: Number, members: int) -> None:
    """Shorten the gradient of each member, over all its parameters, to this length; as torch's clip_grad_norm_ does."""
    gradients = [rows_of(p.grad, members) for p in parameters if p.grad is not None]
    parts = torch.stack([norm.flatten() for norm in norms(gradients, fleet=True)])
    lengths = torch.linalg.vector_norm(parts, dim=0)
    scale_(gradients, (torch.as_tensor(longest).to(lengths) / (lengths + 1e-6)).clamp(max=1.0))


@contextmanager
def unchanged(tensors: Callable[[], list[Tensor]], still: Tensor, members: int) -> Iterator[None]:
    """Whatever the update inside does, these members keep the bits of all that there is.

    What the update makes has zeros for them, with which it began.
    """
    there = tensors()
    still = still.to(there[0].device)
    before = {id(t): rows_of(t.detach(), members)[still] for t in there}
    yield
    for t in tensors():
        put_rows(t, before.get(id(t), 0.0), still, members)


def parameters_of(optimizer: Optimizer) -> list[Tensor]:
    return [p for group in optimizer.param_groups for p in group["params"]]


def rows_of(tensor: Tensor, members: int) -> Tensor:
    """(K n, ...) as (K, n, ...), a row a member."""
    return tensor.unflatten(0, (members, -1))


@torch.no_grad()
def put_rows(tensor: Tensor, values: Tensor | float, which: Tensor, members: int) -> None:
    rows_of(tensor, members)[which] = values
