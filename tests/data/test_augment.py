"""The batched augmentation against torchvision's v2 transforms, image by image and in distribution."""

import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision.transforms.v2.functional as V
from data.draws import LEAST_P, generator, same_distribution
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest, chisquare
from sklearn.datasets import load_sample_images
from torch import Tensor, nn
from torchvision.transforms import v2

from saccade.data import augment
from saccade.data.augment import BRIGHTNESS, CONTRAST, SATURATION, Augment, colour
from saccade.data.preprocess import LEAST_STD, Preprocess, center_crop, pixels_to_float, statistics_of
from saccade.data.resample import by_products, one_by_one, resized_crop, triangle_weights
from saccade.errors import InputError

SIDE = 201
DRAWS = 4000


@pytest.fixture(scope="module")
def stored() -> np.ndarray:
    """Eight real photographs, uint8 (8, 201, 201, 3): four pieces of each of sklearn's two."""
    pieces = []
    for image in load_sample_images().images:
        tensor = torch.from_numpy(np.array(image)).permute(2, 0, 1)
        for top, left in ((0, 0), (0, 213), (20, 100), (27, 240)):
            pieces.append(V.resized_crop(tensor, top, left, 400, 400, [SIDE, SIDE], antialias=True))
    return torch.stack(pieces).permute(0, 2, 3, 1).contiguous().numpy()


@pytest.fixture(scope="module")
def photographs(stored: np.ndarray) -> Tensor:
    return pixels_to_float(torch.from_numpy(stored))


# --- resized crops


@pytest.mark.parametrize("size", [32, 64, 176, 201, 240])
@pytest.mark.parametrize("memory", [torch.contiguous_format, torch.channels_last])
def test_resized_crop_gives_torchvisions_pixels(photographs: Tensor, size: int, memory: torch.memory_format) -> None:
    images = photographs.contiguous(memory_format=memory)
    boxes = augment.random_resized_crop_boxes(len(images), (SIDE, SIDE), (0.02, 1.0), (0.5, 2.0), generator(size))
    boxes[0], boxes[1] = torch.tensor([0, 0, SIDE, SIDE]), torch.tensor([SIDE - 3, SIDE - 1, 3, 1])
    mirrored = torch.arange(len(images)) % 3 == 0
    ours = resized_crop(images, boxes, size, mirrored)
    assert ours.shape == (len(images), 3, size, size)
    for image, box, mirror, result in zip(images, boxes.tolist(), mirrored, ours, strict=True):
        theirs = V.resized_crop(image, *box, [size, size], antialias=True)
        theirs = V.horizontal_flip(theirs) if mirror else theirs
        assert (result - theirs).abs().max() < 1e-4


def test_resized_crop_of_one_channel_and_unequal_sides(photographs: Tensor) -> None:
    images = photographs[:, :1, :150, :97]
    boxes = torch.tensor([[10, 5, 120, 60]] * len(images))
    theirs = V.resized_crop(images, 10, 5, 120, 60, [28, 28], antialias=True)
    assert (resized_crop(images, boxes, 28) - theirs).abs().max() < 1e-4


@pytest.mark.parametrize("size", [32, 176, 240])
def test_both_ways_to_resize_give_the_same_pixels(photographs: Tensor, size: int) -> None:
    boxes = augment.random_resized_crop_boxes(len(photographs), (SIDE, SIDE), (0.02, 1.0), (0.5, 2.0), generator(size))
    mirrored = torch.arange(len(photographs)) % 3 == 0
    once, at_once = (way(photographs, boxes, size, mirrored) for way in (one_by_one, by_products))
    assert (once - at_once).abs().max() < 1e-4


def test_resized_crop_is_the_same_under_autocast(photographs: Tensor) -> None:
    boxes = torch.tensor([[3, 9, 100, 120]] * len(photographs))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        under = by_products(photographs, boxes, 64, boxes[:, 0] < 0)
    assert torch.equal(under, by_products(photographs, boxes, 64, boxes[:, 0] < 0))


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 40), st.floats(0, 0.95), st.floats(0.001, 1), st.integers(1, 50))
def test_every_row_of_weights_is_an_average_within_the_piece(side: int, place: float, share: float, size: int) -> None:
    start = torch.tensor([place * side])
    length = (side - start) * share
    weights = triangle_weights(start, length, size, side)
    assert weights.min() >= 0
    torch.testing.assert_close(weights.sum(dim=2), torch.ones(1, size))
    outside = (torch.arange(side) + 1 <= start) | (torch.arange(side) >= start + length)
    assert weights[0][:, outside].sum() == 0


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 4), st.sampled_from([1, 3]), st.integers(1, 24), st.integers(0, 2**32))
def test_the_whole_image_at_its_own_size_is_the_image(count: int, channels: int, side: int, seed: int) -> None:
    images = torch.rand(count, channels, side, side, generator=generator(seed))
    boxes = torch.tensor([[0, 0, side, side]] * count)
    torch.testing.assert_close(resized_crop(images, boxes, side), images)
    mirrored = torch.rand(count, generator=generator(seed)) < 0.5
    once = resized_crop(images, boxes, side, mirrored)
    torch.testing.assert_close(once, torch.where(mirrored[:, None, None, None], images.flip(3), images))
    torch.testing.assert_close(resized_crop(once, boxes, side, mirrored), images)


def their_boxes(height: int, width: int, transform: nn.Module) -> Tensor:
    image = torch.zeros(3, height, width)
    keys = ("top", "left", "height", "width")
    drawn = (transform.make_params([image]) for _ in range(DRAWS))
    return torch.tensor([[params[key] for key in keys] for params in drawn])


@pytest.mark.parametrize(
    ("height", "width", "scale", "ratio"),
    [
        (201, 201, (0.35, 1.0), (3 / 4, 4 / 3)),
        (201, 201, (0.08, 1.0), (3 / 4, 4 / 3)),
        (32, 32, (0.9, 1.0), (0.5, 2.0)),
        (100, 190, (0.6, 1.0), (3 / 4, 4 / 3)),
    ],
)
@pytest.mark.usefixtures("seeded")
def test_boxes_are_distributed_as_torchvisions(
    height: int, width: int, scale: tuple[float, float], ratio: tuple[float, float]
) -> None:
    theirs = their_boxes(height, width, v2.RandomResizedCrop(8, scale=scale, ratio=ratio))
    ours = augment.random_resized_crop_boxes(DRAWS, (height, width), scale, ratio, generator())
    for name, measure in {
        "area": lambda b: b[:, 2] * b[:, 3],
        "ratio": lambda b: b[:, 3] / b[:, 2],
        "top": lambda b: b[:, 0],
        "left": lambda b: b[:, 1],
        "bottom": lambda b: b[:, 0] + b[:, 2],
        "place": lambda b: b[:, 1] / (width - b[:, 3]).clamp(min=1),
    }.items():
        assert same_distribution(measure(ours), measure(theirs)), name
    assert ours[:, :2].min() >= 0
    assert (ours[:, 0] + ours[:, 2]).max() <= height
    assert (ours[:, 1] + ours[:, 3]).max() <= width


def test_every_place_of_a_box_is_equally_likely() -> None:
    boxes = augment.random_resized_crop_boxes(8000, (6, 6), (0.25, 0.25), (1.0, 1.0), generator())
    assert (boxes[:, 2:] == 3).all()
    assert chisquare(torch.bincount(boxes[:, 0] * 4 + boxes[:, 1], minlength=16).numpy()).pvalue > LEAST_P


@pytest.mark.parametrize(("height", "width"), [(50, 400), (400, 50), (60, 60)])
@pytest.mark.usefixtures("seeded")
def test_the_box_when_no_try_fits_is_torchvisions(height: int, width: int) -> None:
    # A share of more than the whole never fits
    scale, ratio = (8.5, 9.0), (3 / 4, 4 / 3)
    theirs = v2.RandomResizedCrop(8, scale=scale, ratio=ratio).make_params([torch.zeros(3, height, width)])
    ours = augment.random_resized_crop_boxes(5, (height, width), scale, ratio, generator())
    assert ours.tolist() == [[theirs[key] for key in ("top", "left", "height", "width")]] * 5


# --- padding, flips


@pytest.mark.parametrize(("size", "padding"), [(201, 4), (176, 8), (32, 0)])
def test_pad_and_crop_gives_torchvisions_pixels(photographs: Tensor, size: int, padding: int) -> None:
    ours = augment.RandomCrop(size, padding)(photographs, generator(3))
    drawn, spare = generator(3), SIDE + 2 * padding - size + 1
    tops, lefts = (torch.randint(spare, (len(photographs),), generator=drawn).tolist() for _ in range(2))
    for image, top, left, result in zip(photographs, tops, lefts, ours, strict=True):
        assert torch.equal(result, V.crop(V.pad(image, [padding] * 4), top, left, size, size))


def test_pad_and_crop_places_are_uniform() -> None:
    count, padding = 8100, 4
    # Pixel values name the place: where the crop's middle came from tells its offset
    image = torch.arange(1.0, 65.0).view(1, 1, 8, 8).expand(count, 1, 8, 8)
    middle = augment.RandomCrop(8, padding)(image, generator())[:, 0]
    first = (middle > 0).float().flatten(1).argmax(dim=1)
    row, column = first // 8, first % 8
    value = middle.flatten(1).gather(1, first[:, None]).squeeze(1).long() - 1
    top, left = value // 8 - row + padding, value % 8 - column + padding
    assert chisquare(torch.bincount(top * 9 + left, minlength=81).numpy()).pvalue > LEAST_P


def test_pad_and_crop_mirrors_and_refuses_too_large_a_size(photographs: Tensor) -> None:
    mirrored = torch.arange(len(photographs)) % 2 == 0
    crop = augment.RandomCrop(180, 4)
    *places, still = crop.draw(photographs.shape, generator(5))
    plain = crop.apply(photographs, *places, still)
    both = crop.apply(photographs, *places, mirrored)
    assert torch.equal(both, torch.where(mirrored[:, None, None, None], plain.flip(3), plain))
    with pytest.raises(ValueError, match="padded by 4"):
        augment.RandomCrop(SIDE + 9, 4)(photographs, generator())


@pytest.mark.parametrize("crop", ["none", "pad", "resized"])
def test_half_of_the_images_are_mirrored(crop: str) -> None:
    count, side = 4000, 6
    ramp = torch.linspace(0.2, 1, side).expand(count, 1, side, side)
    made = Augment(crop, side, padding=0, scale=(1.0, 1.0), ratio=(1.0, 1.0), flip=True)(ramp, generator())
    flipped = made[:, 0, 3, 0] > made[:, 0, 3, -1]
    assert binomtest(int(flipped.sum()), count, 0.5).pvalue > LEAST_P
    torch.testing.assert_close(torch.where(flipped[:, None, None, None], made.flip(3), made), ramp)


# --- colours

ADJUST = {BRIGHTNESS: V.adjust_brightness, CONTRAST: V.adjust_contrast, SATURATION: V.adjust_saturation}


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("way", [colour.one_by_one, colour.at_once])
def test_recolour_gives_torchvisions_pixels(photographs: Tensor, way: Callable, channels: int) -> None:
    images = photographs[:, :channels]
    kinds = 3 if channels == 3 else 2
    operations = torch.rand(len(images), kinds, generator=generator(1)).argsort(dim=1)
    factors = 2 * torch.rand(len(images), kinds, generator=generator(2))
    ours = way(images, operations, factors)
    for image, order, strengths, result in zip(images, operations.tolist(), factors.tolist(), ours, strict=True):
        for operation, factor in zip(order, strengths, strict=True):
            image = ADJUST[operation](image, factor)
        assert (result - image).abs().max() < 1e-5


@pytest.mark.parametrize("strength", [0.3, 0.4, 1.0, 1.5])
@pytest.mark.usefixtures("seeded")
def test_brightness_factors_are_distributed_as_torchvisions(strength: float) -> None:
    # Dim enough for no factor to reach the clamp at 1
    images = torch.full((DRAWS, 1, 2, 2), 0.25)
    ours = augment.ColorJitter(strength, 0, 0)(images, generator())[:, 0, 0, 0]
    transform = v2.ColorJitter(brightness=strength)
    theirs = torch.stack([transform(image)[0, 0, 0] for image in images])
    assert same_distribution(ours, theirs)


@pytest.mark.usefixtures("seeded")
def test_jitter_is_distributed_as_torchvisions() -> None:
    # Bright enough for the clamp to act, so that the order of the three matters
    image = torch.tensor([[[0.9, 0.2], [0.7, 0.1]], [[0.5, 0.8], [0.3, 0.1]], [[0.1, 0.6], [0.9, 0.1]]])
    ours = augment.ColorJitter(0.6, 0.7, 0.8)(image.expand(DRAWS, 3, 2, 2), generator()).flatten(1)
    transform = v2.ColorJitter(brightness=0.6, contrast=0.7, saturation=0.8)
    theirs = torch.stack([transform(image) for _ in range(DRAWS)]).flatten(1)
    for place in range(12):
        assert same_distribution(ours[:, place], theirs[:, place]), place


def test_the_order_of_colour_changes_is_uniform(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Tensor] = []
    monkeypatch.setattr(augment.colour, "recolour", lambda images, operations, factors: seen.append(operations) or images)
    augment.ColorJitter(0.4, 0.4, 0.4)(torch.rand(6000, 3, 1, 1), generator())
    augment.ColorJitter(0.4, 0.4, 0.4)(torch.rand(9, 1, 1, 1), generator())
    counts = torch.unique(seen[0], dim=0, return_counts=True)[1]
    assert len(counts) == math.factorial(3)
    assert chisquare(counts.numpy()).pvalue > LEAST_P
    assert SATURATION not in seen[1]


@settings(max_examples=20, deadline=None)
@given(st.sampled_from([1, 3]), st.integers(1, 8), st.integers(0, 2**32))
def test_no_jitter_changes_nothing(channels: int, side: int, seed: int) -> None:
    images = torch.rand(3, channels, side, side, generator=generator(seed))
    assert augment.ColorJitter(0, 0, 0)(images, generator(seed)) is images
    operations = torch.rand(3, 3, generator=generator(seed)).argsort(dim=1)
    torch.testing.assert_close(augment.recolour(images, operations, torch.ones(3, 3)), images)


# --- the whole


@pytest.mark.parametrize("crop", ["none", "pad", "resized"])
def test_the_generators_seed_decides_the_result(photographs: Tensor, crop: str) -> None:
    policy = Augment(crop, 176, flip=True, brightness=0.2, contrast=0.2, saturation=0.2)
    before = photographs.clone()
    once, again = policy(photographs, generator(7)), policy(photographs, generator(7))
    assert torch.equal(once, again)
    assert not torch.equal(once, policy(photographs, generator(8)))
    assert torch.equal(photographs, before), "the stored images are left alone"
    assert once.shape == (len(photographs), 3, 176, 176)
    assert once.dtype == torch.float32
    assert once.min() >= 0
    assert once.max() <= 1


def test_nothing_to_do_gives_the_images_as_they_are(photographs: Tensor) -> None:
    assert Augment("none", SIDE)(photographs, generator()) is photographs
    assert torch.equal(Augment("none", 176)(photographs, generator()), V.center_crop(photographs, [176, 176]))


def test_an_unknown_crop_names_the_near_one() -> None:
    with pytest.raises(InputError, match='did you mean "resized"'):
        Augment("resize", 176)


# --- evaluation


@pytest.mark.parametrize("size", [1, 28, 176, 177, 178, 200, 201])
def test_center_is_torchvisions(photographs: Tensor, size: int) -> None:
    assert torch.equal(center_crop(photographs, size), V.center_crop(photographs, [size, size]))


def test_preprocess_equals_torchvisions_steps(stored: np.ndarray) -> None:
    mean, std = statistics_of(stored, np.arange(len(stored)))
    preprocess = Preprocess(176, SIDE, mean, std, 3)
    steps = v2.Compose([v2.CenterCrop(176), v2.ToDtype(torch.float32, scale=True), v2.Normalize(mean, std)])
    pixels = torch.from_numpy(stored)
    made = preprocess(pixels)
    torch.testing.assert_close(made, steps(pixels.permute(0, 3, 1, 2)), atol=1e-5, rtol=1e-5, check_stride=False)
    assert made.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(made, preprocess.normalize(preprocess.center(preprocess.pixels_to_float(pixels))))


def test_preprocess_survives_json() -> None:
    preprocess = Preprocess(28, 32, (0.1307,), (1 / 3,), 1)
    assert Preprocess.from_dict(json.loads(json.dumps(preprocess.to_dict()))) == preprocess


@pytest.mark.parametrize("wrong", [{"size": 33}, {"size": 0}, {"std": (0.5, 0.5)}])
def test_preprocess_refuses_what_cannot_be(wrong: dict[str, object]) -> None:
    values = {"size": 28, "stored": 32, "mean": (0.5,), "std": (0.5,), "channels": 1}
    with pytest.raises(InputError):
        Preprocess.from_dict(values | wrong)


def test_statistics_are_those_of_the_chosen_images(stored: np.ndarray, tmp_path: Path) -> None:
    np.save(tmp_path / "pixels.npy", stored)
    mapped = np.load(tmp_path / "pixels.npy", mmap_mode="r")
    chosen = np.array([6, 1, 3])
    mean, std = statistics_of(mapped, chosen)
    np.testing.assert_allclose(mean, stored[chosen].mean(axis=(0, 1, 2)) / 255, rtol=1e-12)
    np.testing.assert_allclose(std, stored[chosen].std(axis=(0, 1, 2)) / 255, rtol=1e-9)


def test_statistics_of_many_images_take_5000_spaced_evenly() -> None:
    # The sums come near the largest that 32 bits hold, and chunks are uneven
    pixels = np.full((12_001, 2, 2, 1), 255, np.uint8)
    pixels[::2] = 251
    mean, std = statistics_of(pixels, np.arange(0, 12_001, 2))
    assert mean == (251 / 255,)
    assert std == (LEAST_STD,)
    rising = (np.arange(12_000) // 47).astype(np.uint8).reshape(-1, 1, 1, 1)
    spread, _ = statistics_of(rising, np.arange(12_000))
    assert spread[0] == pytest.approx(0.5, abs=0.01)


def test_constant_images_do_not_divide_by_zero() -> None:
    pixels = np.full((4, 5, 5, 3), 7, np.uint8)
    mean, std = statistics_of(pixels, np.arange(4))
    made = Preprocess(5, 5, mean, std, 3)(torch.from_numpy(pixels))
    torch.testing.assert_close(made, torch.zeros(4, 3, 5, 5), atol=1e-4, rtol=0, check_stride=False)
    with pytest.raises(InputError, match="no images"):
        statistics_of(pixels, np.array([], dtype=np.int64))
