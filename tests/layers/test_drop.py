"""DropBlock and stochastic depth by themselves."""

import math
from copy import deepcopy

import numpy as np
import pytest
import scipy.ndimage
import torch
import torchvision
from hypothesis import given, settings
from hypothesis import strategies as st

from saccade.layers import DropBlock, DropPath

LAYERS = [DropPath(0.3), DropBlock(0.3, 2)]
each = pytest.mark.parametrize("layer", [pytest.param(layer.train(), id=type(layer).__name__) for layer in LAYERS])


def expected_kept(p: float, block: int, height: int, width: int) -> np.ndarray:
    """How probably each pixel is kept, from the number of squares that could cover it, counted one by one."""
    tall, wide = min(block, height), min(block, width)
    rows, columns = height - tall + 1, width - wide + 1
    gamma = min(1.0, p / (tall * wide) * height * width / (rows * columns))
    over = np.zeros((height, width))
    for i, j in np.ndindex(rows, columns):
        over[i : i + tall, j : j + wide] += 1
    return (1 - gamma) ** over


@pytest.mark.parametrize(
    ("p", "block", "height", "width"), [(0.1, 3, 12, 16), (0.3, 4, 9, 9), (0.2, 7, 4, 20), (0.25, 1, 8, 8)]
)
def test_what_dropblock_keeps_follows_from_equation_1(p: float, block: int, height: int, width: int) -> None:
    torch.manual_seed(0)
    maps = 3000
    kept = (DropBlock(p, block).train()(torch.ones(maps // 10, 10, height, width)) != 0).numpy().reshape(-1, height, width)
    expected = expected_kept(p, block, height, width)
    z = (kept.mean(0) - expected) / np.sqrt(expected * (1 - expected) / maps)
    assert np.abs(z).max() < 5
    assert kept.mean() == pytest.approx(expected.mean(), abs=4 * kept.mean((1, 2)).std() / math.sqrt(maps))
    assert expected.mean() == pytest.approx(1 - p, abs=0.05)  # squares may meet, and fewer reach the borders


@settings(deadline=None, max_examples=30)
@given(
    p=st.floats(0.01, 0.6),
    block=st.integers(1, 5),
    sides=st.tuples(st.integers(3, 12), st.integers(3, 12)),
    seed=st.integers(0, 99),
)
def test_what_dropblock_zeroes_is_made_of_whole_squares(p: float, block: int, sides: tuple[int, int], seed: int) -> None:
    """A union of squares is unchanged by morphological opening with the square."""
    torch.manual_seed(seed)
    square = np.ones((min(block, sides[0]), min(block, sides[1])))
    for zeroed in (DropBlock(p, block).train()(torch.ones(4, *sides)[None])[0] == 0).numpy():
        assert np.array_equal(scipy.ndimage.binary_opening(zeroed, square), zeroed)


def test_dropblock_of_one_pixel_is_dropout_with_the_mean_put_right() -> None:
    torch.manual_seed(0)
    out = DropBlock(0.25, 1).train()(torch.ones(50, 4, 10, 10))
    kept = (out != 0).float().mean().item()
    assert kept == pytest.approx(0.75, abs=4 * math.sqrt(0.75 * 0.25 / out.numel()))
    assert out.max().item() == pytest.approx(1 / kept)


@pytest.mark.parametrize("block", [1, 3, 7])
def test_the_same_draws_give_torchvisions_values(block: int) -> None:
    x = torch.randn(4, 5, 9, 8)
    torch.manual_seed(3)
    ours = DropBlock(0.2, block).train()(x)
    torch.manual_seed(3)
    torch.testing.assert_close(ours, torchvision.ops.drop_block2d(x, 0.2, block))
    torch.manual_seed(3)
    ours = DropPath(0.3).train()(x)
    torch.manual_seed(3)
    torch.testing.assert_close(ours, torchvision.ops.stochastic_depth(x, 0.3, "row"))


def test_stochastic_depth_keeps_the_mean_of_every_image() -> None:
    torch.manual_seed(0)
    x = torch.randn(8, 4, dtype=torch.float64)
    draws = torch.stack([DropPath(0.3).train()(x) for _ in range(3000)])
    z = (draws.mean(0) - x) / (draws.std(0) / math.sqrt(len(draws)))
    assert z.abs().max().item() < 4


@settings(deadline=None, max_examples=30)
@given(p=st.floats(0.01, 0.6), block=st.integers(1, 5), seed=st.integers(0, 99))
def test_dropblock_keeps_the_mean_of_an_even_batch_in_every_draw(p: float, block: int, seed: int) -> None:
    torch.manual_seed(seed)
    assert DropBlock(p, block).train()(torch.full((8, 8, 9, 7), 3.0)).mean().item() == pytest.approx(3, rel=1e-5)


def test_a_map_of_which_nothing_is_kept_is_zero_and_no_nan() -> None:
    out = DropBlock(0.999, 4).train()(torch.ones(1, 1, 4, 4))
    assert out.isfinite().all()


@each
def test_evaluation_and_a_rate_of_0_give_the_very_tensor(layer: DropPath | DropBlock) -> None:
    x = torch.randn(2, 3, 4, 4)
    idle = deepcopy(layer)
    idle.p = 0
    assert idle(x) is x
    assert deepcopy(layer).eval()(x) is x


@each
def test_16_bits_and_channels_last_stay(layer: torch.nn.Module) -> None:
    x = torch.randn(4, 8, 6, 6).to(torch.bfloat16, memory_format=torch.channels_last).requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        out = layer(x)
    out.sum().backward()
    assert out.dtype == torch.bfloat16
    assert out.is_contiguous(memory_format=torch.channels_last)
    assert x.grad is not None
    assert ((x.grad != 0) == (out != 0)).all()


@each
def test_members_of_a_vmapped_fleet_draw_their_own(layer: torch.nn.Module) -> None:
    torch.manual_seed(0)
    out = torch.vmap(layer, randomness="different")(torch.ones(3, 16, 4, 6, 6))
    assert out.shape == (3, 16, 4, 6, 6)
    assert not torch.equal(out[0], out[1])
