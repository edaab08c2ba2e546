"""Cross-validation: every image is scored by networks that have not seen it, once for each repeat and seed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from saccade.experiment import folder, outcome
from saccade.experiment.division import units_among
from saccade.experiment.members import Member
from saccade.experiment.settings import Folds
from saccade.experiment.study import Study
from saccade.writing import replacing

OUTCOMES = "out-of-fold.npz"


@dataclass(frozen=True)
class OutOfFold:
    """What networks said of N images that they had not seen, in R repeats with S seeds each.

    `ids`, `labels` and `units` (N,), of which equal ones belong together (duplicates, groups); `probabilities`
    (R, S, N, C) float32; `fold` (R, N): in which fold an image was.
    """

    ids: np.ndarray
    labels: np.ndarray
    units: np.ndarray
    probabilities: np.ndarray
    fold: np.ndarray

    @property
    def right(self) -> np.ndarray:
        """(R, S, N) float64: 1 where the most probable class is the image's own."""
        return (self.probabilities.argmax(-1) == self.labels).astype(np.float64)

    @property
    def mean(self) -> np.ndarray:
        """(N, C) probabilities, the mean over repeats and seeds."""
        return self.probabilities.mean((0, 1))


def out_of_fold(study: Study, folds: Folds, members: Sequence[Member]) -> OutOfFold:
    """Read what the finished members said, in the order of `Folds.members`; every image once a repeat and seed."""
    found = [of_test(study, member.name) for member in members]
    rows, numbers = [], []
    ids = labels = np.zeros(0)
    for i in range(0, len(found), folds.count):
        part = found[i : i + folds.count]
        order = np.argsort(np.concatenate([each["ids"] for each in part]), kind="stable")
        joined = {name: np.concatenate([each[name] for each in part])[order] for name in ("ids", "labels", "probabilities")}
        assert not i or np.array_equal(ids, joined["ids"]), "the repeats have scored other images"
        ids, labels = joined["ids"], joined["labels"]
        rows.append(joined["probabilities"])
        numbers.append(np.concatenate([np.full(len(each["ids"]), number) for number, each in enumerate(part)])[order])
    shape = (len(rows) // folds.seeds, folds.seeds)
    likely = np.stack(rows).reshape(*shape, *rows[0].shape)
    units = units_among(ids, folder.read_record(study.place / members[0].name)["images"]["fingerprint"])
    return OutOfFold(ids, labels, units, likely, np.stack(numbers).reshape(*shape, -1)[:, 0])


def of_test(study: Study, name: str) -> Mapping[str, np.ndarray]:
    return outcome.of_part(study.place / name, "test")


def by_fold(values: np.ndarray, found: OutOfFold) -> np.ndarray:
    """(R, K) means of values (R, S, N) over the images of each fold and the seeds."""
    means = values.mean(1)
    folds = int(found.fold.max()) + 1
    return np.array([[means[r][found.fold[r] == k].mean() for k in range(folds)] for r in range(len(means))])


def keep(study: Study, found: Mapping[str, OutOfFold]) -> None:
    """out-of-fold.npz: ids, labels, fold, and the probabilities (repeats, seeds, images, classes) of each recipe.

    `fold` (repeats, images) is of the recipe with the most repeats; that of one with fewer are its first rows.
    """
    most = max(found.values(), key=lambda each: len(each.fold))
    columns = {"ids": most.ids, "labels": most.labels, "fold": most.fold}
    columns |= {f"probabilities_{name}": each.probabilities for name, each in found.items()}
    with replacing(study.place / OUTCOMES) as file, file.open("wb") as stream:
        np.savez_compressed(stream, allow_pickle=False, **columns)
