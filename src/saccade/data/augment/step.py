"""A random step of augmentation: what it draws for a whole batch, and what it does to any part of it."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np
import torch
from torch import Generator, Tensor
from torch.nn import functional

# A large batch goes through a CPU a few images at a time: after each step it would be written to fresh memory, which takes
# several times as long as the arithmetic. A smaller one goes at once, in memory that the C library has kept: its pieces
# would have to be put together (224 px, batch 32: a tenth of the time)
PIECE, KEPT = 6 * 2**20, 30 * 2**20  # bytes of float32 images


class Step(ABC):
    """Draws and arithmetic apart: one draw for each parameter and batch, then any images with their own draws."""

    @abstractmethod
    def draw(self, shape: torch.Size, generator: Generator) -> tuple[Tensor, ...]:
        """The parameters of images of shape (B, C, H, W): tensors (B, ...) on the CPU."""

    @abstractmethod
    def apply(self, images: Tensor, *drawn: Tensor) -> Tensor:
        """float32 (b, C, H, W) in 0..1, not written to -> the images changed, each by its own parameters."""

    def after(self, shape: torch.Size) -> torch.Size:
        """The shape of the images afterwards."""
        return shape

    def __call__(self, images: Tensor, generator: Generator) -> Tensor:
        """float32 (B, C, H, W) in 0..1 -> the images changed; generator: a CPU generator."""
        return in_turn([self], images, generator)


Draws = Sequence[Sequence[Tensor]]  # of each step its parameters


def in_turn(steps: Sequence[Step], images: Tensor, generator: Generator) -> Tensor:
    """All steps on the images."""
    return apply(steps, images, draw(steps, images.shape, generator))


def draw(steps: Sequence[Step], shape: torch.Size, generator: Generator) -> Draws:
    """What all steps draw for images of this shape; it does not depend on how they are cut into pieces."""
    draws = []
    for step in steps:
        draws.append(step.draw(shape, generator))
        shape = step.after(shape)
    return draws


def joined(draws: Sequence[Draws]) -> Draws:
    """What was drawn for some images, then for others, as for all of them."""
    return [tuple(map(_together, zip(*step, strict=True))) for step in zip(*draws, strict=True)]


def _together(drawn: Sequence[Tensor]) -> Tensor:
    """Where a batch has drawn more for an image than another (noise for its largest area), zeros that nobody reads."""
    sides = torch.tensor([each.shape[1:] for each in drawn]).amax(0).flip(0).tolist() if drawn[0].dim() > 1 else []
    short = [[pad for of, to in zip(each.shape[:0:-1], sides, strict=True) for pad in (0, to - of)] for each in drawn]
    return torch.cat([functional.pad(each, by) if any(by) else each for each, by in zip(drawn, short, strict=True)])


def apply(steps: Sequence[Step], images: Tensor, draws: Draws) -> Tensor:
    """All steps by what they have drawn."""
    shape = images.shape
    for step in steps:
        shape = step.after(shape)
    each = 4 * max(1, shape[1:].numel())
    size = max(1, PIECE // each)
    if images.device.type != "cpu" or size >= len(images) or each * len(images) <= KEPT:
        return _run(steps, images, draws)
    out = None
    for start in range(0, len(images), size):
        part = slice(start, start + size)
        done = _run(steps, images[part], [[values[part] for values in each] for each in draws])
        out = _room(shape, done) if out is None else out
        out[part] = done
    assert out is not None
    return out


def _run(steps: Sequence[Step], images: Tensor, draws: Draws) -> Tensor:
    for step, values in zip(steps, draws, strict=True):
        images = step.apply(images, *values)
    return images


def _room(shape: torch.Size, like: Tensor) -> Tensor:
    """An empty float32 batch on the CPU, in the memory format of its first piece.

    numpy asks the kernel for huge pages, torch does so with THP_MEM_ALLOC_ENABLE only: seen with 38 MB, 16 ms to write to
    fresh small pages, 1 ms to huge ones.
    """
    count, channels, height, width = shape
    if like.is_contiguous() or not like.is_contiguous(memory_format=torch.channels_last):
        return torch.from_numpy(np.empty(shape, np.float32))
    return torch.from_numpy(np.empty((count, height, width, channels), np.float32)).permute(0, 3, 1, 2)
