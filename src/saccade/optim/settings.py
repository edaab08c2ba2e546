"""All that the update of a group of parameters needs, from what was given and from the defaults."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from saccade.errors import InputError
from saccade.optim.groups import is_matrix
from saccade.optim.ranges import check, check_choice
from saccade.optim.rules import RULES, Rule, find_rule

# What every rule has besides its rate and its own hyperparameters
SHARED = {"weight_decay": 0.0, "l1": 0.0, "decay": "l2"}


def split(group: dict[str, Any], defaults: dict[str, Any]) -> list[dict[str, Any]]:
    """A group for an optimizer; where its rule needs matrices, the other parameters in a second one with another rule.

    The second group's rate stands to the first's as the default rates of the two rules.
    """
    group = {"rule": defaults["rule"], **group}
    params = [group["params"]] if isinstance(group["params"], Tensor) else list(group["params"])
    rule, members = find_rule(group["rule"]), defaults["members"]
    if rule.otherwise is None:
        return [{**group, "params": params}]
    found = []
    for name in (group["rule"], rule.otherwise):
        own = [p for p in params if is_matrix(tensor_of(p), members) == (name == group["rule"])]
        if own:
            change = RULES[name].default_lr / rule.default_lr
            rate = {"lr": group["lr"] * change, "rate": group.get("rate", 1.0) * change} if "lr" in group else {}
            found.append({**group, **rate, "rule": name, "params": own})
    return found


def complete(group: dict[str, Any], defaults: dict[str, Any]) -> dict[str, Any]:
    """A group with all that its rule needs, from an optimizer's defaults or, for another rule, from the rule's own."""
    rule, usual = find_rule(group["rule"]), find_rule(defaults["rule"])
    settings = dict(defaults)
    if rule is not usual:
        settings |= {**rule.hyperparameters, "decay": rule.decay}
    rate = group.get("rate", 1.0)
    if "lr" not in group:
        rate = rate * rule.default_lr / usual.default_lr
        settings["lr"] = defaults["lr"] * rate
    group = {**settings, **group, "rate": rate}
    tensors = [tensor_of(p) for p in group["params"]]
    device = tensors[0].device if tensors else None
    check_settings(group, rule)
    check_members(tensors, group["members"])
    for name, value in group.items():
        if isinstance(value, Tensor) and value.dim():
            # 64 bits, for 1 - beta2 would lose four digits in 32
            group[name] = value.to(device, torch.float64)
    if group["capturable"]:
        group["step"] = torch.zeros((), dtype=torch.float64, device=device)
    return group


def check_settings(settings: Mapping[str, Any], rule: Rule) -> None:
    for name in ("lr", "weight_decay", "l1", *rule.hyperparameters):
        check(name, settings[name], settings["members"])
    if rule.decay == "own" and settings["decay"] != "own":
        raise InputError(f'decay: {settings["rule"]} has a place of its own for it, "own", not "{settings["decay"]}"')
    if rule.decay != "own":
        check_choice("decay", settings["decay"], ("l2", "decoupled"))


def check_members(tensors: Sequence[Tensor], members: int) -> None:
    for p in tensors if members > 1 else ():
        if p.dim() == 0 or len(p) % members:
            raise InputError(f"a parameter of shape {tuple(p.shape)} cannot be divided among {members} members")


def tensor_of(parameter: Any) -> Tensor:
    """Of a parameter, or of a pair of its name and itself."""
    return parameter[1] if isinstance(parameter, tuple) else parameter
