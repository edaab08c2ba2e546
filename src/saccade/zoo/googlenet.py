"""GoogLeNet, Inception v1 (Szegedy et al. 2014, arXiv:1409.4842): as published, and torchvision's batch-norm form.

Where table 1 contradicts its own filter columns, the columns are built: they give 9,408 weights for the first convolution
(the table says 2.7K), 509,440 for inception 4c (463K) and 1,042,432 for 5a (1072K).
"""

from collections.abc import Callable, Sequence
from functools import partial

from torch import Tensor, nn

from saccade import layers
from saccade.layers import Branches, initialize
from saccade.zoo.network import ConvNet, Scores, classifier

Make = Callable[..., nn.Module]

# Table 1: 1x1, 3x3 reduce, 3x3, 5x5 reduce, 5x5, pool projection
BLOCKS = (
    ((64, 96, 128, 16, 32, 32), (128, 128, 192, 32, 96, 64)),
    ((192, 96, 208, 16, 48, 64), (160, 112, 224, 24, 64, 64), (128, 128, 256, 24, 64, 64),
     (112, 144, 288, 32, 64, 64), (256, 160, 320, 32, 128, 128)),
    ((256, 160, 320, 32, 128, 128), (384, 192, 384, 48, 128, 128)),
)  # fmt: skip
AFTER = (1, 4)  # places of 4a and 4d, whose outputs the auxiliary classifiers read, behind the pooling of their stage


class GoogLeNet(ConvNet):
    """A ConvNet with classifiers beside its second stage, which are asked in training alone (section 5).

    In training: `Scores` of (B, classes), the loss of the auxiliary ones to be weighted by 0.3. Else (B, classes).
    """

    def __init__(self, stem: nn.Module, stages: Sequence[nn.Module], auxiliary: Sequence[nn.Module], head: nn.Module):
        super().__init__(stem, stages, nn.Identity())
        del self.head  # so that the tensors come in the order of the pass, as in torchvision
        self.auxiliary = nn.ModuleList(auxiliary)
        self.head = head

    def forward(self, x: Tensor) -> Tensor | Scores:  # type: ignore[override]
        if not self.training or not self.auxiliary:
            return super().forward(x)
        first, second, third = self.stages
        x = first(self.stem(x))
        beside: list[Tensor] = []
        for i, block in enumerate(second.children()):
            x = block(x)
            if i in AFTER:
                beside.append(self.auxiliary[len(beside)](x))
        return Scores(self.head(third(x)), tuple(beside))


def inception(conv: Make, cin: int, row: tuple[int, ...], five: int) -> tuple[nn.Module, int]:
    """Figure 2b; `five` is the kernel of the third branch."""
    c1, r3, c3, r5, c5, pool = row
    branches = [
        conv(cin, c1, 1),
        nn.Sequential(conv(cin, r3, 1), conv(r3, c3, 3)),
        nn.Sequential(conv(cin, r5, 1), conv(r5, c5, five)),
        nn.Sequential(nn.MaxPool2d(3, 1, 1, ceil_mode=True), conv(cin, pool, 1)),
    ]
    return Branches(branches), c1 + c3 + c5 + pool


def halve(kernel: int = 3) -> nn.MaxPool2d:
    return nn.MaxPool2d(kernel, 2, ceil_mode=True)


def stages_of(conv: Make, five: int, last_pool: int) -> list[nn.Module]:
    cin, stages = 192, list[nn.Module]()
    for rows, kernel in zip(BLOCKS, (3, 3, last_pool), strict=True):
        stage = nn.Sequential(halve(kernel))
        for row in rows:
            block, cin = inception(conv, cin, row, five)
            stage.append(block)
        stages.append(stage)
    return stages


def beside(conv: Make, pool: nn.Module, cin: int, classes: int) -> nn.Sequential:
    """An auxiliary classifier: pooling to 4x4, 1x1 convolution, a hidden layer, dropout of 70 % (section 5)."""
    hidden = nn.Linear(128 * 4 * 4, 1024)
    return nn.Sequential(
        pool, conv(cin, 128, 1), nn.Flatten(), hidden, nn.ReLU(inplace=True), nn.Dropout(0.7), nn.Linear(1024, classes)
    )


def googlenet(classes: int, channels: int = 3) -> GoogLeNet:
    """As published: true 5x5 branches, local response normalization, no batch norm; 6,998,552 parameters in use.

    (B, channels, 224, 224) to (B, classes), and in training two auxiliary scores, with 6,379,728 parameters more. The
    constants of the response normalization, which the paper does not print, are those of Caffe's model; weights start
    uniform by Glorot's rule.
    """
    conv = partial(layers.conv, norm=None)
    response = partial(nn.LocalResponseNorm, 5, alpha=1e-4, beta=0.75, k=1)
    stem = nn.Sequential(conv(channels, 64, 7, 2), halve(), response(), conv(64, 64, 1), conv(64, 192, 3), response())
    # 4x4 follows from 224 px; the maps of other images are averaged to it
    pools = [nn.Sequential(nn.AvgPool2d(5, 3), nn.AdaptiveAvgPool2d(4)) for _ in AFTER]
    auxiliary = [beside(conv, pool, cin, classes) for pool, cin in zip(pools, (512, 528), strict=True)]
    network = GoogLeNet(stem, stages_of(conv, 5, 3), auxiliary, classifier(1024, classes, dropout=0.4))
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.xavier_uniform_(module.weight)
            nn.init.zeros_(module.bias)  # type: ignore[arg-type]
    return network


def googlenet_bn(classes: int, channels: int = 3, *, auxiliary: bool = False) -> GoogLeNet:
    """torchvision's form: batch norm, 3x3 in place of 5x5; 6,624,904 parameters, 13,004,888 with the auxiliary ones.

    (B, channels, 15 or more, same) to (B, classes).
    """
    conv = partial(layers.conv, norm=partial(nn.BatchNorm2d, eps=1e-3))
    stem = nn.Sequential(conv(channels, 64, 7, 2), halve(), conv(64, 64, 1), conv(64, 192, 3))
    heads = [beside(conv, nn.AdaptiveAvgPool2d(4), cin, classes) for cin in (512, 528)] if auxiliary else []
    network = GoogLeNet(stem, stages_of(conv, 3, 2), heads, classifier(1024, classes, dropout=0.2))
    initialize(network)
    return network
