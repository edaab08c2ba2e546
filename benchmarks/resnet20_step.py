"""The training step of ResNet-20 at 32 px: Saccade's plan against torch's defaults (fp32, channels-first, eager).

Command: uv run python benchmarks/resnet20_step.py. Takes about a minute on two cores.
"""

import time

import torch
from measure import alternate, report

from saccade.tasks import classify
from saccade.training.plan import Plan, Wishes, choose
from saccade.training.steps import Trainer
from saccade.zoo import find

BATCH, STEPS = 128, 10


def rate(plan: Plan) -> float:
    torch.manual_seed(0)
    network = find("resnet20").build(10, 3).to(memory_format=plan.memory_format)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.05, momentum=0.9, nesterov=True)
    trainer = Trainer(network, optimizer, classify.loss, classify.correct, plan.autocast, BATCH)
    images = torch.randn(BATCH, 3, 32, 32).to(memory_format=plan.memory_format)
    batches = [(images, torch.randint(10, (BATCH,)))] * STEPS
    for _ in trainer.steps(batches[:2]):
        pass
    start = time.perf_counter()
    for step in trainer.steps(batches):
        step.loss.item()
    return BATCH * STEPS / (time.perf_counter() - start)


def main() -> None:
    plan = choose(lambda: find("resnet20").build(10, 3), (BATCH, 3, 32, 32), Wishes(device="cpu"))
    default = Plan("cpu", "fp32", channels_last=False, compiled=False)
    pairs = alternate(lambda: rate(plan), lambda: rate(default), rounds=5)
    report("ResNet-20, 32 px, one training step", "images/s", pairs, batch=BATCH, plan=str(plan))


if __name__ == "__main__":
    main()
