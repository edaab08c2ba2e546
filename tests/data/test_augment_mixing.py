"""Mixup, CutMix and views: their laws."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import beta, binomtest, kstest
from torch import Tensor
from torch.nn import functional as F
from torchvision.transforms import v2

from saccade.data.augment import VIEWS, Mixing, cutmix, cutmix_boxes, mean_probabilities, mixup, views
from saccade.data.augment.draws import dirichlet
from saccade.errors import InputError

LEAST_P = 1e-3
SEEDS = st.integers(0, 2**32)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def batch(count: int, sides: tuple[int, int] = (5, 7)) -> tuple[Tensor, Tensor]:
    """Images that hold their own number in every pixel, and targets of one class for each image."""
    numbers = torch.arange(float(count)).view(-1, 1, 1, 1).expand(count, 2, *sides).contiguous()
    return numbers, torch.eye(max(count, 2))[:count]


@pytest.mark.parametrize("mix", [mixup, cutmix])
@settings(max_examples=30, deadline=None)
@given(st.integers(1, 9), st.floats(0.05, 5), SEEDS)
def test_an_image_mixed_with_itself_is_the_image(mix, count: int, alpha: float, seed: int) -> None:
    image = torch.rand(1, 3, 6, 5, generator=generator(seed)).expand(count, 3, 6, 5)
    target = torch.rand(1, 4, generator=generator(seed)).softmax(1).expand(count, 4)
    made, targets = mix(image, target, alpha, generator(seed))
    assert torch.equal(made, image)
    assert torch.equal(targets, target)


@pytest.mark.parametrize("mix", [mixup, cutmix])
@settings(max_examples=40, deadline=None)
@given(st.integers(1, 9), st.floats(0.01, 50), SEEDS)
def test_targets_sum_to_one_and_the_seed_decides(mix, count: int, alpha: float, seed: int) -> None:
    images, _ = batch(count)
    targets = torch.rand(count, 5, generator=generator(seed)).softmax(1)
    made, mixed = mix(images, targets, alpha, generator(seed))
    assert mixed.min() >= 0
    torch.testing.assert_close(mixed.sum(dim=1), torch.ones(count), atol=1e-6, rtol=0)
    again, mixed_again = mix(images, targets, alpha, generator(seed))
    assert torch.equal(made, again)
    assert torch.equal(mixed, mixed_again)


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 8), st.integers(1, 12), st.integers(1, 12), st.floats(0.1, 3), SEEDS)
def test_the_weight_of_cutmix_is_the_pasted_area(count: int, height: int, width: int, alpha: float, seed: int) -> None:
    images, targets = batch(count, (height, width))
    made, mixed = cutmix(images, targets, alpha, generator(seed))
    for b in range(count):
        present = made[b, 0].long().flatten()
        shares = torch.bincount(present, minlength=targets.shape[1]) / (height * width)
        assert len(present.unique()) <= 2
        torch.testing.assert_close(mixed[b], shares, atol=1e-7, rtol=0)
        partner = [number for number in present.unique().tolist() if number != b]
        assert all(mixed[b, number] == shares[number] for number in partner), "exactly"
        assert torch.equal(made[b, 0], made[b, 1])


def test_cutmix_at_the_borders() -> None:
    where = cutmix_boxes(20000, (8, 10), 1.0, generator())
    top, left, tall, wide = where.unbind(1)
    assert ((top >= 0) & (left >= 0) & (top + tall <= 8) & (left + wide <= 10)).all()
    for touching in (top == 0, left == 0, top + tall == 8, left + wide == 10):
        assert (touching & (tall * wide > 0)).sum() > 1000
    images, targets = batch(4000, (8, 10))
    made, mixed = cutmix(images, targets[:, :4000], 1.0, generator())
    pasted = (made[:, 0] != images[:, 0]).float().mean(dim=(1, 2))
    own = mixed[torch.arange(4000), torch.arange(4000)]
    torch.testing.assert_close(1 - own, pasted, atol=1e-7, rtol=0)


def test_boxes_of_cutmix_are_torchvisions() -> None:
    """The same lambda and centre give the box of v2.CutMix.make_params, transcribed: its draws cannot be handed in."""
    sides, count = (24, 37), 200
    ours = cutmix_boxes(count, sides, 0.8, generator(2))
    drawn = generator(2)
    lambdas = dirichlet(count, 2, 0.8, drawn)[:, 0]
    rows, columns = (torch.randint(side, (count,), generator=drawn) for side in sides)
    for i in range(count):
        half = 0.5 * math.sqrt(1 - lambdas[i].item())
        tall, wide = int(half * sides[0]), int(half * sides[1])
        top, left = max(rows[i].item() - tall, 0), max(columns[i].item() - wide, 0)
        bottom, right = min(rows[i].item() + tall, sides[0]), min(columns[i].item() + wide, sides[1])
        assert ours[i].tolist() == [top, left, bottom - top, right - left]


@pytest.mark.parametrize("alpha", [0.2, 1.0, 4.0])
def test_lambda_is_beta_and_each_image_has_its_own(alpha: float) -> None:
    count = 4000
    images, targets = batch(count, (1, 1))
    made, mixed = mixup(images, targets, alpha, generator())
    assert (mixed > 0).sum(dim=1).max() <= 2
    own = mixed.diagonal()
    moved = own < 1
    assert kstest(own[moved].double().numpy(), beta(alpha, alpha).cdf).pvalue > LEAST_P
    assert len(own[moved].unique()) > 0.9 * moved.sum() or alpha < 1
    torch.testing.assert_close(made[:, 0, 0, 0], mixed @ torch.arange(float(count)), rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize(("kinds", "alpha"), [(2, 0.2), (2, 1.0), (3, 0.5), (5, 7.0)])
def test_each_share_of_a_dirichlet_is_beta(kinds: int, alpha: float) -> None:
    shares = dirichlet(4000, kinds, alpha, generator())
    torch.testing.assert_close(shares.sum(dim=1), torch.ones(4000, dtype=torch.float64))
    for column in shares.T:
        assert kstest(column.numpy(), beta(alpha, (kinds - 1) * alpha).cdf).pvalue > LEAST_P


def test_a_tiny_alpha_gives_one_of_the_two_and_no_nan() -> None:
    images, targets = batch(500)
    made, mixed = mixup(images, targets, 1e-4, generator())
    assert made.isfinite().all()
    assert ((mixed > 0.999).sum(dim=1) == 1).float().mean() > 0.99


def test_partners_are_a_permutation() -> None:
    images, targets = batch(50)
    _, mixed = mixup(images, targets, 1.0, generator())
    np.testing.assert_allclose(mixed.sum(dim=0) > 0, True)
    partners = (mixed - torch.diag(mixed.diagonal())).argmax(dim=1)
    others = mixed.diagonal() < 1
    assert len(partners[others].unique()) == int(others.sum())


def test_mixing_does_either_half_of_the_time() -> None:
    images, targets = batch(3000)
    made, mixed = Mixing(mixup=1.0, cutmix=1.0)(images, targets, generator())
    blended = (made != made.round()).flatten(1).any(dim=1)
    assert binomtest(int(blended.sum()), 3000, 0.5).pvalue > LEAST_P / 10
    torch.testing.assert_close(mixed.sum(dim=1), torch.ones(3000))
    torch.testing.assert_close(made.mean(dim=(1, 2, 3)), mixed @ torch.arange(3000.0), rtol=1e-4, atol=1e-3)


def test_mixing_of_nothing_and_of_one() -> None:
    images, targets = batch(6)
    assert Mixing()(images, targets, generator()) == (images, targets)
    for one, mix in ((Mixing(mixup=0.4), mixup), (Mixing(cutmix=0.4), cutmix)):
        made, expected = one(images, targets, generator()), mix(images, targets, 0.4, generator())
        assert all(torch.equal(a, b) for a, b in zip(made, expected, strict=True))


@pytest.mark.parametrize("mix", [mixup, cutmix])
@pytest.mark.parametrize("alpha", [0.0, -1.0, math.inf, math.nan])
def test_alpha_is_above_0(mix, alpha: float) -> None:
    with pytest.raises(InputError, match="alpha is a number above 0"):
        mix(*batch(4), alpha, generator())


@pytest.mark.parametrize("mix", [mixup, cutmix])
def test_targets_are_probabilities_of_at_least_two_classes(mix) -> None:
    images, targets = batch(4)
    with pytest.raises(InputError, match="one class only"):
        mix(images, torch.ones(4, 1), 1.0, generator())
    with pytest.raises(InputError, match="probabilities"):
        mix(images, targets.argmax(1), 1.0, generator())
    for wrong in ({"mixup": -0.1}, {"cutmix": math.nan}):
        with pytest.raises(InputError, match="alpha"):
            Mixing(**wrong)


# --- views


@pytest.mark.parametrize("kind", ["five", "ten"])
def test_views_are_torchvisions_crops(kind: str) -> None:
    images = torch.rand(3, 3, 20, 26, generator=generator())
    ours = list(views(images, 14, kind))
    crops = v2.functional.five_crop(images, [14, 14])
    theirs = [*crops, *(crop.flip(3) for crop in crops)] if kind == "ten" else crops
    assert len(ours) == len(theirs)
    for view in theirs:
        assert any(torch.equal(view, other) for other in ours)


def test_shifted_views_move_the_middle() -> None:
    images = torch.rand(2, 1, 20, 20, generator=generator())
    middle, *moved = views(images, 16, "shifts")
    padded = F.pad(middle, (1, 1, 1, 1), mode="replicate")
    assert torch.equal(middle, images[..., 2:18, 2:18])
    expected = [padded[..., i : i + 16, j : j + 16] for i, j in ((0, 1), (2, 1), (1, 0), (1, 2))]
    assert all(torch.equal(a, b) for a, b in zip(moved, expected, strict=True))


@pytest.mark.parametrize(("kind", "count"), [*zip(VIEWS, (1, 2, 5, 10, 5), strict=True)])
def test_the_mean_over_views_is_a_probability(kind: str, count: int) -> None:
    images = torch.rand(3, 1, 12, 12, generator=generator())
    seen = [view.flatten(1)[:, :4].softmax(1) for view in views(images, 10, kind)]
    made = mean_probabilities(lambda view: view.flatten(1)[:, :4].softmax(1), views(images, 10, kind))
    assert len(seen) == count
    torch.testing.assert_close(made, sum(seen) / count)
    torch.testing.assert_close(made.sum(dim=1), torch.ones(3))


def test_views_of_the_mirror_image_are_the_same_set() -> None:
    images = torch.rand(2, 3, 12, 12, generator=generator())
    for kind in ("mirror", "ten"):
        once, other = (
            mean_probabilities(lambda v: v.amax(dim=(2, 3)), views(x, 8, kind)) for x in (images, images.flip(3))
        )
        torch.testing.assert_close(once, other)


def test_an_unknown_view_names_the_near_one() -> None:
    with pytest.raises(InputError, match='did you mean "mirror"'):
        next(views(torch.rand(1, 1, 4, 4), 4, "miror"))
