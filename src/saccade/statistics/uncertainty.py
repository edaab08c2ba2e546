"""How sure an ensemble is, and whether its members agree."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Uncertainty:
    """For each of N images (N,): all that is unknown, the part of it that the members disagree on, and their spread.

    `entropy` of the mean probabilities, 0 to log(classes) nats. `mutual_information` of class and member: that entropy less
    the mean entropy of the members, in nats; 0 where all members say the same, high where other training images would
    have taught something else (Houlsby et al. 2011). `spread`: the standard deviation over members of the probability of
    the class that the ensemble names.
    """

    entropy: np.ndarray
    mutual_information: np.ndarray
    spread: np.ndarray


def uncertainty(members: np.ndarray, named: np.ndarray, shares: np.ndarray | None = None) -> Uncertainty:
    """Of probabilities (N, classes, members) and the classes (N,) that the ensemble names.

    `shares` (members,) weigh the members in every mean; by default they count the same.
    """
    likely = members.astype(np.float64)
    share = np.full(likely.shape[2], 1 / likely.shape[2]) if shares is None else np.asarray(shares, np.float64)
    whole = entropy(likely @ share)
    disagreed = np.maximum(0.0, whole - entropy(likely) @ share)
    of_named = likely[np.arange(len(likely)), named]  # (N, members)
    middle = of_named @ share
    return Uncertainty(whole, disagreed, np.sqrt(np.square(of_named - middle[:, None]) @ share))


def entropy(likely: np.ndarray) -> np.ndarray:
    """In nats, over the second axis."""
    logs = np.log(likely, out=np.zeros_like(likely), where=likely > 0)
    return -(likely * logs).sum(1)
