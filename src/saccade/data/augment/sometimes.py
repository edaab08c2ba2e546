"""An operation without parameters of its own on a random part of the images."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from saccade.data.augment.draws import chance
from saccade.data.augment.rows import where_chosen
from saccade.data.augment.step import Step
from saccade.errors import InputError


@dataclass(frozen=True)
class Sometimes(Step):
    """Each image with probability p.

    Sometimes(grayscale, 0.1) is v2.RandomGrayscale(0.1); so are invert, autocontrast and equalize v2's Random forms, and
    partial(posterize, bits=4), partial(solarize, thresholds=0.5), partial(adjust_sharpness, factors=2) those with one
    fixed number.
    """

    operation: Callable[[Tensor], Tensor]
    p: float

    def __post_init__(self) -> None:
        if not 0 <= self.p <= 1:
            raise InputError(f"a probability is 0 to 1, not {self.p}")

    def draw(self, shape: torch.Size, generator: Generator) -> tuple[Tensor, ...]:
        """Whether."""
        return (chance(shape[0], self.p, generator),)

    def apply(self, images: Tensor, *drawn: Tensor) -> Tensor:
        return where_chosen(images, drawn[0], self.operation)
