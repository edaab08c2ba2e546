"""EfficientNet (Tan and Le 2019, arXiv:1905.11946): one small network, and a rule that makes it larger."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from torch import nn

from saccade import layers
from saccade.errors import InputError
from saccade.layers import Gate, Residual, initialize
from saccade.layers.edit import drop_paths
from saccade.zoo.mobilenet import divisible
from saccade.zoo.network import ConvNet, classifier

conv = partial(layers.conv, act=nn.SiLU)

# Table 1, B0, a line for each stage: expansion, kernel, first stride, channels, repeats
BASE = (
    ((1, 3, 1, 16, 1),),
    ((6, 3, 2, 24, 2),),
    ((6, 5, 2, 40, 2),),
    ((6, 3, 2, 80, 3), (6, 5, 1, 112, 3)),
    ((6, 5, 2, 192, 4), (6, 3, 1, 320, 1)),
)
BASE_RESOLUTION = 224


@dataclass(frozen=True)
class Scaling:
    """How many times the layers and channels of B0, and the side of the images in pixels."""

    depth: float
    width: float
    resolution: int


def compound(phi: float, alpha: float = 1.2, beta: float = 1.1, gamma: float = 1.15) -> Scaling:
    """Equation 3: depth alpha^phi, width beta^phi, resolution gamma^phi; the defaults are the paper's (section 4.2).

    Each unit of phi costs about alpha * beta^2 * gamma^2 = 1.92 times the multiply-accumulates.
    """
    return Scaling(alpha**phi, beta**phi, round(BASE_RESOLUTION * gamma**phi))


def within(budget: float, measure: Callable[[Scaling], float], step: float = 0.05) -> Iterator[tuple[float, float, float]]:
    """The grid search of section 4.2, step 1: (alpha, beta, gamma) whose network costs the most within the budget.

    For every alpha and beta >= 1 of the grid, the largest gamma for which `measure(compound(1, alpha, beta, gamma))` is
    at most `budget`, in the unit of `measure` (multiply-accumulates, parameters, seconds). Which of them is best, only
    training tells: `best`.
    """

    def fits(alpha: float, beta: float, gamma: float) -> bool:
        return measure(compound(1, alpha, beta, gamma)) <= budget

    grid = [round(1 + i * step, 6) for i in range(round(1 / step) + 1)]
    for alpha in grid:
        for beta in grid:
            if not fits(alpha, beta, 1):
                break
            yield alpha, beta, max(gamma for gamma in grid if fits(alpha, beta, gamma))


def best(
    budget: float, measure: Callable[[Scaling], float], score: Callable[[Scaling], float], step: float = 0.05
) -> tuple[float, float, float]:
    """The (alpha, beta, gamma) within the budget whose network scores highest; `score` trains and measures one."""
    return max(within(budget, measure, step), key=lambda found: score(compound(1, *found)))


# The authors' B1 to B7 round the rule by hand: depth, width, resolution; then dropout, and what torchvision's norms add
PUBLISHED = {
    "efficientnet_b0": (Scaling(1.0, 1.0, 224), 0.2),
    "efficientnet_b1": (Scaling(1.1, 1.0, 240), 0.2),
    "efficientnet_b2": (Scaling(1.2, 1.1, 260), 0.3),
    "efficientnet_b3": (Scaling(1.4, 1.2, 300), 0.3),
    "efficientnet_b4": (Scaling(1.8, 1.4, 380), 0.4),
    "efficientnet_b5": (Scaling(2.2, 1.6, 456), 0.4),
    "efficientnet_b6": (Scaling(2.6, 1.8, 528), 0.5),
    "efficientnet_b7": (Scaling(3.1, 2.0, 600), 0.5),
}
# B5 to B7 were trained with AutoAugment by other settings of the norm, which torchvision keeps
SLOW_NORM = partial(nn.BatchNorm2d, eps=1e-3, momentum=0.01)
DROP_PATH = 0.2


def squeeze_and_excite(channels: int, squeezed: int) -> Gate:
    """Each channel times a number that all channels together decide (Hu et al. 2017, arXiv:1709.01507)."""
    return Gate(
        nn.AdaptiveAvgPool2d(1),
        nn.Conv2d(channels, squeezed, 1),
        nn.SiLU(inplace=True),
        nn.Conv2d(squeezed, channels, 1),
        nn.Sigmoid(),
    )


def mbconv(cin: int, cout: int, row: tuple[int, int, int], norm: Callable[..., nn.Module]) -> nn.Module:
    """An inverted residual with squeeze-and-excitation; `row`: expansion, kernel, stride."""
    expansion, kernel, stride = row
    mid = divisible(cin * expansion)
    body = nn.Sequential(
        conv(mid, mid, kernel, stride, groups=mid, norm=norm),
        squeeze_and_excite(mid, max(1, cin // 4)),
        conv(mid, cout, 1, norm=norm, act=None),
    )
    if expansion > 1:
        body.insert(0, conv(cin, mid, 1, norm=norm))
    return Residual(body) if stride == 1 and cin == cout else body


def scaled(scaling: Scaling, dropout: float, classes: int, channels: int, norm: Callable = nn.BatchNorm2d) -> ConvNet:
    """B0 with its depth and width multiplied."""
    cin = divisible(32 * scaling.width)
    stem, stages = conv(channels, cin, 3, 2, norm=norm), []
    for rows in BASE:
        stage = nn.Sequential()
        for expansion, kernel, first, planes, repeats in rows:
            cout = divisible(planes * scaling.width)
            for i in range(math.ceil(repeats * scaling.depth)):
                stage.append(mbconv(cin, cout, (expansion, kernel, first if i == 0 else 1), norm))
                cin = cout
        stages.append(stage)
    head = nn.Sequential(conv(cin, 4 * cin, 1, norm=norm), classifier(4 * cin, classes, dropout))
    network = ConvNet(stem, stages, head)
    initialize(network)
    drop_paths([block for stage in stages for block in stage], DROP_PATH)
    return network


def efficientnet(name: str, classes: int, channels: int = 3) -> ConvNet:
    """B0 to B7, with torchvision's shapes: (B, channels, any, any) to (B, classes); made for their own resolution."""
    scaling, dropout = PUBLISHED[name]
    norm = SLOW_NORM if name[-1] in "567" else nn.BatchNorm2d
    return scaled(scaling, dropout, classes, channels, norm)


def efficientnet_by_rule(classes: int, channels: int = 3, *, phi: float = 0.0) -> ConvNet:
    """B0 scaled by the exact rule: `compound(phi)` says at which resolution it is to be used."""
    if not -3 <= phi <= 10:
        raise InputError(f"phi: the compound coefficient lies between -3 and 10, not {phi:g}")
    return scaled(compound(phi), 0.2, classes, channels)
