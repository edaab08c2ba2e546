"""Which hyperparameters apply to which parameters."""

from collections.abc import Mapping, Sequence
from typing import Any

from torch import nn

from saccade.errors import InputError, suggestion


def decay_groups(network: nn.Module, decay: float, rates: Mapping[str, float] | None = None) -> list[dict[str, Any]]:
    """Groups for an optimizer: weights of convolutions and dense layers decay, norms and biases do not.

    A decayed scale or bias limits the network's function without making it smoother (arXiv:1812.01187, section 3.1).
    `rates` multiplies the learning rate of the parts of these names, the longest that fits, as `rate` of the group.
    """
    rates = rates or {}
    check_parts(network, rates)
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in network.named_parameters():
        if parameter.requires_grad:
            part = max((part for part in rates if is_within(name, part)), key=len, default="")
            key = (decay if parameter.squeeze().dim() > 1 else 0.0, rates.get(part, 1.0))
            groups.setdefault(key, []).append(parameter)
    return [{"params": params, "weight_decay": own, "rate": rate} for (own, rate), params in groups.items()]


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
