"""The record of a run: what was done, on what, with which outcome (DESIGN of the run folder, `--json`)."""

import os
import platform
import sys
from dataclasses import replace
from importlib.metadata import version
from typing import Any

import numpy as np
import torch

from saccade.data.listing import PARTS
from saccade.experiment.fit import Fit, Position
from saccade.experiment.setup import Prepared
from saccade.inspection.memory import training_memory
from saccade.inspection.table import layer_table
from saccade.inspection.trace import traced_on
from saccade.training.cores import cores
from saccade.training.plan import Plan


def machine() -> dict[str, Any]:
    """What this machine is: a figure without it says nothing."""
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if hasattr(os, "sysconf") else None
    return {
        "cpu": cpu_name(),
        "cores": cores(),
        "threads": torch.get_num_threads(),
        "memory_bytes": memory,
        "gpu": gpu,
        "system": platform.platform(),
    }


def cpu_name() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:
            return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def versions() -> dict[str, str]:
    packages = ("saccade", "torch", "numpy", "Pillow", "scikit-learn")
    return {"python": sys.version.split()[0], **{name.lower(): version(name) for name in packages}}


def about_data(prepared: Prepared) -> dict[str, Any]:
    """Where the images came from, how they were divided, and what was left out."""
    store, classes = prepared.store, prepared.store.classes
    splits = {}
    for part in PARTS:
        labels = store.labels[prepared.indices(part)]
        splits[part] = {"images": len(labels), "per_class": np.bincount(labels, minlength=len(classes)).tolist()}
    return {
        "data": store.name,
        "classes": list(classes),
        "split_by": prepared.split_by,
        "splits": splits,
        "images": {
            "source": store.source,
            "fingerprint": store.fingerprint,
            "used": len(store.labels),
            "left_out": [{"file": each.file, "reason": each.reason} for each in store.left_out],
            "findings": [{"kind": f.kind, "text": f.text, "files": list(f.files)} for f in store.findings],
            "size": prepared.preprocess.size,
            "channels": prepared.preprocess.channels,
        },
    }


def about_plan(plan: Plan, micro_batch: int) -> dict[str, Any]:
    return {
        "device": plan.device,
        "precision": plan.precision,
        "channels_last": plan.channels_last,
        "compiled": plan.compiled,
        "images_last": plan.images_last,
        "micro_batch": micro_batch,
        "measured": [{"choice": name, "images_per_second": rate} for name, rate in plan.measured],
    }


def about_training(fit: Fit) -> dict[str, Any]:
    """The network and how its training went."""
    recipe, position, size = fit.recipe, fit.position, fit.prepared.preprocess.size
    layers = layer_table(fit.network, (fit.prepared.preprocess.channels, size, size), traced_on(fit.device.type))
    return {
        "network": recipe.network,
        "seed": recipe.seed,
        "parameters": sum(p.numel() for p in fit.network.parameters() if p.requires_grad),
        "macs": sum(row["macs"] for row in layers),
        "layers": layers,
        "plan": about_plan(fit.plan, fit.trainer.micro_batch),
        "memory": about_memory(fit),
        "time": about_time(fit),
        "images_per_second": round(images_per_second(position, len(fit.train)), 1),
        "epochs": {"planned": recipe.epochs, "trained": position.epoch, "best": position.best_epoch},
        "selected_on": "validation accuracy" if fit.selects else "nothing: the last epoch",
        "notes": position.notes,
    }


def about_memory(fit: Fit) -> dict[str, Any]:
    """Bytes of a training step as predicted, and as met, by torch's allocator on a GPU, else by the process's growth."""
    size, channels = fit.prepared.preprocess.size, fit.prepared.preprocess.channels
    batch = min(fit.trainer.micro_batch, len(fit.train))
    predicted = training_memory(
        fit.network,
        (batch, channels, size, size),
        fit.plan.precision,
        fit.recipe.optimizer.rule,
        traced_on(fit.device.type),
    )
    by = "torch's allocator" if fit.device.type == "cuda" else "growth of the process, looked at every 20 ms"
    return {
        "predicted_bytes": predicted.training_bytes,
        "margin_bytes": predicted.margin,
        "met_bytes": fit.position.memory or None,
        "met_by": by,
    }


def about_time(fit: Fit) -> dict[str, Any]:
    """Seconds of all training steps: as predicted from the steps that the plan was measured by, and as met."""
    rate = max((rate for name, rate in fit.plan.measured if name == str(replace(fit.plan, measured=()))), default=None)
    images = fit.position.epoch * len(fit.train)
    return {
        "predicted_seconds": round(images / rate, 2) if rate else None,
        "met_seconds": round(fit.position.times["training"], 2),
    }


def images_per_second(position: Position, images: int) -> float:
    return position.epoch * images / seconds if (seconds := position.times["training"]) else 0.0
