"""Updates of an exponential average of ResNet-50's weights: Saccade against torch's AveragedModel with its foreach rule.

Command: uv run python benchmarks/weight_average.py. Takes about a minute on two cores.
"""

import time
from collections.abc import Callable

from measure import alternate, report
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from saccade.optim.average import Average, exponential
from saccade.zoo import find

UPDATES = 20


def rate(update: Callable[[], None]) -> float:
    update()
    start = time.perf_counter()
    for _ in range(UPDATES):
        update()
    return UPDATES / (time.perf_counter() - start)


def main() -> None:
    network = find("resnet50").build(1000, 3)
    ours = Average(network, exponential(0.999))
    theirs = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(0.999))
    pairs = alternate(lambda: rate(ours.update), lambda: rate(lambda: theirs.update_parameters(network)), rounds=7)
    report("exponential average of ResNet-50's weights", "updates/s", pairs)


if __name__ == "__main__":
    main()
