"""Work on torch's own threads: every part once, errors come through, and nothing outlives it."""

import gc
import weakref
from collections.abc import Iterator

import numpy as np
import pytest
import torch

from saccade.kernels import on_threads


@pytest.fixture(autouse=True, params=[1, 2, 5])
def _threads(request: pytest.FixtureRequest) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("count", [0, 1, 2, 3, 17])
def test_every_part_is_worked_on_once(count: int) -> None:
    met = np.zeros(count, int)

    def work(start: int, stop: int) -> None:
        met[start:stop] += 1

    on_threads(work, count)
    assert (met == 1).all()


def test_an_error_of_any_part_comes_through() -> None:
    def work(start: int, stop: int) -> None:
        if stop == 10:
            raise ValueError("the last part")

    with pytest.raises(ValueError, match="the last part"):
        on_threads(work, 10)


def test_what_was_worked_on_is_freed_at_once() -> None:
    """Images that wait for the collector would have every batch written to fresh memory, which takes forty times as long."""

    class Owned(np.ndarray):
        pass

    array = np.zeros(10).view(Owned)
    gc.disable()
    try:
        on_threads(lambda start, stop, array=array: array[start:stop].fill(1), 10)
        gone = weakref.ref(array)
        del array
        assert gone() is None
    finally:
        gc.enable()
