"""Noise on the inputs."""

from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from saccade.errors import InputError


@dataclass(frozen=True)
class GaussianNoise:
    """clamp(x + sigma * n), n independent normal numbers: v2.GaussianNoise.

    As a penalty it is close to the Jacobian's norm times sigma^2 (Bishop 1995, "Training with noise is equivalent to
    Tikhonov regularization"). sigma is in units of 0..1 images. The normal numbers come from the CPU as every draw does,
    about 100 million a second.
    """

    sigma: float

    def __post_init__(self) -> None:
        if self.sigma < 0:
            raise InputError(f"noise: sigma is at least 0, not {self.sigma}")

    def __call__(self, images: Tensor, generator: Generator) -> Tensor:
        """(B, C, H, W) in 0..1 -> the same."""
        if not self.sigma:
            return images
        noise = torch.randn(images.shape, generator=generator).to(images.device, images.dtype)
        return noise.mul_(self.sigma).add_(images).clamp_(0, 1)
