"""torch's threads on cores of their own, and what is left of that."""

import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from saccade.experiment.engine import threads
from saccade.kernels import Region, parallel_region
from saccade.training.cores import core_numbers, cores_of_their_own
from saccade.training.plan import Plan

pytestmark = pytest.mark.skipif(len(core_numbers()) != 2 or parallel_region(Region) is None, reason="two cores and libgomp")


@pytest.fixture(autouse=True)
def two_threads() -> Iterator[None]:
    with threads(2):
        yield


def places() -> list[tuple[int, ...]]:
    """Where each of torch's threads may be."""
    found: list[tuple[int, ...]] = []
    parallel_region(Region)(Region(lambda _: found.append(tuple(sorted(os.sched_getaffinity(0))))), None, 2, 0)
    return sorted(found)


BOTH = tuple(sorted(core_numbers()))


def test_each_thread_has_a_core_inside_and_both_outside() -> None:
    with cores_of_their_own("cpu"):
        assert places() == [(core,) for core in BOTH]
        with cores_of_their_own("cpu"):  # within another, as validation is within training
            assert places() == [(core,) for core in BOTH]
        assert places() == [(core,) for core in BOTH]
    assert places() == [BOTH, BOTH]
    with ThreadPoolExecutor(1) as pool:
        assert tuple(sorted(pool.submit(os.sched_getaffinity, 0).result())) == BOTH


def test_an_error_inside_frees_them() -> None:
    with pytest.raises(KeyError), cores_of_their_own("cpu"):
        raise KeyError
    assert places() == [BOTH, BOTH]


def test_what_another_thread_ends_is_free_in_the_one_that_began() -> None:
    def work() -> Iterator[None]:
        with cores_of_their_own("cpu"):
            yield

    begun = work()
    next(begun)
    assert len(os.sched_getaffinity(0)) == 1
    other = threading.Thread(target=begun.close)
    other.start()
    other.join()
    assert places() == [BOTH, BOTH]


@pytest.mark.parametrize("plan", [Plan("cuda", "fp32", True, False), Plan("cpu", "fp32", True, compiled=True)], ids=str)
def test_gpus_and_compilers_need_all_cores(plan: Plan) -> None:
    with plan.on_cores():
        assert places() == [BOTH, BOTH]


def test_fewer_threads_than_cores_stay_free() -> None:
    """Two processes of one thread each must not meet on the first core."""
    with threads(1), cores_of_their_own("cpu"):
        assert tuple(sorted(os.sched_getaffinity(0))) == BOTH
