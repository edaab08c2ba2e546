"""Unequal classes: weights for the loss, or an order of the images in which all classes come equally often."""

import numpy as np

from saccade.errors import InputError
from saccade.seeds import derive


def balanced_weights(labels: np.ndarray, classes: int) -> np.ndarray:
    """(classes,) float64: n / (classes * images of the class), for labels (n,) of 0 to `classes` - 1.

    The mean weight of an image is 1. A class without an image has weight 0 and is not counted as one. What scikit-learn
    calls "balanced" (King and Zeng 2001).
    """
    counts = counted(labels, classes)
    present = counts > 0
    return np.divide(len(labels) / present.sum(), counts, out=np.zeros(classes), where=present)


def effective_weights(labels: np.ndarray, classes: int, beta: float = 0.999) -> np.ndarray:
    """(classes,) float64: 1 / the effective number of images, (1 - beta^n) / (1 - beta) (arXiv:1901.05555, proposition 1).

    Scaled like `balanced_weights`, so that the mean weight of an image is 1. Beta 0 weighs all classes equally, beta near
    1 as `balanced_weights` does; the paper uses 0.9 to 0.9999.
    """
    if not 0 <= beta < 1:
        raise InputError(f"effective number of images: beta is at least 0 and below 1, not {beta:g}")
    counts = counted(labels, classes)
    weights = np.divide(1 - beta, 1 - beta**counts, out=np.zeros(classes), where=counts > 0)
    return weights * (len(labels) / (weights @ counts))


def balanced_order(indices: np.ndarray, labels: np.ndarray, seed: int, epoch: int) -> np.ndarray:
    """As many images as `epoch_order` has, each class with the same expected count: n / classes, up to one image.

    Class-aware sampling (arXiv:1512.05830). `labels` are those of `indices`. No image comes k + 1 times before all of its
    class have come k times, and whichever classes have one image more are drawn anew every epoch. A function of
    (labels, seed, epoch) alone.
    """
    generator = np.random.default_rng(derive(seed, "balanced order", epoch))
    members = [indices[labels == each] for each in np.unique(labels)]
    counts = np.full(len(members), len(indices) // len(members))
    counts[generator.permutation(len(members))[: len(indices) % len(members)]] += 1
    chosen = [dealt(each, count, generator) for each, count in zip(members, counts, strict=True)]
    return generator.permutation(np.concatenate(chosen))


def dealt(images: np.ndarray, count: int, generator: np.random.Generator) -> np.ndarray:
    """So many of the images: all of them in random order, and again, until there are enough."""
    rounds = [generator.permutation(images) for _ in range(-(-count // len(images)))]
    return np.concatenate([*rounds, images[:0]])[:count]


def counted(labels: np.ndarray, classes: int) -> np.ndarray:
    if not len(labels):
        raise InputError("class weights: there is no image")
    counts = np.bincount(labels, minlength=classes)
    assert len(counts) == classes, "a label beyond the classes"
    return counts
