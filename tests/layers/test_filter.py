"""Convolution against scipy.signal, and against its definition."""

import numpy as np
import pytest
import scipy.signal
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from saccade.layers.filter import KERNELS, How, convolve, filtered

modes = st.sampled_from(["valid", "same", "full"])


@settings(deadline=None)
@given(n=st.integers(1, 12), k=st.integers(1, 6), mode=modes, flip=st.booleans(), seed=st.integers(0, 99))
def test_one_dimension_is_scipys(n: int, k: int, mode: str, flip: bool, seed: int) -> None:
    generator = np.random.default_rng(seed)
    signal, kernel = generator.normal(size=n), generator.normal(size=k)
    assume(k <= n)  # scipy would take the shorter for the kernel
    assume(flip or mode != "same" or k % 2)  # an even kernel has no middle: scipy puts it elsewhere in 1-D than in 2-D
    theirs = (scipy.signal.convolve if flip else scipy.signal.correlate)(signal, kernel, mode)
    ours = convolve(torch.tensor(signal), torch.tensor(kernel), How(mode, flip))
    assert ours.numpy() == pytest.approx(theirs)


@settings(deadline=None)
@given(
    sides=st.tuples(st.integers(4, 9), st.integers(4, 9)),
    kernel_sides=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    mode=modes,
    flip=st.booleans(),
)
def test_two_dimensions_are_scipys(sides: tuple[int, int], kernel_sides: tuple[int, int], mode: str, flip: bool) -> None:
    generator = np.random.default_rng(0)
    image, kernel = generator.normal(size=(2, *sides)), generator.normal(size=kernel_sides)
    compute = scipy.signal.convolve2d if flip else scipy.signal.correlate2d
    ours = convolve(torch.tensor(image), torch.tensor(kernel), How(mode, flip)).numpy()
    for each, found in zip(image, ours, strict=True):
        assert found == pytest.approx(compute(each, kernel, mode))


def test_the_definition() -> None:
    """(I * K)(i, j) = sum over m, n of I(m, n) K(i - m, j - n)."""
    generator = np.random.default_rng(1)
    image, kernel = generator.normal(size=(4, 5)), generator.normal(size=(2, 3))
    full = np.zeros((5, 7))
    for i, j, m, n in np.ndindex(5, 7, 4, 5):
        if 0 <= i - m < 2 and 0 <= j - n < 3:
            full[i, j] += image[m, n] * kernel[i - m, j - n]
    assert convolve(torch.tensor(image), torch.tensor(kernel), How("full")).numpy() == pytest.approx(full)


def test_a_filter_stamps_its_shape_on_a_point() -> None:
    """Flipped, a point becomes the kernel itself; as networks compute it, the kernel turned round."""
    point = torch.zeros(5, 5)
    point[2, 2] = 1
    emboss = KERNELS["emboss"][0]
    assert torch.equal(convolve(point, emboss)[1:4, 1:4], emboss)
    assert torch.equal(convolve(point, emboss, How(flip=False))[1:4, 1:4], emboss.flip(0, 1))


def test_blur_keeps_a_plane_and_outline_and_sobel_see_nothing_in_it() -> None:
    plane = torch.full((6, 6), 7.0)
    inner = slice(1, -1)
    for name, value in (("blur", 7.0), ("sharpen", 7.0), ("emboss", 7.0), ("outline", 0.0), ("sobel", 0.0)):
        assert filtered(plane, KERNELS[name], How())[inner, inner].unique().item() == pytest.approx(value)


@pytest.mark.parametrize(
    ("signal", "kernel", "how", "words"),
    [
        (torch.zeros(3), torch.zeros(5), How("valid"), "lies nowhere inside"),
        (torch.zeros(3), torch.zeros(2), How("sam"), "mode is valid, same, full"),
        (torch.zeros(3), torch.zeros(2, 2), How(), "at least as many"),
    ],
)
def test_what_cannot_be_is_refused(signal: torch.Tensor, kernel: torch.Tensor, how: How, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        convolve(signal, kernel, how)
