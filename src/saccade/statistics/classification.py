"""Scores of a classifier from labels (N,) and probabilities (N, C)."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class ClassScore:
    """Precision, recall and F1 of one class; None where it is 0/0 (scikit-learn's `zero_division=nan`)."""

    precision: float | None
    recall: float | None
    f1: float | None
    n: int


def check(labels: np.ndarray, probabilities: np.ndarray) -> None:
    """ValueError, with the shapes met, unless labels (N,) index the rows of probabilities (N, C)."""
    if labels.ndim != 1 or probabilities.ndim != 2 or len(labels) != len(probabilities):
        raise ValueError(f"labels (N,) and probabilities (N, C) are needed, not {labels.shape} and {probabilities.shape}")
    if not len(labels):
        raise ValueError("there are no images to score")
    if labels.min() < 0 or labels.max() >= probabilities.shape[1]:
        raise ValueError(f"labels from {labels.min()} to {labels.max()} do not index {probabilities.shape[1]} classes")
    if not np.allclose(probabilities.sum(1), 1, atol=1e-3):
        raise ValueError("the probabilities of an image must sum to 1; are these scores before the softmax?")


def accuracy(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """The share of images whose most probable class is their own (the first of equals)."""
    check(labels, probabilities)
    return float((probabilities.argmax(1) == labels).mean())


def top_k(labels: np.ndarray, probabilities: np.ndarray, k: int) -> np.ndarray:
    """(N,) bool: whether fewer than k classes are more probable than the image's own (ties in order of the classes)."""
    check(labels, probabilities)
    best = np.argsort(-probabilities, axis=1, kind="stable")[:, :k]
    return (best == labels[:, None]).any(1)


def confusion_matrix(labels: np.ndarray, predicted: np.ndarray, classes: int) -> np.ndarray:
    """(C, C) counts: row the truth, column what was said."""
    return np.bincount(labels * classes + predicted, minlength=classes * classes).reshape(classes, classes)


def per_class(confusion: np.ndarray) -> list[ClassScore]:
    """Precision, recall and F1 for each class of a confusion matrix (C, C)."""
    scores = []
    for hits, truth, said in zip(np.diag(confusion), confusion.sum(1), confusion.sum(0), strict=True):
        scores.append(
            ClassScore(
                float(hits / said) if said else None,
                float(hits / truth) if truth else None,
                float(2 * hits / (said + truth)) if said + truth else None,
                int(truth),
            )
        )
    return scores


def log_losses(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """(N,) minus the natural logarithm of the probability of the truth, clipped at the float32 epsilon."""
    check(labels, probabilities)
    own = probabilities[np.arange(len(labels)), labels].astype(np.float64)
    return -np.log(np.clip(own, np.finfo(np.float32).eps, 1))


def log_loss(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """The mean of `log_losses`, in nats."""
    return float(log_losses(labels, probabilities).mean())


def brier_scores(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """(N,) sums over the classes of (probability - truth) squared, from 0 to 2."""
    check(labels, probabilities)
    own = probabilities[np.arange(len(labels)), labels].astype(np.float64)
    return np.square(probabilities.astype(np.float64)).sum(1) - 2 * own + 1


def brier(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """The mean of `brier_scores` (Brier 1950); with two classes twice scikit-learn's binary score."""
    return float(brier_scores(labels, probabilities).mean())


def confident_mistakes(labels: np.ndarray, probabilities: np.ndarray, count: int) -> np.ndarray:
    """Indices of the wrong predictions, the most confident first, at most `count`."""
    check(labels, probabilities)
    wrong = np.flatnonzero(probabilities.argmax(1) != labels)
    return wrong[np.argsort(-probabilities[wrong].max(1), kind="stable")][:count]
