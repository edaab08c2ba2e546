"""The memory of a training step, told before it is run."""

import copy
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn

from saccade.errors import InputError
from saccade.inspection.trace import Op, Recorder, needs_values

# Tensors of state that an optimizer keeps for each weight
STATE = {"sgd": 0, "momentum": 1, "adagrad": 1, "adadelta": 2, "rmsprop": 1, "adam": 2}
PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16}
FULL = 4  # bytes of a weight, its gradient and its state, whatever the precision of the arithmetic


@dataclass(frozen=True)
class Memory:
    """Bytes at the fullest moment of a training step, which lies in the backward pass or at the update.

    `activations` is what autograd then still keeps of the forward pass, `gradients` those of weights that are already
    there, `passing` those of activations under way, `casts` the copies of weights in 16 bits. `training_bytes` is the
    sum: what torch allocates. What kernels borrow for themselves, and what an allocator holds in reserve, comes on top.
    """

    weights: int
    state: int
    casts: int
    activations: int
    gradients: int
    passing: int
    by_path: dict[str, int]  # of the activations

    @property
    def training_bytes(self) -> int:
        return self.weights + self.gradients + self.state + self.casts + self.activations + self.passing

    def to_dict(self) -> dict[str, Any]:
        return {"training_bytes": self.training_bytes, **asdict(self)}


def training_memory(
    network: nn.Module, shape: tuple[int, ...], precision: str = "fp32", optimizer: str = "momentum"
) -> Memory:
    """For a batch of images (B, C, H, W), by one forward pass on the meta device with autograd on.

    What autograd keeps is not computed from a list of layers but asked of autograd itself: its hooks hand over every
    tensor as it is saved, and each storage is counted once. In "bf16" weights stay in 32 bits and are cast, as by
    autocast.
    """
    try:
        model, recorder, keeper = forward_pass(network, shape, PRECISIONS[precision], "meta")
    except InputError as error:
        if not needs_values(error):
            raise
        model, recorder, keeper = forward_pass(network, shape, PRECISIONS[precision], "cpu")
    parameters = list(model.parameters())
    weights = FULL * sum(t.numel() for t in (*parameters, *model.buffers()))
    trained = FULL * sum(p.numel() for p in parameters if p.requires_grad)
    casts = 0 if precision == "fp32" else 2 * sum(p.numel() for p in parameters if p.dim() > 1)
    moment = fullest_moment(recorder.ops, keeper.saved)
    if sum(moment) < trained:
        moment = (0, trained, 0)  # the update, which no activation outlives
    return Memory(weights, STATE[optimizer] * trained, casts, *moment, keeper.by_path)


def forward_pass(
    network: nn.Module, shape: tuple[int, ...], dtype: torch.dtype, device: str
) -> tuple[nn.Module, Recorder, "Keeper"]:
    """In training, with all that autograd keeps of it counted."""
    model = copy.deepcopy(network).to(device).to(dtype).train()
    images = torch.zeros(shape, device=device, dtype=dtype)
    recorder = Recorder(model, images)
    keeper = Keeper(model, recorder)
    with torch.autograd.graph.saved_tensors_hooks(keeper.keep, lambda kept: kept), recorder:
        recorder.run(images)
    return model, recorder, keeper


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
    """The most images at once for which a training step stays within `budget` bytes; 0 where not even two do."""

    def fits(batch: int) -> bool:
        return training_memory(network, (batch, *image), precision, optimizer).training_bytes <= budget

    high = 2
    while fits(high):
        high *= 2
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low if low >= 2 else 0
