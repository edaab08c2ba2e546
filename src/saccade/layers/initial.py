"""Where weights start."""

from torch import nn


def initialize(network: nn.Module) -> None:
    """He's normal initialization of every convolution, by its fan-out (arXiv:1502.01852, equation 14).

    Norms start as the identity and dense layers as torch has them, which is what torchvision does for ResNets.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d) and not module.weight.is_meta:  # which have no values, and torch draws them slowly
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
