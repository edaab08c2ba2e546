"""Which hyperparameters apply to which parameters."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from saccade.errors import InputError
from saccade.layers.norms import FrozenBatchNorm2d
from saccade.layers.parts import find_part
from saccade.optim.lists import Number
from saccade.optim.rules import find_rule


def decay_groups(
    network: nn.Module,
    decay: Number,
    rates: Mapping[str, float] | None = None,
    members: int = 1,
    l1: Number = 0.0,
) -> list[dict[str, Any]]:
    """Groups for an optimizer: weights of convolutions and dense layers have penalties, norms and biases have none.

    A decayed scale or bias limits the network's function without making it smoother (arXiv:1812.01187, section 3.1).
    `decay` and `l1` may hold one number for each of the `members` of a fleet. `rates` multiplies the learning rate of the
    parts of these names, in which * stands for any one name ("stages.*.0"); the last that fits counts, as `rate` of the
    group.
    """
    rates = rates or {}
    check_parts(network, rates)
    groups: dict[tuple[bool, float], list[nn.Parameter]] = {}
    for name, parameter in network.named_parameters():
        if parameter.requires_grad:
            rate = next((rate for part, rate in reversed(list(rates.items())) if is_within(name, part)), 1.0)
            groups.setdefault((is_matrix(parameter, members), rate), []).append(parameter)
    return [
        {"params": params, "weight_decay": decay if penalized else 0.0, "l1": l1 if penalized else 0.0, "rate": rate}
        for (penalized, rate), params in groups.items()
    ]


def vectors_apart(groups: Sequence[dict[str, Any]], rule: str, numbers: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Groups of `decay_groups`, of which norms and biases have the rule that this one leaves them to, with its numbers."""
    other = find_rule(rule).vectors
    if other is None:
        return list(groups)
    own = {name: numbers[name] for name in find_rule(other).hyperparameters if name in numbers}
    return [each if is_matrix(each["params"][0]) else {**each, **own, "rule": other} for each in groups]


def is_matrix(parameter: Tensor, members: int = 1) -> bool:
    """Whether a member's own part has two sides or more: no bias, and no scale of a norm, whatever its shape."""
    rows = len(parameter) // members if parameter.dim() else 1
    return sum(side > 1 for side in (rows, *parameter.shape[1:])) > 1


def freeze(network: nn.Module, parts: Sequence[str]) -> int:
    """Stop the parts of these names from learning, their batch norms included; how many values that are."""
    check_parts(network, parts)
    count = 0
    for name, parameter in network.named_parameters():
        if any(is_within(name, part) for part in parts):
            parameter.requires_grad_(False)
            count += parameter.numel()
    for name, module in network.named_modules():
        if type(module) is nn.BatchNorm2d and any(is_within(name, part) for part in parts):
            module.__class__ = FrozenBatchNorm2d
            module.eval()
    if not any(parameter.requires_grad for parameter in network.parameters()):
        raise InputError(f"freeze: nothing is left that learns in {', '.join(parts)}")
    return count


def check_parts(network: nn.Module, parts: Iterable[str]) -> None:
    """InputError for a name that no module has, with the nearest."""
    for part in parts:
        if not any(is_within(name, part) for name, _ in network.named_modules() if name):
            find_part(network, part)


def is_within(name: str, part: str) -> bool:
    """Whether it is this part or something in it; in the name of the part, * stands for any one name."""
    pattern = r"\.".join("[^.]+" if word == "*" else re.escape(word) for word in part.split("."))
    return re.fullmatch(rf"{pattern}(\..*)?", name) is not None
