"""One step of each update rule against torch.optim's, on the weights of LeNet-5 and of ResNet-18.

Gradients are random and stay the same: what is timed is the update alone. Peers: torch's foreach (its default on a GPU)
and, where it has one, its fused kernel. Rates are steps a second, measured in turn; above 1 Saccade is faster.
Command: uv run python benchmarks/update_rules.py [cuda]. Takes about five minutes on two cores.
"""

import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import torch
from measure import alternate, keep, ratio
from torch import nn

from saccade.optim.optimizer import Optimizer
from saccade.zoo import find

DECAY, ROUNDS, SECONDS = 5e-4, 9, 0.3
NETWORKS = {"lenet5": (10, 1), "resnet18": (1000, 3)}
# torch's class, its numbers, whether it has a fused kernel
PEERS: dict[str, tuple[type[torch.optim.Optimizer], dict[str, Any], bool]] = {
    "sgd": (torch.optim.SGD, {}, True),
    "momentum": (torch.optim.SGD, {"momentum": 0.9}, True),
    "nesterov": (torch.optim.SGD, {"momentum": 0.9, "nesterov": True}, True),
    "adagrad": (torch.optim.Adagrad, {}, True),
    "adadelta": (torch.optim.Adadelta, {}, False),
    "rmsprop": (torch.optim.RMSprop, {}, False),
    "adam": (torch.optim.Adam, {}, True),
    "adamw": (torch.optim.AdamW, {}, True),
}


def weights(network: str, device: str) -> list[nn.Parameter]:
    params = list(find(network).build(*NETWORKS[network]).to(device).parameters())
    for p in params:
        p.grad = 0.01 * torch.randn_like(p)
    return params


def rate(optimizer: torch.optim.Optimizer, device: str) -> Callable[[], float]:
    """Steps a second over a third of a second."""

    def measured() -> float:
        optimizer.step()
        wait(device)
        steps, start = 0, time.perf_counter()
        while time.perf_counter() - start < SECONDS:
            for _ in range(5):
                optimizer.step()
            wait(device)
            steps += 5
        return steps / (time.perf_counter() - start)

    return measured


def wait(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


def main() -> None:
    device = sys.argv[1] if len(sys.argv) > 1 else "cpu"
    rows = []
    for network in NETWORKS:
        for rule, (peer, numbers, has_fused) in PEERS.items():
            for kernel in ("foreach", "fused")[: 1 + has_fused]:
                ours = Optimizer(weights(network, device), rule, 1e-3, weight_decay=DECAY)
                arguments: dict[str, Any] = {"lr": 1e-3, "weight_decay": DECAY, kernel: True, **numbers}
                theirs = peer(weights(network, device), **arguments)
                pairs = alternate(rate(ours, device), rate(theirs, device), ROUNDS)
                row = {
                    "network": network,
                    "rule": rule,
                    "peer": kernel,
                    "ratio": ratio(pairs),
                    "saccade_ms": round(1e3 / statistics.median(a for a, _ in pairs), 3),
                    "peer_ms": round(1e3 / statistics.median(b for _, b in pairs), 3),
                }
                rows.append(row)
                print(row, file=sys.stderr)
    name = "update_rules" if device == "cpu" else f"update_rules_{device}"
    keep(name, {"what": "One step of an update rule against torch.optim", "device": device, "n": ROUNDS, "rows": rows})


if __name__ == "__main__":
    main()
