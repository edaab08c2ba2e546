"""The training step of ten networks: as one fleet, one after the other, and under torch.func.vmap.

Ten ResNet-20 (batch 128, 32 px, three channels) and ten LeNet-5 (batch 128, 28 px) with momentum, on random images that are
on the device beforehand; in 32 bits on a CPU, in mixed precision on a GPU. There the fleet is also compiled, and measured
against the usual eager mixed-precision loop of one network: torch's SGD and cross entropy. The ways take turns in one
process; a ratio is of the times of one round, so above 1 the fleet is faster. vmap keeps no running statistics and counts
nothing, which favours it.

Command: uv run python benchmarks/fleet_step.py [rounds]. A round of the ResNets takes ten seconds or so on two idle cores.
"""

import statistics
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import partial

import torch
from measure import keep
from torch import Tensor, nn
from torch.nn import functional

from saccade.layers.fleet import stack
from saccade.optim import Optimizer, decay_groups
from saccade.tasks import classify
from saccade.training.fleet import FleetTrainer, Losses, correct
from saccade.training.steps import Trainer
from saccade.zoo import find

MEMBERS, BATCH, CLASSES, RATE, DECAY = 10, 128, 10, 0.05, 5e-4
NETWORKS = {"resnet20": (3, 32), "lenet5": (1, 28)}
DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
ON_GPU = DEVICE.type == "cuda"
STEPS = 20 if ON_GPU else 1  # of one round
Way = Callable[[], object]  # one step of all members


def precision() -> AbstractContextManager:
    return torch.autocast("cuda", torch.bfloat16) if ON_GPU else nullcontext()


def build(name: str) -> nn.Module:
    return find(name).build(CLASSES, NETWORKS[name][0]).to(DEVICE, memory_format=torch.channels_last).train()


def batch_of(name: str) -> tuple[Tensor, Tensor]:
    channels, side = NETWORKS[name]
    images = torch.randn(BATCH, channels, side, side, device=DEVICE).contiguous(memory_format=torch.channels_last)
    return images, torch.randint(CLASSES, (BATCH,), device=DEVICE)


def as_fleet(name: str, compiled: bool = False) -> Way:
    fleet = stack([build(name) for _ in range(MEMBERS)]).to(memory_format=torch.channels_last)
    rates = torch.linspace(0.5, 1.5, MEMBERS, dtype=torch.float64, device=DEVICE) * RATE
    groups = decay_groups(fleet, torch.full_like(rates, DECAY), members=MEMBERS)
    optimizer = Optimizer(groups, "momentum", rates, members=MEMBERS, compiled=compiled)
    called = torch.compile(fleet) if compiled else fleet
    trainer = FleetTrainer(called, optimizer, Losses(), correct, precision, BATCH, look_every=STEPS)
    pairs = [batch_of(name) for _ in range(MEMBERS)]
    images = torch.cat([x for x, _ in pairs], dim=1).contiguous(memory_format=torch.channels_last)
    return partial(trainer.step, images, torch.stack([truth for _, truth in pairs]))


def one_by_one(name: str) -> Way:
    trainers = []
    for _ in range(MEMBERS):
        network = build(name)
        optimizer = Optimizer(decay_groups(network, DECAY), "momentum", RATE)
        trainers.append(Trainer(network, optimizer, classify.loss, classify.correct, precision, BATCH))
    pairs = [batch_of(name) for _ in range(MEMBERS)]
    return lambda: [trainer.step(*pair) for trainer, pair in zip(trainers, pairs, strict=True)]


def by_vmap(name: str) -> Way:
    """Batch norm without running statistics: vmap cannot change those of a call."""
    members = [build(name) for _ in range(MEMBERS)]
    for norm in (module for member in members for module in member.modules() if isinstance(module, nn.BatchNorm2d)):
        norm.track_running_stats, norm.running_mean, norm.running_var, norm.num_batches_tracked = False, None, None, None
    weights, buffers = torch.func.stack_module_state(members)
    pairs = [batch_of(name) for _ in range(MEMBERS)]
    images, truth = (torch.stack(each) for each in zip(*pairs, strict=True))

    def loss(own: dict[str, Tensor], held: dict[str, Tensor], x: Tensor, y: Tensor) -> Tensor:
        with precision():
            scores = torch.func.functional_call(members[0], (own, held), (x,))
        return functional.cross_entropy(scores.float(), y)

    gradients = torch.vmap(torch.func.grad(loss))
    optimizer = torch.optim.SGD(weights.values(), RATE, 0.9, weight_decay=DECAY)

    def step() -> None:
        for weight, gradient in zip(weights.values(), gradients(weights, buffers, images, truth).values(), strict=True):
            weight.grad = gradient
        optimizer.step()

    return step


def usual_loop_of_one(name: str) -> Way:
    """What most people write."""
    network, (images, truth) = build(name), batch_of(name)
    optimizer = torch.optim.SGD(network.parameters(), RATE, 0.9, weight_decay=DECAY)

    def step() -> None:
        optimizer.zero_grad()
        with precision():
            loss = functional.cross_entropy(network(images), truth)
        loss.backward()
        optimizer.step()

    return step


def seconds(way: Way) -> float:
    """Of one step."""
    start = time.perf_counter()
    for _ in range(STEPS):
        way()
    if ON_GPU:
        torch.cuda.synchronize()
    return (time.perf_counter() - start) / STEPS


def ways_for(name: str) -> dict[str, Way]:
    """Those that run here, each after a step to warm up."""
    makers: dict[str, Callable[[str], Way]] = {"fleet": as_fleet, "one by one": one_by_one, "vmap": by_vmap}
    if ON_GPU:
        makers |= {"fleet, compiled": partial(as_fleet, compiled=True), "one, usual loop": usual_loop_of_one}
    found = {}
    for word, make in makers.items():
        try:
            way = make(name)
            seconds(way)
            found[word] = way
        except RuntimeError as error:
            print(f"{name}: {word} does not run here: {str(error).splitlines()[0]}", file=sys.stderr)
    return found


def spread(values: list[float]) -> dict[str, float]:
    return {"median": round(statistics.median(values), 4), "low": round(min(values), 4), "high": round(max(values), 4)}


def measured(name: str, rounds: int) -> dict[str, object]:
    ways = ways_for(name)
    times: dict[str, list[float]] = {word: [] for word in ways}
    for i in range(rounds):
        for word, way in ways.items():
            times[word].append(seconds(way))
        words = ", ".join(f"{word} {1000 * each[-1]:.1f} ms" for word, each in times.items())
        print(f"{name}, round {i + 1}: {words}", file=sys.stderr, flush=True)
    return {
        "milliseconds a step": {word: spread([1000 * t for t in each]) for word, each in times.items()},
        "times of the fleet": {
            word: spread([t / own for t, own in zip(each, times["fleet"], strict=True)]) for word, each in times.items()
        },
    }


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 7
    torch.manual_seed(0)
    found = {name: measured(name, rounds) for name in NETWORKS}
    precise = "bf16 autocast" if ON_GPU else "fp32"
    what = f"training step of {MEMBERS} networks, batch {BATCH} each"
    keep("fleet_step", {"what": what, "n": rounds, "steps a round": STEPS, "precision": precise, **found})


if __name__ == "__main__":
    main()
