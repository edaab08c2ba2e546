"""The arithmetic against torch's own layers, brute force, and the worked numbers of the notes."""

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from saccade import arithmetic
from saccade.arithmetic import ALL, Field, Layer, Window

windows = st.builds(Window, st.integers(1, 7), st.integers(1, 4), st.integers(0, 4), st.integers(1, 3))


@given(size=st.integers(1, 40), window=windows)
def test_sizes_are_torchs(size: int, window: Window) -> None:
    w = window
    if w.span > size + 2 * w.padding:
        with pytest.raises(ValueError, match="does not fit") as met:
            arithmetic.output_size(size, w)
        smallest = int(str(met.value).rsplit(" ", 1)[1])
        assert arithmetic.output_size(smallest, w) >= 1
        return
    out = F.conv1d(torch.zeros(1, 1, size), torch.zeros(1, 1, w.kernel), None, w.stride, w.padding, w.dilation)
    assert arithmetic.output_size(size, w) == out.shape[2]


@given(size=st.integers(1, 20), window=windows, extra=st.integers(0, 3))
def test_transposed_sizes_are_torchs(size: int, window: Window, extra: int) -> None:
    w = window
    assume(extra < max(w.stride, w.dilation))
    assume((size - 1) * w.stride - 2 * w.padding + w.span + extra > 0)
    out = F.conv_transpose1d(
        torch.zeros(1, 1, size), torch.zeros(1, 1, w.kernel), None, w.stride, w.padding, extra, 1, w.dilation
    )
    assert arithmetic.transposed_size(size, w, extra) == out.shape[2]


@given(size=st.integers(1, 60), kernel=st.integers(1, 15), dilation=st.integers(1, 3))
def test_same_keeps_the_size_or_says_why_it_cannot(size: int, kernel: int, dilation: int) -> None:
    if dilation * (kernel - 1) % 2:
        with pytest.raises(ValueError, match="odd"):
            arithmetic.same_padding(kernel, dilation)
    else:
        padding = arithmetic.same_padding(kernel, dilation)
        assert arithmetic.output_size(size, Window(kernel, 1, padding, dilation)) == size


@given(size=st.integers(1, 30), wanted=st.integers(1, 30), kernel=st.integers(1, 7), stride=st.integers(1, 3))
def test_the_padding_for_a_wanted_size_is_the_smallest(size: int, wanted: int, kernel: int, stride: int) -> None:
    def gives(padding: int) -> int:
        window = Window(kernel, stride, padding)
        return arithmetic.output_size(size, window) if window.span <= size + 2 * padding else 0

    possible = [p for p in range(200) if gives(p) == wanted]
    if possible:
        assert arithmetic.padding_for(size, wanted, kernel, stride) == possible[0]
    else:
        with pytest.raises(ValueError, match="no padding brings"):
            arithmetic.padding_for(size, wanted, kernel, stride)


def test_the_worked_numbers_of_the_notes() -> None:
    assert Layer(128, 64, (3, 3)).weights == 73_728
    assert Layer(256, 128, (3, 3)).weights == 294_912
    assert Layer(256, 128).weights == 32_768
    alexnet = [
        2 * Layer(3, 48, (11, 11)).weights,
        2 * Layer(48, 128, (5, 5)).weights,
        Layer(256, 384, (3, 3)).weights,
        2 * Layer(192, 192, (3, 3)).weights,
        2 * Layer(192, 128, (3, 3)).weights,
    ]
    assert alexnet == [34_848, 307_200, 884_736, 663_552, 442_368]
    assert Layer(13 * 13 * 256, 4096).weights == 177_209_344
    assert Layer(6 * 6 * 256, 4096).weights == 37_748_736
    assert [arithmetic.stacked(k) for k in (5, 7)] == [2, 3]
    assert Layer(64, 64, (3, 3), groups=64).weights == 576


@pytest.mark.parametrize("words", [(0, 1), (3, 0), (3, 1, -1), (3, 1, 0, 0)])
def test_windows_that_cannot_be_are_refused(words: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="it is at least"):
        Window(*words)


def seen(layers: list[tuple[str, Window]], size: int) -> list[tuple[int, int] | None]:
    """By brute force: the first and last of `size` pixels that each place of the result has a path to."""
    maps = [{i} for i in range(size)]
    for kind, w in layers:
        if kind == "window":
            count = (len(maps) + 2 * w.padding - w.span) // w.stride + 1
            new = [
                set().union(
                    *(maps[j] for k in range(w.kernel) if 0 <= (j := i * w.stride - w.padding + k * w.dilation) < len(maps))
                )
                for i in range(max(0, count))
            ]
        else:
            count = (len(maps) - 1) * w.stride - 2 * w.padding + w.span
            new = [set() for _ in range(max(0, count))]
            for i, pixels in enumerate(maps):
                for k in range(w.kernel):
                    if 0 <= (j := i * w.stride - w.padding + k * w.dilation) < len(new):
                        new[j] |= pixels
        maps = new
    return [(min(pixels), max(pixels)) if pixels else None for pixels in maps]


@settings(max_examples=200, deadline=None)
@given(layers=st.lists(st.tuples(st.sampled_from(["window", "transposed"]), windows), min_size=1, max_size=4))
def test_fields_are_those_of_brute_force(layers: list[tuple[str, Window]]) -> None:
    """In the middle of a large image, where no padding is seen."""
    size, field = 601, Field()
    for kind, window in layers:
        field = field.window(window) if kind == "window" else field.transposed(window)
    found = seen(layers, size)
    inside = [i for i in range(len(found)) if field.at(i)[0] >= 150 and field.at(i)[1] < 450]
    assume(inside)
    for i in inside:
        first, last = field.at(i)
        assert found[i] == ((first, last) if first <= last else None), i


def test_fields_join_where_their_strides_agree() -> None:
    wide, narrow = Field().window(Window(5, 1, 2)), Field().window(Window(3, 1, 1))
    assert (wide | narrow) == wide
    assert (wide | ALL) == ALL
    with pytest.raises(ValueError, match="stride 2 and 1 meet"):
        Field().window(Window(3, 2)) | wide
    up = Field().window(Window(3, 2, 1)).transposed(Window(4, 2, 1))
    assert up.stride == 1
    assert (up | narrow).stride == 1


def test_upsampling_sees_the_nearest_or_the_two_around() -> None:
    half = Field().window(Window(2, 2))
    assert [half.enlarged(2).at(i) for i in range(4)] == [(0, 1), (0, 1), (2, 3), (2, 3)]
    assert half.enlarged(2, linear=True).at(1) == (0, 3)
