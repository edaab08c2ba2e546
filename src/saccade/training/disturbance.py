"""What makes the gradient of a step another than that of the batch at the weights as they are."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import TypeVar

import torch
from torch import nn

from saccade.optim.noise import add_gradient_noise, noisy_weights
from saccade.optim.sam import sharpness_aware

T = TypeVar("T")


@dataclass
class Disturbance:
    """`radius` of sharpness-aware minimization, noise on the weights (a share of each filter's size) and on gradients.

    Each is off at 0. `generator`: of the noise, set anew for every step; `dropout`: the one that dropout draws from, so
    that both passes of a sharpness-aware step drop the same.
    """

    radius: float = 0.0
    weight_std: float = 0.0
    gradient_std: float = 0.0
    generator: torch.Generator = field(default_factory=torch.Generator)
    dropout: torch.Generator = field(default_factory=lambda: torch.default_generator)

    def gradients(self, network: nn.Module, compute: Callable[[], T]) -> T:
        """What `compute` gives, which leaves the gradients of the network; weights and buffers as if it ran once."""
        with self.noise(network):
            if self.radius:
                state = self.dropout.get_state()

                def again() -> T:
                    self.dropout.set_state(state)
                    return compute()

                found = sharpness_aware(list(network.parameters()), again, self.radius, list(network.buffers()))
            else:
                found = compute()
        return found

    def disturb(self, network: nn.Module) -> None:
        """Put the noise on the gradients, after they were clipped: else clipping would take it away again."""
        if self.gradient_std:
            add_gradient_noise(network.parameters(), self.gradient_std, self.generator)

    def noise(self, network: nn.Module) -> AbstractContextManager[None]:
        return noisy_weights(network, self.weight_std, self.generator) if self.weight_std else nullcontext()
