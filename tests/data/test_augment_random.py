"""Random forms: their distributions against torchvision's v2 transforms, and how a pipeline runs them."""

from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
import torch
from data.draws import DRAWS, LEAST_P, generator, same_distribution
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest, chisquare, kstest, norm
from torch import Tensor
from torchvision.transforms import v2

from saccade.data import augment
from saccade.data.augment import (
    Augment,
    AugMix,
    Cutout,
    GaussianNoise,
    RandAugment,
    RandomErasing,
    Sometimes,
    Step,
    TrivialAugmentWide,
    step,
)
from saccade.data.preprocess import pixels_to_float
from saccade.errors import InputError

SIDES = (24, 36)


def params(transform: v2.Transform, count: int = DRAWS) -> list[dict[str, object]]:
    return [transform.make_params([torch.zeros(3, *SIDES)]) for _ in range(count)]


# --- distributions


@pytest.mark.parametrize("hue", [0.1, 0.5])
@pytest.mark.usefixtures("seeded")
def test_hue_is_distributed_as_torchvisions(hue: float) -> None:
    _, factors = augment.ColorJitter(hue=hue).draw(torch.Size((DRAWS, 3, 1, 1)), generator())
    theirs = torch.tensor([drawn["hue_factor"] for drawn in params(v2.ColorJitter(hue=hue))])
    assert same_distribution(factors[:, 0], theirs)
    assert augment.ColorJitter(hue=hue).draw(torch.Size((9, 1, 1, 1)), generator()) == ()


@pytest.mark.usefixtures("seeded")
def test_jitter_with_hue_is_distributed_as_torchvisions() -> None:
    image = torch.tensor([[[0.9, 0.2], [0.7, 0.1]], [[0.5, 0.8], [0.3, 0.1]], [[0.1, 0.6], [0.9, 0.1]]])
    ours = augment.ColorJitter(0.6, 0.7, 0.8, 0.3)(image.expand(DRAWS, 3, 2, 2), generator()).flatten(1)
    transform = v2.ColorJitter(0.6, 0.7, 0.8, 0.3)
    theirs = torch.stack([transform(image) for _ in range(DRAWS)]).flatten(1)
    for place in range(12):
        assert same_distribution(ours[:, place], theirs[:, place]), place


@pytest.mark.usefixtures("seeded")
def test_affine_maps_are_distributed_as_torchvisions() -> None:
    bounds = {"degrees": (-40, 10), "translate": (0.2, 0.1), "scale": (0.7, 1.4), "shear": (-9, 9, -4, 12)}
    (ours,) = augment.RandomAffine(**bounds).draw(torch.Size((DRAWS, 3, *SIDES)), generator())
    drawn = params(v2.RandomAffine(**bounds))
    angles, shifts, scales, shears = (
        torch.tensor([each[key] for each in drawn], dtype=torch.float64) for key in ("angle", "translate", "scale", "shear")
    )
    theirs = augment.affine_matrices(angles, shifts, scales, shears)
    for entry in range(6):
        assert same_distribution(ours.flatten(1)[:, entry], theirs.flatten(1)[:, entry])


@pytest.mark.usefixtures("seeded")
def test_sigmas_of_the_blur_are_distributed_as_torchvisions() -> None:
    chosen, ours = augment.GaussianBlur(5, (0.3, 4.0), p=0.3).draw(torch.Size((DRAWS, 3, *SIDES)), generator())
    assert same_distribution(ours, torch.tensor([drawn["sigma"][0] for drawn in params(v2.GaussianBlur(5, (0.3, 4.0)))]))
    assert binomtest(int(chosen.sum()), DRAWS, 0.3).pvalue > LEAST_P


@pytest.mark.parametrize(
    ("operation", "transform"),
    [
        (augment.grayscale, v2.RandomGrayscale(p=0.3)),
        (augment.invert, v2.RandomInvert(p=0.3)),
        (augment.autocontrast, v2.RandomAutocontrast(p=0.3)),
        (augment.equalize, v2.RandomEqualize(p=0.3)),
        (partial(augment.solarize, thresholds=0.4), v2.RandomSolarize(0.4, p=0.3)),
        (partial(augment.adjust_sharpness, factors=2.0), v2.RandomAdjustSharpness(2.0, p=0.3)),
    ],
)
@pytest.mark.usefixtures("seeded")
def test_sometimes_is_torchvisions_random_form(operation: Callable[[Tensor], Tensor], transform: v2.Transform) -> None:
    images = (torch.randint(0, 256, (1, 3, 20, 20), generator=generator()).float() / 255).expand(1000, 3, 20, 20)
    ours, theirs = Sometimes(operation, 0.3)(images, generator(1)), torch.stack([transform(image) for image in images])
    for made in (ours, theirs):
        changed = (made != images).flatten(1).any(dim=1)
        assert binomtest(int(changed.sum()), 1000, 0.3).pvalue > LEAST_P
        torch.testing.assert_close(made[changed], operation(images)[changed], atol=1e-6, rtol=0)


def test_noise_is_normal_and_clamped() -> None:
    grey = torch.full((8, 3, 20, 20), 0.5)
    noise = (GaussianNoise(0.05)(grey, generator()) - grey).flatten()
    assert kstest(noise.numpy(), norm(scale=0.05).cdf).pvalue > LEAST_P
    strong = GaussianNoise(2.0)(grey, generator())
    assert strong.min() == 0
    assert strong.max() == 1
    assert GaussianNoise(0)(grey, generator()) is grey


# --- erasing


@pytest.mark.parametrize(("scale", "ratio"), [((0.02, 0.33), (0.3, 3.3)), ((0.3, 0.9), (0.2, 8.0))])
@pytest.mark.usefixtures("seeded")
def test_erased_boxes_are_distributed_as_torchvisions(scale: tuple[float, float], ratio: tuple[float, float]) -> None:
    ours = augment.random_erasing_boxes(DRAWS, SIDES, scale, ratio, generator())
    drawn = params(v2.RandomErasing(p=1, scale=scale, ratio=ratio))
    theirs = torch.tensor([[0] * 4 if each["v"] is None else [each[key] for key in "ijhw"] for each in drawn])
    kept = [boxes[(boxes[:, 2] > 0) & (boxes[:, 3] > 0)].double() for boxes in (ours, theirs)]
    for measure in (0, 1, 2, 3):
        assert same_distribution(kept[0][:, measure], kept[1][:, measure])
    assert same_distribution(kept[0][:, 2] * kept[0][:, 3], kept[1][:, 2] * kept[1][:, 3])
    assert abs(len(kept[0]) - len(kept[1])) < 0.03 * DRAWS


@settings(max_examples=40, deadline=None)
@given(st.integers(2, 30), st.integers(2, 30), st.floats(0, 0.4), st.floats(0.4, 1), st.integers(0, 2**32))
def test_what_is_erased_lies_within_its_bounds(height: int, width: int, least: float, most: float, seed: int) -> None:
    images = 1 + torch.rand(6, 2, height, width, generator=generator(seed))
    made = RandomErasing(1.0, (least, most), (0.5, 2.0))(images, generator(seed))
    gone = made == 0
    assert torch.equal(gone[:, 0], gone[:, 1])
    assert torch.equal(made[~gone], images[~gone])
    for area, box in zip(gone[:, 0].sum(dim=(1, 2)).tolist(), gone[:, 0], strict=True):
        rows, columns = int(box.any(dim=1).sum()), int(box.any(dim=0).sum())
        assert area == rows * columns, "a rectangle"
        assert rows < height or columns < width or not area
        # Each side is off by at most half a pixel
        assert area <= most * height * width + (rows + columns) / 2 + 0.25
        assert not area or area >= least * height * width - (rows + columns) / 2 - 0.25


def test_half_are_erased_and_noise_is_uniform() -> None:
    images = torch.full((2000, 2, 12, 12), 2.0)
    step = RandomErasing(0.5, fill="noise")
    made = step(images, generator())
    (where, _) = step.draw(images.shape, generator())
    gone = (made != 2).flatten(1)
    assert binomtest(int(gone.any(dim=1).sum()), 2000, 0.5).pvalue > LEAST_P
    assert torch.equal(gone.sum(dim=1), 2 * where[:, 2] * where[:, 3])
    noise = made[made != 2]
    assert kstest(noise.numpy(), "uniform").pvalue > LEAST_P
    assert len(noise.unique()) > 0.99 * len(noise), "each channel and image has its own"


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 20), st.integers(1, 20), st.integers(0, 25), st.integers(0, 2**32))
def test_cutout_is_a_square_cut_at_the_border(height: int, width: int, size: int, seed: int) -> None:
    images = torch.ones(20, 1, height, width)
    (where,) = Cutout(size).draw(images.shape, generator(seed))
    made = Cutout(size, fill=0.25)(images, generator(seed))
    drawn = generator(seed)
    centers = [torch.randint(side, (20,), generator=drawn).tolist() for side in (height, width)]
    for image, row, column in zip(made[:, 0].numpy(), *centers, strict=True):
        expected = np.ones((height, width), np.float32)
        top, left = row - size // 2, column - size // 2
        expected[max(top, 0) : max(top + size, 0), max(left, 0) : max(left + size, 0)] = 0.25
        np.testing.assert_array_equal(image, expected)
    assert (where[:, 2:] <= size).all()


def test_the_centre_of_cutout_is_uniform() -> None:
    (where,) = Cutout(1).draw(torch.Size((6000, 3, 5, 6)), generator())
    assert chisquare(torch.bincount(where[:, 0] * 6 + where[:, 1], minlength=30).numpy()).pvalue > LEAST_P


def test_a_colour_for_each_channel() -> None:
    made = Cutout(50, fill=(0.1, 0.2, 0.3))(torch.ones(2, 3, 8, 8), generator())
    torch.testing.assert_close(made, torch.tensor([0.1, 0.2, 0.3]).view(1, 3, 1, 1).expand(2, 3, 8, 8))


JOINED = [
    augment.RandomCrop(20, 2, flip=True),
    augment.RandomResizedCrop(20, flip=True),
    augment.CenterCrop(20),
    augment.ColorJitter(0.2, 0.2, 0.2, 0.1),
    augment.RandomAffine((-20, 20)),
    augment.GaussianBlur(3),
    GaussianNoise(0.1),
    RandomErasing(fill="noise"),
    Cutout(8, "noise"),
    Sometimes(augment.grayscale, 0.5),
    RandAugment(),
    TrivialAugmentWide(),
    AugMix(),
]


@pytest.mark.parametrize("each", JOINED, ids=lambda each: type(each).__name__)
def test_draws_of_some_and_of_other_images_are_those_of_all(each: Step) -> None:
    images, draws = torch.rand(12, 3, 24, 24, generator=generator(9)), generator(1)
    parts = [(part, step.draw([each], part.shape, draws)) for part in images.split([5, 4, 3])]
    together = step.apply([each], images, step.joined([drawn for _, drawn in parts]))
    alone = torch.cat([step.apply([each], part, drawn) for part, drawn in parts])
    torch.testing.assert_close(together, alone, atol=1e-6, rtol=0)


@pytest.mark.parametrize(
    ("kind", "wrong"),
    [
        (RandomErasing, {"p": 1.5}),
        (RandomErasing, {"scale": (0.5, 0.2)}),
        (RandomErasing, {"ratio": (0.0, 1.0)}),
        (RandomErasing, {"fill": "random"}),
        (Cutout, {"size": -1}),
        (GaussianNoise, {"sigma": -0.1}),
        (augment.GaussianBlur, {"kernel": 4}),
        (augment.GaussianBlur, {"kernel": 3, "sigma": (0.0, 1.0)}),
        (augment.RandomAffine, {"translate": (2.0, 0.0)}),
        (augment.RandomAffine, {"scale": (0.0, 1.0)}),
        (Sometimes, {"operation": augment.invert, "p": -0.1}),
    ],
)
def test_random_forms_refuse_what_cannot_be(kind: type[Step], wrong: dict[str, object]) -> None:
    with pytest.raises(InputError):
        kind(**wrong)


# --- the pipeline

EVERYTHING = {
    "flip": True,
    "brightness": 0.3,
    "contrast": 0.3,
    "saturation": 0.3,
    "hue": 0.1,
    "policy": "randaugment",
    "rotate": 20,
    "grayscale": 0.3,
    "blur": 0.5,
    "noise": 0.05,
    "erase": 0.5,
    "cutout": 6,
}


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("crop", ["none", "pad", "resized"])
def test_pieces_give_what_the_whole_batch_gives(monkeypatch: pytest.MonkeyPatch, crop: str, channels: int) -> None:
    images = torch.rand(23, channels, 40, 40, generator=generator())
    whole = Augment(crop, 32, **EVERYTHING, fill="noise")(images, generator(3))
    assert whole.shape == (23, channels, 32, 32)
    assert whole.min() >= 0
    assert whole.max() <= 1 + 1e-6
    for size in (1, 5 * 4 * channels * 32 * 32):
        monkeypatch.setattr(step, "PIECE", size)
        monkeypatch.setattr(step, "KEPT", 0)
        pieces = Augment(crop, 32, **EVERYTHING, fill="noise")(images, generator(3))
        # The blur is a convolution of as many groups as there are images, and its rounding depends on them
        torch.testing.assert_close(pieces, whole, atol=1e-5, rtol=0, check_stride=False)
    exact = Augment(crop, 32, **(EVERYTHING | {"blur": 0}))
    cut = exact(images, generator(3))
    monkeypatch.undo()
    assert torch.equal(exact(images, generator(3)), cut)


@pytest.mark.parametrize("crop", ["none", "pad", "resized"])
def test_stored_pixels_in_one_pass(crop: str) -> None:
    pixels = torch.randint(0, 256, (23, 40, 40, 3), generator=generator(), dtype=torch.uint8)
    policy = Augment(crop, 32, flip=True, brightness=0.2, policy="trivialaugment", erase=0.3)
    assert torch.equal(policy.of_pixels(pixels, generator(1)), policy(pixels_to_float(pixels), generator(1)))


def test_later_steps_leave_the_draws_of_the_earlier_alone() -> None:
    images = torch.rand(8, 3, 20, 20, generator=generator())
    plain = Augment("pad", 20, flip=True, brightness=0.3)(images, generator(5))
    erased = Augment("pad", 20, flip=True, brightness=0.3, erase=1.0)(images, generator(5))
    kept = erased != 0
    assert torch.equal(erased[kept], plain[kept])
    assert not kept.all()


def test_the_memory_format_of_a_step_is_kept_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    images = torch.rand(6, 3, 20, 20).contiguous(memory_format=torch.channels_last)
    monkeypatch.setattr(step, "PIECE", 1)
    monkeypatch.setattr(step, "KEPT", 0)
    assert Augment("pad", 16)(images, generator()).is_contiguous(memory_format=torch.channels_last)
    assert Augment("resized", 16)(images, generator()).is_contiguous()


def test_an_unknown_policy_names_the_near_one() -> None:
    with pytest.raises(InputError, match='did you mean "randaugment"'):
        Augment("none", 8, policy="randaug")


def test_a_policy_has_as_many_operations_of_the_magnitude_as_is_said() -> None:
    assert Augment("none", 8, policy="randaugment").steps[-1] == RandAugment()
    rand = Augment("none", 8, policy="randaugment", operations=3, magnitude=14).steps[-1]
    assert rand == RandAugment(count=3, magnitude=14)
    assert Augment("none", 8, policy="augmix", operations=2, magnitude=8).steps[-1] == AugMix(depth=2, severity=8)
    assert Augment("none", 8, policy="augmix", magnitude=8).steps[-1] == AugMix(severity=8)
    assert Augment("none", 8, policy="trivialaugment").steps[-1] == TrivialAugmentWide()
