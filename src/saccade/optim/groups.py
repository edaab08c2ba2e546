"""Which hyperparameters apply to which parameters."""

from typing import Any

from torch import nn


def decay_groups(network: nn.Module, decay: float) -> list[dict[str, Any]]:
    """Two groups for an optimizer: weights of convolutions and dense layers decay, norms and biases do not.

    A decayed scale or bias limits the network's function without making it smoother (arXiv:1812.01187, section 3.1).
    """
    parameters = [p for p in network.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in parameters if p.squeeze().dim() > 1], "weight_decay": decay},
        {"params": [p for p in parameters if p.squeeze().dim() <= 1], "weight_decay": 0.0},
    ]
    return [group for group in groups if group["params"]]
