"""AlexNet, in its two towers and in one (Krizhevsky, Sutskever, Hinton 2012; Krizhevsky 2014, arXiv:1404.5997)."""

from torch import nn

from saccade.errors import InputError
from saccade.layers import Branches
from saccade.zoo.network import ConvNet

SPREAD = 0.01
OF_ONE_TOWER = (48, 192)  # channels that conv2, conv4 and conv5 read


def filters(cin: int, cout: int, kernel: int, *, stride: int = 1) -> nn.Sequential:
    """A convolution and its ReLU; only the stride-4 one of the first layer is not padded."""
    conv = nn.Conv2d(cin, cout, kernel, stride, kernel // 2 if stride == 1 else 0)
    return nn.Sequential(conv, nn.ReLU(inplace=True))


def normalized(cin: int, cout: int, kernel: int, *, stride: int = 1) -> nn.Sequential:
    """The same with local response normalization after it: k = 2, n = 5, alpha = 1e-4, beta = 0.75 (section 3.3).

    torch divides alpha by n, the paper does not.
    """
    response = nn.LocalResponseNorm(5, alpha=5 * 1e-4, beta=0.75, k=2)
    return filters(cin, cout, kernel, stride=stride).append(response)


def start_as_published(network: nn.Module) -> None:
    """Section 5: N(0, 0.01), and biases at 1 in conv2, conv4, conv5 and the hidden dense layers.

    Slow to begin: on three classes of Fashion-MNIST the loss had not moved after 80 steps, with which He's start named
    93 % of the training images.
    """
    layers = [m for m in network.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    for layer in layers:
        nn.init.normal_(layer.weight, 0, SPREAD)
        zero = layer is layers[-1] or (isinstance(layer, nn.Conv2d) and layer.in_channels not in OF_ONE_TOWER)
        nn.init.constant_(layer.bias, 0 if zero else 1)  # type: ignore[arg-type]


def start_by_variance(network: nn.Module) -> None:
    """He's rule by fan-in (arXiv:1502.01852, equation 10), biases at 0: trains from the first step on."""
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            nn.init.zeros_(layer.bias)  # type: ignore[arg-type]


def overlapping() -> nn.MaxPool2d:
    """Section 3.4."""
    return nn.MaxPool2d(3, 2)


def dense_layers(classes: int) -> list[nn.Module]:
    """What decides, on a map of (256, 6, 6): dropout before both hidden layers (section 4.2)."""
    hidden = [(256 * 6 * 6, 4096), (4096, 4096)]
    layers = [each for sizes in hidden for each in (nn.Dropout(0.5), nn.Linear(*sizes), nn.ReLU(inplace=True))]
    return [nn.Flatten(), *layers, nn.Linear(4096, classes)]


def alexnet(classes: int, channels: int = 3, *, start: str = "he") -> ConvNet:
    """As published: two towers that meet before the third and before the dense layers; 60,965,224 parameters.

    (B, channels, 227, 227) to (B, classes). The paper says 224, from which its own 55x55 map does not follow; 227 does.
    The response normalization sees the maps of its own tower. Conv1 and conv2 are the towers of the stem, conv3 to conv5
    those of the one stage: each half of conv3 reads both towers, each half of conv4 and conv5 its own. `start`: weights
    by "he", or as "published", which is slow to begin.
    """
    if start not in ("he", "published"):
        raise InputError(f'alexnet: start is he or published, not "{start}"')
    lower = [nn.Sequential(normalized(channels, 48, 11, stride=4), overlapping(), normalized(48, 128, 5)) for _ in "ab"]
    upper = [nn.Sequential(filters(256, 192, 3), filters(192, 192, 3), filters(192, 128, 3)) for _ in "ab"]
    head = nn.Sequential(overlapping(), *dense_layers(classes))
    network = ConvNet(Branches(lower), [nn.Sequential(overlapping(), Branches(upper))], head)
    (start_by_variance if start == "he" else start_as_published)(network)
    return network


# arXiv:1404.5997, as torchvision has it: channels, kernel, stride, padding
ONE_TOWER = ((64, 11, 4, 2), (192, 5, 1, 2), (384, 3, 1, 1), (256, 3, 1, 1), (256, 3, 1, 1))


def alexnet_one_tower(classes: int, channels: int = 3) -> ConvNet:
    """One tower, no response normalization, torchvision's shapes: 61,100,840 parameters.

    (B, channels, 63 or more, same) to (B, classes).
    """
    units, cin = [], channels
    for cout, kernel, stride, padding in ONE_TOWER:
        units.append(nn.Sequential(nn.Conv2d(cin, cout, kernel, stride, padding), nn.ReLU(inplace=True)))
        cin = cout
    head = nn.Sequential(overlapping(), nn.AdaptiveAvgPool2d(6), *dense_layers(classes))
    stages = [nn.Sequential(overlapping(), units[1]), nn.Sequential(overlapping(), *units[2:])]
    return ConvNet(units[0], stages, head)
