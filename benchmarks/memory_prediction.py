"""The memory of a training step as predicted, against what torch allocates, over the zoo, on the CPU.

Each network in a process of its own: one step to make the optimizer's state, then one with every allocation of torch's
recorded by its profiler. `resident` is how far the process grew in all (RssAnon): what kernels borrow and malloc holds in
reserve is in it. Command: uv run python benchmarks/memory_prediction.py. Takes about three minutes on two cores.
"""

import statistics
import subprocess
import sys

import torch
from measure import keep
from torch.profiler import ProfilerActivity, profile

from saccade.inspection.memory import training_memory
from saccade.tasks import classify
from saccade.zoo import find

NETWORKS = {
    "lenet5": 128, "alexnet": 16, "nin": 64, "vgg11": 4, "vgg16_bn": 4, "googlenet": 8, "googlenet_bn": 8, "resnet18": 16,
    "resnet50": 8, "resnet20": 64, "plain20": 64, "preresnet50": 8, "densenet121": 8, "densenet40_bc": 32,
    "mobilenet_v1": 16, "mobilenet_v2": 16, "efficientnet_b0": 8,
}  # fmt: skip


def anonymous() -> int:
    with open("/proc/self/status", encoding="utf-8") as lines:
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon"))


def measured(name: str, batch: int, precision: str) -> tuple[int, int, int]:
    """Predicted, allocated and resident bytes."""
    entry = find(name)
    torch.manual_seed(0)
    before = anonymous()
    network = entry.build(1000, entry.channels).to(memory_format=torch.channels_last).train()
    optimizer = torch.optim.SGD(network.parameters(), lr=0.01, momentum=0.9)
    images = torch.randn(batch, entry.channels, entry.size, entry.size).to(memory_format=torch.channels_last)

    def step() -> None:
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
            scores = network(images)
        optimizer.zero_grad()
        classify.loss(scores, torch.zeros(batch, dtype=torch.long)).backward()
        optimizer.step()

    step()
    optimizer.zero_grad()
    held = sum(2 * p.nbytes for p in network.parameters()) + sum(b.nbytes for b in network.buffers())
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as recording:
        step()
    resident = anonymous() - before
    events = [e for e in recording.profiler.kineto_results.events() if e.name() == "[memory]"]
    now = most = 0
    for event in sorted(events, key=lambda e: e.start_ns()):
        now += event.nbytes()
        most = max(most, now)
    predicted = training_memory(network, tuple(images.shape), precision).training_bytes
    return predicted, held + most, resident


def main() -> None:
    if len(sys.argv) > 1:
        print(*measured(sys.argv[1], int(sys.argv[2]), sys.argv[3]))
        return
    rows = []
    for name, batch in NETWORKS.items():
        for precision in ("fp32", "bf16"):
            words = [sys.executable, __file__, name, str(batch), precision]
            done = subprocess.run(words, capture_output=True, text=True, check=True)
            predicted, allocated, resident = map(int, done.stdout.split()[-3:])
            ratio = predicted / allocated
            rows.append([name, batch, precision, predicted, allocated, resident, round(ratio, 3)])
            print(f"{name:<16}{batch:>4} {precision}  predicted / allocated {ratio:.3f}", file=sys.stderr, flush=True)
    ratios = [row[-1] for row in rows]
    keep(
        "memory_prediction",
        {
            "what": "predicted bytes of a training step over those that torch allocates, CPU, channels-last",
            "ratio": {"median": statistics.median(ratios), "low": min(ratios), "high": max(ratios)},
            "median_error": round(statistics.median(abs(r - 1) for r in ratios), 3),
            "resident_over_allocated": round(statistics.median(row[5] / row[4] for row in rows), 3),
            "n": len(rows),
            "columns": ["network", "batch", "precision", "predicted", "allocated", "resident", "ratio"],
            "rows": rows,
        },
    )


if __name__ == "__main__":
    main()
