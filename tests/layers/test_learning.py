"""Each edit, and noise, on real digits: the network still learns to tell them apart."""

from collections.abc import Callable
from functools import partial

import pytest
import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn

from saccade.layers.edit import drop_blocks, dropout, spatial_dropout, stochastic_depth
from saccade.layers.norms import reestimate, swap_norms
from saccade.optim.average import Average, exponential
from saccade.optim.noise import add_gradient_noise, annealed_std, noisy_weights
from saccade.tasks import classify
from saccade.zoo import find

TRAIN = 1200
EDITS: dict[str, Callable[[nn.Module], object]] = {
    "nothing": lambda network: None,
    "dropout": partial(dropout, rate=0.3),
    "spatial dropout": partial(spatial_dropout, rate=0.1),
    "dropblock": partial(drop_blocks, rate=0.1, block=3),
    "stochastic depth": partial(stochastic_depth, rate=0.3),
    **{f"{kind} norm": partial(swap_norms, kind=kind) for kind in ("group", "layer", "instance", "none")},
}


def digits() -> tuple[Tensor, Tensor]:
    pixels, labels = load_digits(return_X_y=True)
    return torch.tensor(pixels / 8 - 1, dtype=torch.float32).view(-1, 1, 8, 8), torch.tensor(labels)


def accuracy(network: nn.Module, images: Tensor, labels: Tensor) -> float:
    with torch.inference_mode():
        return (network.eval()(images).argmax(1) == labels).float().mean().item()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("edit", "weights", "gradients"),
    [*((edit, 0.0, 0.0) for edit in EDITS), ("nothing", 0.1, 0.0), ("nothing", 0.0, 1e-4)],
)
def test_digits_are_learned(edit: str, weights: float, gradients: float) -> None:
    """597 images that were not trained on; with the weights of the end, and with averaged ones and their statistics."""
    torch.manual_seed(0)
    images, labels = digits()
    network, generator = find("resnet20").build(10, 1), torch.Generator().manual_seed(0)
    EDITS[edit](network)
    rate = 0.005 if edit == "none norm" else 0.05
    optimizer = torch.optim.SGD(network.parameters(), rate, momentum=0.9, nesterov=True)
    average = Average(network, exponential(0.95))
    for step in range(80):
        few = torch.randint(TRAIN, (64,), generator=generator)
        optimizer.zero_grad()
        with noisy_weights(network, weights, generator):
            classify.loss(network.train()(images[few]), labels[few]).backward()
        add_gradient_noise(network.parameters(), annealed_std(step, gradients), generator)
        optimizer.step()
        average.update()
    reestimate(average.network, images[:TRAIN].split(200))
    assert accuracy(network, images[TRAIN:], labels[TRAIN:]) > 0.85
    assert accuracy(average.network, images[TRAIN:], labels[TRAIN:]) > 0.88
