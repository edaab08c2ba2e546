"""Edits of the batch norms of a network: other norms in their place, their momentum, their statistics."""

from collections.abc import Iterable, Sized

import torch
from torch import Tensor, nn

from saccade.errors import InputError, suggestion

NORMS = ("group", "layer", "instance", "none")
GROUPS = 32


class FrozenBatchNorm2d(nn.BatchNorm2d):
    """A batch norm whose statistics stay as they are, in training too."""

    def train(self, mode: bool = True) -> "FrozenBatchNorm2d":
        return super().train(False)


def swap_norms(network: nn.Module, kind: str) -> int:
    """Another norm for every batch norm, with its scale and shift; how many there were.

    None of them looks at other images, so the batch may be small, and training and evaluation do the same. "group":
    statistics over the pixels of a group of channels (arXiv:1803.08494), "layer": of all channels (arXiv:1607.06450),
    "instance": of each channel (arXiv:1607.08022). "none": the norm is left out, and convolutions stand alone, see there;
    a deep residual network then needs a small rate at first, as the sums of its blocks grow (arXiv:1901.09321).
    InputError where there is no batch norm, or no such kind.
    """
    if kind not in NORMS:
        raise InputError(f'norm: "{kind}" is none of {", ".join(NORMS)}{suggestion(kind, NORMS)}')
    places = [
        (parent, name, norm)
        for parent in network.modules()
        for name, norm in parent.named_children()
        if isinstance(norm, nn.BatchNorm2d)
    ]
    check_found(places)
    for parent, name, norm in places:
        setattr(parent, name, swapped(norm, kind))
    if kind == "none":
        stand_alone(network)
    return len(places)


def swapped(norm: nn.BatchNorm2d, kind: str) -> nn.Module:
    """What stands in place of this batch norm, with the same parameters."""
    if kind == "none":
        return nn.Identity()
    new: nn.GroupNorm | nn.InstanceNorm2d
    if kind == "instance":
        new = nn.InstanceNorm2d(norm.num_features, norm.eps)
    else:
        groups = 1 if kind == "layer" else groups_of(norm.num_features)
        new = nn.GroupNorm(groups, norm.num_features, norm.eps, affine=False)
    new.affine, new.weight, new.bias = norm.affine, norm.weight, norm.bias
    return new


def groups_of(channels: int) -> int:
    """The paper's 32 groups; where they do not divide the channels, or a group would be one channel, the next fewer.

    A group of one channel would be instance norm, which classifies worse (arXiv:1803.08494, table 3).
    """
    return next(g for g in range(max(1, min(GROUPS, channels // 2)), 0, -1) if channels % g == 0)


def stand_alone(network: nn.Module) -> None:
    """Convolutions that relied on a norm get a bias of zero, and weights of the size that keeps the variance of maps.

    That is He's by fan-in (arXiv:1502.01852, equation 10). A norm forgives any other, such as the common rule by fan-out
    that makes a depthwise filter too small by the root of the channels.
    """
    for conv in network.modules():
        if isinstance(conv, nn.Conv2d) and conv.bias is None:
            conv.bias = nn.Parameter(conv.weight.new_zeros(conv.out_channels))
            with torch.no_grad():
                size = conv.weight.square().mean().sqrt()
                conv.weight.mul_((2 / conv.weight[0].numel()) ** 0.5 / size)


def norm_momentum(network: nn.Module, momentum: float) -> int:
    """The share of the newest batch in the running statistics, 0.1 in torch; for how many batch norms.

    `running <- (1 - momentum) * running + momentum * batch` (arXiv:1502.03167, section 3.1). InputError where there is no
    batch norm, or the share not in (0, 1].
    """
    if not 0 < momentum <= 1:
        raise InputError(f"batch norm: a momentum above 0 and at most 1, not {momentum:g}")
    norms = batch_norms(network)
    check_found(norms)
    for norm in norms:
        norm.momentum = momentum
    return len(norms)


def freeze_statistics(network: nn.Module) -> int:
    """Every batch norm normalizes by its running statistics, in training too, and never changes them; how many.

    For weights trained elsewhere, and batches too small to have statistics of their own. InputError where there is none.
    """
    norms = batch_norms(network)
    check_found(norms)
    for norm in norms:
        norm.__class__ = FrozenBatchNorm2d
        norm.eval()
    return len(norms)


@torch.no_grad()
def reestimate(network: nn.Module, batches: Iterable[Tensor]) -> int:
    """Running statistics of the weights as they are now: the plain mean over the batches; for how many batch norms.

    What averaged weights need (arXiv:1803.05407, section 3.2), as no network with these weights has ever seen an image.
    `batches`: images (B, C, H, W) as in training, of equal number. All but the batch norms is as in evaluation, so nothing
    is dropped; modes and momenta are as before afterwards. Frozen statistics, and those of parts that evaluation leaves
    out, stay. Without batch norm no batch is read; ValueError where there is none to read.
    """
    norms = batch_norms(network)
    if not norms:
        return 0
    modes, momenta = [(each, each.training) for each in network.modules()], [norm.momentum for norm in norms]
    before = [{name: buffer.clone() for name, buffer in norm.named_buffers()} for norm in norms]
    network.eval()
    for norm in norms:
        norm.train()  # a frozen one stays in evaluation
        norm.reset_running_stats()
        norm.momentum = None  # torch's word for the mean of all
    count = 0
    try:
        for count, images in enumerate(batches, start=1):  # noqa: B007 (none would leave it at 0)
            network(images)
    finally:
        for module, mode in modes:
            module.training = mode
        for norm, momentum, buffers in zip(norms, momenta, before, strict=True):
            norm.momentum = momentum
            if not norm.num_batches_tracked:
                norm.load_state_dict(buffers, strict=False)
    if not count:
        raise ValueError("batch norm: no batch to estimate the statistics from")
    return sum(bool(norm.num_batches_tracked) for norm in norms)


def batch_norms(network: nn.Module) -> list[nn.BatchNorm2d]:
    return [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]


def check_found(norms: Sized) -> None:
    if not len(norms):
        raise InputError("norm: the network has no batch norm")
