"""The compiled loops of the CPU against the batched arithmetic of the GPU, and what must not matter to them."""

import re
from collections.abc import Callable

import pytest
import torch
from data.draws import generator
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

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
@given(SIDES, SIDES, st.integers(1, 4), st.integers(1, 12), SEEDS)
def test_pieces_of_stored_images_wherever_they_lie(height: int, width: int, channels: int, size: int, seed: int) -> None:
    padding, draws = 30, generator(seed)
    # Rows and columns with a step, which is how a view of larger images lies in memory
    stored = levels(4, channels, (2 * height, 3 * width), seed)[:, ::2, ::3].permute(0, 3, 1, 2)
    tops, lefts = (torch.randint(side + 2 * padding - size + 1, (4,), generator=draws) for side in (height, width))
    drawn = tops, lefts, torch.tensor([True, False, True, False])
    step = RandomCrop(size, padding)
    expected = step.at_once(stored, *drawn)
    for memory in (stored, stored.contiguous(), stored.contiguous(memory_format=torch.channels_last)):
        assert torch.equal(step.one_by_one(memory, *drawn), expected)


FAR = 10_000_000
AWAY = ([FAR, 0, 5, 5], [0, FAR, 5, 5], [-1, 0, 5, 5], [0, -FAR, 5, 5], [2**63 - 1, 0, 1, 1], [-(2**63), 0, 1, 1])
LARGE = ([0, 0, 10, 5], [3, 0, 7, 5], [0, 0, 5, 9], [0, 0, 2**63 - 1, 5], [0, 0, 0, 1])


@pytest.mark.parametrize("box", [*AWAY, *LARGE])
def test_a_box_that_leaves_its_image_is_named(box: list[int]) -> None:
    stored, boxes = levels(3, 3, (9, 8), 0).permute(0, 3, 1, 2), torch.tensor([[0, 0, 9, 8], box, [1, 1, 3, 3]])
    with pytest.raises(ValueError, match=re.escape(f"{box}") + ".*9 x 8"):
        resample.resized_crop(stored, boxes, 5)


def test_a_box_and_a_side_for_each_image() -> None:
    stored, boxes = levels(3, 3, (9, 8), 0).permute(0, 3, 1, 2), torch.tensor([[0, 0, 9, 8]] * 3)
    for some, mirrored in ((boxes[:2], torch.zeros(3)), (boxes, torch.zeros(2)), (boxes[:, :3], torch.zeros(3))):
        with pytest.raises(ValueError, match=r"\(3, 4\)"):
            resample.resized_crop(stored, some, 5, mirrored.bool())


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
@given(SIDES, SIDES, st.integers(-90, 90), st.integers(-90, 90), st.sampled_from(["nearest", "bilinear"]))
def test_shifts_by_whole_pixels_copy_them(height: int, width: int, across: int, down: int, interpolation: str) -> None:
    some = images(1, 3, (height, width), 0)
    matrix = torch.tensor([[[1, 0, across], [0, 1, down]]], dtype=torch.float64)
    wide = F.pad(some - 0.5, (90,) * 4)[..., 90 + down : 90 + down + height, 90 + across : 90 + across + width] + 0.5
    torch.testing.assert_close(geometry.one_by_one(some, matrix, Sampling(interpolation, 0.5)), wide, atol=1e-7, rtol=0)


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


# --- numbers that no image should have

WILD = (float("nan"), float("inf"), float("-inf"), 1e30, -1e30, -7.0, 300.0)


def wild(channels: int, seed: int) -> Tensor:
    """Images of 14 x 17 pixels, a third of whose numbers are WILD; the first has nothing else."""
    some = images(6, channels, (14, 17), seed)
    chosen = torch.randint(len(WILD), some.shape, generator=generator(seed + 1))
    some = torch.where(torch.rand(some.shape, generator=generator(seed + 2)) < 1 / 3, torch.tensor(WILD)[chosen], some)
    some[0] = torch.tensor(WILD)[chosen[0]]
    return some


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", policies.OPERATIONS)
def test_wild_pixels_do_no_harm(name: str, channels: int) -> None:
    codes = torch.full((6, 1), policies.CODE[name])
    for sampling in (geometry.NEAREST, geometry.BILINEAR):
        for magnitude in (0.4, 3.0):
            some, magnitudes = wild(channels, 0), torch.full((6, 1), magnitude)
            made = policies.one_by_one(some, codes, magnitudes, sampling)
            assert torch.equal(policies.one_by_one(some, codes, magnitudes, sampling).isnan(), made.isnan())
            assert torch.equal(some.nan_to_num(), wild(channels, 0).nan_to_num()), "they are not written to"
    if name in ("Posterize", "Equalize"):
        assert made.min() >= 0
        assert made.max() <= 1


@pytest.mark.parametrize("name", ["Posterize", "Equalize"])
def test_wild_pixels_have_a_level(name: str) -> None:
    some, codes, bits = wild(3, 0), torch.full((6, 1), policies.CODE[name]), torch.full((6, 1), 4.0)
    made, expected = (way(some, codes, bits, geometry.NEAREST) for way in (policies.one_by_one, policies.at_once))
    assert (made - expected).abs().max() < 1e-6


def test_wild_pixels_are_recoloured_and_resized() -> None:
    some, boxes = wild(3, 0), torch.tensor([[1, 2, 9, 10]] * 6)
    for factor in (0.3, 3.0, *WILD):
        operations = torch.rand(6, 4, generator=generator()).argsort(dim=1)
        assert colour.one_by_one(some, operations, torch.full((6, 4), factor)).shape == some.shape
    assert resample.one_by_one(some, boxes, 7, torch.zeros(6, dtype=torch.bool)).shape == (6, 3, 7, 7)


@pytest.mark.parametrize("interpolation", ["nearest", "bilinear"])
@pytest.mark.parametrize("place", range(6))
@pytest.mark.parametrize("number", [*WILD, 1e300, 5e-324])
def test_wild_maps_read_no_memory_but_the_image(interpolation: str, place: int, number: float) -> None:
    matrix = torch.tensor([[1, 0.3, 0.1], [-0.2, 1, 0.4]], dtype=torch.float64)
    matrix.view(-1)[place] = number
    some, fill = 0.25 + 0.5 * images(3, 3, (33, 65), 0), 0.125
    made = geometry.one_by_one(some, matrix.expand(3, 2, 3), Sampling(interpolation, fill))
    # Whatever lies elsewhere in memory would hardly all be between the fill and the brightest pixel
    assert made.min() >= fill
    assert made.max() <= 0.75 + 1e-6


@pytest.mark.parametrize("channels", [2, 4])
def test_colours_of_other_than_one_or_three_channels_are_refused_by_both_ways(channels: int) -> None:
    some, codes = images(2, channels, (5, 6), 0), torch.zeros(2, 1, dtype=torch.int64)
    for way in (colour.one_by_one, colour.at_once):
        with pytest.raises(ValueError, match=rf"1 or 3 channels, not {channels}"):
            way(some, codes, torch.full((2, 1), 0.5))
    for way in (policies.one_by_one, policies.at_once):
        with pytest.raises(ValueError, match=rf"1 or 3 channels, not {channels}"):
            way(some, codes + policies.CODE["Contrast"], torch.full((2, 1), 0.5), geometry.NEAREST)
    with pytest.raises(ValueError, match=rf"1 or 3 channels, not {channels}"):
        colour.adjust_hue(some, 0.2)


def test_each_operation_has_its_factor() -> None:
    some, codes = images(2, 3, (5, 6), 0), torch.zeros(2, 4, dtype=torch.int64)
    for way in (colour.one_by_one, colour.at_once):
        with pytest.raises(RuntimeError):
            way(some, codes, torch.full((2, 3), 0.5))
