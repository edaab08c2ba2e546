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
from saccade.data.batches import Resident
from saccade.errors import InputError
from saccade.events import Epoch, Interrupted, Note, Progress, Work
from saccade.experiment import assemble, folder, outcome
from saccade.experiment.feed import Batch, Feed
from saccade.experiment.pretrained import load_pretrained
from saccade.experiment.schedule import share_of_rate
from saccade.experiment.setup import Prepared
from saccade.layers.norms import reestimate
from saccade.optim import annealed_std, freeze, one_cycle_momentum
from saccade.seeds import derive
from saccade.tasks import classify
from saccade.training import checkpoint
from saccade.training.allocator import keep_freed_memory
from saccade.training.disturbance import Disturbance
from saccade.training.footprint import Peak
from saccade.training.interrupt import Interruption
from saccade.training.plan import Plan
from saccade.training.steps import Step, Trainer
from saccade.training.stopping import EarlyStopping

# Reading a loss waits for the device: a GPU is given steps ahead, a CPU has nothing to wait for
READ_EVERY = defaultdict(lambda: 16, cpu=1)
SOUND_IMAGES = 2
SEVERAL = 2  # weights, from which on their mean is one
TIE = 1e-9  # of a loss of some nats: less than an image in any accuracy


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
        keep_freed_memory()
        self.device = torch.device(plan.device)
        self.resident = Resident(prepared.store.pixels, prepared.store.labels, self.device)
        self.train, self.validation = prepared.indices("train"), prepared.indices("validation")
        self.feed = Feed(prepared, plan, self.resident)
        self.batches_per_epoch = len(self.feed)
        self.rate = assemble.full_rate(recipe)
        network = assemble.new_network(prepared)
        self.loaded = load_pretrained(network, recipe.weights, recipe.network or "") if recipe.weights else None
        freeze(network, recipe.optimizer.parts_frozen())
        self.network = network.to(self.device).to(memory_format=plan.memory_format)
        settings = recipe.regularize
        self.trainer = Trainer(
            plan.form(self.network),
            assemble.optimizer(self.network, recipe),
            assemble.loss(prepared, self.device),
            classify.correct,
            plan.autocast,
            recipe.micro_batch,
            recipe.optimizer.clip,
            Disturbance(recipe.optimizer.sam, settings.weight_noise, dropout=generator_of(self.device)),
        )
        self.average = assemble.average(self.network, recipe)
        self.position = position
        self.unread: list[Step] = []
        self.best = copy_state(self.network)
        self.saved, self.saved_step, self.sound_step = -math.inf, 0, -1

    def restore(self, state: dict[str, Any]) -> None:
        """Stand where the checkpoint stood."""
        self.network.load_state_dict(state["network"])
        self.trainer.optimizer.load_state_dict(state["optimizer"])
        if self.average is not None:
            self.average.load_state_dict(state["average"])
        self.trainer.micro_batch = state["micro_batch"]
        self.best = state["best"]

    def keep(self) -> None:
        """A checkpoint of this moment, between two steps."""
        checkpoint.save(self.run / folder.CHECKPOINT, self.state(), folder.advice(self.run))
        self.kept()

    def state(self) -> dict[str, Any]:
        """All that a checkpoint holds. Every generator is a function of the place, see seeds.py."""
        self.read()
        self.check_sound()
        return {
            "recipe": self.recipe.model_dump(),
            "fingerprint": self.prepared.store.fingerprint,
            "plan": asdict(self.plan),
            "network": self.network.state_dict(),
            "optimizer": self.trainer.optimizer.state_dict(),
            "average": self.average.state_dict() if self.average is not None else None,
            "micro_batch": self.trainer.micro_batch,
            "best": self.best,
            "position": {f.name: getattr(self.position, f.name) for f in fields(Position)},
        }

    def kept(self) -> None:
        """Remember that the state of this moment is in a checkpoint."""
        self.saved = time.monotonic()
        self.saved_step = self.step

    def work(self) -> Work[None]:
        """Train to the end; Interrupted after Ctrl-C, with a checkpoint of that very step."""
        with Interruption() as interruption, Peak(self.plan.device) as peak, self.plan.on_cores():
            if self.saved == -math.inf:
                self.keep()
            while not self.ended():
                yield from self.epoch(interruption, peak)
                yield Epoch(self.position.history[-1], self.recipe.epochs)
            if self.position.epoch < self.recipe.epochs:
                self.position.notes.append(f"stopped early, after epoch {self.position.epoch} of {self.recipe.epochs}")
                yield Note(self.position.notes[-1])

    def ended(self) -> bool:
        """Whether no further epoch is trained."""
        return self.position.epoch >= self.recipe.epochs or self.stopped()

    def stopped(self) -> bool:
        """Whether early stopping ends training here."""
        settings = self.recipe.stop
        if settings.patience is None:
            return False
        # Of equal accuracies the lower loss is the better one, as where the best epoch is chosen
        scores = [each["validation_accuracy"] - TIE * each["validation_loss"] for each in self.position.history]
        return EarlyStopping(settings.patience, settings.improvement, higher=True)(scores)

    def epoch(self, interruption: Interruption, peak: Peak) -> Work[None]:
        position, start, done = self.position, time.monotonic(), self.position.times["training"]
        name = f"epoch {position.epoch + 1}/{self.recipe.epochs}"
        for step in self.trainer.steps(self.batches()):
            position.batch += 1
            if self.average is not None and self.recipe.average.kind == "ema":
                self.average.update()
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

    def batches(self) -> Iterator[Batch]:
        """The batches of this epoch that are still to come; every step has its own rate and draws."""
        epoch = self.position.epoch
        for i, batch in self.feed.batches(epoch, self.position.batch):
            self.set_rate(epoch * self.batches_per_epoch + i)
            self.set_noise(epoch, i)
            yield batch

    def set_noise(self, epoch: int, batch: int) -> None:
        """What is random in this step, and how strong the noise on its gradients is."""
        disturbance, noise = self.trainer.disturbance, self.recipe.regularize.gradient_noise
        disturbance.generator.manual_seed(derive(self.recipe.seed, "noise", epoch, batch))
        disturbance.dropout.manual_seed(self.dropout_seed(epoch, batch))
        if noise:
            disturbance.gradient_std = annealed_std(epoch * self.batches_per_epoch + batch, noise)

    def dropout_seed(self, epoch: int, batch: int) -> int:
        """Of what is dropped in this batch."""
        return derive(self.recipe.seed, "dropout", epoch, batch)

    def set_rate(self, step: int) -> None:
        """And the momentum of one-cycle."""
        recipe, total = self.recipe, self.recipe.epochs * self.batches_per_epoch
        losses = [epoch["validation_loss"] for epoch in self.position.history if "validation_loss" in epoch]
        share = share_of_rate(recipe, step, self.batches_per_epoch, losses)
        for group in self.trainer.optimizer.param_groups:
            group["lr"] = group["rate"] * self.rate * share
            if recipe.schedule.name == "one-cycle" and "momentum" in group:
                group["momentum"] = one_cycle_momentum(step, total)

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

    @property
    def step(self) -> int:
        """How many there were."""
        return self.position.epoch * self.batches_per_epoch + self.position.batch

    def check_sound(self) -> None:
        """The update after a finite loss may still have been too large; what is kept must give finite scores."""
        if self.sound_step == self.step:
            return
        few = self.train[:SOUND_IMAGES]
        likely = outcome.probabilities(self.network, self.prepared.preprocess, self.resident, few)
        self.network.train()
        if not np.isfinite(likely).all():
            raise self.diverged(self.position.batch, "the scores are no longer finite")
        self.sound_step = self.step

    def diverged(self, batch: int, what: str) -> InputError:
        step = self.position.epoch * self.batches_per_epoch + batch
        good = f"; the last good state, of step {self.saved_step:,}, is in {self.run / folder.CHECKPOINT}"
        kept = good if self.saved > -math.inf else ""
        return InputError(
            f"{what} at step {step:,} (epoch {self.position.epoch + 1}){kept}. "
            f"Try a lower --optimizer.lr (now {self.recipe.optimizer.lr:g}) or --optimizer.clip 1"
        )

    def memory_note(self, step: Step) -> Iterator[Note]:
        text = (
            f"out of memory: {step.micro_batch} images at a time from now on, "
            f"gradients added up to the same batch of {self.recipe.images_per_step}"
        )
        if step.micro_batch < self.recipe.micro_batch and text not in self.position.notes:
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
        self.average_epoch()
        if len(self.validation):
            accuracy, loss = self.validate()
            measures |= {"validation_loss": loss, "validation_accuracy": accuracy}
        position.times["validation"] += time.monotonic() - start
        measures["seconds"] = position.times["training"] + position.times["validation"]
        position.history.append(measures)
        position.epoch, position.batch = position.epoch + 1, 0
        position.loss, position.correct, position.images = 0.0, 0, 0
        if self.recipe.average.kind == "swa" and self.average is not None and self.average.count in (1, SEVERAL):
            position.best_accuracy, position.best_loss = -1.0, math.inf  # what is not averaged yet is not what is asked for
        if not self.selects or (accuracy, -loss) > (position.best_accuracy, -position.best_loss):
            position.best_epoch, position.best_accuracy, position.best_loss = position.epoch, accuracy, loss
            self.best = copy_state(self.scored)

    @property
    def selects(self) -> bool:
        """Whether validation decides which epoch is used."""
        return len(self.validation) > 0 and self.recipe.checkpoint.select == "best"

    @property
    def scored(self) -> nn.Module:
        """The network that is evaluated: that of the average, once there is one."""
        return self.average.network if self.average is not None and self.average.count else self.network

    def average_epoch(self) -> None:
        """Stochastic weight averaging takes in the weights at the end of an epoch. Any average gets its own statistics."""
        if self.average is None:
            return
        settings, epoch = self.recipe.average, self.position.epoch
        if settings.kind == "swa" and epoch + 1 > settings.start * self.recipe.epochs:
            self.average.update()
        if self.average.count:
            reestimate(self.average.network, self.feed.for_statistics(epoch))

    def validate(self) -> tuple[float, float]:
        labels = self.prepared.store.labels[self.validation]
        likely = outcome.probabilities(self.scored, self.prepared.preprocess, self.resident, self.validation)
        return statistics.accuracy(labels, likely), statistics.log_loss(labels, likely)


def generator_of(device: torch.device) -> torch.Generator:
    """The generator of this device alone: torch.manual_seed looks for every other one and takes 0.7 ms for it."""
    return torch.default_generator if device.type == "cpu" else torch.cuda.default_generators[device.index or 0]


def copy_state(network: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.detach().cpu().clone() for name, tensor in network.state_dict().items()}
