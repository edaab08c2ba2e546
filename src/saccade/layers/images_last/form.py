"""The images-last form of a network."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from copy import deepcopy
from itertools import groupby
from typing import Any

from torch import nn

from saccade.layers.images_last.features import Dense, DenseRelu
from saccade.layers.images_last.flatten import AveragePoolFlatten, Flatten
from saccade.layers.images_last.in_turn import InTurn, Own, Passages
from saccade.layers.images_last.maps import Convolution, ConvolutionReluPool, MaxPool


def suits(network: nn.Module) -> bool:
    """Whether this form can be the faster one: every convolution has a kernel here and reads few channels."""
    found = [each for each in network.modules() if isinstance(each, nn.modules.conv._ConvNd)]
    return bool(found) and all(Convolution.suits(each) for each in found)


def images_last(network: nn.Module) -> nn.Sequential:
    """The same network with the same parameters, buffers and hooks, for float32 on a CPU; what else it keeps is a copy.

    It is for `forward` alone: its parts that follow one another are taken out of what they lie in, and some become one.
    """
    hooks = [hook for module in network.modules() for some in hooks_of(module) for hook in some.values()]
    form = deepcopy(network, {id(each): each for each in (*network.parameters(), *network.buffers(), *hooks)})
    for own, module in zip(network.modules(), form.modules(), strict=True):
        module._buffers = own._buffers  # so that one which is put in the place of another counts for both
        for kind in (Convolution, MaxPool, Flatten, Dense):
            if kind.suits(module):
                module.__class__ = kind
                vars(module)["passages"] = Passages()
    often = Counter(id(module) for _, module in form.named_modules(remove_duplicate=False))
    return nn.Sequential(*joined(fused(list(one_after_the_other(form)), often)))


def one_after_the_other(network: nn.Module) -> Iterator[nn.Module]:
    """The parts of which each takes what the one before gives: sequences are taken apart.

    So is what names its parts IN_TURN beside its `forward`; a class with a `forward` of its own stays whole, and what
    has a hook.
    """
    owner = next(each for each in type(network).__mro__ if "forward" in vars(each))
    names = network._modules if owner is nn.Sequential else vars(owner).get("IN_TURN")
    if names is None or is_watched(network):
        yield network
        return
    for name in names:
        yield from one_after_the_other(getattr(network, name))


# What becomes one layer where it follows one another
FUSED: dict[tuple[type[nn.Module], ...], type[Own]] = {
    (Convolution, nn.ReLU, MaxPool): ConvolutionReluPool,
    (Dense, nn.ReLU): DenseRelu,
    (nn.AdaptiveAvgPool2d, Flatten): AveragePoolFlatten,
}


def fused(parts: list[nn.Module], often: Counter[int]) -> Iterator[nn.Module]:
    """Parts that follow one another as one layer; not where the first comes more `often`, or somebody watches them."""
    while parts:
        first, taken = parts[0], 1
        for kinds, kind in FUSED.items():
            some = parts[: len(kinds)]
            if tuple(map(type, some)) == kinds and often[id(first)] == 1 and not any(map(is_watched, some)):
                first.__class__, taken = kind, len(kinds)
                break
        yield first
        parts = parts[taken:]


def joined(parts: Iterable[nn.Module]) -> Iterator[nn.Module]:
    """Layers with kernels of their own that follow one another as one; what is watched stays alone."""
    for own, run in groupby(parts, lambda each: isinstance(each, Own) and not is_watched(each)):
        layers = list(run)
        yield from [InTurn(layers)] if own and len(layers) > 1 else layers


def is_watched(module: nn.Module) -> bool:
    """Whether somebody wants to see, or to change, what goes in or out of it."""
    return any(hooks_of(module))


def hooks_of(module: nn.Module) -> tuple[dict[int, Any], ...]:
    return module._forward_hooks, module._forward_pre_hooks, module._backward_hooks, module._backward_pre_hooks
