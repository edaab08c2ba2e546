"""Networks that decide together, as one network."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from math import log

import torch
from torch import Tensor, nn
from torch.nn import functional


class Ensemble(nn.Module, ABC):
    """Images (B, C, H, W) to scores (B, classes) out of those of the `members`; for evaluation alone.

    `kind` names the way in which a file of weights has it.
    """

    kind = ""

    def __init__(self, members: Sequence[nn.Module]):
        super().__init__()
        self.members = nn.ModuleList(members)

    def forward(self, images: Tensor) -> Tensor:
        return self.joined(self.apart(images))

    def apart(self, images: Tensor) -> Tensor:
        """(B, classes, members): the scores of each."""
        return torch.stack([member(images) for member in self.members], dim=2)

    @abstractmethod
    def joined(self, scores: Tensor) -> Tensor:
        """(B, classes) of the scores (B, classes, members)."""

    @abstractmethod
    def shares(self) -> Tensor:
        """(members,) how much each of them counts; the sum is one."""


class Averaged(Ensemble):
    """The scores are the logarithm of the mean probability, so that their softmax is that mean (Breiman 1996)."""

    kind = "mean"

    def joined(self, scores: Tensor) -> Tensor:
        return scores.float().log_softmax(1).logsumexp(2) - log(len(self.members))

    def shares(self) -> Tensor:
        return torch.full((len(self.members),), 1 / len(self.members))


class Voted(Ensemble):
    """Each member votes for one class: the score of a class is the sum of the `votes` (members,) for it.

    With SAMME's votes alpha (Zhu et al. 2009) the softmax of the scores is the paper's probability of each class.
    """

    kind = "vote"
    votes: Tensor

    def __init__(self, members: Sequence[nn.Module], votes: Sequence[float] | None = None):
        super().__init__(members)
        self.register_buffer("votes", torch.tensor(votes if votes is not None else [1.0] * len(members)))

    def joined(self, scores: Tensor) -> Tensor:
        named = functional.one_hot(scores.argmax(1), scores.shape[1])  # (B, members, classes)
        return (named * self.votes[:, None]).sum(1)

    def shares(self) -> Tensor:
        return self.votes / self.votes.sum()


class Observed(nn.Module):
    """An ensemble with its members in view: (B, classes, 1 + members), first the scores of all, then of each."""

    def __init__(self, ensemble: Ensemble):
        super().__init__()
        self.ensemble = ensemble

    def forward(self, images: Tensor) -> Tensor:
        apart = self.ensemble.apart(images).float()
        return torch.cat([self.ensemble.joined(apart)[:, :, None], apart], dim=2)


KINDS: dict[str, type[Ensemble]] = {each.kind: each for each in (Averaged, Voted)}
