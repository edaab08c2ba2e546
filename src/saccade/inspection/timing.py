"""The time of a training step, told from what this machine does with single layers."""

import hashlib
import json
import os
import platform
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from statistics import median

import numpy as np
import torch
from torch import nn

from saccade.data.cache import cache_folder
from saccade.inspection.trace import WRITTEN, Op
from saccade.writing import write_text

BATCH = 8
SAMPLES = {  # kind of convolution: channels in and out, side of kernel, groups, side of the map
    "wide": ((3, 64, 7, 1, 112), (16, 16, 3, 1, 32), (64, 64, 3, 1, 56), (256, 256, 3, 1, 14)),
    "1x1": ((16, 96, 1, 1, 56), (64, 256, 1, 1, 56), (256, 256, 1, 1, 14), (1024, 512, 1, 1, 7)),
    "depthwise": ((32, 32, 3, 32, 112), (144, 144, 3, 144, 56), (512, 512, 3, 512, 14)),
}
VIEWS = {
    WRITTEN,
    "flatten",
    "view",
    "reshape",
    "permute",
    "transpose",
    "size",
    "contiguous",
    "__getitem__",
    "unsqueeze",
    "squeeze",
}


@dataclass(frozen=True)
class Rates:
    """What a machine does in a second of forward and backward passes.

    `convolutions`: for each kind, channels (the root of in times out) and multiply-accumulates; `dense`
    multiply-accumulates, and `weights` of dense layers that are read, whatever the batch; `pointwise` bytes of output of a
    normalization or activation, `responses` of a local response normalization, which torch puts together of several
    calls; `call` seconds of the smallest call; `update` values that an optimizer step changes.
    """

    convolutions: dict[str, list[tuple[float, float]]]
    dense: float
    weights: float
    pointwise: float
    responses: float
    call: float
    update: float

    def convolution(self, kind: str, channels: float) -> float:
        """Multiply-accumulates in a second, between the channels that were measured along straight lines of logarithms."""
        xs, ys = zip(*sorted(self.convolutions[kind]), strict=True)
        return float(np.exp(np.interp(np.log(channels), np.log(xs), np.log(ys))))


def step_seconds(ops: Sequence[Op], batch: int, parameters: int, rates: Rates) -> float:
    """Of one training step: the calls of a pass over one image, `batch` times, and the update of the parameters."""
    return sum(call_seconds(op, batch, rates) for op in ops) + parameters / rates.update


def call_seconds(op: Op, batch: int, rates: Rates) -> float:
    if op.kind in VIEWS or not op.inputs:
        return 0.0
    if op.kind.startswith("conv"):
        cout, cin = op.given[1][:2]
        groups = op.given[0][1] // cin if op.kind == "conv2d" else 1
        depthwise, single = groups > 1 and cin == 1, max(op.given[1][2:]) == 1
        kind = "depthwise" if depthwise else "1x1" if single else "wide"
        channels = cout if depthwise else (cin * cout / groups) ** 0.5
        return rates.call + op.macs * batch / rates.convolution(kind, channels)
    if op.macs:
        return rates.call + op.macs * batch / rates.dense + op.parameters / rates.weights
    return rates.call + op.bytes * batch / (rates.responses if op.kind == "local_response_norm" else rates.pointwise)


def rates_of(device: str, precision: str) -> Rates:
    """Measured in some seconds, then kept in the cache folder for this machine, device, precision and version of torch."""
    gpu = torch.cuda.get_device_name(device) if torch.device(device).type == "cuda" else ""
    machine = [platform.node(), platform.machine(), os.cpu_count(), torch.get_num_threads(), torch.__version__, gpu]
    key = hashlib.blake2b(repr([machine, precision, BATCH, SAMPLES]).encode(), digest_size=8).hexdigest()
    kept = cache_folder() / f"rates-{key}.json"
    try:
        return Rates(**json.loads(kept.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        found = measured(device, precision)
        with suppress(Exception):  # a cache that cannot be written costs a measurement next time
            kept.parent.mkdir(parents=True, exist_ok=True)
            write_text(kept, json.dumps(found.__dict__))
        return found


def measured(device: str, precision: str) -> Rates:
    def seconds(layer: nn.Module, *shape: int) -> float:
        return pass_seconds(layer, shape, device, precision)

    pass_seconds(nn.Conv2d(64, 64, 3, padding=1), (BATCH, 64, 56, 56), device, precision)  # the machine wakes up
    call = seconds(nn.Sequential(nn.BatchNorm2d(8), nn.ReLU()), BATCH, 8, 2, 2) / 2
    convolutions: dict[str, list[tuple[float, float]]] = {}
    for kind, samples in SAMPLES.items():
        for cin, cout, kernel, groups, side in samples:
            layer = nn.Conv2d(cin, cout, kernel, 1, kernel // 2, groups=groups, bias=False)
            macs = BATCH * side**2 * layer.weight.numel()
            channels = cout if kind == "depthwise" else (cin * cout) ** 0.5
            convolutions.setdefault(kind, []).append((channels, macs / seconds(layer, BATCH, cin, side, side)))
    maps = (BATCH, 64, 56, 56)
    item = 2 if precision == "bf16" else 4
    pointwise = 2 * item * np.prod(maps) / seconds(nn.Sequential(nn.BatchNorm2d(64), nn.ReLU()), *maps)
    responses = item * np.prod(maps) / seconds(nn.LocalResponseNorm(5), *maps)
    few, many = (seconds(nn.Linear(4096, 1024), batch, 4096) for batch in (2, 256))
    dense, weights = 254 * 4096 * 1024 / max(many - few, 0.1 * many), 4096 * 1024 / few
    return Rates(convolutions, dense, weights, float(pointwise), float(responses), call, update_rate(device))


def pass_seconds(layer: nn.Module, shape: tuple[int, ...], device: str, precision: str) -> float:
    """The median of a forward and a backward pass, gradients of the input included."""
    layer = layer.to(device).train()
    images = torch.randn(shape, device=device, dtype=torch.bfloat16 if precision == "bf16" else torch.float32)
    if len(shape) == 4:
        layer, images = layer.to(memory_format=torch.channels_last), images.contiguous(memory_format=torch.channels_last)
    images.requires_grad_(True)

    def once() -> None:
        with torch.autocast(torch.device(device).type, torch.bfloat16, enabled=precision == "bf16"):
            out = layer(images)
        out.backward(torch.ones_like(out))
        images.grad = None

    return repeated(once, device)


def update_rate(device: str) -> float:
    """Values in a second that SGD with momentum changes."""
    weights = nn.Parameter(torch.zeros(2_000_000, device=device))
    weights.grad = torch.ones_like(weights)
    return len(weights) / repeated(torch.optim.SGD([weights], lr=0.1, momentum=0.9, fused=True).step, device)


def repeated(work: Callable[[], object], device: str) -> float:
    """Median seconds of seven times, after two to warm up."""
    found = []
    for _ in range(9):
        start = time.perf_counter()
        work()
        if torch.device(device).type == "cuda":
            torch.cuda.synchronize(device)
        found.append(time.perf_counter() - start)
    return median(found[2:])
