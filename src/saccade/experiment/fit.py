"""Fitting one network: epochs, validation, checkpoints, and going on from a checkpoint."""

import math
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from saccade import statistics
from saccade.data.augment import Augment
from saccade.data.batches import Resident, epoch_order, training_batches
from saccade.errors import InputError
from saccade.events import Epoch, Note, Progress, Work
from saccade.experiment import folder, outcome
from saccade.experiment.pretrained import load_pretrained
from saccade.experiment.setup import Prepared
from saccade.optim import decay_groups, freeze, warmup_cosine
from saccade.seeds import derive
from saccade.tasks import classify
from saccade.training import checkpoint
from saccade.training.footprint import Peak
from saccade.training.interrupt import Interruption
from saccade.training.plan import Plan
from saccade.training.steps import Step, Trainer
from saccade.zoo import find

# Reading a loss waits for the device: a GPU is given steps ahead, a CPU has nothing to wait for
READ_EVERY = defaultdict(lambda: 16, cpu=1)
SOUND_IMAGES = 8


class Interrupted(Exception):
    """The user asked to stop; everything is kept."""


@dataclass
class Position:
    """Where a run stands between two steps, with all that has been measured so far."""

    epoch: int = 0  # finished epochs
    batch: int = 0  # finished batches of the epoch under way
    loss: float = 0.0  # sum over the images of the epoch under way
    correct: int = 0
    images: int = 0
    started: str = ""  # when, in UTC
    times: dict[str, float] = field(default_factory=lambda: dict.fromkeys(("data", "plan", "training", "validation"), 0.0))
    memory_before: int = 0  # bytes that the process held before anything was trained or tried
    memory: int = 0  # bytes by which it grew
    test_read: int = 0  # how often the test part has been opened
    best_epoch: int = 0
    best_accuracy: float = -1.0
    best_loss: float = math.inf
    history: list[dict[str, float]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


class Fit:
    """One network on its way through the recipe; `work` runs it, from wherever it stands to the end."""

    def __init__(self, prepared: Prepared, plan: Plan, run: Path, position: Position):
        self.prepared, self.plan, self.run = prepared, plan, run
        self.recipe = recipe = prepared.recipe
        self.device = torch.device(plan.device)
        self.resident = Resident(prepared.store.pixels, prepared.store.labels, self.device)
        self.train, self.validation = prepared.indices("train"), prepared.indices("validation")
        self.batches_per_epoch = len(training_batches(self.train, recipe.batch))
        network = new_network(prepared)
        self.loaded = load_pretrained(network, recipe.weights, recipe.network or "") if recipe.weights else None
        freeze(network, recipe.optimizer.parts_frozen())
        self.network = network.to(self.device).to(memory_format=plan.memory_format)
        settings = recipe.optimizer
        optimizer = torch.optim.SGD(
            decay_groups(self.network, settings.weight_decay, settings.parts_rates()),
            lr=settings.lr,
            momentum=settings.momentum,
            nesterov=settings.nesterov and settings.momentum > 0,
            fused=True,
        )
        self.trainer = Trainer(
            torch.compile(self.network) if plan.compiled else self.network,  # type: ignore[arg-type]
            optimizer,
            classify.loss,
            classify.correct,
            plan.autocast,
            recipe.plan.micro_batch or recipe.batch,
            settings.clip,
        )
        self.augment = augmentation(prepared)
        self.generator = torch.Generator()
        self.position = position
        self.unread: list[Step] = []
        self.best = copy_state(self.network)
        self.saved, self.saved_step = -math.inf, 0

    def restore(self, state: dict[str, Any]) -> None:
        """Stand where the checkpoint stood."""
        self.network.load_state_dict(state["network"])
        self.trainer.optimizer.load_state_dict(state["optimizer"])
        self.trainer.micro_batch = state["micro_batch"]
        self.best = state["best"]

    def keep(self) -> None:
        """A checkpoint of this moment, between two steps. Every generator is a function of the place, see seeds.py."""
        self.read()
        self.check_sound()
        state = {
            "fingerprint": self.prepared.store.fingerprint,
            "plan": asdict(self.plan),
            "network": self.network.state_dict(),
            "optimizer": self.trainer.optimizer.state_dict(),
            "micro_batch": self.trainer.micro_batch,
            "best": self.best,
            "position": {f.name: getattr(self.position, f.name) for f in fields(Position)},
        }
        checkpoint.save(self.run / folder.CHECKPOINT, state)
        self.saved = time.monotonic()
        self.saved_step = self.position.epoch * self.batches_per_epoch + self.position.batch

    def work(self) -> Work[None]:
        """Train to the end; Interrupted after Ctrl-C, with a checkpoint of that very step."""
        with Interruption() as interruption, Peak(self.plan.device) as peak:
            if self.saved == -math.inf:
                self.keep()
            while self.position.epoch < self.recipe.epochs:
                yield from self.epoch(interruption, peak)
                yield Epoch(self.position.history[-1], self.recipe.epochs)

    def epoch(self, interruption: Interruption, peak: Peak) -> Work[None]:
        position, start, done = self.position, time.monotonic(), self.position.times["training"]
        name = f"epoch {position.epoch + 1}/{self.recipe.epochs}"
        for step in self.trainer.steps(self.batches()):
            position.batch += 1
            self.unread.append(step)
            if len(self.unread) >= READ_EVERY[self.device.type]:
                self.read()
            position.times["training"] = done + time.monotonic() - start
            yield from self.memory_note(step)
            yield Progress(name, position.batch, self.batches_per_epoch)
            if interruption.asked is not None:
                self.keep()
                raise Interrupted(str(self.run))
            if time.monotonic() - self.saved >= self.recipe.checkpoint.seconds:
                self.keep()
        self.read()
        position.times["training"] = done + time.monotonic() - start
        position.memory = max(position.memory, peak.bytes - position.memory_before)
        self.close_epoch()
        self.keep()
        folder.write_metrics(self.run, position.history)

    def batches(self) -> Iterator[tuple[Tensor, Tensor]]:
        """The batches of this epoch that are still to come, augmented and normalized on the device."""
        position, seed = self.position, self.recipe.seed
        order = epoch_order(self.train, seed, position.epoch)
        for i, indices in enumerate(training_batches(order, self.recipe.batch)):
            if i < position.batch:
                continue
            self.set_rate(position.epoch * self.batches_per_epoch + i)
            pixels, labels = self.resident.take(indices)
            self.generator.manual_seed(derive(seed, "augmentation", position.epoch, i))
            self.seed_dropout(derive(seed, "dropout", position.epoch, i))
            preprocess = self.prepared.preprocess
            images = self.augment(preprocess.pixels_to_float(pixels), self.generator)
            yield preprocess.normalize(images).contiguous(memory_format=self.plan.memory_format), labels

    def seed_dropout(self, seed: int) -> None:
        """The generator of this device alone: torch.manual_seed looks for every other one and takes 0.7 ms for it."""
        on_cpu = self.device.type == "cpu"
        generator = torch.default_generator if on_cpu else torch.cuda.default_generators[self.device.index or 0]
        generator.manual_seed(seed)

    def set_rate(self, step: int) -> None:
        total = self.recipe.epochs * self.batches_per_epoch
        warmup = round(min(self.recipe.schedule.warmup, self.recipe.epochs / 5) * self.batches_per_epoch)
        for group in self.trainer.optimizer.param_groups:
            group["lr"] = group["rate"] * self.recipe.optimizer.lr * warmup_cosine(step, total, warmup)

    def read(self) -> None:
        """Take in what the steps since the last reading have measured."""
        position = self.position
        for i, step in enumerate(self.unread):
            loss = step.loss.item()
            if not math.isfinite(loss):
                raise self.diverged(position.batch - len(self.unread) + i + 1, f"the loss is {loss}")
            position.loss += loss * step.images
            position.correct += int(step.correct.item())
            position.images += step.images
        self.unread.clear()

    def check_sound(self) -> None:
        """The update after a finite loss may still have been too large; what is kept must give finite scores."""
        few = self.train[:SOUND_IMAGES]
        likely = outcome.probabilities(self.network, self.prepared.preprocess, self.resident, few)
        self.network.train()
        if not np.isfinite(likely).all():
            raise self.diverged(self.position.batch, "the scores are no longer finite")

    def diverged(self, batch: int, what: str) -> InputError:
        step = self.position.epoch * self.batches_per_epoch + batch
        file = self.run / folder.CHECKPOINT
        return InputError(
            f"{what} at step {step:,} (epoch {self.position.epoch + 1}); the last good state, of step {self.saved_step:,}, "
            f"is in {file}. Try a lower --optimizer.lr (now {self.recipe.optimizer.lr}) or --optimizer.clip 1"
        )

    def memory_note(self, step: Step) -> Iterator[Note]:
        text = (
            f"out of memory: {step.micro_batch} images at a time from now on, "
            f"gradients added up to the same batch of {self.recipe.batch}"
        )
        if step.micro_batch < (self.recipe.plan.micro_batch or self.recipe.batch) and text not in self.position.notes:
            self.position.notes.append(text)
            yield Note(text)

    def close_epoch(self) -> None:
        """Validate, remember the best weights, and turn to the next epoch."""
        self.check_sound()
        position, start = self.position, time.monotonic()
        measures: dict[str, float] = {
            "epoch": position.epoch + 1,
            "step": (position.epoch + 1) * self.batches_per_epoch,
            "learning_rate": max(group["lr"] for group in self.trainer.optimizer.param_groups),
            "train_loss": position.loss / position.images,
            "train_accuracy": position.correct / position.images,
        }
        accuracy, loss = -1.0, math.inf
        if len(self.validation):
            accuracy, loss = self.validate()
            measures |= {"validation_loss": loss, "validation_accuracy": accuracy}
        position.times["validation"] += time.monotonic() - start
        measures["seconds"] = position.times["training"] + position.times["validation"]
        position.history.append(measures)
        position.epoch, position.batch = position.epoch + 1, 0
        position.loss, position.correct, position.images = 0.0, 0, 0
        if not len(self.validation) or (accuracy, -loss) > (position.best_accuracy, -position.best_loss):
            position.best_epoch, position.best_accuracy, position.best_loss = position.epoch, accuracy, loss
            self.best = copy_state(self.network)

    def validate(self) -> tuple[float, float]:
        labels = self.prepared.store.labels[self.validation]
        likely = outcome.probabilities(self.network, self.prepared.preprocess, self.resident, self.validation)
        return statistics.accuracy(labels, likely), statistics.log_loss(labels, likely)


def new_network(prepared: Prepared) -> nn.Module:
    """The network of the recipe with the weights of its seed; torch's own generator is left as it was."""
    recipe = prepared.recipe
    assert recipe.network is not None
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive(recipe.seed, "weights"))
        return find(recipe.network).build(len(prepared.store.classes), prepared.preprocess.channels)


def augmentation(prepared: Prepared) -> Augment:
    settings = prepared.recipe.augment
    assert settings.crop is not None
    assert settings.padding is not None
    assert settings.flip is not None
    return Augment(
        crop=settings.crop,
        size=prepared.preprocess.size,
        padding=settings.padding,
        scale=(settings.scale, 1.0),
        flip=settings.flip,
        brightness=settings.brightness,
        contrast=settings.contrast,
        saturation=settings.saturation,
    )


def copy_state(network: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.detach().cpu().clone() for name, tensor in network.state_dict().items()}
