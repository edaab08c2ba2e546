"""torch's threads on cores of their own, and what is left of that."""

import os
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from saccade.experiment.engine import threads
from saccade.kernels import Region, parallel_region
from saccade.training.cores import cores_of_their_own

pytestmark = pytest.mark.skipif(
    not hasattr(os, "sched_getaffinity") or len(os.sched_getaffinity(0)) < 2 or parallel_region(Region) is None,
    reason="several cores, Linux and libgomp",
)


def cores_of_threads(count: int) -> list[set[int]]:
    found: list[set[int]] = []
    parallel_region(Region)(Region(lambda _: found.append(os.sched_getaffinity(0))), None, count, 0)
    return found


def test_each_thread_has_a_core_and_this_one_gets_all_of_them_back() -> None:
    cores = os.sched_getaffinity(0)
    with threads(len(cores)):
        with cores_of_their_own():
            assert sorted(map(tuple, cores_of_threads(len(cores)))) == [(core,) for core in sorted(cores)]
            with cores_of_their_own():  # within another, as validation is within training
                assert len(os.sched_getaffinity(0)) == 1
            assert len(os.sched_getaffinity(0)) == 1
        assert os.sched_getaffinity(0) == cores
        with ThreadPoolExecutor(1) as pool:
            assert pool.submit(os.sched_getaffinity, 0).result() == cores


def test_fewer_threads_than_cores_stay_free() -> None:
    """Two processes of one thread each must not meet on the first core."""
    cores = os.sched_getaffinity(0)
    with threads(len(cores) - 1), cores_of_their_own():
        assert os.sched_getaffinity(0) == cores
        torch.ones(10).sum()
