"""Steps, micro-batches, memory, checkpoints, schedules, the plan."""

import os
import warnings
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from saccade import InputError
from saccade.optim import SCHEDULES, decay_groups, warmed
from saccade.tasks import classify
from saccade.training import checkpoint
from saccade.training.plan import Plan, Wishes, choose, fastest
from saccade.training.steps import OutOfMemory, Trainer, parts_of
from saccade.zoo import find

PLAIN = Plan("cpu", "fp32", channels_last=False, compiled=False)


class Hungry(nn.Module):
    """Asks for a petabyte as soon as more than `most` images come at once: a real refusal by torch's allocator."""

    def __init__(self, most: int):
        super().__init__()
        self.most = most
        self.norm = nn.BatchNorm1d(4, track_running_stats=True)
        self.dense = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(x)
        if len(x) > self.most:
            torch.empty(2**50)
        return self.dense(x)


def trainer(network: nn.Module, micro_batch: int = 64, loss: classify.Loss = classify.loss) -> Trainer:
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    return Trainer(network, optimizer, loss, classify.correct, PLAIN.autocast, micro_batch)


def test_out_of_memory_halves_the_micro_batch_and_keeps_the_batch() -> None:
    torch.manual_seed(0)
    network = Hungry(most=3)
    images, labels = torch.randn(16, 4), torch.randint(3, (16,))
    twin = Hungry(most=99)
    twin.load_state_dict(network.state_dict())
    step = trainer(network).step(images, labels)
    expected = trainer(twin, micro_batch=2).step(images, labels)
    assert step.micro_batch == 2
    assert step.images == 16
    assert step.loss == expected.loss
    for ours, theirs in zip(network.state_dict().values(), twin.state_dict().values(), strict=True):
        assert torch.equal(ours, theirs)  # the statistics of failed attempts are gone


def test_out_of_memory_with_one_image_is_the_end() -> None:
    network = Hungry(most=0).eval()
    with pytest.raises(OutOfMemory):
        trainer(network, micro_batch=1).step(torch.randn(4, 4), torch.randint(3, (4,)))


def test_another_error_of_the_network_comes_through() -> None:
    with pytest.raises(RuntimeError, match="mat1 and mat2"):
        trainer(nn.Linear(5, 2)).step(torch.randn(4, 4), torch.randint(2, (4,)))


WEIGHTED = classify.Loss(smoothing=0.2, weights=torch.logspace(-1, 1, 10))  # classes count from 0.1 to 10


@pytest.mark.parametrize("loss", [classify.loss, WEIGHTED], ids=["plain", "weighted and smoothed"])
@pytest.mark.parametrize("micro", [1, 3, 8])
def test_accumulated_gradients_are_those_of_the_batch(micro: int, loss: classify.Loss) -> None:
    """Also where the parts of a batch hold classes of other weights, by which no part may be divided."""
    torch.manual_seed(0)
    whole, parts = find("lenet5").build(10, 1).double(), find("lenet5").build(10, 1).double()
    parts.load_state_dict(whole.state_dict())
    images, labels = torch.randn(8, 1, 28, 28, dtype=torch.float64), torch.randint(10, (8,))
    one, two = trainer(whole, loss=loss).step(images, labels), trainer(parts, micro, loss).step(images, labels)
    assert one.correct == two.correct
    assert one.loss.item() == pytest.approx(two.loss.item(), rel=1e-6)
    for a, b in zip(whole.parameters(), parts.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-6, atol=1e-8)  # the loss is computed in float32


@given(images=st.integers(1, 200), micro=st.integers(2, 200))
def test_parts_are_nearly_equal_fit_and_are_never_of_one_image(images: int, micro: int) -> None:
    """Batch norm has no variance of a single value. Three images, two at a time, go through together."""
    sizes = [len(part) for part in torch.zeros(images).tensor_split(parts_of(images, micro))]
    assert sum(sizes) == images
    assert max(sizes) - min(sizes) <= 1
    assert max(sizes) <= max(micro, 3)
    assert min(sizes) >= min(images, 2)


def test_gradients_are_clipped_by_their_norm_over_the_whole_network() -> None:
    torch.manual_seed(0)
    network = nn.Linear(4, 3)
    before = [p.detach().clone() for p in network.parameters()]
    optimizer = torch.optim.SGD(network.parameters(), lr=1.0)
    clipped = Trainer(network, optimizer, classify.loss, classify.correct, PLAIN.autocast, 8, clip=0.01)
    clipped.step(100 * torch.randn(8, 4), torch.randint(3, (8,)))
    moved = torch.cat([(p.detach() - b).flatten() for p, b in zip(network.parameters(), before, strict=True)])
    assert moved.norm().item() == pytest.approx(0.01, rel=1e-3)


def test_a_plan_in_16_bits_trains_with_weights_in_32() -> None:
    plan = Plan("cpu", "bf16", channels_last=True, compiled=False)
    network = find("resnet20").build(3, 3).to(memory_format=plan.memory_format)
    step = Trainer(
        network, torch.optim.SGD(network.parameters(), lr=0.1), classify.loss, classify.correct, plan.autocast, 8
    ).step(torch.randn(8, 3, 32, 32), torch.randint(3, (8,)))
    assert step.loss.dtype == torch.float32
    assert step.loss.isfinite()
    assert {p.dtype for p in network.parameters()} == {p.grad.dtype for p in network.parameters() if p.grad is not None}
    with plan.autocast():
        assert network(torch.randn(8, 3, 32, 32)).dtype == torch.bfloat16


def test_the_images_last_plan_takes_the_steps_of_torch() -> None:
    images, labels = torch.rand(24, 1, 28, 28), torch.randint(10, (24,))
    networks = []
    for plan in (PLAIN, replace(PLAIN, images_last=True)):
        torch.manual_seed(0)
        networks.append(find("lenet5").build(10, 1))
        made = trainer(plan.form(networks[-1]), 9)  # in three parts
        for _ in range(5):
            made.step(images, labels)
    for one, other in zip(*(network.parameters() for network in networks), strict=True):
        torch.testing.assert_close(one, other, atol=1e-6, rtol=1e-5)


def test_images_last_is_where_network_and_other_wishes_allow_it() -> None:
    wish = partial(Wishes, "cpu", channels_last=True, images_last=True)

    def chosen(wishes: Wishes, network: str) -> Plan:
        return choose(lambda: find(network).build(10, 1), (8, 1, 32, 32), wishes, classify.loss)

    assert chosen(wish(), "lenet5").images_last
    assert not chosen(wish(precision="bf16"), "lenet5").images_last
    assert not chosen(wish(precision="fp32"), "resnet20").images_last
    found = choose(lambda: find("resnet20").build(10, 3), (8, 3, 32, 32), Wishes("cpu"), classify.loss)
    assert not any("images-last" in choice for choice, _ in found.measured)


def test_a_network_that_cannot_be_copied_is_trained_by_torch() -> None:
    def build() -> nn.Module:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it is old
            convolution = nn.utils.weight_norm(nn.Conv2d(1, 4, 3))
        return nn.Sequential(convolution, nn.ReLU(), nn.Flatten(), nn.Linear(4 * 26 * 26, 10))

    found = choose(build, (8, 1, 28, 28), Wishes("cpu"), classify.loss)
    assert not found.images_last
    assert dict(found.measured)["cpu, fp32, images-last"] == 0


def test_the_most_exact_plan_is_kept_unless_another_is_clearly_faster() -> None:
    exact, quick = Plan("cpu", "fp32", True, False), Plan("cpu", "bf16", True, False)
    assert fastest([(exact, 100.0), (quick, 109.0)])[0] == exact
    assert fastest([(exact, 100.0), (quick, 111.0)])[0] == quick


def test_norms_and_biases_do_not_decay() -> None:
    network = find("resnet20").build(10, 3)
    decayed, spared = decay_groups(network, 0.1)
    assert {p.dim() for p in decayed["params"]} == {2, 4}
    assert {p.dim() for p in spared["params"]} == {1}
    assert len(decayed["params"]) + len(spared["params"]) == len(list(network.parameters()))


def test_the_rate_rises_in_a_line_and_falls_to_nothing() -> None:
    shares = [warmed(SCHEDULES["cosine"], 10)(i, 100) for i in range(100)]
    assert shares[:10] == pytest.approx([(i + 1) / 11 for i in range(10)])
    assert shares[10] == 1
    assert shares[10:] == sorted(shares[10:], reverse=True)
    assert 0 < shares[-1] < 0.001


def test_a_checkpoint_that_cannot_be_written_leaves_the_old_one_whole(tmp_path: Path) -> None:
    file = tmp_path / "checkpoint.pt"
    checkpoint.save(file, {"step": 1})
    (tmp_path / f".checkpoint.pt.{os.getpid()}.part").symlink_to("/dev/full")  # a full disk
    with pytest.raises(InputError, match=r"checkpoint\.pt: cannot be written \(No space left on device\); free some$"):
        checkpoint.save(file, {"step": 2}, "; free some")
    assert checkpoint.load(file) == {"step": 1}


def test_a_checkpoint_runs_no_code(tmp_path: Path) -> None:
    file = tmp_path / "checkpoint.pt"
    torch.save({"x": Path}, file)
    with pytest.raises(InputError, match="damaged"):
        checkpoint.load(file)


def test_the_plan_is_measured_once_and_obeys_wishes() -> None:
    def build() -> nn.Module:
        return find("lenet5").build(10, 1)

    first = choose(build, (16, 1, 28, 28), Wishes(device="cpu"), classify.loss)
    assert [choice for choice, _ in first.measured[:3]] == [
        "cpu, fp32, channels-last",
        "cpu, fp32, channels-first",
        "cpu, fp32, images-last",
    ]
    assert len(first.measured) == 4
    assert choose(build, (16, 1, 28, 28), Wishes(device="cpu"), classify.loss) == first
    assert choose(build, (16, 1, 28, 28), Wishes("cpu", "fp32", True), classify.loss) == Plan("cpu", "fp32", True, False)
