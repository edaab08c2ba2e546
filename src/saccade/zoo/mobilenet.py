"""MobileNet v1 (Howard et al. 2017, arXiv:1704.04861) and v2 (Sandler et al. 2018, arXiv:1801.04381)."""

from functools import partial

from torch import nn

from saccade import layers
from saccade.errors import InputError
from saccade.layers import Residual, initialize
from saccade.zoo.network import ConvNet, classifier

conv = partial(layers.conv, act=nn.ReLU6)

# v1, table 1: channels and stride of each depthwise separable convolution; a stage begins at each stride
SEPARABLE = (
    ((64, 1),),
    ((128, 2), (128, 1)),
    ((256, 2), (256, 1)),
    ((512, 2), (512, 1), (512, 1), (512, 1), (512, 1), (512, 1)),
    ((1024, 2), (1024, 1)),
)
# v2, table 2, a line for each stage: expansion, channels, repeats, first stride
INVERTED = (
    ((1, 16, 1, 1),),
    ((6, 24, 2, 2),),
    ((6, 32, 3, 2),),
    ((6, 64, 4, 2), (6, 96, 3, 1)),
    ((6, 160, 3, 2), (6, 320, 1, 1)),
)


def divisible(channels: float, by: int = 8) -> int:
    """The nearest multiple of `by` that gives up no more than a tenth of the channels."""
    near = max(by, int(channels + by / 2) // by * by)
    return near if near >= 0.9 * channels else near + by


def check_width(width: float) -> None:
    if not 0 < width <= 8:
        raise InputError(f"width: the multiplier of the channels lies above 0 and is at most 8, not {width:g}")


def mobilenet_v1(classes: int, channels: int = 3, *, width: float = 1.0) -> ConvNet:
    """13 depthwise separable convolutions: (B, channels, any, any) to (B, classes).

    4,210,088 parameters at width 1 without those of the norms, 4,231,976 with them. `width` is the paper's multiplier
    alpha; its resolution multiplier rho is the size of the images.
    """
    check_width(width)
    cin = divisible(32 * width)
    stem, stages = conv(channels, cin, 3, 2), []
    for rows in SEPARABLE:
        stage = nn.Sequential()
        for planes, stride in rows:
            cout = divisible(planes * width)
            stage.append(nn.Sequential(conv(cin, cin, 3, stride, groups=cin), conv(cin, cout, 1)))
            cin = cout
        stages.append(stage)
    network = ConvNet(stem, stages, classifier(cin, classes))
    initialize(network)
    return network


def inverted_residual(cin: int, cout: int, stride: int, expansion: int) -> nn.Module:
    """Expand by 1x1, filter each channel, project by 1x1 without activation (figure 3b, table 1)."""
    mid = cin * expansion
    body = nn.Sequential(conv(mid, mid, 3, stride, groups=mid), conv(mid, cout, 1, act=None))
    if expansion > 1:
        body.insert(0, conv(cin, mid, 1))
    return Residual(body) if stride == 1 and cin == cout else body


def mobilenet_v2(classes: int, channels: int = 3, *, width: float = 1.0) -> ConvNet:
    """17 inverted residuals, with torchvision's shapes: (B, channels, any, any) to (B, classes)."""
    check_width(width)
    cin = divisible(32 * width)
    stem, stages = conv(channels, cin, 3, 2), []
    for rows in INVERTED:
        stage = nn.Sequential()
        for expansion, planes, repeats, first in rows:
            cout = divisible(planes * width)
            for i in range(repeats):
                stage.append(inverted_residual(cin, cout, first if i == 0 else 1, expansion))
                cin = cout
        stages.append(stage)
    last = divisible(1280 * max(1.0, width))
    head = nn.Sequential(conv(cin, last, 1), classifier(last, classes, dropout=0.2))
    network = ConvNet(stem, stages, head)
    initialize(network)
    return network
