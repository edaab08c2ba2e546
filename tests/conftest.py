"""The real data beside the checkout, and a cache of the tests' own."""

import os
import sys

if os.environ.pop("PYTHONDONTWRITEBYTECODE", ""):  # every process of a test would compile torch's Python anew, in 4 s
    sys.dont_write_bytecode = False
if "PYTEST_XDIST_WORKER" in os.environ:  # two workers with two threads each would take ten times as long as with one
    os.environ.setdefault("OMP_NUM_THREADS", "1")

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch


def pytest_configure(config: pytest.Config) -> None:
    """No kernel compiled before the last change of any: numba does not look at what a kernel calls from another file."""
    if not hasattr(config, "workerinput"):
        source = Path(__file__).parents[1] / "src"
        users = [file for file in source.rglob("*.py") if "kernels import" in file.read_text()]
        newest = max(file.stat().st_mtime for file in (source / "saccade" / "kernels.py", *users))
        for compiled in source.rglob("*.nbi"):
            if compiled.stat().st_mtime < newest:
                compiled.unlink()


DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One cache for the session, so that images are decoded once; never the user's."""
    folder = tmp_path_factory.mktemp("cache")
    os.environ["SACCADE_CACHE"] = str(folder)
    return folder


@pytest.fixture(scope="session")
def data() -> Path:
    if not DATA.is_dir():
        pytest.skip(f"the real images are not here ({DATA})")
    return DATA


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Maps of tests are small: threads would wait for one another, on a busy machine for ten times as long as they work."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
