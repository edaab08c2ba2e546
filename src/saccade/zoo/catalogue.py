"""Every network by its name. No torch is imported before a network is built, so that names can be listed at once."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from importlib import import_module
from typing import TYPE_CHECKING, Any

from saccade.errors import InputError, suggestion

if TYPE_CHECKING:
    from saccade.zoo.network import ConvNet

LENET = "LeCun et al. 1998, Proc. IEEE 86(11)"
ALEXNET = "Krizhevsky et al. 2012, NIPS 25"
ONE_TOWER = "Krizhevsky 2014, arXiv:1404.5997"
NIN = "Lin et al. 2013, arXiv:1312.4400"
VGG = "Simonyan and Zisserman 2014, arXiv:1409.1556"
GOOGLENET = "Szegedy et al. 2014, arXiv:1409.4842"
RESNET = "He et al. 2015, arXiv:1512.03385"
PRERESNET = "He et al. 2016, arXiv:1603.05027"
DENSENET = "Huang et al. 2016, arXiv:1608.06993"
MOBILENET_V1 = "Howard et al. 2017, arXiv:1704.04861"
MOBILENET_V2 = "Sandler et al. 2018, arXiv:1801.04381"
EFFICIENTNET = "Tan and Le 2019, arXiv:1905.11946"


@dataclass(frozen=True)
class Entry:
    """How a network is built, the side and channels of the images that it was published for, the paper.

    `function` is "file.function" of this folder; it is called with `arguments`, then classes and channels, then `options`,
    its keyword arguments. `fixed`: images of another side are brought to this one; elsewhere the network follows them.
    """

    function: str
    arguments: tuple[Any, ...]
    size: int
    paper: str
    channels: int = 3
    fixed: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)

    def build(self, classes: int, channels: int) -> "ConvNet":
        """The network with fresh weights. InputError where an option has a value that it does not take."""
        return self._function()(*self.arguments, classes, channels, **self.options)

    def choices(self) -> dict[str, inspect.Parameter]:
        """The options that there are."""
        parameters = inspect.signature(self._function()).parameters
        return {name: each for name, each in parameters.items() if each.kind is each.KEYWORD_ONLY}

    def _function(self) -> Callable[..., "ConvNet"]:
        file, name = self.function.split(".")
        return getattr(import_module(f"saccade.zoo.{file}"), name)


def _large(function: str, names: str, paper: str) -> dict[str, Entry]:
    return {name: Entry(function, (name,), 224, paper) for name in names.split()}


_DEPTHS = (20, 32, 44, 56, 110)
_RESOLUTIONS = (224, 240, 260, 300, 380, 456, 528, 600)  # EfficientNet's B0 to B7

NETWORKS = {
    "lenet5": Entry("lenet.lenet5", (), 28, LENET, channels=1, fixed=True),
    "lenet5_1998": Entry("lenet.lenet5_1998", (), 32, LENET, channels=1, fixed=True),
    "alexnet": Entry("alexnet.alexnet", (), 227, ALEXNET, fixed=True),
    "alexnet_one_tower": Entry("alexnet.alexnet_one_tower", (), 224, ONE_TOWER),
    "nin": Entry("nin.nin", (), 32, NIN),
    **{
        name + suffix: Entry("vgg.vgg", (name, bool(suffix)), 224, VGG)
        for name in ("vgg11", "vgg13", "vgg16", "vgg19")
        for suffix in ("", "_bn")
    },
    "googlenet": Entry("googlenet.googlenet", (), 224, GOOGLENET),
    "googlenet_bn": Entry("googlenet.googlenet_bn", (), 224, GOOGLENET),
    **_large("resnet.resnet", "resnet18 resnet34 resnet50 resnet101 resnet152 plain18 plain34", RESNET),
    **{f"{kind}{n}": Entry("resnet.resnet", (f"{kind}{n}",), 32, RESNET) for kind in ("resnet", "plain") for n in _DEPTHS},
    **{f"preresnet{n}": Entry("resnet.preresnet", (f"resnet{n}",), 224, PRERESNET) for n in (18, 34, 50, 101, 152)},
    **{f"preresnet{n}": Entry("resnet.preresnet", (f"resnet{n}",), 32, PRERESNET) for n in _DEPTHS},
    **_large("densenet.densenet", "densenet121 densenet169 densenet201 densenet161", DENSENET),
    **{
        f"densenet{depth}{suffix}": Entry("densenet.densenet_small", (depth, bool(suffix)), 32, DENSENET)
        for depth in (40, 100)
        for suffix in ("", "_bc")
    },
    "mobilenet_v1": Entry("mobilenet.mobilenet_v1", (), 224, MOBILENET_V1),
    "mobilenet_v2": Entry("mobilenet.mobilenet_v2", (), 224, MOBILENET_V2),
    **{
        f"efficientnet_b{i}": Entry("efficientnet.efficientnet", (f"efficientnet_b{i}",), size, EFFICIENTNET)
        for i, size in enumerate(_RESOLUTIONS)
    },
    "efficientnet": Entry("efficientnet.efficientnet_by_rule", (), 224, EFFICIENTNET),
}


def find(name: str) -> Entry:
    """The entry of "name" or "name:option=value,option=value"; InputError with the nearest name otherwise."""
    plain, _, words = name.partition(":")
    if plain not in NETWORKS:
        raise InputError(
            f'there is no network "{plain}"{suggestion(plain, NETWORKS)} (`saccade networks` lists all {len(NETWORKS)})'
        )
    entry = NETWORKS[plain]
    if not words:
        return entry
    known = entry.choices()
    return replace(entry, options=dict(_option(plain, word, known) for word in words.split(",")))


def _option(network: str, word: str, known: Mapping[str, inspect.Parameter]) -> tuple[str, Any]:
    name, _, value = word.partition("=")
    if name not in known:
        there = f"its options: {', '.join(known)}" if known else "it has none"
        raise InputError(f'{network} has no option "{name}"{suggestion(name, known)} ({there})')
    kind = known[name].annotation
    try:
        return name, {"true": True, "false": False}[value.lower()] if kind is bool else kind(value)
    except (ValueError, KeyError):
        raise InputError(f'{network}: the option {name} is {_KINDS[kind]}, not "{value}"') from None


_KINDS = {bool: "true or false", int: "a whole number", float: "a number", str: "a word"}
