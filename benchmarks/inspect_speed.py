"""How long the inspection of a network takes after the imports, and the table of layers alone.

Command: uv run python benchmarks/inspect_speed.py. Takes some seconds.
"""

import statistics
import time

import torch
from measure import keep

import saccade
from saccade.inspection.table import layer_table
from saccade.zoo import find

ROUNDS = 9


def seconds(work) -> list[float]:
    work()
    found = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        work()
        found.append(round(time.perf_counter() - start, 4))
    return found


def main() -> None:
    with torch.device("meta"):
        network = find("resnet50").build(1000, 3)
    whole = seconds(lambda: saccade.inspect("resnet50"))
    table = seconds(lambda: layer_table(network, (3, 224, 224)))
    keep(
        "inspect_speed",
        {
            "what": "seconds for ResNet-50 after the imports",
            "inspect": {"median": statistics.median(whole), "all": whole},
            "layer_table": {"median": statistics.median(table), "all": table},
            "n": ROUNDS,
        },
    )


if __name__ == "__main__":
    main()
