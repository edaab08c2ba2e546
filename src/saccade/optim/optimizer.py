"""One optimizer for all update rules, of one network or of a fleet."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import cache, wraps
from typing import Any

import torch
from torch import Tensor
from torch.autograd import profiler
from torch.optim import optimizer

from saccade.errors import InputError, suggestion
from saccade.optim.blocks import blocks
from saccade.optim.fused import KERNELS, has_kernel
from saccade.optim.lists import Number, Tensors, add_, plus, scale_
from saccade.optim.ranges import check
from saccade.optim.rules import RULES, Rule, Terms, find_rule
from saccade.optim.settings import SHARED, check_settings, complete, split


def unwrapped(name: str) -> Any:
    """torch's method itself: torch wraps what its compiler is not to look into in functions that import the compiler."""
    return getattr(torch.optim.Optimizer, name).__wrapped__


def watched_where_asked(step: Callable[..., Any]) -> Callable[..., Any]:
    """With torch's wrapper for hooks and profilers only where there are any: it takes longer than LeNet-5's update."""
    watched = torch.optim.Optimizer.profile_hook_step(step)

    @wraps(step)
    def wrapper(self: torch.optim.Optimizer, closure: Callable[[], Any] | None = None) -> Any:
        hooks = self._optimizer_step_pre_hooks, self._optimizer_step_post_hooks, *HOOKS_OF_ALL
        return (watched if any(hooks) or profiler._is_profiler_enabled else step)(self, closure)

    vars(wrapper)["hooked"] = True  # what torch looks for before it wraps
    return wrapper


HOOKS_OF_ALL = optimizer._global_optimizer_pre_hooks, optimizer._global_optimizer_post_hooks
ADD, ZERO = unwrapped("add_param_group"), unwrapped("zero_grad")
Pairs = list[tuple[Tensor, dict[str, Any]]]


class Optimizer(torch.optim.Optimizer):
    """Applies an update rule to weights: w <- w - lr u.

    params: as for every torch optimizer. rule: a name in RULES. lr: above 0; unset, the rule's default. The other numbers
    are weight_decay and l1, at least 0, and the hyperparameters of the rule. l1 adds l1 sign(w) to the gradient, that
    of the penalty l1 |w| (the lasso, Tibshirani 1996). decay: "l2" adds weight_decay w to the gradient, that of the
    penalty weight_decay / 2 |w|^2 (Krogh and Hertz 1991), "decoupled" takes lr weight_decay w from the weights
    (arXiv:1711.05101): the same for SGD, not where a rule divides the gradient. LARS and LAMB place it themselves
    ("own"). A group may say each of these for itself, its rule too.

    A group without an lr gets `rate` times the optimizer's, where it has a `rate`; one of another rule that times the ratio
    of the two rules' default rates. Muon's parameters that are no matrices become such a group of AdamW.

    members: K for a fleet, whose parameters hold K networks: (K n, ...), rows k n to (k + 1) n of member k. Then every
    number may also be (K,), one a member, and each member is updated as it would be alone.

    fused: torch's own kernel where it has one for just this update (see fused.py). compiled: where it has none, the
    update of a group goes through torch.compile, which makes few kernels of any rule, a fleet's too. capturable: the count
    of steps stays on the device, for CUDA graphs; then all parameters of a group need a gradient in every step, and numbers
    that change are tensors on the device.

    ValueError for a number out of its range, a hyperparameter that the rule does not have, and parameters that cannot be
    divided among the members. torch's schedulers set one rate for all members.
    """

    def __init__(  # noqa: PLR0913 (torch's optimizers have more)
        self,
        params: Any,
        rule: str = "momentum",
        lr: Number | None = None,
        *,
        members: int = 1,
        fused: bool = True,
        compiled: bool = False,
        capturable: bool = False,
        **numbers: Any,
    ):
        chosen = find_rule(rule)
        check("members", members)
        settings = {**SHARED, "decay": chosen.decay, "weight_decay": chosen.weight_decay, **chosen.hyperparameters}
        for name in numbers:
            if name not in settings:
                raise InputError(f'{rule} has no "{name}"{suggestion(name, settings)} (it has {", ".join(settings)})')
        settings |= {**numbers, "rule": rule, "lr": chosen.default_lr if lr is None else lr, "members": members}
        check_settings(settings, chosen)
        super().__init__(params, {**settings, "fused": fused, "compiled": compiled, "capturable": capturable})

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """As torch's; parameters that the rule cannot take become a second group, with a rule that can."""
        for group in split(param_group, self.defaults):
            ADD(self, complete(group, self.defaults))

    state_dict, load_state_dict = map(unwrapped, ("state_dict", "load_state_dict"))

    def zero_grad(self, set_to_none: bool = True) -> None:
        """As torch's, which takes as long as a small layer for what it tells profilers."""
        if not set_to_none:
            ZERO(self, set_to_none)
            return
        for group in self.param_groups:
            for p in group["params"]:
                p.grad = None

    @watched_where_asked
    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One update of every parameter that has a gradient; gives the loss of the closure, where there is one."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            rule = RULES[group["rule"]]
            settings = {name: group[name] for name in ("lr", *SHARED, *rule.hyperparameters)}
            for terms in self.due(group, rule, settings):
                if group["fused"] and has_kernel(rule, terms, settings):
                    KERNELS[rule.update](penalized(terms, settings["l1"]), settings)
                elif group["compiled"]:
                    compiled_update()(rule, *moving_in_tensors(terms, settings))
                else:
                    for part in blocks(terms, rule):
                        update(rule, part, settings)
        return loss

    def due(self, group: dict[str, Any], rule: Rule, settings: Mapping[str, Any]) -> Iterator[Terms]:
        """What the rule sees of the parameters with a gradient; in a fleet (K n, ...) as (K, n, ...)."""
        found = [(p, self.state[p]) for p in group["params"] if p.grad is not None]
        for p, state in found:
            if not state:
                state |= {"step": 0} | {name: torch.zeros_like(p) for name in rule.state}
        for t, pairs in counted(group, found).items():
            gradients: Tensors = [p.grad for p, _ in pairs if p.grad is not None]
            lists = [gradients, [p for p, _ in pairs], *([state[name] for _, state in pairs] for name in rule.state)]
            if (members := group["members"]) > 1:
                lists = [[x.unflatten(0, (members, -1)) for x in xs] for xs in lists]
            g, w, *own = lists
            yield Terms(g, w, dict(zip(rule.state, own, strict=True)), t, members > 1, rule.corrections(settings, t))


def counted(group: dict[str, Any], pairs: Pairs) -> Mapping[int | Tensor, Pairs]:
    """Parameters with their state, by the number of their steps, this one included: some may have missed steps."""
    if group["capturable"] and pairs:
        group["step"] += 1
        return {group["step"]: pairs}
    by_step: dict[int | Tensor, Pairs] = {}
    for pair in pairs:
        pair[1]["step"] += 1
        by_step.setdefault(pair[1]["step"], []).append(pair)
    return by_step


def update(rule: Rule, terms: Terms, settings: Mapping[str, Any]) -> None:
    """Change the weights and the state by one step: penalties, the rule, decay, the rate.

    No value is read back from the device, so that it can be compiled and captured.
    """
    lr, decay, l1 = settings["lr"], settings["weight_decay"], settings["l1"]
    own = {name: settings[name] for name in rule.hyperparameters}
    kind = settings["decay"] if is_on(decay) else None
    if kind == "l2":
        terms = replace(terms, g=plus(terms.g, terms.w, decay))
    terms = penalized(terms, l1)
    u = rule.update(terms, **own)
    if kind == "decoupled":
        scale_(terms.w, 1 - lr * decay)
    add_(terms.w, u, -lr)


def penalized(terms: Terms, l1: Number) -> Terms:
    """With the gradient of l1 |w| added, whose value at 0 is 0."""
    return replace(terms, g=plus(terms.g, list(torch._foreach_sign(terms.w)), l1)) if is_on(l1) else terms


def moving_in_tensors(terms: Terms, settings: Mapping[str, Any]) -> tuple[Terms, dict[str, Any]]:
    """With the numbers that change from step to step as tensors: for each new float there would be a compilation."""

    def tensor(number: Number) -> Tensor:
        return torch.full((), number, dtype=torch.float64, device=device) if isinstance(number, int | float) else number

    device = terms.w[0].device
    moved = {name: tensor(number) for name, number in terms.corrections.items()}
    return replace(terms, corrections=moved, t=0), {**settings, "lr": tensor(settings["lr"])}


@cache
def compiled_update() -> Callable[[Rule, Terms, Mapping[str, Any]], None]:
    return torch.compile(update)


def is_on(number: Number) -> bool:
    """Whether a penalty may count: the values of a tensor are not read."""
    return isinstance(number, Tensor) or number != 0
