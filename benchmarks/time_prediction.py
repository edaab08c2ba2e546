"""The time of a training step as predicted from single layers, against the step itself, over the zoo, on the CPU.

The machine is measured anew at the start. Command: uv run python benchmarks/time_prediction.py. Takes about three minutes
on two cores; anything else that runs at the same time makes both sides wrong.
"""

import statistics
import sys

import torch
from measure import keep
from memory_prediction import NETWORKS

from saccade.inspection.timing import measured, repeated, step_seconds
from saccade.inspection.trace import trace
from saccade.tasks import classify
from saccade.zoo import find


def actual(network: torch.nn.Module, shape: tuple[int, ...], precision: str) -> float:
    network = network.to(memory_format=torch.channels_last).train()
    optimizer = torch.optim.SGD(network.parameters(), lr=1e-4, momentum=0.9, fused=True)
    images = torch.randn(shape).to(memory_format=torch.channels_last)
    labels = torch.zeros(shape[0], dtype=torch.long)

    def step() -> None:
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
            scores = network(images)
        optimizer.zero_grad()
        classify.loss(scores, labels).backward()
        optimizer.step()

    return repeated(step, "cpu")


def main() -> None:
    rows = []
    for precision in ("fp32", "bf16"):
        rates = measured("cpu", precision)
        for name, batch in NETWORKS.items():
            entry = find(name)
            network = entry.build(1000, entry.channels)
            ops = trace(network, (1, entry.channels, entry.size, entry.size))
            predicted = step_seconds(ops, batch, sum(p.numel() for p in network.parameters()), rates)
            met = actual(network, (batch, entry.channels, entry.size, entry.size), precision)
            rows.append([name, batch, precision, round(predicted, 4), round(met, 4), round(predicted / met, 3)])
            print(f"{name:<16}{batch:>4} {precision}  predicted / met {rows[-1][-1]}", file=sys.stderr, flush=True)
    ratios = [row[-1] for row in rows]
    keep(
        "time_prediction",
        {
            "what": "predicted seconds of a training step over those met, CPU, channels-last",
            "ratio": {"median": round(statistics.median(ratios), 3), "low": min(ratios), "high": max(ratios)},
            "median_error": round(statistics.median(abs(r - 1) for r in ratios), 3),
            "n": len(rows),
            "columns": ["network", "batch", "precision", "predicted", "met", "ratio"],
            "rows": rows,
        },
    )


if __name__ == "__main__":
    main()
