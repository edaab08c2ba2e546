"""The update rules, each as its equation: from the gradient g of the weights w to the update u, then w <- w - lr u.

A rule is a function of `Terms` that changes the state and gives u for whole lists of tensors; gradients and weights it
only reads. Its keyword arguments are its hyperparameters: floats, or (K,) tensors for the K members of a fleet. How the
rate and weight decay act on w is the business of `optimizer.py`, except where a rule measures the weights itself.

Where authors differ, the defaults are torch's, so that rates found elsewhere keep their meaning. `epsilon` says where eps
stands: "outside", sqrt(x) + eps (torch; the paper of Adam), or "inside", sqrt(x + eps) (the course notes).
"""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from math import sqrt
from typing import Any

import torch
from torch import Tensor

from saccade.errors import InputError, suggestion
from saccade.optim.lists import (
    Number,
    Tensors,
    add_,
    add_squares_,
    approach_,
    between,
    norms,
    plus,
    scale_,
    shift_,
    spread,
)


@dataclass
class Terms:
    """What stands in the equations. In a fleet every tensor is (K, ...), one slice a member.

    `t` counts the steps from 1. It is a tensor where the step is captured, so that it can go on in there. `corrections`
    are the 1 - beta^t of each beta; made outside of the rule, for a compiler would take the power anew for every weight.
    """

    g: Tensors
    w: Tensors
    state: dict[str, Tensors]
    t: int | Tensor = 1
    fleet: bool = False
    corrections: Mapping[str, Number] = field(default_factory=dict)


def sgd(terms: Terms) -> Tensors:
    """u = g"""
    return terms.g


def momentum(terms: Terms, *, momentum: Number = 0.9) -> Tensors:
    """a <- beta a + g; u = a (Polyak 1964, in torch's form).

    The rate stands outside of a, so that a change of rate acts at once; in arXiv:1706.02677, equation 9, it is inside.
    """
    a = terms.state["velocity"]
    scale_(a, momentum)
    add_(a, terms.g)
    return a


def nesterov(terms: Terms, *, momentum: Number = 0.9) -> Tensors:
    """a <- beta a + g; u = g + beta a (torch's form of Nesterov 1983).

    In the notes' form, a <- beta a + grad L(w - lr beta a) and w <- w - lr a, the gradient is taken ahead of the weights.
    Here w is that place ahead itself: at a constant rate it goes through exactly the points w - lr beta a of the notes.
    """
    a = terms.state["velocity"]
    scale_(a, momentum)
    add_(a, terms.g)
    return plus(terms.g, a, momentum)


def adagrad(terms: Terms, *, eps: Number = 1e-10, epsilon: str = "outside") -> Tensors:
    """G <- G + g^2; u = g / (sqrt(G) + eps) (Duchi, Hazan, Singer 2011).

    G starts from 0 as in the paper, the notes and torch (TensorFlow: 0.1). The notes have eps inside.
    """
    squares = terms.state["squares"]
    add_squares_(squares, terms.g)
    return over(terms.g, root(squares, eps, epsilon))


def adadelta(terms: Terms, *, gamma: Number = 0.9, eps: Number = 1e-6) -> Tensors:
    """G <- gamma G + (1 - gamma) g^2; u = sqrt(H + eps) / sqrt(G + eps) g; H <- gamma H + (1 - gamma) u^2.

    arXiv:1212.5701, algorithm 1, where the rate is 1 (torch and this package multiply by one all the same); gamma is
    `rho` in torch. eps is inside everywhere.
    """
    squares, steps = terms.state["squares"], terms.state["steps"]
    scale_(squares, gamma)
    add_squares_(squares, terms.g, 1 - gamma)
    u = over(root(steps, eps, "inside"), root(squares, eps, "inside"))
    torch._foreach_mul_(u, terms.g)
    scale_(steps, gamma)
    add_squares_(steps, u, 1 - gamma)
    return u


def rmsprop(terms: Terms, *, gamma: Number = 0.99, eps: Number = 1e-8, epsilon: str = "outside") -> Tensors:
    """G <- gamma G + (1 - gamma) g^2; u = g / (sqrt(G) + eps) (Tieleman and Hinton 2012, lecture 6.5).

    gamma is `alpha` in torch. The notes have eps inside.
    """
    squares = terms.state["squares"]
    scale_(squares, gamma)
    add_squares_(squares, terms.g, 1 - gamma)
    return over(terms.g, root(squares, eps, epsilon))


def adam(
    terms: Terms, *, beta1: Number = 0.9, beta2: Number = 0.999, eps: Number = 1e-8, epsilon: str = "outside"
) -> Tensors:
    """m <- beta1 m + (1 - beta1) g; v <- beta2 v + (1 - beta2) g^2; u = m^ / (sqrt(v^) + eps) (arXiv:1412.6980).

    m^ = m / (1 - beta1^t) and v^ = v / (1 - beta2^t) correct for the start from zero. As that only scales u and eps, no
    corrected copies are made.
    """
    m, v = terms.state["mean"], terms.state["squares"]
    approach_(m, terms.g, 1 - beta1)
    scale_(v, beta2)
    add_squares_(v, terms.g, 1 - beta2)
    c1, c2 = terms.corrections["beta1"], terms.corrections["beta2"]
    bottom = root(v, eps * (c2 if epsilon == "inside" else c2**0.5), epsilon)
    scale_(bottom, c1 / c2**0.5)
    return over(m, bottom)


def lars(terms: Terms, *, momentum: Number = 0.9, trust: Number = 0.001, weight_decay: Number = 0.0) -> Tensors:
    """a <- beta a + r (g + decay w) with r = trust |w| / (|g| + decay |w|), tensor by tensor; u = a.

    arXiv:1708.03888, algorithm 1, where the rate stands inside of a: the same at a constant rate. r is 1 where |w| or |g|
    is 0, else weights that start from zero would stay there. Norms and biases are commonly left to plain momentum:
    `groups.vectors_apart` gives them a group with `rule="momentum"`, as a recipe does.
    """
    decayed = plus(terms.g, terms.w, weight_decay)
    trusts, decays = (each(number, terms.w) for number in (trust, weight_decay))
    sizes = zip(norms(terms.w, terms.fleet), norms(terms.g, terms.fleet), trusts, decays, strict=True)
    ratios = [torch.where((w > 0) & (g > 0), own * w / (g + decay * w), 1.0) for w, g, own, decay in sizes]
    torch._foreach_mul_(decayed, ratios)
    a = terms.state["velocity"]
    scale_(a, momentum)
    add_(a, decayed)
    return a


def lamb(
    terms: Terms,
    *,
    beta1: Number = 0.9,
    beta2: Number = 0.999,
    eps: Number = 1e-6,
    weight_decay: Number = 0.0,
) -> Tensors:
    """u = |w| / |r| r with r = Adam's update + decay w, tensor by tensor (arXiv:1904.00962, algorithm 2, phi(z) = z).

    The ratio is 1 where |w| or |r| is 0.
    """
    r = plus(adam(terms, beta1=beta1, beta2=beta2, eps=eps), terms.w, weight_decay)
    sizes = zip(norms(terms.w, terms.fleet), norms(r, terms.fleet), strict=True)
    torch._foreach_mul_(r, [torch.where((w > 0) & (own > 0), w / own, 1.0) for w, own in sizes])
    return r


def muon(terms: Terms, *, momentum: Number = 0.95, iterations: int = 5, scale: str = "original") -> Tensors:
    """a <- beta a + (1 - beta) g; u = the nearest orthogonal matrix to (1 - beta) g + beta a, times a scale.

    Keller Jordan's Muon (kellerjordan.github.io/posts/muon) as in torch, and for convolutions as well: a kernel is the
    matrix (cout, cin * height * width). `scale` is "original", sqrt(max(1, rows / columns)), or "adam",
    0.2 sqrt(max(rows, columns)), which gives u the size that Adam's has and so lets rates be shared (arXiv:2502.16982).
    """
    a = terms.state["velocity"]
    approach_(a, terms.g, 1 - momentum)
    ahead = between(terms.g, a, momentum)
    matrices = [u.flatten(2) if terms.fleet else u.flatten(1).unsqueeze(0) for u in ahead]
    alike: dict[tuple[int, ...], list[int]] = {}
    for i, matrix in enumerate(matrices):
        alike.setdefault(tuple(matrix.shape), []).append(i)
    for (count, rows, columns), places in alike.items():
        found = orthogonal(torch.cat([matrices[i] for i in places]), iterations)
        factor = sqrt(max(1.0, rows / columns)) if scale == "original" else 0.2 * sqrt(max(rows, columns))
        for i, matrix in zip(places, found.to(ahead[places[0]].dtype).split(count), strict=True):
            ahead[i] = matrix.mul(factor).view(ahead[i].shape)
    return ahead


def orthogonal(x: Tensor, iterations: int) -> Tensor:
    """Matrices (B, rows, columns) with all singular values brought to between about 0.7 and 1.2.

    Newton and Schulz's iteration with the quintic of Jordan, whose slope at zero is steep instead of its limit being
    exact. In bfloat16, as published, or in 64 bits where x has them.
    """
    tall = x.shape[-2] > x.shape[-1]
    x = x if x.dtype == torch.float64 else x.bfloat16()
    x = x.mT if tall else x
    x = x / x.norm(dim=(-2, -1), keepdim=True).clamp(min=1e-7)
    for _ in range(iterations):
        square = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(square, square, square, beta=-4.7750, alpha=2.0315), x, beta=3.4445)
    return x.mT if tall else x


def root(xs: Tensors, eps: Number, epsilon: str) -> Tensors:
    """sqrt(x) + eps, or with eps "inside" sqrt(x + eps)"""
    if epsilon == "inside":
        roots = list(torch._foreach_add(xs, spread(eps, xs)))
        torch._foreach_sqrt_(roots)
    else:
        roots = list(torch._foreach_sqrt(xs))
        shift_(roots, eps)
    return roots


def over(tops: Tensors, bottoms: Tensors) -> Tensors:
    return list(torch._foreach_div(tops, bottoms))


def each(number: Number, xs: Tensors) -> list[Any]:
    """One number for each tensor."""
    return spread(number, xs) if isinstance(number, Tensor) else [number] * len(xs)


@dataclass(frozen=True)
class Rule:
    """An update rule and what an optimizer has to know of it.

    `state` names its tensors, each as large as the weights. `decay` is how weight decay acts unless told otherwise:
    "l2" (added to the gradient), "decoupled" (taken from the weights) or "own" (a term of the rule). `elementwise`: no
    weight's update looks at another weight. `otherwise`: the rule for what is no matrix, where this one needs matrices.
    `vectors`: the rule that norms and biases are commonly left to, where this one could take them as well.
    """

    update: Callable[..., Tensors]
    default_lr: float
    state: tuple[str, ...] = ()
    decay: str = "l2"
    weight_decay: float = 0.0
    elementwise: bool = True
    otherwise: str | None = None
    vectors: str | None = None

    @cached_property
    def hyperparameters(self) -> dict[str, Any]:
        """Those of the rule alone, with their defaults."""
        parameters = inspect.signature(self.update).parameters.values()
        return {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}

    def corrections(self, settings: Mapping[str, Any], t: int | Tensor) -> dict[str, Number]:
        """1 - beta^t for each beta of the rule."""
        return {name: 1 - settings[name] ** t for name in self.hyperparameters if name.startswith("beta")}


# The rates are places to start from; no table knows the right one
RULES = {
    "sgd": Rule(sgd, 0.1),
    "momentum": Rule(momentum, 0.05, ("velocity",)),
    "nesterov": Rule(nesterov, 0.05, ("velocity",)),
    "adagrad": Rule(adagrad, 0.01, ("squares",)),
    "adadelta": Rule(adadelta, 1.0, ("squares", "steps")),
    "rmsprop": Rule(rmsprop, 1e-3, ("squares",)),
    "adam": Rule(adam, 1e-3, ("mean", "squares")),
    "adamw": Rule(adam, 1e-3, ("mean", "squares"), decay="decoupled", weight_decay=0.01),
    "lars": Rule(lars, 2.0, ("velocity",), decay="own", elementwise=False, vectors="momentum"),
    "lamb": Rule(lamb, 2e-3, ("mean", "squares"), decay="own", elementwise=False),
    "muon": Rule(muon, 0.02, ("velocity",), decay="decoupled", elementwise=False, otherwise="adamw"),
}


def find_rule(name: str) -> Rule:
    """InputError for a name that no rule has, with the nearest."""
    if name not in RULES:
        raise InputError(f'there is no update rule "{name}"{suggestion(name, RULES)} ({", ".join(RULES)})')
    return RULES[name]
