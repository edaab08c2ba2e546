"""Noise on the inputs."""

from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from saccade.data.augment.step import Step
from saccade.errors import InputError


@dataclass(frozen=True)
class GaussianNoise(Step):
    """clamp(x + sigma * n), n independent normal numbers: v2.GaussianNoise.

    As a penalty it is close to the Jacobian's norm times sigma^2 (Bishop 1995, "Training with noise is equivalent to
    Tikhonov regularization"). sigma is in units of 0..1 images. The normal numbers come from the CPU as every draw does,
    about 100 million a second.
    """

    sigma: float

    def __post_init__(self) -> None:
        if self.sigma < 0:
            raise InputError(f"noise: sigma is at least 0, not {self.sigma}")

    def draw(self, shape: torch.Size, generator: Generator) -> tuple[Tensor, ...]:
        """Normal numbers in the shape of the images, unless sigma is 0."""
        return (torch.randn(shape, generator=generator),) if self.sigma else ()

    def apply(self, images: Tensor, *drawn: Tensor) -> Tensor:
        for noise in drawn:
            images = images.add(noise.to(images.device, images.dtype), alpha=self.sigma).clamp_(0, 1)
        return images
