"""The training step of ResNet-20 on CIFAR-10: Saccade's plan against torch's defaults (fp32, channels-first, eager).

Both train on the same augmented batches, made beforehand. Command: uv run python benchmarks/resnet20_step.py. Takes about
two minutes on two cores.
"""

import tempfile
import time
from dataclasses import replace
from itertools import islice
from pathlib import Path

from measure import DATA, alternate, report

from saccade.events import finish
from saccade.experiment.fit import Fit, Position
from saccade.experiment.recipe import make_recipe
from saccade.experiment.run import choose_plan
from saccade.experiment.setup import prepare

BATCH, STEPS = 128, 10


def main() -> None:
    words = {"data": str(DATA / "cifar-10"), "network": "resnet20", "batch": BATCH, "plan": {"device": "cpu"}}
    prepared = finish(prepare(make_recipe(words)))
    plan = choose_plan(prepared)
    default = replace(plan, precision="fp32", channels_last=False, compiled=False, images_last=False)
    fits = {each: Fit(prepared, each, Path(tempfile.mkdtemp()), Position()) for each in (plan, default)}

    def rate(of) -> float:
        batches = list(islice(fits[of].batches(), STEPS + 2))
        start = 0.0
        for i, step in enumerate(fits[of].trainer.steps(batches)):
            step.loss.item()
            start = time.perf_counter() if i == 1 else start
        return BATCH * STEPS / (time.perf_counter() - start)

    pairs = alternate(lambda: rate(plan), lambda: rate(default), rounds=7)
    report("ResNet-20 on CIFAR-10, one training step", "images/s", pairs, batch=BATCH, plan=str(plan))


if __name__ == "__main__":
    main()
