"""Which hyperparameters apply to which parameters."""

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from saccade.errors import InputError, suggestion
from saccade.optim.lists import Number


def decay_groups(
    network: nn.Module, decay: Number, rates: Mapping[str, float] | None = None, members: int = 1
) -> list[dict[str, Any]]:
    """Groups for an optimizer: weights of convolutions and dense layers decay, norms and biases do not.

    A decayed scale or bias limits the network's function without making it smoother (arXiv:1812.01187, section 3.1).
    `decay` may hold one number for each of the `members` of a fleet. `rates` multiplies the learning rate of the parts of
    these names, the longest that fits, as `rate` of the group.
    """
    rates = rates or {}
    check_parts(network, rates)
    groups: dict[tuple[bool, float], list[nn.Parameter]] = {}
    decays = isinstance(decay, Tensor) or decay != 0
    for name, parameter in network.named_parameters():
        if parameter.requires_grad:
            part = max((part for part in rates if is_within(name, part)), key=len, default="")
            key = (decays and is_matrix(parameter, members), rates.get(part, 1.0))
            groups.setdefault(key, []).append(parameter)
    return [
        {"params": params, "weight_decay": decay if decays else 0.0, "rate": rate}
        for (decays, rate), params in groups.items()
    ]


def is_matrix(parameter: Tensor, members: int = 1) -> bool:
    """Whether a member's own part has two sides or more: no bias, and no scale of a norm, whatever its shape."""
    rows = len(parameter) // members if parameter.dim() else 1
    return sum(side > 1 for side in (rows, *parameter.shape[1:])) > 1


class FrozenBatchNorm2d(nn.BatchNorm2d):
    """A batch norm whose statistics stay as they are, in training too."""

    def train(self, mode: bool = True) -> "FrozenBatchNorm2d":
        return super().train(False)


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


def check_parts(network: nn.Module, parts: Sequence[str] | Mapping[str, float]) -> None:
    """InputError for a name that no module has, with the nearest."""
    known = [name for name, _ in network.named_modules() if name]
    for part in parts:
        if part not in known:
            tops = ", ".join(name for name in known if name.count(".") == (name.startswith("stages.")))
            raise InputError(f'the network has no part "{part}"{suggestion(part, known)} ({tops})')


def is_within(name: str, part: str) -> bool:
    return name == part or name.startswith(part + ".")
