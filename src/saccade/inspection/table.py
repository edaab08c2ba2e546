"""The table of a network's layers."""

from typing import Any

from torch import nn

from saccade.inspection.trace import trace


def layer_table(network: nn.Module, image: tuple[int, int, int]) -> list[dict[str, Any]]:
    """One row for each call of a forward pass over one image (C, H, W): path, kind, output, parameters, macs."""
    return [
        {
            "path": op.path,
            "kind": op.kind,
            "output": list(op.shape[1:]),
            "parameters": op.parameters,
            "macs": op.macs,
        }
        for op in trace(network, (1, *image))
    ]
