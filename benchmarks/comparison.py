"""Two recipes of LeNet-5 compared on 10,000 images of Fashion-MNIST, 5 folds: one run after the other against one a core.

From the call to the finished report, with a warm store; with more epochs the start of the processes counts for less. With
torch's kernels too, of which two threads are less than twice one.
Command: uv run python benchmarks/comparison.py (about 12 minutes).
"""

import os
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from measure import DATA, alternate, keep, ratio

from saccade import commands
from saccade.data.sources import open_source
from saccade.data.store import build
from saccade.display import show
from saccade.events import finish

ROUNDS = 3
CASES = {"5 epochs": {"epochs": 5}, "25 epochs": {"epochs": 25}}
CASES["25 epochs, torch's kernels"] = {"epochs": 25, "plan": {"images_last": False}}
RECIPE = {"network": "lenet5", "batch": 128, "optimizer": {"lr": 0.05}}


def images() -> tuple[np.ndarray, np.ndarray]:
    store = show(build(open_source(str(DATA / "fashion-mnist")), 28, None))
    where = np.flatnonzero(store.parts == "test")
    return np.array(store.pixels[where]), store.labels[where]


def compared(data: tuple[np.ndarray, np.ndarray], engine: str, case: dict[str, Any]) -> tuple[float, str]:
    """Seconds, and the verdict."""
    place = Path(tempfile.mkdtemp()) / "study"
    start = time.perf_counter()
    fields = {**RECIPE, **case, "b": {"regularize": {"label_smoothing": 0.1}}}
    record = finish(commands.compare(data, engine=engine, out=place, **fields))
    return time.perf_counter() - start, record["headline"]


def measured(data: tuple[np.ndarray, np.ndarray], case: dict[str, Any]) -> dict[str, Any]:
    verdicts = set()

    def runs_a_second(engine: str) -> float:
        seconds, verdict = compared(data, engine, case)
        verdicts.add(verdict)
        return 10 / seconds

    pairs = alternate(lambda: runs_a_second("processes"), lambda: runs_a_second("serial"), ROUNDS)
    return {
        "processes over serial": ratio(pairs),
        "seconds": {"processes": [round(10 / a, 1) for a, _ in pairs], "serial": [round(10 / b, 1) for _, b in pairs]},
        "verdicts": sorted(verdicts),
    }


def main() -> None:
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # a user's Python keeps what it compiled
    data = images()
    results = {name: measured(data, case) for name, case in CASES.items()}
    keep("comparison", {"what": "a comparison of two recipes of LeNet-5, 10 runs", "n": ROUNDS, "results": results})


if __name__ == "__main__":
    main()
