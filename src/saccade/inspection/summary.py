"""Everything numeric about a network, before it is trained: what `saccade inspect` prints."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from saccade.errors import InputError, suggestion
from saccade.inspection.memory import PRECISIONS, STATE, largest_batch, training_memory
from saccade.inspection.smallest import with_smallest
from saccade.inspection.table import Row, layer_table
from saccade.inspection.timing import rates_of, step_seconds
from saccade.inspection.trace import trace
from saccade.wording import in_bytes

Record = dict[str, Any]
LEAVES = ("conv", "linear", "pool", "norm", "matmul", "attention")


@dataclass(frozen=True)
class Step:
    """The training step whose memory is told: images at once, "fp32" or "bf16", and the rule of update."""

    batch: int = 64
    precision: str = "fp32"
    optimizer: str = "momentum"


def summary(network: nn.Module, image: tuple[int, int, int], step: Step) -> Record:
    """Totals, the memory of a training step on a batch of images (C, H, W), and the table of layers.

    MACs are multiply-accumulates of one image; FLOPs are twice as many.
    """
    check_step(step)
    try:
        rows = layer_table(network, image)
        memory = training_memory(network, (step.batch, *image), step.precision, step.optimizer)
    except InputError as error:
        raise with_smallest(error, network, image[0]) from error
    macs = sum(row["macs"] for row in rows)
    return {
        "input": list(image),
        "parameters": sum(p.numel() for p in network.parameters()),
        "biases": sum(row["biases"] for row in rows),
        "macs": macs,
        "flops": 2 * macs,
        "receptive_field": last_field(rows),
        "memory": {"batch": step.batch, "precision": step.precision, "optimizer": step.optimizer, **memory.to_dict()},
        "layers": rows,
    }


def check_step(step: Step) -> None:
    """InputError for a batch, precision or optimizer that there is not."""
    if step.batch < 1:
        raise InputError(f"batch: at least one image, not {step.batch}")
    for word, known in ((step.precision, PRECISIONS), (step.optimizer, STATE)):
        if word not in known:
            raise InputError(f'"{word}" is none of {", ".join(known)}{suggestion(word, known)}')


def predicted_time(network: nn.Module, image: tuple[int, int, int], step: Step) -> Record:
    """Seconds of a training step on this machine's GPU where it has one, else on its CPU."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    parameters = sum(p.numel() for p in network.parameters() if p.requires_grad)
    seconds = step_seconds(trace(network, (1, *image)), step.batch, parameters, rates_of(device, step.precision))
    return {"device": device, "precision": step.precision, "batch": step.batch, "seconds": round(seconds, 6)}


def last_field(rows: list[Row]) -> list[int]:
    """What a place of the last map sees, before it is pooled or flattened; [] where that is the whole image."""
    maps = [
        i
        for i, row in enumerate(rows)
        if len(row["output"]) == 3 and (None not in row["offset"] or row["output"].count(1) < 2)
    ]
    if not maps or None in rows[maps[-1]]["offset"]:
        return []
    # A transformer goes on with places (tokens) that see everything, without the shape of a map
    tokens = any(row["macs"] and len(row["output"]) == 2 and row["output"][0] > 1 for row in rows[maps[-1] + 1 :])
    return [] if tokens else rows[maps[-1]]["receptive_field"]


def fitting(network: nn.Module, image: tuple[int, int, int], budget: int, step: Step) -> int:
    """The largest batch whose training step stays within so many bytes. InputError where not even two images do."""
    found = largest_batch(network, image, budget, step.precision, step.optimizer)
    if found < 2:
        raise InputError(f"not even 2 images at once fit {in_bytes(budget)}; try --precision bf16 or smaller images")
    return found


def folded(rows: list[Row], depth: int) -> list[Row]:
    """Rows that share the first `depth` names of their paths as one: counts added up, the rest of the last."""
    found: list[Row] = []
    for row in rows:
        path = ".".join(row["path"].split(".")[:depth])
        if found and found[-1]["path"] == path:
            last = found[-1]
            sums = {name: last[name] + row[name] for name in ("parameters", "biases", "macs", "bytes")}
            sums["counted"] = last["counted"] and row["counted"]
            found[-1] = row | sums | {"path": path, "kind": "block"}
        else:
            found.append(row | {"path": path})
    return found


def main_rows(rows: list[Row]) -> list[Row]:
    """Layers with weights or products, and what changes the size: not the activations and sums between them."""
    return [
        row
        for row in rows
        if row["parameters"] or row["macs"] or not row["counted"] or "kernel" in row or row["kind"].startswith("adaptive")
    ]
