"""Whole commands as a user types them, from a cold cache to the finished report, in seconds of the clock.

The last ones also compile every kernel, and every Python file, as the first run on a machine does; Python keeps what it
compiled, as it does unless PYTHONDONTWRITEBYTECODE says otherwise.

Command: uv run python benchmarks/front_door.py. Takes about 5 minutes on two cores.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from measure import DATA, keep

COMMANDS = {
    "train --help": (["train", "--help"], 5),
    "train digits": (["train", "digits"], 3),
    "train fashion-mnist, LeNet-5, 10 epochs": (
        ["train", str(DATA / "fashion-mnist"), "--network", "lenet5", "--epochs", "10"],
        1,
    ),
    "train clothing-small, ResNet-18, 2 epochs, batch 32, 176 px": (
        ["train", str(DATA / "clothing-small"), *"--network resnet18 --epochs 2 --batch 32 --images.size 176".split()],
        3,
    ),
}


FIRST = (
    "train digits",
    "train fashion-mnist, LeNet-5, 10 epochs",
    "train clothing-small, ResNet-18, 2 epochs, batch 32, 176 px",
)


def once(words: list[str], compiled: Path | None) -> tuple[float, float | None]:
    """Seconds, and the test accuracy where the command trains; `compiled`: where Python keeps it, None: nowhere."""
    with tempfile.TemporaryDirectory() as folder:
        out = [] if "--help" in words else ["--out", str(Path(folder) / "run"), "--json"]
        environment = {**os.environ, "SACCADE_CACHE": str(Path(folder) / "cache")}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        environment["PYTHONPYCACHEPREFIX"] = str(compiled or Path(folder) / "compiled")
        if compiled is None:
            environment["NUMBA_CACHE_DIR"] = str(Path(folder) / "kernels")
        start = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-m", "saccade", *words, *out],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        seconds = time.perf_counter() - start
        return seconds, json.loads(done.stdout)["scores"]["test"]["accuracy"]["value"] if out else None


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        measure(Path(folder))


def measure(compiled: Path) -> None:
    for words, _ in COMMANDS.values():
        once([*words, *(["--epochs", "1"] if words[-1] != "--help" else [])], compiled)
    found = {}
    works = [(name, *work, compiled) for name, work in COMMANDS.items()]
    works += [(f"{name}, the first time", *COMMANDS[name], None) for name in FIRST]
    for name, words, times, where in works:
        runs = [once(words, where) for _ in range(times)]
        seconds = [round(s, 2) for s, _ in runs]
        found[name] = {
            "seconds": seconds,
            "median": statistics.median(seconds),
            "n": times,
            "accuracy": [a for _, a in runs],
        }
        print(name, found[name], file=sys.stderr, flush=True)
    keep("front_door", {"what": "seconds from the command to the finished report, cold cache", "commands": found})


if __name__ == "__main__":
    main()
