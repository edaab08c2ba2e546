"""What is done to the images of a training batch, in one order: the recipe's augmentation."""

from dataclasses import dataclass, field

import torch
from torch import Generator, Tensor

from saccade.data.augment.colour import ColorJitter, grayscale
from saccade.data.augment.crop import CROPS, CenterCrop, RandomCrop, RandomResizedCrop
from saccade.data.augment.erasing import Cutout, Erased, RandomErasing
from saccade.data.augment.geometry import BILINEAR, RandomAffine
from saccade.data.augment.noise import GaussianNoise
from saccade.data.augment.policies import AugMix, RandAugment, TrivialAugmentWide
from saccade.data.augment.sharpness import GaussianBlur
from saccade.data.augment.sometimes import Sometimes
from saccade.data.augment.step import Draws, Step, apply, draw, in_turn
from saccade.errors import InputError, suggestion

POLICIES = {"randaugment": RandAugment, "trivialaugment": TrivialAugmentWide, "augmix": AugMix}
# What the number of operations and their magnitude are called there
NUMBERS = {"randaugment": ("count", "magnitude"), "trivialaugment": (), "augmix": ("depth", "severity")}
BLUR_SHARE = 10  # a kernel of a tenth of the side, as in SimCLR (arXiv:2002.05709, appendix A)


@dataclass(frozen=True)
class Augment:
    """What is done to training images: a crop to size x size, perhaps mirrored, then each step whose number is not 0.

    crop: "none" (the centre, as in evaluation), "pad" (`padding` zeros around, then a random place) or "resized" (a random
    box of `scale` of the area and `ratio` of width to height, resized). The order of the steps: jittered colours
    (strengths >= 0), policy (None or one of POLICIES, with so many operations of this magnitude), an affine map
    (rotation up to +-rotate degrees, shift up to +-translate of the side, scale 1 +- zoom, shear up to +-shear degrees
    both ways), grayscale and blur (each with its probability), noise (its sigma, in 0..1 units), erase (probability of
    a random rectangle), cutout (pixels of a side).
    fill: of what is erased, one number, one for each channel, or "noise".
    """

    crop: str
    size: int
    padding: int = 4
    scale: tuple[float, float] = (0.35, 1.0)
    ratio: tuple[float, float] = (3 / 4, 4 / 3)
    flip: bool = False
    brightness: float = 0
    contrast: float = 0
    saturation: float = 0
    hue: float = 0
    policy: str | None = None
    operations: int | None = None
    magnitude: int | None = None
    rotate: float = 0
    translate: float = 0
    zoom: float = 0
    shear: float = 0
    grayscale: float = 0
    blur: float = 0
    noise: float = 0
    erase: float = 0
    cutout: int = 0
    fill: Erased = 0.0
    steps: tuple[Step, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.crop not in CROPS:
            raise InputError(f'crop: "{self.crop}" is none of {", ".join(CROPS)}{suggestion(self.crop, CROPS)}')
        kernel = 2 * (self.size // (2 * BLUR_SHARE)) + 1
        crops: dict[str, Step] = {
            "none": CenterCrop(self.size, self.flip),
            "pad": RandomCrop(self.size, self.padding, self.flip),
            "resized": RandomResizedCrop(self.size, self.scale, self.ratio, self.flip),
        }
        steps: list[tuple[Step, object]] = [
            (crops[self.crop], True),
            (ColorJitter(self.brightness, self.contrast, self.saturation, self.hue), True),
            *((step, True) for step in self.drawn_operations()),
            (self.affine(), self.rotate or self.translate or self.zoom or self.shear),
            (Sometimes(grayscale, self.grayscale), self.grayscale),
            (GaussianBlur(max(3, kernel), p=self.blur), self.blur),
            (GaussianNoise(self.noise), self.noise),
            (RandomErasing(self.erase, fill=self.fill), self.erase),
            (Cutout(self.cutout, self.fill), self.cutout),
        ]
        object.__setattr__(self, "steps", tuple(step for step, wanted in steps if wanted))

    def drawn_operations(self) -> list[Step]:
        """The policy, where there is one."""
        if self.policy is None:
            return []
        if self.policy not in POLICIES:
            near = suggestion(self.policy, POLICIES)
            raise InputError(f'policy: "{self.policy}" is none of {", ".join(POLICIES)}{near}')
        numbers = zip(NUMBERS[self.policy], (self.operations, self.magnitude), strict=False)
        return [POLICIES[self.policy](**{name: number for name, number in numbers if number is not None})]

    def affine(self) -> RandomAffine:
        return RandomAffine(
            (-self.rotate, self.rotate),
            (self.translate, self.translate),
            (1 - self.zoom, 1 + self.zoom),
            (-self.shear, self.shear, -self.shear, self.shear),
            BILINEAR,
        )

    def __call__(self, images: Tensor, generator: Generator) -> Tensor:
        """float32 (B, C, H, W) in 0..1 -> (B, C, size, size) in 0..1; generator: a CPU generator."""
        return in_turn(self.steps, images, generator)

    def of_pixels(self, pixels: Tensor, generator: Generator) -> Tensor:
        """uint8 (B, H, W, C) as stored -> self(pixels_to_float(pixels), generator), the crop before the conversion."""
        return self.apply(pixels, self.draw(pixels.shape, generator))

    def draw(self, shape: torch.Size, generator: Generator) -> Draws:
        """What `of_pixels` draws for images of shape (B, H, W, C)."""
        count, height, width, channels = shape
        return draw(self.steps, torch.Size((count, channels, height, width)), generator)

    def apply(self, pixels: Tensor, draws: Draws) -> Tensor:
        """What `of_pixels` does by these draws."""
        return apply(self.steps, pixels.permute(0, 3, 1, 2), draws)
