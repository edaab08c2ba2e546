"""Updates in parts that fit the cache of a CPU.

Each operation of a rule goes through its whole list; over a list that fits no cache, every one of them waits for memory.
"""

from collections.abc import Iterator
from dataclasses import replace

from torch import Tensor

from saccade.optim.rules import Rule, Terms

# Weights at a time: 512 kB in 32 bits, and as much for the gradient and each tensor of state
BLOCK = 1 << 17


def blocks(terms: Terms, rule: Rule) -> Iterator[Terms]:
    """The same in parts of about BLOCK weights, on a CPU and where the rule treats each weight by itself."""
    if not rule.elementwise or terms.fleet or not terms.w[0].is_cpu or sum(w.numel() for w in terms.w) <= BLOCK:
        yield terms
        return
    part: list[tuple[Tensor, ...]] = []
    values = 0
    for same in zip(terms.g, terms.w, *terms.state.values(), strict=True):
        for pieces in cut(same):
            part.append(pieces)
            values += pieces[0].numel()
            if values >= BLOCK:
                yield gathered(part, terms)
                part, values = [], 0
    if part:
        yield gathered(part, terms)


def cut(same: tuple[Tensor, ...]) -> Iterator[tuple[Tensor, ...]]:
    """Tensors of one shape, each cut into the same rows, of BLOCK values or less where a row has no more."""
    values = same[0].numel()
    if values <= BLOCK:
        return iter((same,))
    rows = max(1, BLOCK * len(same[0]) // values)
    return zip(*(x.split(rows) for x in same), strict=True)


def gathered(part: list[tuple[Tensor, ...]], terms: Terms) -> Terms:
    g, w, *state = (list(xs) for xs in zip(*part, strict=True))
    return replace(terms, g=g, w=w, state=dict(zip(terms.state, state, strict=True)))
