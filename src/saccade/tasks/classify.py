"""Classification: scores (B, classes) against labels (B,)."""

from torch import Tensor
from torch.nn import functional


def loss(scores: Tensor, labels: Tensor) -> Tensor:
    """The mean cross entropy in nats, computed in float32 whatever the network's precision."""
    return functional.cross_entropy(scores.float(), labels)


def correct(scores: Tensor, labels: Tensor) -> Tensor:
    """How many of the batch have their own class as the highest score; a tensor, so that no device is waited for."""
    return (scores.detach().argmax(1) == labels).sum()


def probabilities(scores: Tensor) -> Tensor:
    """(B, classes) float32; every row sums to one."""
    return scores.float().softmax(1)
