"""LeNet-5 on real handwritten digits, trained by whatever optimizer is given."""

from collections.abc import Callable, Iterable
from functools import cache

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn import functional

from saccade.zoo import find

BATCH = 16
Make = Callable[[Iterable[nn.Parameter]], torch.optim.Optimizer]


@cache
def digits(dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    found = load_digits()
    images = torch.tensor(found.images / 16, dtype=dtype)[:, None]
    return functional.interpolate(images, size=28, mode="bilinear"), torch.tensor(found.target)


def network(dtype: torch.dtype) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return find("lenet5").build(10, 1).to(dtype)


def batch_loss(net: nn.Module, step: int, dtype: torch.dtype) -> Tensor:
    images, labels = digits(dtype)
    places = (torch.arange(BATCH) + step * BATCH) % len(labels)
    return functional.cross_entropy(net(images[places]), labels[places])


def trained(make: Make, steps: int, dtype: torch.dtype, only: int = 0) -> tuple[Tensor, float, float]:
    """All weights after so many steps, the first loss and the mean of the last ten. Of weights with `only` dimensions."""
    net = network(dtype)
    chosen = [p for p in net.parameters() if only in (0, p.dim())]
    optimizer = make(chosen)
    losses = []
    for step in range(steps):
        optimizer.zero_grad()
        loss = batch_loss(net, step, dtype)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return torch.cat([p.detach().flatten() for p in net.parameters()]), losses[0], sum(losses[-10:]) / len(losses[-10:])
