"""Classification: scores (B, classes) against labels (B,)."""

from torch import Tensor
from torch.nn import functional

from saccade.zoo.network import Scores

AUXILIARY = 0.3  # the weight of each auxiliary classifier's loss (arXiv:1409.4842, section 5)


def loss(scores: Tensor | Scores, labels: Tensor) -> Tensor:
    """The mean cross entropy in nats, computed in float32 whatever the network's precision."""
    if isinstance(scores, Scores):
        return loss(scores.main, labels) + AUXILIARY * sum(loss(each, labels) for each in scores.auxiliary)
    return functional.cross_entropy(scores.float(), labels)


def correct(scores: Tensor | Scores, labels: Tensor) -> Tensor:
    """How many of the batch have their own class as the highest score; a tensor, so that no device is waited for."""
    main = scores.main if isinstance(scores, Scores) else scores
    return (main.detach().argmax(1) == labels).sum()


def probabilities(scores: Tensor) -> Tensor:
    """(B, classes) float32; every row sums to one."""
    return scores.float().softmax(1)
