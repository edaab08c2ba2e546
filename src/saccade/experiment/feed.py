"""The batches of a training run: each a function of the recipe's seed, the epoch and its place in it."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from saccade.data.augment.step import joined
from saccade.data.balance import balanced_order
from saccade.data.batches import Resident, epoch_order, training_batches
from saccade.errors import InputError
from saccade.experiment import assemble
from saccade.experiment.division import bootstrap_sample
from saccade.experiment.setup import Prepared
from saccade.reading import read_npz
from saccade.seeds import derive
from saccade.training.plan import Plan

Batch = tuple[Tensor, Tensor]
# Bytes of images that are made at once, for several batches where they are small: an operation on a few images takes longer
# to begin than to do (LeNet-5's epoch at batch 64: 4.13 times the usual loop, without 3.96; benchmarks/lenet_epoch.py)
TOGETHER = 2 * 2**20
STATISTICS_BATCHES = 100  # the statistics of batch norm are known well enough then


class Feed:
    """Training images by batches, augmented, mixed and normalized on the device."""

    def __init__(self, prepared: Prepared, plan: Plan, resident: Resident):
        self.prepared, self.plan, self.resident = prepared, plan, resident
        self.recipe = prepared.recipe
        self.train = prepared.indices("train")
        if self.recipe.split.bootstrap:
            self.train = bootstrap_sample(self.train, self.recipe.seed)
        self.weights = image_weights(prepared, self.train)
        self.augment, self.mixing = assemble.augmentation(prepared), assemble.mixing(self.recipe)
        self.generator = torch.Generator()

    def __len__(self) -> int:
        """Batches of an epoch."""
        return len(training_batches(self.train, self.recipe.images_per_step))

    def batches(self, epoch: int, first: int = 0) -> Iterator[tuple[int, Batch]]:
        """Each batch of the epoch from the one of number `first` on, with its number."""
        order = training_batches(self.order(epoch), self.recipe.images_per_step)
        together = max(1, TOGETHER // (order[0].size * self.prepared.preprocess.bytes)) if self.mixing is None else 1
        # Whichever is the first, the same ones go together: sums over more images may be taken in another order
        for start in range(first - first % together, len(order), together):
            some = self.several(epoch, start, order[start : start + together])
            yield from ((i, batch) for i, batch in some if i >= first)

    def several(self, epoch: int, first: int, order: list[np.ndarray]) -> Iterator[tuple[int, Batch]]:
        """These batches, each by draws of its own."""
        if len(order) == 1:
            self.seed(epoch, first)
            yield first, self.batch(order[0])
            return
        draws, shape = [], self.resident.pixels.shape[1:]
        for i, indices in enumerate(order, first):
            self.seed(epoch, i)
            draws.append(self.augment.draw(torch.Size((len(indices), *shape)), self.generator))
        pixels, labels = self.resident.take(np.concatenate(order))
        images = self.normalized(self.augment.apply(pixels, joined(draws)))
        sizes = [len(each) for each in order]
        yield from enumerate(zip(images.split(sizes), labels.split(sizes), strict=True), first)

    def seed(self, epoch: int, batch: int) -> None:
        self.generator.manual_seed(derive(self.recipe.seed, "augmentation", epoch, batch))

    def order(self, epoch: int) -> np.ndarray:
        """The training images of this epoch."""
        if self.weights is not None:
            return weighted_order(self.train, self.weights, self.recipe.seed, epoch)
        if self.recipe.balance.by == "sampling":
            return balanced_order(self.train, self.prepared.store.labels[self.train], self.recipe.seed, epoch)
        return epoch_order(self.train, self.recipe.seed, epoch)

    def batch(self, indices: np.ndarray) -> Batch:
        """These images (B, C, H, W) by the draws of `generator`, and their labels, or their probabilities when mixed."""
        images, truth = self.augmented(indices)
        if self.mixing is not None:
            targets = functional.one_hot(truth, len(self.prepared.store.classes)).float()
            images, truth = self.mixing(images, targets, self.generator)
        return self.normalized(images), truth

    def for_statistics(self, epoch: int) -> Iterator[Tensor]:
        """Augmented images to estimate the statistics of batch norm from, in batches of equal number."""
        self.generator.manual_seed(derive(self.recipe.seed, "statistics", epoch))
        order = self.order(epoch)
        size = min(self.recipe.micro_batch, len(order))
        for start in range(0, min(len(order) // size, STATISTICS_BATCHES) * size, size):
            yield self.normalized(self.augmented(order[start : start + size])[0])

    def augmented(self, indices: np.ndarray) -> Batch:
        """These images in 0..1, and their labels."""
        pixels, labels = self.resident.take(indices)
        return self.augment.of_pixels(pixels, self.generator), labels

    def normalized(self, images: Tensor) -> Tensor:
        return self.prepared.preprocess.normalize(images).contiguous(memory_format=self.plan.memory_format)


def image_weights(prepared: Prepared, train: np.ndarray) -> np.ndarray | None:
    """(len(train),) the share of each training image in the draws, by the file that the recipe names; None without one."""
    file = prepared.recipe.split.weights
    if file is None:
        return None
    if prepared.recipe.balance.by == "sampling":
        raise InputError("split.weights: images are drawn by weight or by class, not both; leave balance.by out")
    found = read_npz(Path(file), "split.weights names a file of ids and weights", "ids", "weights")
    try:
        of = dict(zip(found["ids"].tolist(), found["weights"].astype(np.float64).tolist(), strict=True))
    except (TypeError, ValueError) as error:
        raise InputError(f"split.weights: {file}: these are no ids with a weight each ({error})") from error
    weights = np.array([of.get(name, 0.0) for name in prepared.store.ids[train].tolist()])
    if not (np.isfinite(weights).all() and weights.min() >= 0 and weights.sum() > 0):
        raise InputError(f"split.weights: {file}: weights are finite, not below 0, and above 0 for some training images")
    return weights / weights.sum()


def weighted_order(train: np.ndarray, weights: np.ndarray, seed: int, epoch: int) -> np.ndarray:
    """As many of the images, drawn with replacement by their weights; a function of (weights, seed, epoch) alone."""
    return np.random.default_rng(derive(seed, "weighted order", epoch)).choice(train, len(train), p=weights)
