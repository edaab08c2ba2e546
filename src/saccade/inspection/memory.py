"""The memory of a training step, told before it is run."""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses import FakeTensorMode

from saccade.errors import InputError
from saccade.inspection.trace import Op, Recorder, copied, dtype_of, needs_values
from saccade.optim import RULES

# Tensors of state that an optimizer keeps for each weight
STATE = {name: len(rule.state) for name, rule in RULES.items()}
PRECISIONS = ("fp32", "bf16")
FEW = (2, 4)  # images of which the memory is met, where values must be seen
FULL = 4  # bytes of a weight, its gradient and its state, whatever the precision of the arithmetic


@dataclass(frozen=True)
class Memory:
    """Bytes at the fullest moment of a training step, which lies in the backward pass or at the update.

    `activations` is what autograd then still keeps of the forward pass, `gradients` those of weights that are already
    there, `passing` those of activations under way. `training_bytes` is the sum: what torch allocates. What kernels
    borrow for themselves, and what an allocator holds in reserve, comes on top: `margin`.
    """

    weights: int
    state: int
    activations: int
    gradients: int
    passing: int
    by_path: dict[str, int]  # of the activations

    @property
    def margin(self) -> int:
        """For what a process on a CPU holds beyond what torch allocates: 32 of 34 trainings stayed within it."""
        return 128 * 2**20 + 2 * self.training_bytes // 5

    @property
    def training_bytes(self) -> int:
        return self.weights + self.gradients + self.state + self.activations + self.passing

    def to_dict(self) -> dict[str, Any]:
        return {"training_bytes": self.training_bytes, "margin": self.margin, **asdict(self)}


def training_memory(
    network: nn.Module, shape: tuple[int, ...], precision: str = "fp32", optimizer: str = "momentum", device: str = "meta"
) -> Memory:
    """For a batch of images (B, C, H, W), by one forward pass without any computing, with autograd on.

    What autograd keeps is not computed from a list of layers but asked of autograd itself: its hooks hand over every
    tensor as it is saved, and each storage is counted once. In "bf16" that is under autocast. On the "cpu", as every
    network that must see values, it is run with few images, and the bytes of a batch lie on the straight line through
    them; which device see `traced_on`.
    """
    if device == "meta":
        try:
            return of_a_pass(forward_pass(network, shape, precision), optimizer)
        except InputError as error:
            if not needs_values(error):
                raise
    few, more = (forward_pass(network, (batch, *shape[1:]), precision, values=True) for batch in FEW)
    return of_a_pass(along_line(few, more, shape[0]), optimizer)


@dataclass(frozen=True)
class Pass:
    """A forward pass in training: its calls, and the bytes that autograd keeps, by call and by module."""

    model: nn.Module
    ops: list[Op]
    saved: list[int]
    by_path: dict[str, int]


def of_a_pass(done: Pass, optimizer: str) -> Memory:
    parameters = list(done.model.parameters())
    weights = sum(t.nbytes for t in (*parameters, *done.model.buffers()))
    trained = sum(p.nbytes for p in parameters if p.requires_grad)
    moment = fullest_moment(done.ops, done.saved)
    if sum(moment) < trained:
        moment = (0, trained, 0)  # the update, which no activation outlives
    return Memory(weights, STATE[optimizer] * trained, *moment, done.by_path)


def along_line(few: Pass, more: Pass, batch: int) -> Pass:
    """What passes of FEW[0] and of FEW[1] images say of `batch` images: each call's bytes lie on a straight line.

    Their fullest moment does not, as it is another call with more images.
    """

    def at(low: int, high: int) -> int:
        return low + (high - low) * (batch - FEW[0]) // (FEW[1] - FEW[0])

    ops = [replace(low, bytes=at(low.bytes, high.bytes)) for low, high in zip(few.ops, more.ops, strict=True)]
    paths = {path: at(few.by_path.get(path, 0), bytes_) for path, bytes_ in more.by_path.items()}
    return replace(few, ops=ops, saved=[*map(at, few.saved, more.saved)], by_path=paths)


def forward_pass(network: nn.Module, shape: tuple[int, ...], precision: str, values: bool = False) -> Pass:
    """In training, with all that autograd keeps of it counted; nothing is drawn from the generators of others.

    Autocast knows no meta device, so its tensors are fake ones that stand for those of a CPU.
    """
    with ExitStack() as stack:
        model = copied(network, "cpu" if values else "meta").train()
        if precision == "bf16" and not values:
            stack.enter_context(FakeTensorMode())
            model = empty(model)
        images = torch.zeros(shape, device="cpu" if values or precision == "bf16" else "meta", dtype=dtype_of(network))
        recorder = Recorder(model, images)
        keeper = Keeper(model, recorder)
        stack.enter_context(torch.random.fork_rng(devices=[]))
        stack.enter_context(torch.autograd.graph.saved_tensors_hooks(keeper.keep, lambda kept: kept))
        stack.enter_context(recorder)
        stack.enter_context(torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"))
        recorder.run(images)
    return Pass(model, recorder.ops, keeper.saved, keeper.by_path)


def empty(model: nn.Module) -> nn.Module:
    """With new tensors of the same shapes on the CPU; one that is in two places stays one."""
    made: dict[Tensor, Tensor] = {}
    for module in model.modules():
        for own in (module._parameters, module._buffers):
            for name, old in own.items():
                if old is not None and old not in made:
                    new = torch.empty(old.shape, dtype=old.dtype)
                    made[old] = nn.Parameter(new, old.requires_grad) if isinstance(old, nn.Parameter) else new
                own[name] = made[old] if old is not None else None  # type: ignore[assignment]
    return model


class Keeper:
    """Counts what autograd saves: each storage once, at the call that first saves it; parameters not at all."""

    def __init__(self, model: nn.Module, recorder: Recorder):
        self.recorder = recorder
        self.known = {storage(t) for t in (*model.parameters(), *model.buffers())}
        self.alive: list[Tensor] = []
        self.saved: list[int] = []  # bytes by call
        self.by_path: dict[str, int] = {}

    def keep(self, tensor: Tensor) -> Tensor:
        place = len(self.recorder.ops)
        self.saved += [0] * (place + 1 - len(self.saved))
        if storage(tensor) not in self.known:
            self.known.add(storage(tensor))
            self.alive.append(tensor)
            size = tensor.untyped_storage().nbytes()
            self.saved[place] += size
            path = self.recorder.path[-1]
            self.by_path[path] = self.by_path.get(path, 0) + size
        return tensor


def storage(tensor: Tensor) -> int:
    return tensor.untyped_storage()._cdata


def fullest_moment(ops: Sequence[Op], saved: Sequence[int]) -> tuple[int, int, int]:
    """Bytes of saved activations, of gradients of weights and of those on their way, when their sum is largest.

    The backward pass goes from the last call to the first; what a call had saved is free behind it, the gradients of its
    weights stay.
    """
    saved = [*saved, *[0] * (len(ops) - len(saved))]
    live, gradients, fullest = sum(saved), 0, (sum(saved), 0, 0)
    for op, kept in zip(reversed(ops), reversed(saved[: len(ops)]), strict=True):
        gradients += FULL * op.trained
        passing = op.bytes + sum(ops[i].bytes for i in op.inputs if i >= 0)
        fullest = max(fullest, (live, gradients, passing), key=sum)
        live -= kept
    return fullest


def largest_batch(network: nn.Module, image: tuple[int, int, int], budget: int, precision: str, optimizer: str) -> int:
    """The most images at once whose training step and its margin stay within `budget` bytes; 0 where not even two do."""

    def fits(batch: int) -> bool:
        found = training_memory(network, (batch, *image), precision, optimizer)
        return found.training_bytes + found.margin <= budget

    high = 2
    while fits(high):
        high *= 2
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low if low >= 2 else 0
