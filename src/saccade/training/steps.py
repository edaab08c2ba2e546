"""The training loop: a generator of optimizer steps."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import reduce
from typing import Any

import torch
from torch import Tensor, nn

from saccade.training.disturbance import Disturbance

Batch = tuple[Tensor, Tensor]
Objective = Callable[[Any, Tensor], Tensor]  # of what the network gives, and labels


LEAST = 2  # images at a time


class OutOfMemory(Exception):
    """Even the smallest micro-batch does not fit."""


@dataclass(frozen=True)
class Step:
    """What one optimizer step saw. `loss` (the mean) and `correct` (a count) stay on the device until someone reads."""

    loss: Tensor
    correct: Tensor
    images: int
    micro_batch: int


@dataclass
class Trainer:
    """What an optimizer step needs. `micro_batch` is how many images go through the network at once.

    `clip`: the largest norm of the whole gradient, g <- g min(1, clip / |g|) (arXiv:1211.5063, algorithm 1).
    """

    network: nn.Module
    optimizer: torch.optim.Optimizer
    objective: Objective
    correct: Objective
    precision: Callable[[], AbstractContextManager]
    micro_batch: int
    clip: float | None = None
    disturbance: Disturbance = field(default_factory=Disturbance)

    def steps(self, batches: Iterable[Batch]) -> Iterator[Step]:
        """One optimizer step for each batch of images and labels, or of images and probabilities of classes."""
        self.network.train()
        for images, labels in batches:
            yield self.step(images, labels)

    def step(self, images: Tensor, labels: Tensor) -> Step:
        """Gradients over the whole batch, in micro-batches where memory demands it, then one update.

        Out of memory, the step starts anew with half the micro-batch: same images, same mean gradient. The running
        statistics that the failed attempt had touched are put back first.
        """
        buffers = [buffer.clone() for buffer in self.network.buffers()]
        while True:
            try:
                loss, correct = self.disturbance.gradients(self.network, lambda: self.accumulate(images, labels))
                break
            except RuntimeError as error:  # torch.OutOfMemoryError on a GPU; the CPU's allocator has no class of its own
                if not is_out_of_memory(error):
                    raise
                if min(self.micro_batch, len(images)) <= LEAST:
                    raise OutOfMemory from error
                self.micro_batch = -(-min(self.micro_batch, len(images)) // 2)
                for buffer, before in zip(self.network.buffers(), buffers, strict=True):
                    buffer.copy_(before)
        if self.clip is not None:
            nn.utils.clip_grad_norm_(self.network.parameters(), self.clip)
        self.disturbance.disturb(self.network)
        self.optimizer.step()
        return Step(loss, correct, len(images), self.micro_batch)

    def accumulate(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        self.optimizer.zero_grad(set_to_none=True)
        losses, correct = [], []
        parts = parts_of(len(images), self.micro_batch)
        for part, truth in zip(images.tensor_split(parts), labels.tensor_split(parts), strict=True):
            with self.precision():
                scores = self.network(part)
            loss = self.objective(scores, truth)
            loss = loss * (len(part) / len(images)) if parts > 1 else loss
            loss.backward()
            losses.append(loss.detach())
            correct.append(self.correct(scores, truth))
        return reduce(torch.add, losses), reduce(torch.add, correct)


def parts_of(images: int, micro_batch: int) -> int:
    """How many nearly equal parts of at most `micro_batch` make up the batch; none of one image where that can be helped.

    Batch norm has no variance of a single value.
    """
    return max(1, min(-(-images // micro_batch), images // LEAST))


def is_out_of_memory(error: RuntimeError) -> bool:
    words = (
        "can't allocate memory",
        "not enough memory",
        "out of memory",
        "bad_alloc",
        "could not create a",
        "alloc_failed",
    )
    return isinstance(error, torch.OutOfMemoryError) or any(word in str(error).lower() for word in words)
