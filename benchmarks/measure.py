"""Shared by the benchmarks: alternating runs, ratios with their spread, and where it was measured."""

import json
import statistics
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from saccade.experiment.record import machine, versions

RESULTS = Path(__file__).parent / "results"
DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


def alternate(ours: Callable[[], float], peer: Callable[[], float], rounds: int) -> list[tuple[float, float]]:
    """Rates of the two, measured in turn so that a noisy minute hits both."""
    pairs = []
    for i in range(rounds):
        pairs.append((ours(), peer()))
        print(f"round {i + 1}: Saccade {pairs[-1][0]:.4g}, peer {pairs[-1][1]:.4g}", file=sys.stderr, flush=True)
    return pairs


def ratio(pairs: list[tuple[float, float]]) -> dict[str, float]:
    """How many times as fast the first of each pair of rates is: the median, the smallest and the largest."""
    ratios = sorted(a / b for a, b in pairs)
    return {"median": round(statistics.median(ratios), 3), "low": round(ratios[0], 3), "high": round(ratios[-1], 3)}


def report(name: str, unit: str, pairs: list[tuple[float, float]], **more: Any) -> None:
    """Print and keep the ratio of the two, and what it comes from."""
    result = {
        "what": name,
        "ratio": ratio(pairs),
        "n": len(pairs),
        "unit": unit,
        "saccade": [round(a, 4) for a, _ in pairs],
        "peer": [round(b, 4) for _, b in pairs],
        **more,
    }
    keep(Path(sys.argv[0]).stem, result)


def keep(name: str, result: dict[str, Any]) -> None:
    words = {**result, "date": f"{datetime.now(UTC):%Y-%m-%d}", "machine": machine(), "versions": versions()}
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps(words, indent=1) + "\n")
    print(json.dumps(result, indent=1))
