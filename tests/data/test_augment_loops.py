"""The compiled loops of the CPU against the batched arithmetic of the GPU, and what must not matter to them."""

from collections.abc import Callable

import pytest
import torch
from data.draws import generator
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from saccade.data import resample
from saccade.data.augment import (
    HUE,
    Augment,
    AugMix,
    RandAugment,
    RandomAffine,
    RandomCrop,
    Sampling,
    affine_matrices,
    colour,
    geometry,
    loops,
    policies,
    random_resized_crop_boxes,
)
from saccade.data.preprocess import pixels_to_float

SIDES = st.integers(1, 40)
CHANNELS = st.sampled_from([1, 3])
SEEDS = st.integers(0, 2**32)


def levels(count: int, channels: int, sides: tuple[int, int], seed: int) -> Tensor:
    """uint8 (B, H, W, C) as stored."""
    return torch.randint(0, 256, (count, *sides, channels), generator=generator(seed), dtype=torch.uint8)


def images(count: int, channels: int, sides: tuple[int, int], seed: int) -> Tensor:
    return pixels_to_float(levels(count, channels, sides, seed)).contiguous()


@settings(max_examples=60, deadline=None)
@given(SIDES, SIDES, st.integers(1, 50), CHANNELS, SEEDS)
def test_crops_are_those_of_the_products(height: int, width: int, size: int, channels: int, seed: int) -> None:
    stored = levels(4, channels, (height, width), seed).permute(0, 3, 1, 2)
    boxes = random_resized_crop_boxes(4, (height, width), (0.01, 1.0), (0.3, 3.0), generator(seed))
    mirrored = torch.tensor([True, False, True, False])
    made = resample.one_by_one(stored, boxes, size, mirrored)
    assert (made - resample.by_products(stored, boxes, size, mirrored)).abs().max() < 1e-5
    for memory in (torch.contiguous_format, torch.channels_last):
        floats = pixels_to_float(stored.permute(0, 2, 3, 1)).contiguous(memory_format=memory)
        assert torch.equal(resample.one_by_one(floats, boxes, size, mirrored), made)


@settings(max_examples=60, deadline=None)
@given(SIDES, SIDES, st.integers(0, 9), CHANNELS, SEEDS)
def test_padded_crops_are_those_of_whole_batches(height: int, width: int, padding: int, channels: int, seed: int) -> None:
    stored = levels(5, channels, (height, width), seed).permute(0, 3, 1, 2)
    step = RandomCrop(min(height, width) + 2 * padding - seed % 3 * padding // 2 or 1, padding, flip=True)
    drawn = step.draw(stored.shape, generator(seed))
    assert torch.equal(step.one_by_one(stored, *drawn), step.at_once(stored, *drawn))


@settings(max_examples=60, deadline=None)
@given(SIDES, SIDES, CHANNELS, SEEDS)
def test_colours_are_those_of_whole_batches(height: int, width: int, channels: int, seed: int) -> None:
    some = images(4, channels, (height, width), seed)
    order = torch.rand(4, 4, generator=generator(seed)).argsort(dim=1)
    factors = 0.5 + torch.rand(4, 4, generator=generator(seed + 1))
    factors[order == HUE] -= 1
    made = colour.one_by_one(some, order, factors)
    assert (made - colour.at_once(some, order, factors)).abs().max() < 1e-5
    assert torch.equal(made, colour.one_by_one(some.contiguous(memory_format=torch.channels_last), order, factors))


@settings(max_examples=60, deadline=None)
@given(SIDES, SIDES, CHANNELS, st.sampled_from([0.0, 0.25, (0.1, 0.5, 0.9)]), SEEDS)
def test_maps_are_those_of_whole_batches(height: int, width: int, channels: int, fill: object, seed: int) -> None:
    fill = fill if channels == 3 or isinstance(fill, float) else 0.5
    some, drawn = images(5, channels, (height, width), seed), torch.rand(5, 6, generator=generator(seed)).double() - 0.5
    matrices = affine_matrices(360 * drawn[:, 0], 20 * drawn[:, 1:3], 1 + drawn[:, 3], 60 * drawn[:, 4:])
    matrices[4] = torch.eye(2, 3)
    smooth, sharp = (Sampling(each, fill) for each in ("bilinear", "nearest"))
    ways = geometry.one_by_one, geometry.at_once
    made, expected = (way(some, matrices, smooth) for way in ways)
    assert (made - expected).abs().max() < 1e-4
    assert torch.equal(made[4], some[4])
    made, expected = (way(some, matrices, sharp) for way in ways)
    x = torch.stack(torch.meshgrid(torch.arange(width), torch.arange(height), indexing="xy"), dim=2).double()
    sides = torch.tensor([width - 1, height - 1]) / 2
    places = torch.einsum("bij,hwj->bhwi", matrices[:, :, :2], x - sides) + matrices[:, None, None, :, 2] + sides
    halfway = ((places - places.floor() - 0.5).abs() < 1e-4).any(dim=3)
    assert not (((made - expected).abs() > 1e-6).any(dim=1) & ~halfway).any()


@settings(max_examples=40, deadline=None)
@given(SIDES, SIDES, CHANNELS, SEEDS)
def test_operations_are_those_of_whole_batches(height: int, width: int, channels: int, seed: int) -> None:
    names = ("Brightness", "Contrast", *(["Color"] if channels == 3 else []), "Sharpness", *policies.TONES, "Identity")
    operations = torch.tensor([[policies.CODE[name]] for name in names])
    bins = torch.randint(31, operations.shape, generator=generator(seed))
    magnitudes = policies.WIDE.magnitudes(31, (height, width))[operations, bins]
    some = images(len(names), channels, (height, width), seed)
    ways = policies.one_by_one, policies.at_once
    made, expected = (way(some, operations, magnitudes, geometry.NEAREST) for way in ways)
    assert (made - expected).abs().max() < 1e-6


def test_an_operation_takes_what_the_one_before_it_gives() -> None:
    step, some = RandAugment(count=5), images(40, 3, (21, 30), 0)
    operations, magnitudes = step.draw(some.shape, generator(1))
    made = policies.one_by_one(some, operations, magnitudes, step.sampling)
    expected = some
    for k in range(5):
        expected = policies.one_by_one(expected, operations[:, k : k + 1], magnitudes[:, k : k + 1], step.sampling)
    assert torch.equal(made, expected)
    assert torch.equal(policies.one_by_one(some, operations[:, :0], magnitudes[:, :0], step.sampling), some)


ALL = Augment("resized", 24, flip=True, brightness=0.3, contrast=0.3, saturation=0.3, hue=0.1, policy="trivialaugment")
WORKS: dict[str, Callable[[Tensor], Tensor]] = {
    "crop, colours, policy": lambda pixels: ALL.of_pixels(pixels, generator(3)),
    "augmix": lambda pixels: AugMix()(pixels_to_float(pixels), generator(3)),
    "affine": lambda pixels: RandomAffine((-90, 90), (0.2, 0.2))(pixels_to_float(pixels), generator(3)),
}


@pytest.mark.parametrize("name", WORKS)
def test_the_number_of_threads_does_not_matter(name: str) -> None:
    pixels, before = levels(13, 3, (30, 41), 0), torch.get_num_threads()
    try:
        made = []
        for threads in (1, 2, 3, 20):
            torch.set_num_threads(threads)
            made.append(WORKS[name](pixels))
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(each, made[0]) for each in made)


@pytest.mark.parametrize("name", WORKS)
@pytest.mark.parametrize("count", [0, 1])
def test_batches_of_no_image_and_of_one(name: str, count: int) -> None:
    pixels = levels(count, 3, (30, 41), 0)
    assert len(WORKS[name](pixels)) == count


def test_float64_and_gradients_are_left_to_torch() -> None:
    some = images(2, 3, (9, 8), 0)
    assert loops.fit(some)
    assert colour.adjust_contrast(some.double(), 0.5).dtype == torch.float64
    some.requires_grad_()
    made = geometry.rotate(some, 30.0, geometry.BILINEAR)
    made = resample.resized_crop(made, torch.tensor([[1, 1, 7, 6]] * 2), 5)
    (gradient,) = torch.autograd.grad(made.sum(), some)
    assert gradient.abs().sum() > 0


def test_values_just_outside_0_and_1_have_a_level() -> None:
    some = torch.tensor([-1e-6, 1 + 1e-5] * 8).view(1, 1, 4, 4)
    for way in (policies.one_by_one, policies.at_once):
        for name in ("Equalize", "Posterize"):
            made = way(some, torch.tensor([[policies.CODE[name]]]), torch.tensor([[4.0]]), geometry.NEAREST)
            assert made.unique().tolist() == pytest.approx([0, 1 if name == "Equalize" else 240 / 255])
