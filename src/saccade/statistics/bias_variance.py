"""What networks trained on several samples get wrong together (bias), and what each gets wrong by itself (variance)."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from saccade.statistics.classification import check
from saccade.statistics.grouped import share
from saccade.statistics.interval import Estimate
from saccade.statistics.repeated import analysed, few_apart, mean_over_runs, share_over_runs

Groups = np.ndarray | None


@dataclass(frozen=True)
class Decomposition:
    """error = bias + variance, each with its interval for other members and other images (other groups, where given).

    Noise in the labels is inside the bias: one label an image cannot tell them apart. Where bias and variance are freed of
    the part that finitely many members add (see each decomposition), an estimate may fall below 0.
    """

    error: Estimate
    bias: Estimate
    variance: Estimate


@dataclass(frozen=True)
class ZeroOne(Decomposition):
    """`variance` is net: what members lose where their vote is right, less what they gain where it is wrong."""

    unbiased_variance: Estimate
    biased_variance: Estimate


def squared_error(predictions: np.ndarray, targets: np.ndarray, groups: Groups = None) -> Decomposition:
    """The mean squared error of predictions (M, N) for targets (N,) (Geman, Bienenstock and Doursat 1992, equation 3.2).

    Bias is the squared distance of the mean prediction from the target, and unbiased for any number of members: the
    variance of M members over M is taken off it.
    """
    _check(predictions.shape, targets.shape)
    predictions = predictions.astype(np.float64)
    losses = np.square(predictions - targets)
    return _decomposition(
        losses, predictions, lambda mean: np.square(mean - targets), lambda each: mean_over_runs(each, groups=groups)
    )


def zero_one_domingos(predicted: np.ndarray, labels: np.ndarray, groups: Groups = None) -> ZeroOne:
    """The share of wrong predictions, classes (M, N) for labels (N,) (Domingos 2000, ICML, theorem 2).

    Bias is the share of images that the vote of all members gets wrong (the first class of equals). Nothing frees a vote of
    what finitely many members add: on simulated images with a bias of 0.42 it was 0.46 for 5 members, 0.43 for 20. So the
    intervals of all but the error are for other images and these very members.
    """
    _check_classes(predicted, labels, int(max(predicted.max(initial=0), labels.max(initial=0))) + 1)
    vote = np.eye(int(predicted.max()) + 1)[predicted].sum(0).argmax(1)
    losses = (predicted != labels).astype(np.float64)
    unbiased = np.where(vote == labels, losses.mean(0), 0)
    biased = np.where(vote != labels, 1 - losses.mean(0), 0)
    net = (unbiased - biased)[None]
    return ZeroOne(
        share_over_runs(losses, groups=groups),
        share(vote != labels, groups),
        few_apart(analysed(net, groups), net, groups).interval(),
        *(share_over_runs(each[None], groups=groups) for each in (unbiased, biased)),
    )


def zero_one_kohavi_wolpert(
    predicted: np.ndarray, labels: np.ndarray, classes: int, groups: Groups = None
) -> Decomposition:
    """The share of wrong predictions, classes (M, N) for labels (N,) (Kohavi and Wolpert 1996, section 3).

    Bias is half the squared distance between the frequencies of the predictions and the truth, with the correction for a
    finite sample, frequency (1 - frequency) / (M - 1): unbiased for any M.
    """
    _check_classes(predicted, labels, classes)
    truth = np.eye(classes)[labels]
    return _decomposition(
        (predicted != labels).astype(np.float64),
        np.eye(classes)[predicted],
        lambda mean: np.square(mean - truth).sum(-1) / 2,
        lambda each: share_over_runs(each, groups=groups),
    )


def log_loss_decomposition(probabilities: np.ndarray, labels: np.ndarray, groups: Groups = None) -> Decomposition:
    """The mean log loss in nats of probabilities (M, N, C) for labels (N,) (Heskes 1998, Neural Computation 10:1425).

    Bias is the loss of the members' geometric mean, made to sum to 1; variance the mean Kullback-Leibler divergence from it
    to a member. Probabilities are clipped at the float32 epsilon. The jackknife takes off most of what M members add.
    """
    if probabilities.ndim != 3:
        raise ValueError(f"probabilities are (members, images, classes), not {probabilities.shape}")
    _check(probabilities.shape[:2], labels.shape)
    for member in probabilities:
        check(labels, member)
    logs = np.log(np.clip(probabilities.astype(np.float64), np.finfo(np.float32).eps, 1))
    images = np.arange(len(labels))
    return _decomposition(
        -logs[:, images, labels],
        logs,
        lambda mean: np.log(np.exp(mean).sum(-1)) - mean[..., images, labels],
        lambda each: mean_over_runs(each, groups=groups),
    )


def _check(members: tuple[int, ...], labels: tuple[int, ...]) -> None:
    if len(members) != 2 or members[0] < 2 or members[1] < 2 or labels != members[1:]:
        raise ValueError(
            f"predictions (members, images), two of each at least, and (images,) are needed: {members}, {labels}"
        )


def _check_classes(predicted: np.ndarray, labels: np.ndarray, classes: int) -> None:
    _check(predicted.shape, labels.shape)
    if min(predicted.min(), labels.min()) < 0 or max(predicted.max(), labels.max()) >= classes:
        raise ValueError(f"predictions and labels are classes from 0 to {classes - 1}")


def _decomposition(
    losses: np.ndarray,
    features: np.ndarray,
    bias: Callable[[np.ndarray], np.ndarray],
    interval: Callable[[np.ndarray], Estimate],
) -> Decomposition:
    """From losses (M, N), what of a member is averaged, features (M, N, ...), and the bias of an average, (..., N).

    Each member's pseudo-value, M times the bias of all less M - 1 times the bias of the others (Tukey's jackknife), has the
    bias without its term in 1 / M as its mean; pseudo-values are taken for runs of their own, which gives the intervals.
    """
    count, total = len(losses), features.sum(0)
    biases = count * bias(total / count) - (count - 1) * bias((total - features) / (count - 1))
    return Decomposition(interval(losses), *(_never_below_0(interval(each)) for each in (biases, losses - biases)))


def _never_below_0(found: Estimate) -> Estimate:
    """Its limits where bias and variance can be; the value, which is right on average, may be below."""
    return replace(found, low=max(0.0, found.low), high=max(0.0, found.high))
