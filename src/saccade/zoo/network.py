"""What every network is: a stem, stages of falling resolution, and a head."""

from collections.abc import Sequence
from typing import NamedTuple

from torch import Tensor, nn


class Scores(NamedTuple):
    """What a network with auxiliary classifiers gives in training: all (B, classes)."""

    main: Tensor
    auxiliary: tuple[Tensor, ...]


class ConvNet(nn.Module):
    """Images (B, channels, H, W) to scores (B, classes)."""

    IN_TURN = ("stem", "stages", "head")  # what `forward` goes through

    def __init__(self, stem: nn.Module, stages: Sequence[nn.Module], head: nn.Module):
        super().__init__()
        self.stem = stem
        self.stages = nn.Sequential(*stages)
        self.head = head

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.stages(self.stem(x)))

    def pyramid(self, x: Tensor) -> list[Tensor]:
        """The output of every stage, finest first: what segmentation and detection build on."""
        x = self.stem(x)
        return [x := stage(x) for stage in self.stages]


def classifier(cin: int, classes: int, dropout: float = 0.0) -> nn.Sequential:
    """The mean over all positions, dropout where there is any, a dense layer: (B, cin, H, W) to (B, classes)."""
    head = nn.Sequential()
    head.add_module("pool", nn.AdaptiveAvgPool2d(1))
    head.add_module("flat", nn.Flatten())
    if dropout:
        head.add_module("drop", nn.Dropout(dropout))
    head.add_module("dense", nn.Linear(cin, classes))
    return head
