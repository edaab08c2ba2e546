"""Boosting: networks one after the other, each on images drawn by what the ones before it got wrong; they vote.

SAMME (Zhu, Zou, Rosset and Hastie 2009, Statistics and Its Interface 2:349), which with two classes is AdaBoost.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import log
from pathlib import Path
from typing import Any

import numpy as np

from saccade.data.batches import Resident
from saccade.errors import InputError
from saccade.events import Note, Work
from saccade.experiment import model, outcome
from saccade.experiment.engine import prepare_all, settle
from saccade.experiment.ensemble import (
    Joint,
    completed,
    done,
    is_done,
    members_of,
    networks,
    of_member,
)
from saccade.experiment.failures import failures, summary
from saccade.experiment.members import Member, seeded
from saccade.experiment.predict import resident
from saccade.experiment.recipe import Recipe
from saccade.experiment.settings import Boost
from saccade.experiment.setup import Prepared
from saccade.experiment.study import Study, open_study
from saccade.layers.ensemble import Voted
from saccade.reading import read_npz
from saccade.writing import replacing

Record = dict[str, Any]


@dataclass(frozen=True)
class Round:
    """A member, its weighted error on the training images, its vote, and the validation accuracy of all up to it."""

    member: Member
    error: float
    vote: float
    together: float | None


def boost(recipe: Recipe, how: Boost, place: Path | None = None, data: Any = None) -> Work[Record]:
    """Train members in turn and let them vote; ends early where a member leaves nothing to learn, or has not learned.

    A member is what it is after its last epoch: the images that would select one are not weighted as its own are.
    The test part is read once, by the ensemble.
    """
    check_recipe(recipe)
    prepared = (yield from prepare_all({"recipe": recipe}, data))["recipe"]
    study = open_study(place, "boost", recipe, {"members": how.members}, data)
    if is_done(study):
        return (yield from done(study))
    yield Note(f"writing to {study.place}")
    settled = yield from settle(study, {"recipe": prepared}, how.members, "serial")
    complete = settled.recipes["recipe"]
    own = of_member(complete, prepared).changed(checkpoint={"select": "last"})  # validation does not know the weights
    members = seeded(own, "member", how.members)
    series = Series(settled.study, prepared)
    rounds, notes = yield from series.train(members)
    trained = [each.member for each in rounds]
    network = Voted(networks(study, trained), [each.vote for each in rounds])
    joint = Joint(series.study, complete, prepared, trained, network)
    rows = [row | numbers_of(each) for row, each in zip(members_of(joint), rounds, strict=True)]
    return (yield from completed(joint, {"ensemble": "boost", "notes": notes}, rows))


def check_recipe(recipe: Recipe) -> None:
    """InputError where something else decides as well which images a member sees."""
    asked = {
        "split.images": recipe.split.images is not None,
        "split.bootstrap": recipe.split.bootstrap,
        "split.weights": recipe.split.weights is not None,
        "balance.by sampling": recipe.balance.by == "sampling",
    }
    for field, there in asked.items():
        if there:
            raise InputError(f"boost: {field}: the images are drawn by what the members get wrong; leave it out")


def numbers_of(each: Round) -> Record:
    return {"error": each.error, "vote": each.vote, "validation_together": each.together}


def error_of(weights: np.ndarray, wrong: np.ndarray) -> float:
    """The share of the weights (N,) that is on images named wrongly, `wrong` (N,) bool."""
    return float(weights[wrong].sum() / weights.sum())


def vote_of(error: float, classes: int, images: int) -> float:
    """alpha of SAMME, log((1 - error) / error) + log(classes - 1): above 0 where the member is better than guessing.

    Without an error, where alpha would be infinite, that of half an image named wrongly.
    """
    error = max(error, 0.5 / images)
    return log((1 - error) / error) + log(classes - 1)


def reweighted(weights: np.ndarray, wrong: np.ndarray, vote: float) -> np.ndarray:
    """(N,) the weights for the next member, their sum one: images named wrongly count exp(vote) times as much."""
    found = weights * np.exp(vote * wrong)
    return found / found.sum()


@dataclass(frozen=True)
class Series:
    """Members that are trained one after the other on the same images."""

    study: Study
    prepared: Prepared

    def train(self, members: Sequence[Member]) -> Work[tuple[list[Round], list[str]]]:
        """The rounds that count, and why they are fewer than asked for, where they are."""
        train, validation = (self.prepared.indices(part) for part in ("train", "validation"))
        store = self.prepared.store
        classes, weights = len(store.classes), np.full(len(train), 1 / len(train))
        votes, rounds = np.zeros((len(validation), classes)), list[Round]()
        for i, member in enumerate(members, 1):
            weights = self.kept(member.name, store.ids[train], weights)
            file = str(self.weights_file(member.name).absolute())
            weighted = replace(member, recipe=member.recipe.changed(split={"weights": file}))
            if failed := failures((yield from self.study.runs([weighted]))):
                return rounds, [(yield from self.untrained(rounds, failed))]
            images = resident(model.load(self.study.place / member.name), store.pixels)
            wrong = self.named(member, images, train) != store.labels[train]
            error = error_of(weights, wrong)
            if error >= 1 - 1 / classes:
                return rounds, [(yield from self.useless(rounds, error))]
            vote = vote_of(error, classes, len(train))
            if len(validation):
                votes[np.arange(len(validation)), self.named(member, images, validation)] += vote
            right = float((votes.argmax(1) == store.labels[validation]).mean()) if len(validation) else None
            rounds.append(Round(weighted, error, vote, right))
            so_far = "" if right is None else f", {i} together {right:.4f} on validation"
            yield Note(f"{member.name}: weighted error {error:.4f}, vote {vote:.2f}{so_far}")
            if not wrong.any():
                return rounds, [(yield from self.learned(i, len(members)))]
            weights = reweighted(weights, wrong, vote)
        return rounds, []

    def useless(self, rounds: Sequence[Round], error: float) -> Work[str]:
        """Why the member after these rounds is not one; InputError where there are none."""
        what = f"is no better than guessing on its weighted training images (error {error:.4f})"
        if not rounds:
            raise InputError(f"boost: the first member {what}; more --epochs or another --lr would let it learn")
        said = f"member {len(rounds) + 1} {what}, so it is left out and boosting ends with {len(rounds)}"
        yield Note(said)
        return said

    def untrained(self, rounds: Sequence[Round], failed: Mapping[str, str]) -> Work[str]:
        """Why there is no member after these rounds; InputError where there are none."""
        if not rounds:
            raise InputError(f"boost: {summary(failed, 1)}")
        why = next(iter(failed.values()))
        said = f"member {len(rounds) + 1} could not be trained, so boosting ends with {len(rounds)}: {why}"
        yield Note(said)
        return said

    def learned(self, count: int, asked: int) -> Work[str]:
        said = f"member {count} names every training image correctly, so there is nothing left to learn from"
        if count < asked:
            said += (
                f" for the other {asked - count}; fewer --epochs or a smaller --network make members that leave something"
            )
        yield Note(said)
        return said

    def named(self, member: Member, images: Resident, where: np.ndarray) -> np.ndarray:
        """(len(where),) the class that this member names for each image."""
        network = model.load(self.study.place / member.name).network
        return outcome.probabilities(network, self.prepared.preprocess, images, where).argmax(1)

    def weights_file(self, name: str) -> Path:
        return self.study.place / f"{name}-weights.npz"

    def kept(self, name: str, ids: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """The weights as they are in the file of this member; written now, unless the member has begun with them before."""
        file = self.weights_file(name)
        if file.is_file():
            return read_npz(file, f"{name} was begun with these weights of the images", "weights")["weights"]
        with replacing(file) as part, part.open("wb") as stream:
            np.savez_compressed(stream, allow_pickle=False, ids=ids, weights=weights)
        return weights
