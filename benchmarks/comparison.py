"""Two recipes of LeNet-5 compared on 10,000 images of Fashion-MNIST, 5 folds: one run after the other against one a core.

From the call to the finished report, with a warm store. Command: uv run python benchmarks/comparison.py (about 10 minutes).
"""

import tempfile
import time
from pathlib import Path

import numpy as np
from measure import DATA, alternate, report

from saccade import commands
from saccade.data.sources import open_source
from saccade.data.store import build
from saccade.display import show
from saccade.events import finish

ROUNDS = 3
RECIPE = {"network": "lenet5", "epochs": 5, "batch": 128, "optimizer": {"lr": 0.05}}


def images() -> tuple[np.ndarray, np.ndarray]:
    store = show(build(open_source(str(DATA / "fashion-mnist")), 28, None))
    where = np.flatnonzero(store.parts == "test")
    return np.array(store.pixels[where]), store.labels[where]


def main() -> None:
    data = images()
    seconds: list[dict[str, float]] = []
    verdicts = []

    def runs_a_second(engine: str) -> float:
        place = Path(tempfile.mkdtemp()) / "study"
        start = time.perf_counter()
        fields = {**RECIPE, "b": {"regularize": {"label_smoothing": 0.1}}}
        record = finish(commands.compare(data, engine=engine, out=place, **fields))
        seconds.append({engine: round(time.perf_counter() - start, 1)})
        verdicts.append(record["headline"])
        return 10 / (time.perf_counter() - start)

    pairs = alternate(lambda: runs_a_second("processes"), lambda: runs_a_second("serial"), ROUNDS)
    report("runs a second of a comparison, processes against serial", "runs/s", pairs, seconds=seconds, verdicts=verdicts)


if __name__ == "__main__":
    main()
