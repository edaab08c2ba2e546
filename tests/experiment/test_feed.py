"""The batches of a run: each by draws of its own, whichever are made together, and wherever an epoch is gone on with."""

import pytest
import torch

from saccade.data.batches import Resident
from saccade.events import finish
from saccade.experiment.feed import Feed
from saccade.experiment.recipe import make_recipe
from saccade.experiment.setup import prepare
from saccade.training.plan import Plan

PLAIN = Plan("cpu", "fp32", channels_last=False, compiled=False)
AUGMENTED = {"crop": "pad", "flip": True, "brightness": 0.3, "contrast": 0.3, "blur": 0.5, "policy": "randaugment"}


def feed(**words: object) -> Feed:
    prepared = finish(prepare(make_recipe({"data": "digits", "network": "lenet5", "batch": 100, **words})))
    return Feed(prepared, PLAIN, Resident(prepared.store.pixels, prepared.store.labels, torch.device("cpu")))


@pytest.mark.parametrize("words", [{"augment": AUGMENTED}, {"mix": {"mixup": 0.2}}])
def test_an_epoch_gone_on_with_has_the_same_bits(words: dict[str, object]) -> None:
    found = feed(**words)
    whole = list(found.batches(3))
    assert [i for i, _ in whole] == list(range(len(found)))
    for first in (1, 7, len(found) - 1):
        for (i, (images, truth)), (j, (again, labels)) in zip(whole[first:], found.batches(3, first), strict=True):
            assert i == j
            assert torch.equal(images, again)
            assert torch.equal(truth, labels)


def test_batches_made_together_are_those_made_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    found = feed(augment=AUGMENTED)
    together = list(found.batches(0))
    monkeypatch.setattr("saccade.experiment.feed.TOGETHER", 0)
    alone = list(found.batches(0))
    assert len(together) == len(alone) > 10
    for (_, (images, labels)), (_, (others, truth)) in zip(together, alone, strict=True):
        torch.testing.assert_close(images, others, atol=1e-5, rtol=0)
        assert torch.equal(labels, truth)
