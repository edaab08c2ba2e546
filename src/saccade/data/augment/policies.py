"""RandAugment (arXiv:1909.13719), TrivialAugment (arXiv:2103.10158) and AugMix (arXiv:1912.02781) on whole batches.

Operations, magnitudes and draws are those of torchvision's v2 transforms of the same names. Each image has its own draw;
on a GPU an operation, or a family of them that is one arithmetic, is applied once to all images that drew it, on a CPU
one image has all that it drew done to it. Images are float (B, 1 or 3, H, W) in 0..1 and are not rounded to 8 bits between
operations (posterize and equalize round, see tones.py).
On one channel Color does nothing.
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
from torch import Generator, Tensor

from saccade.data.augment import colour, geometry, loops
from saccade.data.augment.colour import BRIGHTNESS, CONTRAST, SATURATION
from saccade.data.augment.draws import dirichlet
from saccade.data.augment.geometry import BILINEAR, NEAREST, Sampling
from saccade.data.augment.loops import colours, sharpness, tones
from saccade.data.augment.rows import beside
from saccade.data.augment.sharpness import adjust_sharpness
from saccade.data.augment.step import Step
from saccade.data.augment.tones import BITS, autocontrast, equalize, posterize, solarize
from saccade.errors import InputError

GEOMETRY = ("ShearX", "ShearY", "TranslateX", "TranslateY", "Rotate")
LINEAR = {"Brightness": BRIGHTNESS, "Contrast": CONTRAST, "Color": SATURATION}
COLOURS = (*LINEAR, "Sharpness")
TONES = ("Posterize", "Solarize", "AutoContrast", "Equalize")
OPERATIONS = ("Identity", *GEOMETRY, *COLOURS, *TONES)
CODE = {name: code for code, name in enumerate(OPERATIONS)}
# The magnitude that changes nothing, where there is one
STILL = torch.tensor(
    [(dict.fromkeys((*GEOMETRY, *COLOURS), 0) | {"Posterize": BITS}).get(name, torch.nan) for name in OPERATIONS]
)


@dataclass(frozen=True)
class Space:
    """The strongest magnitude of each operation; the weakest is no change, except as `bits` says."""

    shear: float  # tangent of the angle
    shift: float  # of a translation, as a share of the side, or in pixels where it is above 1
    rotation: float  # degrees
    factor: float  # of brightness, contrast, colour and sharpness: 1 - factor to 1 + factor
    bits: tuple[int, int]  # of posterize, from the weakest to the strongest
    operations: tuple[str, ...] = OPERATIONS

    def magnitudes(self, bins: int, sides: tuple[int, int]) -> Tensor:
        """(operations, bins) float64, a row for each of OPERATIONS, from the weakest to the strongest."""
        height, width = (self.shift if self.shift > 1 else self.shift * side for side in sides)
        highest = dict(zip(GEOMETRY, (self.shear, self.shear, width, height, self.rotation), strict=True))
        highest |= dict.fromkeys(COLOURS, self.factor)
        table = torch.stack([torch.linspace(0, highest.get(name, 0), bins) for name in OPERATIONS]).double()
        # Shifts are whole pixels, cut off as torchvision does
        table[[CODE["TranslateX"], CODE["TranslateY"]]] = table[[CODE["TranslateX"], CODE["TranslateY"]]].trunc()
        most, least = self.bits
        table[CODE["Posterize"]] = (most - torch.arange(bins) / ((bins - 1) / (most - least))).round()
        table[CODE["Solarize"]] = torch.linspace(1, 0, bins)
        return table


RAND = Space(shear=0.3, shift=150 / 331, rotation=30, factor=0.9, bits=(8, 4))
WIDE = Space(shear=0.99, shift=32, rotation=135, factor=0.99, bits=(8, 2))
MIX = Space(shear=0.3, shift=1 / 3, rotation=30, factor=0.9, bits=(4, 0), operations=OPERATIONS[1:])
MIX_WITHOUT_COLOURS = replace(MIX, operations=(*GEOMETRY, *TONES))
MIX_BINS, DEEPEST = 10, 3


def draw(space: Space, table: Tensor, bins: Tensor, generator: Generator) -> tuple[Tensor, Tensor]:
    """An operation of the space for each of `bins`, the columns of its table, and its magnitude with a random sign.

    Geometry and colours go either way, tones one way. Returns int64 codes and float64 magnitudes in the shape of bins.
    """
    codes = torch.tensor([CODE[name] for name in space.operations])
    operations = codes[torch.randint(len(codes), bins.shape, generator=generator)]
    negative = torch.rand(bins.shape, generator=generator) < 0.5
    negative &= operations < CODE[TONES[0]]
    magnitudes = table[operations, bins]
    return operations, torch.where(negative, -magnitudes, magnitudes)


def _map(name: str, magnitude: float, sides: tuple[int, int]) -> list[list[float]]:
    """A geometric operation as a map of `affine_matrices`: shears leave the upper left corner where it is."""
    height, width = sides
    cosine, sine = math.cos(math.radians(magnitude)), math.sin(math.radians(magnitude))
    maps: dict[str, list[list[float]]] = {
        "ShearX": [[1, magnitude, magnitude * height / 2], [0, 1, 0]],
        "ShearY": [[1, 0, 0], [magnitude, 1, magnitude * width / 2]],
        "TranslateX": [[1, 0, -magnitude], [0, 1, 0]],
        "TranslateY": [[1, 0, 0], [0, 1, -magnitude]],
        "Rotate": [[cosine, -sine, 0], [sine, cosine, 0]],
    }
    return maps[name]


Family = Callable[[Tensor, Tensor, Tensor, Sampling], Tensor]


def _geometry(images: Tensor, operations: Tensor, magnitudes: Tensor, sampling: Sampling) -> Tensor:
    sides = images.shape[2], images.shape[3]
    pairs = zip(operations.tolist(), magnitudes.tolist(), strict=True)
    maps = torch.tensor([_map(OPERATIONS[code], magnitude, sides) for code, magnitude in pairs], dtype=torch.float64)
    return geometry.at_once(images, maps, sampling)


def _linear(images: Tensor, operations: Tensor, magnitudes: Tensor, sampling: Sampling) -> Tensor:
    kinds = torch.tensor([LINEAR.get(name, BRIGHTNESS) for name in OPERATIONS])[operations]
    return colour.at_once(images, kinds[:, None], 1 + magnitudes[:, None])


FAMILIES: tuple[tuple[Iterable[str], Family], ...] = (
    (["Identity"], lambda images, operations, magnitudes, sampling: images),
    (GEOMETRY, _geometry),
    (LINEAR, _linear),
    (["Sharpness"], lambda images, operations, magnitudes, sampling: adjust_sharpness(images, 1 + magnitudes)),
    (["Posterize"], lambda images, operations, magnitudes, sampling: posterize(images, magnitudes)),
    (["Solarize"], lambda images, operations, magnitudes, sampling: solarize(images, magnitudes)),
    (["AutoContrast"], lambda images, operations, magnitudes, sampling: autocontrast(images)),
    (["Equalize"], lambda images, operations, magnitudes, sampling: equalize(images)),
)


FAMILY = torch.tensor([next(i for i, (names, _) in enumerate(FAMILIES) if name in names) for name in OPERATIONS])


def _flat(image: np.ndarray) -> np.ndarray:
    """(C, H, W) as (C, pixels)."""
    return image.reshape(len(image), -1)


def _tinted(code: int, image: np.ndarray, magnitude: float, out: np.ndarray) -> None:
    colour.check_channels(len(image))
    out[:] = image
    colours.tint(_flat(out), code, 1 + magnitude)


# loop(image, magnitude, out) of one image (C, H, W)
LOOPS: dict[str, Callable[[np.ndarray, float, np.ndarray], None]] = {
    **{name: partial(_tinted, code) for name, code in LINEAR.items()},
    "Sharpness": lambda image, magnitude, out: sharpness.sharpen(image, 1 + magnitude, out),
    "Posterize": lambda image, magnitude, out: tones.posterize(_flat(image), magnitude, _flat(out)),
    "Solarize": lambda image, magnitude, out: tones.solarize(_flat(image), magnitude, _flat(out)),
    "AutoContrast": lambda image, magnitude, out: tones.autocontrast(image, out),
    "Equalize": lambda image, magnitude, out: tones.equalize(_flat(image), _flat(out)),
}


def chain(images: Tensor, operations: Tensor, magnitudes: Tensor, sampling: Sampling) -> Tensor:
    """The columns of operations and magnitudes (B, K), on the CPU, one after the other: operations[b, k] with
    magnitudes[b, k] on image b, as torchvision does for the same two."""
    if images.shape[1] == 1:
        operations = operations.masked_fill(operations == CODE["Color"], CODE["Identity"])
    return (one_by_one if loops.fit(images) else at_once)(images, operations, magnitudes, sampling)


def one_by_one(images: Tensor, operations: Tensor, magnitudes: Tensor, sampling: Sampling) -> Tensor:
    """`chain` on a CPU: all that is done to one image, then the next."""
    _, channels, height, width = images.shape
    changed = ((operations != CODE["Identity"]) & (magnitudes != STILL[operations])).tolist()
    codes, numbers, read = operations.tolist(), magnitudes.tolist(), sampling.loop(channels)

    def change(b: int, k: int, image: np.ndarray, out: np.ndarray) -> None:
        name = OPERATIONS[codes[b][k]]
        if name in LOOPS:
            LOOPS[name](image, numbers[b][k], out)
        else:
            read(image, np.array(_map(name, numbers[b][k], (height, width)), np.float64), out)

    def work(given: np.ndarray, out: np.ndarray, start: int, stop: int) -> None:
        spare = np.empty(given.shape[1:], np.float32)
        for b in range(start, stop):
            image, left = given[b], [k for k in range(len(codes[b])) if changed[b][k]]
            if not left:
                out[b] = image
            while left:
                # In turn, so that the last writes the result
                done = out[b] if len(left) % 2 else spare
                change(b, left.pop(0), image, done)
                image = done

    return loops.on_images(images, work)


def at_once(images: Tensor, operations: Tensor, magnitudes: Tensor, sampling: Sampling) -> Tensor:
    """`chain` on any device."""
    for k in range(operations.shape[1]):
        images = _apply(images, operations[:, k], magnitudes[:, k], sampling)
    return images


def _apply(images: Tensor, operations: Tensor, magnitudes: Tensor, sampling: Sampling) -> Tensor:
    images, families = images.contiguous(), FAMILY[operations]
    done: list[Tensor] = [images] * len(images)
    for family in families.unique().tolist():
        rows = (families == family).nonzero().squeeze(1)
        first = int(rows[0])
        # One image is a view, not a copy
        some = images[first : first + 1] if len(rows) == 1 else images.index_select(0, rows.to(images.device))
        changed = FAMILIES[family][1](some, operations[rows], magnitudes[rows], sampling)
        for row, image in zip(rows.tolist(), changed.split(1), strict=True):
            done[row] = image
    return torch.cat(done)


@dataclass(frozen=True)
class RandAugment(Step):
    """`count` operations one after the other, each uniformly chosen, at one magnitude of `bins`: v2.RandAugment.

    The paper: N = count, M = magnitude.
    """

    count: int = 2
    magnitude: int = 9
    bins: int = 31
    sampling: Sampling = NEAREST

    def __post_init__(self) -> None:
        if self.count < 0 or not 0 <= self.magnitude < self.bins or self.bins < 2:
            raise InputError(f"randaugment: a count of at least 0 and a magnitude below the bins, 2 or more, not {self}")

    def draw(self, shape: torch.Size, generator: Generator) -> tuple[Tensor, ...]:
        """Operations and magnitudes (B, count)."""
        table = RAND.magnitudes(self.bins, (shape[2], shape[3]))
        return draw(RAND, table, torch.full((shape[0], self.count), self.magnitude), generator)

    def apply(self, images: Tensor, *drawn: Tensor) -> Tensor:
        operations, magnitudes = drawn
        return chain(images, operations, magnitudes, self.sampling)


@dataclass(frozen=True)
class TrivialAugmentWide(Step):
    """One operation, uniformly chosen, at a magnitude uniformly chosen of `bins`: v2.TrivialAugmentWide."""

    bins: int = 31
    sampling: Sampling = NEAREST

    def __post_init__(self) -> None:
        if self.bins < 2:
            raise InputError(f"trivialaugment: at least 2 bins, not {self.bins}")

    def draw(self, shape: torch.Size, generator: Generator) -> tuple[Tensor, ...]:
        """Operations and magnitudes (B, 1)."""
        bins = torch.randint(self.bins, (shape[0], 1), generator=generator)
        return draw(WIDE, WIDE.magnitudes(self.bins, (shape[2], shape[3])), bins, generator)

    def apply(self, images: Tensor, *drawn: Tensor) -> Tensor:
        operations, magnitudes = drawn
        return chain(images, operations, magnitudes, self.sampling)


@dataclass(frozen=True)
class AugMix(Step):
    """The image mixed with `width` chains of operations: v2.AugMix, without the paper's consistency loss.

    m x + (1 - m) sum_i w_i chain_i(x), m from Beta(alpha, alpha), w from Dirichlet(alpha, ..., alpha). A chain has
    `depth` operations, or 1 to 3 where depth is 0, each of a magnitude uniformly chosen of the `severity` lowest of 10.
    """

    severity: int = 3
    width: int = 3
    depth: int = 0
    alpha: float = 1.0
    colours: bool = True  # False leaves brightness, contrast, colour and sharpness out, which ImageNet-C tests
    sampling: Sampling = BILINEAR

    def __post_init__(self) -> None:
        if not 1 <= self.severity <= MIX_BINS or self.width < 1 or self.depth < 0 or not self.alpha > 0:
            raise InputError(
                f"augmix: severity 1 to {MIX_BINS}, a width of at least 1, a depth of at least 0, alpha above 0, not {self}"
            )

    def draw(self, shape: torch.Size, generator: Generator) -> tuple[Tensor, ...]:
        """The weights of the image and of each chain (B, 1 + width), operations and magnitudes (B, width, deepest).

        A chain that ends earlier goes on with Identity.
        """
        count, deepest = shape[0], self.depth or DEEPEST
        kept = dirichlet(count, 2, self.alpha, generator)[:, :1]
        weights = dirichlet(count, self.width, self.alpha, generator) * (1 - kept)
        space = MIX if self.colours else MIX_WITHOUT_COLOURS
        bins = torch.randint(self.severity, (count, self.width, deepest), generator=generator)
        operations, magnitudes = draw(space, space.magnitudes(MIX_BINS, (shape[2], shape[3])), bins, generator)
        if not self.depth:
            depths = torch.randint(1, DEEPEST + 1, (count, self.width, 1), generator=generator)
            operations[torch.arange(DEEPEST) >= depths] = CODE["Identity"]
        return torch.cat([kept, weights], dim=1), operations, magnitudes

    def apply(self, images: Tensor, *drawn: Tensor) -> Tensor:
        weights, operations, magnitudes = drawn
        mixed = images * beside(weights[:, 0], images)
        for i in range(self.width):
            end = chain(images, operations[:, i], magnitudes[:, i], self.sampling)
            mixed.addcmul_(end, beside(weights[:, 1 + i], images))
        return mixed.clamp_(0, 1)
