"""Images whose label is probably wrong."""

import numpy as np

from saccade.statistics.classification import check


def likely_label_errors(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Indices of images that confidently are another class than their label (N,) says, the worst first.

    Confident learning (Northcutt, Jiang and Chuang 2021, JAIR 70:1373): an image counts as class j where its probability
    reaches the mean over the images labelled j (equation 2), the most probable of all where it reaches several; named are
    those off the diagonal of the confident joint that are not predicted as labelled, by the margin of their own probability
    to the highest other. `probabilities` (N, C) must be out of fold: a network has learned the labels it trained on.
    """
    check(labels, probabilities)
    count = np.bincount(labels, minlength=probabilities.shape[1])
    own = probabilities[np.arange(len(labels)), labels]
    bars = np.where(count > 0, np.bincount(labels, own, len(count)) / np.maximum(count, 1), np.inf)
    reached = probabilities >= bars - 1e-6
    predicted = probabilities.argmax(1)
    confident = np.where(reached.sum(1) > 1, predicted, reached.argmax(1))
    suspects = np.flatnonzero(reached.any(1) & (confident != labels) & (predicted != labels))
    margins = own[suspects] - probabilities[suspects].max(1)
    return suspects[np.argsort(margins, kind="stable")]
