"""Two images in one, and their targets in the same proportion: mixup and CutMix.

images: (B, C, H, W). targets: (B, classes) float, rows that sum to 1, at least two classes. Every image has its own
proportion, and its partner is its place in one random permutation of the batch.
"""

from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from saccade.data.augment import boxes
from saccade.data.augment.draws import coin, dirichlet
from saccade.errors import InputError


def _check(name: str, targets: Tensor, alpha: float) -> None:
    if not 0 < alpha < float("inf"):
        raise InputError(f"{name}: alpha is a number above 0, not {alpha}")
    if targets.dim() != 2 or not targets.is_floating_point():
        raise InputError(f"{name}: targets are probabilities (images, classes), not {tuple(targets.shape)} {targets.dtype}")
    if targets.shape[1] < 2:
        raise InputError(f"{name}: there is one class only, and nothing to mix it with")


def _mixed(values: Tensor, partner: Tensor, share: Tensor) -> Tensor:
    """values + share * (values[partner] - values): exactly the value where both are equal. share: (B,), the partner's."""
    share = share.to(values.device, values.dtype).view(-1, *[1] * (values.dim() - 1))
    return torch.lerp(values, values.index_select(0, partner), share)


def mixup(images: Tensor, targets: Tensor, alpha: float, generator: Generator) -> tuple[Tensor, Tensor]:
    """lambda * x + (1 - lambda) * partner, lambda from Beta(alpha, alpha) (arXiv:1710.09412, equation 1)."""
    _check("mixup", targets, alpha)
    partner = torch.randperm(len(images), generator=generator).to(images.device)
    share = dirichlet(len(images), 2, alpha, generator)[:, 1]
    return _mixed(images, partner, share), _mixed(targets, partner, share)


def cutmix_boxes(count: int, sides: tuple[int, int], alpha: float, generator: Generator) -> Tensor:
    """Boxes (count, 4) of sqrt(1 - lambda) of each side about a uniform pixel, cut at the border; lambda as in mixup."""
    half = dirichlet(count, 2, alpha, generator)[:, 1].sqrt() / 2
    tall, wide = (2 * (half * side).long() for side in sides)
    return boxes.centered(tall, wide, sides, generator)


def cutmix(images: Tensor, targets: Tensor, alpha: float, generator: Generator) -> tuple[Tensor, Tensor]:
    """A rectangle of the partner pasted at its own place (arXiv:1905.04899, appendix A).

    The partner's weight in the target is the share of the pixels that were pasted, after the cut at the border.
    """
    _check("cutmix", targets, alpha)
    count, _, height, width = images.shape
    partner = torch.randperm(count, generator=generator).to(images.device)
    where = cutmix_boxes(count, (height, width), alpha, generator)
    share = where[:, 2] * where[:, 3] / (height * width)
    pasted = torch.lerp(images, images.index_select(0, partner), boxes.inside(where, images))
    return pasted, _mixed(targets, partner, share)


@dataclass(frozen=True)
class Mixing:
    """Mixup and CutMix by their alphas, where 0 is off; with both, each image gets either with probability 1/2."""

    mixup: float = 0.0
    cutmix: float = 0.0

    def __post_init__(self) -> None:
        if not (0 <= self.mixup < float("inf") and 0 <= self.cutmix < float("inf")):
            raise InputError(f"mixup and cutmix: alpha is a number above 0, or 0 for none, not {self}")

    def __call__(self, images: Tensor, targets: Tensor, generator: Generator) -> tuple[Tensor, Tensor]:
        """images (B, C, H, W) and targets (B, classes), mixed."""
        if not self.cutmix:
            return mixup(images, targets, self.mixup, generator) if self.mixup else (images, targets)
        if not self.mixup:
            return cutmix(images, targets, self.cutmix, generator)
        blended, shares = mixup(images, targets, self.mixup, generator)
        pasted, areas = cutmix(images, targets, self.cutmix, generator)
        heads = coin(len(images), generator).to(images.device)
        return torch.where(heads[:, None, None, None], blended, pasted), torch.where(heads[:, None], shares, areas)
