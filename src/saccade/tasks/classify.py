"""Classification: scores (B, classes) against labels (B,), or against probabilities (B, classes) of mixed images."""

from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional

from saccade.zoo.network import Scores

AUXILIARY = 0.3  # the weight of each auxiliary classifier's loss (arXiv:1409.4842, section 5)


@dataclass(frozen=True)
class Loss:
    """The mean cross entropy in nats, computed in float32 whatever the network's precision.

    `smoothing`: share of every label that is spread evenly over all classes, 0 to below 1 (arXiv:1512.00567, section 7).
    `weights` (classes,): how much an image of each class counts; the sum is divided by the images, not by their weights,
    so that the parts of a batch add up to it.
    """

    smoothing: float = 0.0
    weights: Tensor | None = None

    def __call__(self, scores: Tensor | Scores, truth: Tensor) -> Tensor:
        if isinstance(scores, Scores):
            return self(scores.main, truth) + AUXILIARY * sum(self(each, truth) for each in scores.auxiliary)
        return self.of(scores.float(), truth)

    def of(self, scores: Tensor, truth: Tensor) -> Tensor:
        if self.weights is None:
            return functional.cross_entropy(scores, truth, label_smoothing=self.smoothing)
        summed = functional.cross_entropy(scores, truth, self.weights, reduction="sum", label_smoothing=self.smoothing)
        return summed / len(scores)


loss = Loss()


def correct(scores: Tensor | Scores, truth: Tensor) -> Tensor:
    """How many of the batch have their own class as the highest score; a tensor, so that no device is waited for.

    Of a mixed image that is the class that most of it is of.
    """
    main = scores.main if isinstance(scores, Scores) else scores
    return (main.detach().argmax(1) == (truth if truth.dim() == 1 else truth.argmax(1))).sum()


def probabilities(scores: Tensor) -> Tensor:
    """(B, classes) float32; every row sums to one."""
    return scores.float().softmax(1)
