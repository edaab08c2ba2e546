"""Averages of the weights over the steps of a training run."""

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn

from saccade.optim.lists import Number, approach_

Share = Callable[[int], Number]  # of the newest weights in the average, when so many are in it already


def exponential(decay: float, warm: bool = True) -> Share:
    """`average <- decay * average + (1 - decay) * weights`: recent weights count, those of 1 / (1 - decay) steps or so.

    Polyak and Juditsky 1992 take the plain mean; arXiv:1412.6980, section 7.2, names the moving one.
    The first weights are taken as they are, so there is no bias towards zero to correct (as in Adam); `warm` keeps them
    from counting for long: the decay of update n is at most (1 + n) / (10 + n).
    """
    if not 0 <= decay < 1:
        raise ValueError(f"the decay of an average of weights is at least 0 and below 1, not {decay:g}")
    return lambda n: 1 - min(decay, (1 + n) / (10 + n)) if warm else 1 - decay


def uniform(n: int) -> float:
    """The plain mean of all: stochastic weight averaging (arXiv:1803.05407, algorithm 1), one update an epoch or so."""
    return 1 / (n + 1)


class Average:
    """A second network with the average of the first one's weights at every `update`, and with its newest buffers.

    Statistics of batch norm are those of other weights: `layers.norms.reestimate` makes them right. `network` is ready for
    evaluation and shares nothing with `source`.

    `members`: K for a fleet, whose tensors are (K n, ...); then the share may be (K,), one a member.
    """

    def __init__(self, source: nn.Module, share: Share, members: int = 1):
        self.share, self.count, self.members = share, 0, members
        self.network = deepcopy(source).eval().requires_grad_(False)
        self._weights: list[list[Tensor]] = [[*each.parameters()] for each in (self.network, source)]
        self._buffers = [[*each.buffers()] for each in (self.network, source)]

    @torch.no_grad()
    def update(self) -> None:
        """Take in the weights of this moment."""
        mean, newest = self._weights
        if self.count:
            share = self.share(self.count)
            if isinstance(share, Tensor):
                mean, newest = ([x.unflatten(0, (self.members, -1)) for x in xs] for xs in (mean, newest))
            approach_(mean, newest, share)
        else:
            torch._foreach_copy_(mean, newest)
        if self._buffers[0]:
            torch._foreach_copy_(self._buffers[0], self._buffers[1])
        self.count += 1

    def state_dict(self) -> dict[str, Any]:
        """All that a resumed run needs for the same bits."""
        return {"network": self.network.state_dict(), "count": self.count}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.network.load_state_dict(state["network"])
        self.count = state["count"]
