"""Operations with one parameter for each image against torchvision's v2.functional, image by image."""

from collections.abc import Callable

import pytest
import torch
import torchvision.transforms.v2.functional as V
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F
from torchvision.transforms import InterpolationMode

from saccade.data import augment
from saccade.data.augment import Sampling, geometry
from saccade.data.augment.colour import GREY, ColorJitter
from saccade.errors import InputError

COUNT = 12
CHANNELS = pytest.mark.parametrize("channels", [1, 3])


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def pixels(channels: int, sides: tuple[int, int] = (33, 40), seed: int = 0) -> Tensor:
    """uint8 images: smooth and noisy, dark and bright, one of them even, and one with grey pixels of every level."""
    noise = torch.randint(0, 256, (COUNT, channels, *sides), generator=generator(seed), dtype=torch.uint8)
    noise[1] = noise[1] // 4
    noise[2] = 255 - noise[2] // 8
    noise[3] = 77
    noise[4, :, :16, :16] = torch.arange(256, dtype=torch.uint8).view(16, 16)
    noise[5:9] = V.resize(noise[5:9, :, :5, :6], list(sides), antialias=True)
    return noise


def images(channels: int, sides: tuple[int, int] = (33, 40)) -> Tensor:
    return pixels(channels, sides).float() / 255


def draws(low: float, high: float, seed: int = 1) -> Tensor:
    return low + (high - low) * torch.rand(COUNT, generator=generator(seed), dtype=torch.float64)


ADJUSTMENTS: dict[str, tuple[Callable, Callable, Tensor]] = {
    "brightness": (augment.adjust_brightness, V.adjust_brightness, draws(0, 2)),
    "contrast": (augment.adjust_contrast, V.adjust_contrast, draws(0, 2)),
    "saturation": (augment.adjust_saturation, V.adjust_saturation, draws(0, 2)),
    "hue": (augment.adjust_hue, V.adjust_hue, draws(-0.5, 0.5)),
    "sharpness": (augment.adjust_sharpness, V.adjust_sharpness, draws(0, 3)),
    "solarize": (augment.solarize, V.solarize, draws(0, 1)),
}


@CHANNELS
@pytest.mark.parametrize("name", ADJUSTMENTS)
def test_each_image_is_adjusted_by_its_own_number_as_torchvision_does(name: str, channels: int) -> None:
    ours, theirs, values = ADJUSTMENTS[name]
    made = ours(images(channels), values)
    for image, value, result in zip(images(channels), values.tolist(), made, strict=True):
        assert (result - theirs(image, value)).abs().max() < 1e-5


@CHANNELS
@pytest.mark.parametrize("name", ["invert", "autocontrast", "equalize", "grayscale"])
def test_operations_without_a_number_are_torchvisions(name: str, channels: int) -> None:
    made = getattr(augment, name)(images(channels))
    theirs = {"grayscale": lambda image: V.rgb_to_grayscale(image, channels)}.get(name) or getattr(V, name)
    for image, result in zip(images(channels), made, strict=True):
        assert (result - theirs(image)).abs().max() < 1e-6


@CHANNELS
@pytest.mark.parametrize("bits", range(9))
def test_posterize_is_torchvisions_of_the_8_bit_image(bits: int, channels: int) -> None:
    assert torch.equal(augment.posterize(images(channels), bits), V.posterize(pixels(channels), bits).float() / 255)


@CHANNELS
def test_equalize_is_torchvisions_of_the_8_bit_image(channels: int) -> None:
    assert torch.equal(augment.equalize(images(channels)), V.equalize(pixels(channels)).float() / 255)


def test_equalize_of_few_pixels_and_of_two_levels() -> None:
    few = torch.tensor([[[[3, 200], [7, 3]]]], dtype=torch.uint8)
    two = torch.where(torch.arange(4096).view(1, 1, 64, 64) % 5 == 0, 9, 250).to(torch.uint8)
    for each in (few, two):
        assert torch.equal(augment.equalize(each.float() / 255), V.equalize(each).float() / 255)


@pytest.mark.parametrize("threshold", torch.linspace(1, 0, 31).tolist())
def test_solarize_turns_the_same_levels_as_torchvision_does_of_the_8_bit_image(threshold: float) -> None:
    every = torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16)
    theirs = V.solarize(every, 255 * threshold).float() / 255
    torch.testing.assert_close(augment.solarize(every.float() / 255, threshold), theirs, atol=1e-6, rtol=0)


@CHANNELS
@pytest.mark.parametrize("kernel", [1, 3, 5, 23])
def test_gaussian_blur_is_torchvisions(kernel: int, channels: int) -> None:
    sigmas = draws(0.1, 3)
    made = augment.gaussian_blur(images(channels), kernel, sigmas)
    for image, sigma, result in zip(images(channels), sigmas.tolist(), made, strict=True):
        assert (result - V.gaussian_blur(image, [kernel, kernel], [sigma, sigma])).abs().max() < 1e-5


@pytest.mark.parametrize("sides", [(1, 5), (2, 2), (3, 3), (3, 9)])
def test_sharpness_of_small_images_is_torchvisions(sides: tuple[int, int]) -> None:
    small = torch.rand(2, 3, *sides, generator=generator())
    torch.testing.assert_close(augment.adjust_sharpness(small, 1.7), V.adjust_sharpness(small, 1.7), atol=1e-6, rtol=0)


def test_hue_of_primary_colours_and_of_a_whole_turn() -> None:
    red, green, blue = torch.eye(3).view(3, 1, 3, 1, 1)
    third = 1 / 3
    torch.testing.assert_close(augment.adjust_hue(red, third), green, atol=1e-6, rtol=0)
    torch.testing.assert_close(augment.adjust_hue(red, -third), blue, atol=1e-6, rtol=0)
    torch.testing.assert_close(augment.adjust_hue(images(3), 0.5), augment.adjust_hue(images(3), -0.5), atol=1e-5, rtol=0)


def test_recolour_with_hue_is_torchvisions_in_the_same_order() -> None:
    order = torch.rand(COUNT, 4, generator=generator(1)).argsort(dim=1)
    factors = torch.stack([draws(0.5, 1.5, seed) for seed in range(4)], dim=1)
    factors[order == augment.HUE] -= 1
    adjust = (V.adjust_brightness, V.adjust_contrast, V.adjust_saturation, V.adjust_hue)
    made = augment.recolour(images(3), order, factors)
    for image, operations, numbers, result in zip(images(3), order.tolist(), factors.tolist(), made, strict=True):
        for operation, number in zip(operations, numbers, strict=True):
            image = adjust[operation](image, number)
        assert (result - image).abs().max() < 1e-4  # contrast above 1 after a hue of a nearly grey pixel magnifies


# --- affine maps


def random_maps() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    shifts = torch.stack([draws(-9, 9, 2), draws(-9, 9, 3)], dim=1).round()
    return draws(-180, 180), shifts, draws(0.4, 2, 4), torch.stack([draws(-30, 30, 5), draws(-30, 30, 6)], dim=1)


def share_of_different_pixels(a: Tensor, b: Tensor, tolerance: float) -> float:
    return ((a - b).abs() > tolerance).float().mean().item()


@CHANNELS
@pytest.mark.parametrize("interpolation", ["nearest", "bilinear"])
@pytest.mark.parametrize("center", [(0.0, 0.0), (-20.0, -16.5)])
@pytest.mark.parametrize("way", [geometry.one_by_one, geometry.at_once])
def test_warp_is_torchvisions_affine(way: Callable, interpolation: str, channels: int, center: tuple[float, float]) -> None:
    angles, shifts, scales, shears = random_maps()
    matrices = augment.affine_matrices(angles, shifts, scales, shears, center)
    made = way(images(channels), matrices, Sampling(interpolation))
    mode = InterpolationMode(interpolation)
    corner = [center[0] + 20.0, center[1] + 16.5]
    for i, image in enumerate(images(channels)):
        numbers = angles[i].item(), shifts[i].tolist(), scales[i].item(), shears[i].tolist()
        theirs = V.affine(image, *numbers, mode, center=corner)
        # A place halfway between two pixels may be rounded to either
        assert share_of_different_pixels(made[i], theirs, 2e-4) <= (0.002 if interpolation == "nearest" else 0)


@pytest.mark.parametrize("interpolation", ["nearest", "bilinear"])
def test_rotate_is_torchvisions(interpolation: str) -> None:
    angles = torch.tensor([0.0, 90.0, 180.0, -90.0, *draws(-180, 180)[4:].tolist()], dtype=torch.float64)
    square = images(3, (33, 33))
    made = augment.rotate(square, angles, Sampling(interpolation))
    for image, angle, result in zip(square, angles.tolist(), made, strict=True):
        theirs = V.rotate(image, angle, InterpolationMode(interpolation))
        # At one of these angles the places of four of the 1089 pixels are 5e-7 of a pixel from halfway between two
        assert share_of_different_pixels(result, theirs, 2e-4) <= (0.004 if interpolation == "nearest" else 0)


@pytest.mark.parametrize("fill", [0.25, (0.1, 0.5, 0.9)])
@pytest.mark.parametrize("interpolation", ["nearest", "bilinear"])
def test_outside_lies_the_fill(fill: float | tuple[float, ...], interpolation: str) -> None:
    """The oracle has a wide margin of the fill around the image, so that there is no border to treat."""
    maps = augment.affine_matrices(*random_maps())
    made = augment.warp(images(3), maps, Sampling(interpolation, fill))
    colour = torch.as_tensor(fill).view(1, -1, 1, 1)
    wide = F.pad(images(3) - colour, (100,) * 4) + colour
    theirs = augment.warp(wide, maps, Sampling(interpolation))[..., 100:-100, 100:-100]
    assert share_of_different_pixels(made, theirs, 2e-4) <= (0.002 if interpolation == "nearest" else 0)


def test_the_fill_is_torchvisions_but_on_the_rim() -> None:
    angles = draws(-180, 180)
    made = augment.rotate(images(3), angles, Sampling("bilinear", (0.1, 0.5, 0.9)))
    inner = augment.rotate(torch.ones(COUNT, 1, 33, 40), angles, Sampling("bilinear"))
    whole = ((inner < 1e-6) | (inner > 1 - 1e-6)).expand_as(made)
    pairs = zip(images(3), angles.tolist(), strict=True)
    theirs = torch.stack([V.rotate(x, a, InterpolationMode.BILINEAR, fill=[0.1, 0.5, 0.9]) for x, a in pairs])
    assert 0.7 < whole.float().mean() < 0.99
    assert (made - theirs)[whole].abs().max() < 2e-4


def test_an_unknown_interpolation_names_the_near_one() -> None:
    with pytest.raises(InputError, match='did you mean "bilinear"'):
        Sampling("biliner")


# --- laws

IDENTITIES: dict[str, Callable[[Tensor], Tensor]] = {
    "brightness": lambda x: augment.adjust_brightness(x, 1.0),
    "contrast": lambda x: augment.adjust_contrast(x, 1.0),
    "saturation": lambda x: augment.adjust_saturation(x, 1.0),
    "hue": lambda x: augment.adjust_hue(x, 0.0),
    "sharpness": lambda x: augment.adjust_sharpness(x, 1.0),
    "posterize": lambda x: augment.posterize(x, 8),
    "solarize": lambda x: augment.solarize(x, 1.1),
    "blur of one pixel": lambda x: augment.gaussian_blur(x, 1, 1.0),
    "rotation": lambda x: augment.rotate(x, 0.0, Sampling("bilinear")),
    "erasing nothing": lambda x: augment.erase(x, torch.zeros(len(x), 4, dtype=torch.int64)),
}


@settings(max_examples=15, deadline=None)
@given(st.sampled_from([1, 3]), st.integers(1, 9), st.integers(1, 9), st.integers(0, 2**32))
@pytest.mark.parametrize("name", IDENTITIES)
def test_the_identity_is_the_identity_bit_for_bit(name: str, channels: int, height: int, width: int, seed: int) -> None:
    some = torch.rand(3, channels, height, width, generator=generator(seed))
    assert torch.equal(IDENTITIES[name](some), some)


@settings(max_examples=30, deadline=None)
@given(st.sampled_from([1, 3]), st.integers(1, 12), st.integers(0, 2**32))
def test_inverting_twice_and_solarizing_at_zero(channels: int, side: int, seed: int) -> None:
    some = torch.rand(2, channels, side, side, generator=generator(seed))
    torch.testing.assert_close(augment.invert(augment.invert(some)), some, atol=1e-6, rtol=0)
    assert torch.equal(augment.solarize(some, 0.0), augment.invert(some))


@settings(max_examples=30, deadline=None)
@given(st.floats(-180, 180), st.integers(0, 2**32))
def test_the_middle_of_an_odd_image_stays_where_it_is_turned(angle: float, seed: int) -> None:
    some = torch.rand(1, 1, 9, 9, generator=generator(seed))
    assert augment.rotate(some, angle, Sampling("nearest"))[0, 0, 4, 4] == some[0, 0, 4, 4]


def test_operations_leave_their_images_alone_whatever_the_memory_format() -> None:
    for memory in (torch.contiguous_format, torch.channels_last):
        given_images = images(3).contiguous(memory_format=memory)
        before = given_images.clone()
        for ours, _, values in ADJUSTMENTS.values():
            assert (ours(given_images, values) - ours(images(3), values)).abs().max() < 1e-6
        assert torch.equal(given_images, before)


def test_grayscale_has_the_published_weights() -> None:
    colours = torch.eye(3).view(3, 3, 1, 1)
    assert augment.grayscale(colours)[:, 0, 0, 0].tolist() == pytest.approx(GREY)


@pytest.mark.parametrize("wrong", [{"brightness": -0.1}, {"hue": 0.6}, {"hue": -0.1}])
def test_jitter_refuses_what_cannot_be(wrong: dict[str, float]) -> None:
    with pytest.raises(InputError, match="hue"):
        ColorJitter(**wrong)
