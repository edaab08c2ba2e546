"""Two recipes of LeNet-5 compared on 10,000 images of Fashion-MNIST, 5 folds: one run after the other against one a core.

From the call to the finished report, with a warm store; with more epochs the start of the processes counts for less. With
torch's kernels too, of which two threads are less than twice one; and against one run after the other on one core.
Command: uv run python benchmarks/comparison.py [CASE] (about 15 minutes; a case by its beginning alone).
"""

import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from measure import DATA, RESULTS, alternate, keep, ratio

from saccade import commands
from saccade.data.sources import open_source
from saccade.data.store import build
from saccade.display import show
from saccade.events import finish
from saccade.experiment.engine import threads

ROUNDS = 3
CASES = {"5 epochs": {"epochs": 5}, "25 epochs": {"epochs": 25}}
CASES["25 epochs, torch's kernels"] = {"epochs": 25, "plan": {"images_last": False}}
CASES["one core: 10 epochs"] = {"epochs": 10}
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


def measured(data: tuple[np.ndarray, np.ndarray], name: str) -> dict[str, Any]:
    verdicts, case = set(), CASES[name]

    def runs_a_second(engine: str) -> float:
        seconds, verdict = compared(data, engine, case)
        verdicts.add(verdict)
        return 10 / seconds

    def serial() -> float:
        with threads(1 if name.startswith("one core") else torch.get_num_threads()):
            return runs_a_second("serial")

    pairs = alternate(lambda: runs_a_second("processes"), serial, ROUNDS)
    return {
        "processes over serial": ratio(pairs),
        "seconds": {"processes": [round(10 / a, 1) for a, _ in pairs], "serial": [round(10 / b, 1) for _, b in pairs]},
        "verdicts": sorted(verdicts),
        "n": ROUNDS,
    }


def main() -> None:
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # a user's Python keeps what it compiled
    data, file = images(), RESULTS / "comparison.json"
    chosen = [name for name in CASES if name.startswith(sys.argv[1] if sys.argv[1:] else "")]
    results = json.loads(file.read_text())["results"] if len(chosen) < len(CASES) else {}
    results |= {name: measured(data, name) for name in chosen}
    keep("comparison", {"what": "a comparison of two recipes of LeNet-5, 10 runs", "results": results})


if __name__ == "__main__":
    main()
