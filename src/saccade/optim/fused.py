"""torch's kernels for the rules that it has: all of an update in one pass over the memory.

The functions of `rules.py` stay the definition; a test holds these to them. They are worth it: on a CPU an update of
ResNet-18 takes a half to a third of the time (benchmarks/update_rules.py).
"""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from saccade.optim import rules
from saccade.optim.rules import Rule, Terms

Numbers = Mapping[str, Any]


def sgd(terms: Terms, numbers: Numbers) -> None:
    descend(terms, numbers, nesterov=False)


def nesterov(terms: Terms, numbers: Numbers) -> None:
    descend(terms, numbers, nesterov=True)


def descend(terms: Terms, numbers: Numbers, nesterov: bool) -> None:
    torch._fused_sgd_(
        terms.w,
        terms.g,
        terms.state.get("velocity", []),
        lr=numbers["lr"],
        momentum=numbers.get("momentum", 0.0),
        weight_decay=numbers["weight_decay"],
        nesterov=nesterov,
        dampening=0.0,
        maximize=False,
        is_first_step=False,
    )


def adagrad(terms: Terms, numbers: Numbers) -> None:
    torch._fused_adagrad_(
        terms.w,
        terms.g,
        terms.state["squares"],
        counters(terms),
        lr=numbers["lr"],
        lr_decay=0.0,
        eps=numbers["eps"],
        weight_decay=numbers["weight_decay"],
        maximize=False,
    )


def adam(terms: Terms, numbers: Numbers) -> None:
    kernel = torch._fused_adamw_ if numbers["decay"] == "decoupled" else torch._fused_adam_
    kernel(
        terms.w,
        terms.g,
        terms.state["mean"],
        terms.state["squares"],
        [],
        counters(terms),
        lr=numbers["lr"],
        beta1=numbers["beta1"],
        beta2=numbers["beta2"],
        eps=numbers["eps"],
        weight_decay=numbers["weight_decay"],
        amsgrad=False,
        maximize=False,
    )


def counters(terms: Terms) -> list[Tensor]:
    """The kernels read a counter of each tensor, and change none."""
    t = terms.t.float() if isinstance(terms.t, Tensor) else torch.full((), float(terms.t), device=terms.w[0].device)
    return [t] * len(terms.w)


KERNELS: dict[Callable[..., Any], Callable[[Terms, Numbers], None]] = {
    rules.sgd: sgd,
    rules.momentum: sgd,
    rules.nesterov: nesterov,
    rules.adagrad: adagrad,
    rules.adam: adam,
}
DEVICES = {rules.adagrad: ("cpu",)}  # the others: a GPU too


def has_kernel(rule: Rule, terms: Terms, numbers: Numbers) -> bool:
    """Whether torch has a kernel that computes just this: plain numbers, like tensors, the rule in torch's own form."""
    device = terms.w[0].device.type
    if terms.fleet or rule.update not in KERNELS or device not in DEVICES.get(rule.update, ("cpu", "cuda")):
        return False
    if numbers.get("epsilon") == "inside" or (numbers["decay"] == "decoupled" and rule.update is not rules.adam):
        return False
    if numbers.get("momentum") == 0:  # torch's kernel would forget the velocity
        return False
    return not any(isinstance(number, Tensor) for number in numbers.values()) and are_alike(terms)


def are_alike(terms: Terms) -> bool:
    """Whether all tensors are of one type and place, and those of each weight lie in memory in the same order.

    The kernels look at no strides: where a gradient lies otherwise than its weight, torch's own SGD updates wrong weights.
    """
    first, order = terms.w[0], [w.stride() for w in terms.w]
    kind = first.dtype, first.device
    if [(w.dtype, w.device) for w in terms.w] != [kind] * len(order):
        return False
    return all([x.stride() for x in xs] == order for xs in (terms.g, *terms.state.values()))
