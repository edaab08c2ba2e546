"""Every network by its name. No torch is imported before a network is built, so that names can be listed at once."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING

from saccade.errors import InputError, suggestion

if TYPE_CHECKING:
    from saccade.zoo.network import ConvNet

LENET = "LeCun et al. 1998, Proc. IEEE 86(11)"
RESNET = "He et al. 2015, arXiv:1512.03385"


@dataclass(frozen=True)
class Entry:
    """How a network is built, the side of the images that it was published for, the paper.

    `fixed`: images of another side are brought to this one; elsewhere the network follows the images.
    """

    build: Callable[[int, int], "ConvNet"]
    size: int
    paper: str
    fixed: bool = False


def _lenet(function: str, classes: int, channels: int) -> "ConvNet":
    return getattr(import_module("saccade.zoo.lenet"), function)(classes, channels)


def _resnet(name: str, classes: int, channels: int) -> "ConvNet":
    return import_module("saccade.zoo.resnet").resnet(name, classes, channels)


NETWORKS = {
    "lenet5": Entry(partial(_lenet, "lenet5"), 28, LENET, fixed=True),
    "lenet5_1998": Entry(partial(_lenet, "lenet5_1998"), 32, LENET, fixed=True),
    "lenet5_1998_linear": Entry(partial(_lenet, "lenet5_1998_linear"), 32, LENET, fixed=True),
}
for _name in ("resnet18", "resnet34", "resnet50", "resnet101", "resnet152", "plain18", "plain34"):
    NETWORKS[_name] = Entry(partial(_resnet, _name), 224, RESNET)
for _name in (f"{kind}{depth}" for kind in ("resnet", "plain") for depth in (20, 32, 44, 56, 110)):
    NETWORKS[_name] = Entry(partial(_resnet, _name), 32, RESNET)


def find(name: str) -> Entry:
    """The entry of this name; InputError with the nearest name otherwise."""
    if name not in NETWORKS:
        raise InputError(
            f'there is no network "{name}"{suggestion(name, NETWORKS)} (`saccade networks` lists all {len(NETWORKS)})'
        )
    return NETWORKS[name]
