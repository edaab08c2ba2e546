"""RandAugment, TrivialAugment and AugMix against torchvision's v2 transforms: each operation, and the draws."""

from collections.abc import Callable
from unittest import mock

import pytest
import torch
from data.draws import DRAWS, LEAST_P, generator
from scipy.stats import chisquare, ks_2samp
from torch import Tensor
from torchvision.transforms import InterpolationMode, v2

from saccade.data.augment import AugMix, RandAugment, Step, TrivialAugmentWide, policies
from saccade.data.augment.geometry import BILINEAR, NEAREST
from saccade.errors import InputError

SIDES = (30, 47)
SPACES = {"rand": (policies.RAND, v2.RandAugment, 31), "wide": (policies.WIDE, v2.TrivialAugmentWide, 31)}
SPACES["mix"] = (policies.MIX, v2.AugMix, 10)


def pixels(count: int, channels: int) -> Tensor:
    """uint8 images of one seed, with large even patches as well as noise."""
    coarse = torch.randint(0, 256, (count, channels, 5, 6), generator=generator(), dtype=torch.uint8)
    noise = torch.randint(0, 12, (count, channels, *SIDES), generator=generator(1), dtype=torch.uint8)
    return coarse.clamp(max=243).repeat_interleave(6, 2).repeat_interleave(8, 3)[..., : SIDES[1]] + noise


def theirs(image: Tensor, name: str, magnitude: float, interpolation: InterpolationMode) -> Tensor:
    """torchvision's operation on the float image; Posterize, where it has another rule for floats, on the 8-bit one."""
    transform = v2.RandAugment()
    image = image if name == "Posterize" else image.float() / 255
    made = transform._apply_image_or_video_transform(image, name, magnitude, interpolation, transform._fill)
    return made.float() / 255 if name == "Posterize" else made


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("way", [policies.one_by_one, policies.at_once])
def test_every_operation_at_every_magnitude_is_torchvisions(way: Callable, space: str, channels: int) -> None:
    ours, transform, bins = SPACES[space]
    table = ours.magnitudes(bins, SIDES)
    known = {code: name for code, name in enumerate(policies.OPERATIONS) if name in transform._AUGMENTATION_SPACE}
    assert sorted(known.values()) == sorted(transform._AUGMENTATION_SPACE) == sorted(ours.operations)
    operations = torch.tensor(list(known)).repeat_interleave(2)
    signs = torch.tensor([1.0, -1.0], dtype=torch.float64).repeat(len(known))
    signs[operations >= policies.CODE["Posterize"]] = 1
    images = pixels(len(operations), channels)
    for level in range(0, bins, 1 if bins == 10 else 3):
        magnitudes = table[operations, level] * signs
        sampling, mode = (NEAREST, InterpolationMode.NEAREST) if level % 2 else (BILINEAR, InterpolationMode.BILINEAR)
        made = way(images.float() / 255, operations[:, None], magnitudes[:, None], sampling)
        for i, code in enumerate(operations.tolist()):
            read = transform._AUGMENTATION_SPACE[known[code]][0](bins, *SIDES)
            their_magnitude = 0.0 if read is None else float(read[level]) * signs[i].item()
            far = (made[i] - theirs(images[i], known[code], their_magnitude, mode)).abs() > 2e-4
            # A place halfway between two pixels may be rounded to either
            assert far.float().mean() <= (0.01 if level % 2 else 0), (known[code], level)


class Recorder:
    """Which operations torchvision chose, with which magnitudes."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self.names, self.seen = names, []

    def __call__(self, image: Tensor, name: str, magnitude: float, **_: object) -> Tensor:
        self.seen.append((self.names.index(name), int(magnitude) if name.startswith("Translate") else magnitude))
        return image


def their_draws(transform: v2.Transform, count: int) -> Tensor:
    recorder = Recorder(policies.OPERATIONS)
    image = torch.zeros(3, *SIDES, dtype=torch.uint8)
    with mock.patch.object(transform, "_apply_image_or_video_transform", recorder):
        while len(recorder.seen) < count:
            transform(image)
    return torch.tensor(recorder.seen[:count], dtype=torch.float64)


@pytest.mark.parametrize(
    ("ours", "transform"),
    [
        (RandAugment(3, 11), v2.RandAugment(3, 11)),
        (TrivialAugmentWide(), v2.TrivialAugmentWide()),
        (AugMix(5), v2.AugMix(5)),
    ],
)
@pytest.mark.usefixtures("seeded")
def test_operations_and_magnitudes_are_distributed_as_torchvisions(ours: Step, transform: v2.Transform) -> None:
    drawn = ours.draw(torch.Size((2 * DRAWS, 3, *SIDES)), generator())
    made = torch.stack([values.flatten().double() for values in drawn[-2:]], dim=1)
    made = made[made[:, 0] > 0] if isinstance(ours, AugMix) else made
    expected = their_draws(transform, 2 * DRAWS)
    available = made[:, 0].unique().tolist()
    assert available == expected[:, 0].unique().tolist()
    for table in (made, expected):
        assert chisquare([(table[:, 0] == code).sum() for code in available]).pvalue > LEAST_P
    for code in available:
        mine, their = (table[table[:, 0] == code, 1] for table in (made, expected))
        if policies.OPERATIONS[int(code)] not in ("Identity", "AutoContrast", "Equalize"):
            # Rounded, because torchvision's numbers have passed through float32
            assert ks_2samp(mine.round(decimals=5).numpy(), their.round(decimals=5).numpy()).pvalue > LEAST_P


@pytest.mark.usefixtures("seeded")
def test_the_weights_and_depths_of_augmix_are_distributed_as_torchvisions() -> None:
    weights, operations, _ = AugMix(alpha=0.7, width=4).draw(torch.Size((DRAWS, 3, *SIDES)), generator())
    torch.testing.assert_close(weights.sum(dim=1), torch.ones(DRAWS, dtype=torch.float64))
    two, four = (torch._sample_dirichlet(torch.full((DRAWS, kinds), 0.7)) for kinds in (2, 4))
    expected = torch.cat([two[:, :1], four * two[:, 1:]], dim=1)
    for column in range(5):
        assert ks_2samp(weights[:, column].numpy(), expected[:, column].numpy()).pvalue > LEAST_P
    depths = (operations > 0).sum(dim=2).flatten()
    assert chisquare(torch.bincount(depths, minlength=4)[1:].numpy()).pvalue > LEAST_P
    assert depths.min() == 1


def test_augmix_is_the_weighted_sum_of_its_chains() -> None:
    images, step = pixels(5, 3).float() / 255, AugMix()
    weights, operations, magnitudes = step.draw(images.shape, generator(4))
    made = step.apply(images, weights, operations, magnitudes)
    for b in range(5):
        expected = weights[b, 0] * images[b]
        for chain in range(3):
            image = images[b : b + 1]
            for one, strength in zip(operations[b, chain], magnitudes[b, chain], strict=True):
                image = policies.chain(image, one[None, None], strength[None, None], BILINEAR)
            expected = expected + weights[b, 1 + chain] * image[0]
        assert (made[b] - expected).abs().max() < 1e-5


def test_augmix_without_colours_draws_none() -> None:
    _, operations, _ = AugMix(colours=False, depth=2).draw(torch.Size((500, 3, *SIDES)), generator())
    assert not {policies.CODE[name] for name in policies.COLOURS} & set(operations.flatten().tolist())
    assert operations.shape == (500, 3, 2)
    assert operations.min() > 0


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("step", [RandAugment(), TrivialAugmentWide(), AugMix()], ids=lambda step: type(step).__name__)
def test_the_seed_decides_and_neighbours_do_not_matter(step: Step, channels: int) -> None:
    images = pixels(24, channels).float() / 255
    before = images.clone()
    made = step(images, generator(7))
    assert torch.equal(made, step(images, generator(7)))
    assert not torch.equal(made, step(images, generator(8)))
    assert torch.equal(images, before)
    assert made.min() >= 0
    assert made.max() <= 1 + 1e-6
    drawn = step.draw(images.shape, generator(7))
    order = torch.randperm(24, generator=generator(9))
    assert torch.equal(step.apply(images[order], *(values[order] for values in drawn)), made[order])
    alone = torch.cat([step.apply(images[i : i + 1], *(values[i : i + 1] for values in drawn)) for i in range(24)])
    assert torch.equal(alone, made)


def test_color_does_nothing_on_one_channel() -> None:
    images = pixels(2, 1).float() / 255
    color = torch.full((2, 1), policies.CODE["Color"])
    assert torch.equal(policies.chain(images, color, torch.tensor([[0.5], [-0.5]]), NEAREST), images)


@pytest.mark.parametrize(
    ("step", "wrong"),
    [
        (RandAugment, {"magnitude": 31}),
        (RandAugment, {"count": -1}),
        (TrivialAugmentWide, {"bins": 1}),
        (AugMix, {"severity": 11}),
        (AugMix, {"alpha": 0.0}),
    ],
)
def test_policies_refuse_what_cannot_be(step: type[Step], wrong: dict[str, float]) -> None:
    with pytest.raises(InputError):
        step(**wrong)
