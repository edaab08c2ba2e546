"""How this network trains fastest on this machine: measured, never assumed."""

import hashlib
import json
import os
import platform
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import median

import torch
from torch import Tensor, nn

from saccade.data.cache import cache_folder
from saccade.errors import InputError, suggestion
from saccade.layers.images_last import images_last, suits
from saccade.training.allocator import keep_freed_memory
from saccade.training.cores import cores_of_their_own
from saccade.training.steps import Objective

MEASURED_STEPS = 5
CLEARLY = 1.1
ENOUGH_SECONDS = 0.5  # for one choice: a slow network needs few steps to be told apart
MEASURED_PIXELS = 8 * 224 * 224  # of one batch: plans rank alike on 8 photos and on 64, and 8 take an eighth of the time


@dataclass(frozen=True)
class Plan:
    """The choices for a training step. `measured` holds what was tried: (choice, images per second)."""

    device: str
    precision: str  # "fp32" or "bf16"
    channels_last: bool
    compiled: bool
    images_last: bool = False  # the form of layers/images_last, float32 on a CPU
    measured: tuple[tuple[str, float], ...] = ()

    def autocast(self) -> AbstractContextManager:
        if self.precision == "bf16":
            return torch.autocast(torch.device(self.device).type, torch.bfloat16)
        return nullcontext()

    @property
    def memory_format(self) -> torch.memory_format:
        return torch.channels_last if self.channels_last else torch.contiguous_format

    def on_cores(self) -> AbstractContextManager[None]:
        """Inside, threads are kept to cores, but for those of a compiler."""
        return nullcontext() if self.compiled else cores_of_their_own(self.device)

    def form(self, network: nn.Module) -> nn.Module:
        """What a training step calls; its parameters and buffers are those of the network."""
        if self.compiled:
            return torch.compile(network)  # type: ignore[return-value]
        return images_last(network) if self.images_last else network

    @property
    def layout(self) -> str:
        return "images-last" if self.images_last else "channels-last" if self.channels_last else "channels-first"

    def __str__(self) -> str:
        return f"{self.device}, {self.precision}, {self.layout}{', compiled' if self.compiled else ''}"


IMAGES_LAST = Plan("cpu", "fp32", channels_last=False, compiled=False, images_last=True)


@dataclass(frozen=True)
class Wishes:
    """What the user decides about the plan; None is to be measured. images_last: where network and machine allow it."""

    device: str | None = None
    precision: str | None = None
    channels_last: bool | None = None
    compiled: bool | None = None
    images_last: bool | None = None


def device_of(wish: str | None) -> str:
    """The device wished for, else the GPU where there is one; InputError where it is not on this machine."""
    if wish is None:
        return "cuda" if torch.cuda.is_available() else "cpu"
    there = ["cpu", *(f"cuda:{i}" for i in range(torch.cuda.device_count()))]
    if wish not in there and not (wish == "cuda" and len(there) > 1):
        near = suggestion(wish, there) or (" (a GPU is called cuda)" if wish == "gpu" else "")
        raise InputError(f'plan.device: there is no "{wish}" on this machine, only {", ".join(there)}{near}')
    return wish


def candidates(wishes: Wishes) -> list[Plan]:
    """Every plan that the wishes leave open.

    Compilation is tried only where it is wished for: it costs about a minute before it is known whether it pays, and on
    a CPU it seldom does.
    """
    device = device_of(wishes.device)
    precisions = [wishes.precision] if wishes.precision else ["fp32", "bf16"]
    layouts = [True, False] if wishes.channels_last is None else [wishes.channels_last]
    plans = [Plan(device, p, layout, bool(wishes.compiled)) for p in precisions for layout in layouts]
    measured = wishes.images_last is None and wishes.channels_last is None and can_be_images_last(wishes)
    return [*plans, IMAGES_LAST] if measured else plans


def can_be_images_last(wishes: Wishes) -> bool:
    """Whether the other wishes leave it open; the network decides too."""
    return device_of(wishes.device) == "cpu" and wishes.precision != "bf16" and not wishes.compiled


def choose(build: Callable[[], nn.Module], shape: tuple[int, int, int, int], wishes: Wishes, objective: Objective) -> Plan:
    """The fastest plan for training steps of this network on images of this shape (B, C, H, W).

    `objective` is the loss, of what the network gives and of labels (B,), all of the first class here.
    Measured once; the choice is kept in the cache folder for this network, shape, machine and version of torch.
    """
    if wishes.images_last and can_be_images_last(wishes) and suits(build()):
        return IMAGES_LAST
    plans = candidates(wishes)
    if wishes.compiled:
        check_compiler(plans[0], build(), shape, objective)
    if len(plans) == 1:
        return plans[0]
    shape = (max(2, min(shape[0], MEASURED_PIXELS // (shape[2] * shape[3]))), *shape[1:])
    network = build()
    kept = cache_folder() / "plans" / f"{_key(network, shape, plans)}.json"
    if (plan := _kept(kept)) is not None:
        return plan
    if not suits(network):
        plans = [plan for plan in plans if not plan.images_last]
    exact = [plan for plan in plans if plan.precision == plans[0].precision]
    rates = [(plan, images_per_second(plan, network, shape, objective)) for plan in exact]
    torchs = [pair for pair in rates if not pair[0].images_last]
    layout = max(torchs, key=lambda pair: pair[1])[0].channels_last  # which is the better one does not hang on precision
    others = [plan for plan in plans if plan not in exact and plan.channels_last == layout]
    rates += [(plan, images_per_second(plan, network, shape, objective)) for plan in others]
    best = fastest(rates)
    if not best[1]:
        return plans[0]  # none ran, perhaps for want of memory, which training answers better
    plan = replace(best[0], measured=tuple((str(plan), round(rate, 1)) for plan, rate in rates))
    _keep(kept, plan)
    return plan


def check_compiler(plan: Plan, network: nn.Module, shape: tuple[int, int, int, int], objective: Objective) -> None:
    """InputError where this machine cannot compile: it needs a C++ compiler of its own."""
    small = (2, *shape[1:])
    if not images_per_second(plan, network, small, objective) and images_per_second(
        replace(plan, compiled=False), network, small, objective
    ):
        raise InputError("plan.compiled: torch.compile does not work here (is there a C++ compiler?); leave it out")


def fastest(rates: list[tuple[Plan, float]]) -> tuple[Plan, float]:
    """The fastest; the first, which is the most exact, unless another is clearly faster: noise must not choose."""
    best = max(rates, key=lambda pair: pair[1])
    return best if best[1] > CLEARLY * rates[0][1] else rates[0]


def images_per_second(plan: Plan, network: nn.Module, shape: tuple[int, int, int, int], objective: Objective) -> float:
    """The median rate of forward and backward after one to warm up; 0 where this plan does not run at all."""
    keep_freed_memory()  # as training will
    network = network.to(plan.device).to(memory_format=plan.memory_format).train()
    images = torch.zeros(shape, device=plan.device).to(memory_format=plan.memory_format)
    try:
        with plan.on_cores():
            return shape[0] / median(step_seconds(plan, plan.form(network), images, objective)[1:])
    except Exception as error:  # a form that Saccade makes of any network may fail in any way
        if not plan.images_last and not isinstance(error, RuntimeError):
            raise
        return 0.0
    finally:
        network.zero_grad(set_to_none=True)


def step_seconds(plan: Plan, called: nn.Module, images: Tensor, objective: Objective) -> list[float]:
    """Of some forward and backward passes, the first of which warms up."""
    labels = torch.zeros(len(images), dtype=torch.long, device=plan.device)
    seconds: list[float] = []
    while len(seconds) <= MEASURED_STEPS and (len(seconds) < 2 or sum(seconds[1:]) < ENOUGH_SECONDS):
        start = time.perf_counter()
        with plan.autocast():
            scores = called(images)
        loss = objective(scores, labels)
        loss.backward()
        loss.item()  # waits for the device
        called.zero_grad(set_to_none=True)
        seconds.append(time.perf_counter() - start)
    return seconds


def _key(network: nn.Module, shape: tuple[int, ...], plans: list[Plan]) -> str:
    machine = [platform.node(), platform.machine(), os.cpu_count(), torch.get_num_threads(), torch.__version__]
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else ""
    return hashlib.blake2b(repr([machine, gpu, str(network), shape, plans]).encode(), digest_size=12).hexdigest()


def _kept(file: Path) -> Plan | None:
    try:
        words = json.loads(file.read_text())
        return Plan(**{**words, "measured": tuple((name, rate) for name, rate in words["measured"])})
    except (OSError, ValueError, TypeError, KeyError):
        return None


def _keep(file: Path, plan: Plan) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        part = file.with_suffix(f".{os.getpid()}")
        part.write_text(json.dumps(asdict(plan)))
        part.replace(file)
    except OSError:
        return  # a cache that cannot be written costs a measurement next time, nothing else
