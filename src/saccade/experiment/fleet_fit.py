"""Several fits whose steps are taken as one. Between two epochs, and in every checkpoint, each stands as it would alone.

A member that has ended or failed leaves, and the others are put together anew: so a fleet is a function of the states of
its members, and goes on from a checkpoint to the bits of an unbroken one.
"""

import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from saccade.errors import InputError
from saccade.events import Ended, Interrupted, Progress, Work, finish
from saccade.experiment import assemble, folder
from saccade.experiment.feed import Batch
from saccade.experiment.fit import READ_EVERY, Fit
from saccade.experiment.run import complete_run
from saccade.layers.fleet import Fleet, row, stack
from saccade.optim import Average, Optimizer
from saccade.training import checkpoint
from saccade.training.fleet import FleetTrainer, Losses, correct
from saccade.training.footprint import Peak
from saccade.training.interrupt import Interruption
from saccade.training.steps import Step

Record = dict[str, Any]


class FleetFit:
    """Fits that stand at the same batch on their way through their recipes; `file` is the checkpoint of them all.

    `found`: the records of those that have come to their end, {"failed": why} of those that could not. `work` goes on until
    one is left at most; that one then has a checkpoint in its own folder and goes on alone.
    """

    def __init__(self, fits: Sequence[Fit], file: Path):
        self.fits, self.file = list(fits), file
        self.found: dict[str, Record] = {}
        self.unread: list[tuple[Tensor, Tensor, list[int]]] = []  # of each step: losses, correct counts, numbers of images
        self.saved = -math.inf
        self.device, self.count = fits[0].device, len(fits)
        self.gather()

    def gather(self) -> None:
        """One network and one optimizer of all the members' states."""
        first = self.fits[0]
        network = stack([fit.network for fit in self.fits]).to(memory_format=first.plan.memory_format)
        clips = [fit.recipe.optimizer.clip for fit in self.fits]
        self.trainer = FleetTrainer(
            network.train(),
            optimizer_of(network, self.fits),
            losses_of(self.fits),
            correct,
            first.plan.autocast,
            first.trainer.micro_batch,
            number([math.inf if clip is None else clip for clip in clips], self.device) if any(clips) else None,
            number([fit.recipe.optimizer.sam for fit in self.fits], self.device),
            READ_EVERY[self.device.type],
            [fit.trainer.disturbance for fit in self.fits],
            average_of(network, self.fits),
        )
        self.scattered = self.trainer.taken

    @torch.no_grad()
    def scatter(self) -> None:
        """To each member what is its own of the weights, the buffers, the average and of what the optimizer keeps.

        Once after a step: what members make of it, such as statistics for an average, is not undone.
        """
        if self.scattered == self.trainer.taken:
            return
        self.scattered = self.trainer.taken
        for k, fit in enumerate(self.fits):
            for own, wide in parts(fit.network, self.trainer.network.network, len(self.fits), k):
                own.copy_(wide)
            if self.trainer.average is not None and (average := moving_average(fit)) is not None:
                average.count = self.trainer.average.count
                for own, wide in parts(average.network, self.trainer.average.network, len(self.fits), k):
                    own.copy_(wide)
            for own, shared in parameters(fit, self.trainer.network):
                if shared in self.trainer.optimizer.state:
                    fit.trainer.optimizer.state[own] = {
                        name: row(value, len(self.fits), k, own.shape).clone() if isinstance(value, Tensor) else value
                        for name, value in self.trainer.optimizer.state[shared].items()
                    }

    def work(self) -> Work[None]:
        """Train until one is left at most; Interrupted after Ctrl-C, with a checkpoint of that very step.

        OutOfMemory where they are too many; then the last checkpoint holds.
        """
        with Interruption() as interruption, Peak(str(self.device)) as peak, self.fits[0].plan.on_cores():
            yield from self.keep()
            while True:
                yield from self.complete([fit for fit in self.fits if fit.ended()])
                if len(self.fits) < 2:
                    break
                yield from self.epoch(interruption, peak)
            yield from self.each(Fit.keep)
            if interruption.asked is not None:  # while the last ones were evaluated
                raise Interrupted(str(self.file))

    def complete(self, ended: Sequence[Fit]) -> Work[None]:
        """Evaluate and record those that have come to their end."""
        for fit in ended:
            try:
                self.found[fit.run.name] = finish(complete_run(fit))
            except InputError as error:
                self.found[fit.run.name] = {"failed": str(error)}
            yield Ended(fit.run.name, self.found[fit.run.name])
        self.leave(ended)

    def epoch(self, interruption: Interruption, peak: Peak) -> Work[None]:
        first = self.fits[0]
        name = f"{len(self.fits)} runs as one, epoch {first.position.epoch + 1}/{first.recipe.epochs}"
        own = {fit: fit.batches() for fit in self.fits}
        last = time.monotonic()
        while len(self.fits) > 1 and self.fits[0].position.batch < first.batches_per_epoch:
            self.step([next(own[fit]) for fit in self.fits])
            if len(self.unread) >= READ_EVERY[self.device.type]:
                yield from self.read()
            last = self.clocked(last)
            yield Progress(name, self.fits[0].position.batch if self.fits else 0, first.batches_per_epoch)
            if interruption.asked is not None:
                yield from self.keep()
                raise Interrupted(str(first.run))
            if time.monotonic() - self.saved >= first.recipe.checkpoint.seconds:
                yield from self.keep()
        yield from self.read()
        if len(self.fits) > 1:
            yield from self.close_epoch(peak)

    def step(self, batches: Sequence[Batch]) -> None:
        """One step of each member, on its own batch (B, C, H, W).

        The training parts of folds may differ by an image or so, and with them the last batches of an epoch: then those
        with batches of one size take their step while the others stand still, which keeps every bit of theirs.
        """
        set_numbers(self.trainer.optimizer, self.fits)
        seeds = [fit.dropout_seed(fit.position.epoch, fit.position.batch) for fit in self.fits]
        counts = [len(images) for images, _ in batches]
        classes = len(self.fits[0].prepared.store.classes)
        losses, right = (torch.zeros(len(self.fits), device=self.device) for _ in range(2))
        for i, size in enumerate(sorted(set(counts), reverse=True)):
            due = torch.tensor([count == size for count in counts])
            self.trainer.active = due
            if i:
                same_step_again(self.trainer)
            self.trainer.network.seed_draws(seeds)
            images, truth = side_by_side([of_size(size, *batch) for batch in batches], classes)
            step = self.trainer.step(images.contiguous(memory_format=self.fits[0].plan.memory_format), truth)
            losses = step.losses if not i else torch.where(due.to(self.device), step.losses, losses)
            right = step.correct if not i else torch.where(due.to(self.device), step.correct, right)
        self.unread.append((losses, right, counts))
        for fit in self.fits:
            fit.position.batch += 1

    def read(self) -> Work[None]:
        """Hand to each member what the steps since the last reading have measured; a member that diverged has failed."""
        if not self.unread:
            return
        losses, right = (torch.stack([step[i] for step in self.unread]).cpu() for i in (0, 1))  # type: ignore[misc]
        for k, fit in enumerate(self.fits):
            fit.unread = [
                Step(losses[i, k], right[i, k], counts[k], self.trainer.micro_batch)
                for i, (_, _, counts) in enumerate(self.unread)
            ]
        self.unread.clear()
        yield from self.each(Fit.read)

    def clocked(self, last: float) -> float:
        """Each has its share of the time since then; the time now."""
        now = time.monotonic()
        for fit in self.fits:
            fit.position.times["training"] += (now - last) / len(self.fits)
        return now

    def close_epoch(self, peak: Peak) -> Work[None]:
        """Each member's own validation, best weights and next epoch."""
        before = min(fit.position.memory_before for fit in self.fits)
        for fit in self.fits:
            fit.position.memory = max(fit.position.memory, (peak.bytes - before) // self.count)
        self.scatter()
        yield from self.each(Fit.close_epoch)
        yield from self.keep()
        for fit in self.fits:
            folder.write_metrics(fit.run, fit.position.history)

    def keep(self) -> Work[None]:
        """A checkpoint of this moment: for each member what it would keep alone, all in one file."""
        yield from self.read()
        self.scatter()
        states: dict[str, Any] = {}
        yield from self.each(lambda fit: states.update({fit.run.name: fit.state()}))
        checkpoint.save(self.file, {"members": states})
        for fit in self.fits:
            fit.kept()
        self.saved = time.monotonic()

    def each(self, act: Callable[[Fit], object]) -> Work[None]:
        """Do this with each; those with which it cannot be done have failed, and the others go on."""
        failed = []
        for fit in self.fits:
            try:
                act(fit)
            except InputError as error:
                failed.append(fit)
                self.found[fit.run.name] = {"failed": str(error)}
                yield Ended(fit.run.name, self.found[fit.run.name])
        last = checkpoint.load(self.file)["members"] if failed and self.file.is_file() else {}
        for fit in failed:
            if fit.run.name in last:
                checkpoint.save(fit.run / folder.CHECKPOINT, last[fit.run.name])
        self.leave(failed)

    def leave(self, those: Sequence[Fit]) -> None:
        """From now on without them."""
        if those:
            self.scatter()
            self.fits = [fit for fit in self.fits if fit not in those]
            if self.fits:
                self.gather()


def optimizer_of(network: Fleet, fits: Sequence[Fit]) -> Optimizer:
    """The members' own optimizers as one, in the state that they are in."""
    shared = dict(parameters(fits[0], network))
    rule = fits[0].recipe.optimizer.rule
    groups = [
        {**group, "params": [shared[p] for p in group["params"]], "members": len(fits)}
        for group in fits[0].trainer.optimizer.param_groups
    ]
    found = Optimizer(groups, rule, members=len(fits))
    set_numbers(found, fits)
    states = [[fit.trainer.optimizer.state.get(own, {}) for own, _ in parameters(fit, network)] for fit in fits]
    for (_, wide), *own in zip(parameters(fits[0], network), *states, strict=True):
        if own[0]:
            found.state[wide] = {name: merged([each[name] for each in own], wide) for name in own[0]}
    return found


def parameters(fit: Fit, network: Fleet) -> list[tuple[Tensor, Tensor]]:
    """Each parameter of a member that learns, with the one of the fleet that it is a part of."""
    wide = dict(network.network.named_parameters())
    return [(own, wide[name]) for name, own in fit.network.named_parameters() if own.requires_grad]


def merged(values: Sequence[Any], wide: Tensor) -> Any:
    """What the optimizers keep of a parameter, one after the other in memory that lies as the parameter's does."""
    if not isinstance(values[0], Tensor):
        return values[0]
    found = torch.zeros_like(wide)
    for k, value in enumerate(values):
        row(found, len(values), k, value.shape).copy_(value)
    return found


def set_numbers(optimizer: Optimizer, fits: Sequence[Fit]) -> None:
    """The rates, momenta and decays that each member's own optimizer has now."""
    own = [fit.trainer.optimizer.param_groups for fit in fits]
    for i, group in enumerate(optimizer.param_groups):
        for name, value in own[0][i].items():
            if isinstance(value, float):
                group[name] = number([groups[i][name] for groups in own], fits[0].device)


def number(values: Sequence[float], device: torch.device) -> float | Tensor:
    """One number where all members have the same, which is faster, else (K,)."""
    return values[0] if len(set(values)) == 1 else torch.tensor(values, dtype=torch.float64, device=device)


def losses_of(fits: Sequence[Fit]) -> Losses:
    own = [assemble.loss(fit.prepared, fit.device) for fit in fits]
    weights = [each.weights for each in own]
    some = next((each for each in weights if each is not None), None)
    if some is not None:
        some = torch.stack([torch.ones_like(some) if each is None else each for each in weights])
    return Losses(number([each.smoothing for each in own], fits[0].device), some)


@torch.no_grad()
def average_of(network: Fleet, fits: Sequence[Fit]) -> Average | None:
    """The members' moving averages as one, in the state that they are in; what it makes of the others nobody reads.

    Plain means over epochs are no part of a step: each member takes its own, between two epochs.
    """
    averages = [moving_average(fit) for fit in fits]
    some = next((each for each in averages if each is not None), None)
    if some is None:
        return None
    shares = [(each or some).share for each in averages]
    found = Average(network.network, lambda n: number([float(share(n)) for share in shares], fits[0].device), len(fits))
    found.count = some.count
    for k, each in enumerate(averages):
        for own, wide in parts(each.network, found.network, len(fits), k) if each is not None else ():
            wide.copy_(own)
    return found


def moving_average(fit: Fit) -> Average | None:
    """The average over the steps, where the member has one."""
    return fit.average if fit.recipe.average.kind == "ema" else None


def parts(own: nn.Module, wide: nn.Module, count: int, k: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Each tensor in the state of member k, with the one that it is or becomes a part of."""
    tensors = wide.state_dict()
    for name, value in own.state_dict().items():
        yield value, row(tensors[name], count, k, value.shape)


def same_step_again(trainer: FleetTrainer) -> None:
    """The next update counts as the one before, for it is that of other members."""
    for state in trainer.optimizer.state.values():
        state["step"] -= 1
    if trainer.average is not None:
        trainer.average.count -= 1


def of_size(size: int, images: Tensor, truth: Tensor) -> Batch:
    """The batch with so many images, by repeats or the first of them; where the size is another one nobody learns by it."""
    if len(images) == size:
        return images, truth
    which = torch.arange(size, device=images.device) % len(images)
    return images[which], truth[which]


def side_by_side(batches: Sequence[Batch], classes: int) -> Batch:
    """Batches of one size as images (B, K C, H, W), and labels (K, B) or, where any are, probabilities (K, B, classes)."""
    images = torch.cat([images for images, _ in batches], dim=1)
    truths = [truth for _, truth in batches]
    if any(truth.is_floating_point() for truth in truths):
        truths = [t if t.is_floating_point() else functional.one_hot(t, classes).float() for t in truths]
    return images, torch.stack(truths)


def sharing_images(fits: Iterable[Fit]) -> list[Fit]:
    """The fits, of which those of the same images have them on the device once, as soon as each is made."""
    found: list[Fit] = []
    for fit in fits:
        if found and fit.prepared.store.fingerprint == found[0].prepared.store.fingerprint:
            fit.resident = fit.feed.resident = found[0].resident
        found.append(fit)
    return found
