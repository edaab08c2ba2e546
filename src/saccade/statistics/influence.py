"""What each image adds to a mean over classes: numbers (N,) of which the score is the mean, and that vary as it does.

Linearized, as in the delta method (influence functions: Hampel 1974, JASA 69:383).
"""

import numpy as np


def class_weights(labels: np.ndarray, classes: int) -> np.ndarray:
    """(C,) what an image of each class weighs in a mean over the classes that occur, 1 on average; 0 for the others."""
    there = np.bincount(labels, minlength=classes)
    return np.where(there, len(labels) / (np.count_nonzero(there) * np.maximum(there, 1)), 0.0)


def recall_parts(labels: np.ndarray, predicted: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """(N,) of the mean of recalls."""
    right = predicted == labels
    recalls = np.bincount(labels, right, len(weights)) / np.maximum(np.bincount(labels, minlength=len(weights)), 1)
    return recalls[weights > 0].mean() + weights[labels] * (right - recalls[labels])


def f1_parts(labels: np.ndarray, predicted: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """(N,) of the mean of F1 = 2 hits / (truth + said): an image moves its own class and the one it is taken for."""
    right, classes = predicted == labels, len(weights)
    truth, said = (np.bincount(each, minlength=classes) for each in (labels, predicted))
    f1 = 2 * np.bincount(labels, right, classes) / np.maximum(truth + said, 1)
    part = weights * truth / np.maximum(truth + said, 1)  # 0 for a class that does not occur
    return f1[weights > 0].mean() + 2 * right * part[labels] - (part * f1)[labels] - (part * f1)[predicted]


def f1_bias(labels: np.ndarray, predicted: np.ndarray, weights: np.ndarray) -> float:
    """What a mean of F1 of few images is off by on average: -F1 (1 - F1) / (truth + said), of each class.

    The bias of a ratio of multinomial counts to second order (Cochran 1977, section 6.8); at ten images a class and an F1
    of 0.8 it is -0.008.
    """
    classes = len(weights)
    among = np.bincount(labels, minlength=classes) + np.bincount(predicted, minlength=classes)
    f1 = 2 * np.bincount(labels, predicted == labels, classes) / np.maximum(among, 1)
    return -float((f1 * (1 - f1) / np.maximum(among, 1))[weights > 0].mean())
