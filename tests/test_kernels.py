"""Work on torch's own threads: every part once, errors come through, and nothing outlives it."""

import gc
import subprocess
import sys
import weakref
from collections.abc import Iterator

import numpy as np
import pytest
import torch

from saccade.kernels import on_threads


@pytest.fixture(params=[1, 2, 5])
def threads(request: pytest.FixtureRequest) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("count", [0, 1, 2, 3, 17])
@pytest.mark.usefixtures("threads")
def test_every_part_is_worked_on_once(count: int) -> None:
    met = np.zeros(count, int)

    def work(start: int, stop: int) -> None:
        met[start:stop] += 1

    on_threads(work, count)
    assert (met == 1).all()


@pytest.mark.usefixtures("threads")
def test_an_error_of_any_part_comes_through() -> None:
    def work(start: int, stop: int) -> None:
        if stop == 10:
            raise ValueError("the last part")

    with pytest.raises(ValueError, match="the last part"):
        on_threads(work, 10)


@pytest.mark.usefixtures("threads")
def test_what_was_worked_on_is_freed_at_once() -> None:
    """Images that wait for the collector would have every batch written to fresh memory, at a multiple of the time."""

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


def test_a_machine_that_keeps_nothing_on_disk_computes_all_the_same() -> None:
    script = (
        "import torch\nfrom numba.core import caching\ncaching.CacheImpl._locator_classes = []\n"
        "from saccade.data.augment import RandomCrop\nfrom saccade.layers.images_last import images_last\n"
        "network, x = torch.nn.Sequential(torch.nn.MaxPool2d(2)), torch.rand(2, 1, 6, 6)\n"
        "assert torch.equal(images_last(network)(x), network(x))\n"
        "step, pixels = RandomCrop(4), torch.zeros(2, 1, 6, 6, dtype=torch.uint8)\n"
        "assert step(pixels, torch.Generator()).shape == (2, 1, 4, 4)\n"
    )
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert found.returncode == 0, found.stderr
