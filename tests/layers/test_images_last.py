"""The images-last form of a network against torch's own convolution, ReLU and pooling, forward and backward."""

import pickle
from collections.abc import Iterator

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F

from saccade.layers.images_last import images_last, suits
from saccade.layers.images_last.maps import Convolution, ConvolutionReluPool, MaxPool
from saccade.layers.images_last.passage import strides_of
from saccade.zoo import find
from saccade.zoo.network import ConvNet


@pytest.fixture(autouse=True)
def _threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def gradients(network: nn.Module, x: Tensor) -> list[Tensor]:
    """What the network gives, and the gradients of a weighted sum of it: of the images, then of the parameters."""
    x = x.clone().requires_grad_()
    network.zero_grad()
    out = network(x)
    weights = torch.arange(out.numel()).remainder(7).sub(3).view(out.shape)
    (out * weights).sum().backward()
    return [out.detach(), x.grad, *(parameter.grad for parameter in network.parameters())]


def distance(found: list[Tensor], wanted: list[Tensor]) -> float:
    """The largest, as a share of the largest value of each tensor or of 1."""
    return max(((a - b).abs().max() / b.abs().max().clamp(min=1)).item() for a, b in zip(found, wanted, strict=True))


@settings(max_examples=60, deadline=None)
@given(
    st.tuples(st.integers(1, 70), st.integers(1, 7), st.integers(6, 13), st.integers(6, 13)),
    st.integers(1, 7),
    st.tuples(st.integers(1, 6), st.integers(1, 6)),
    st.booleans(),
    st.booleans(),
    st.data(),
)
def test_convolutions_of_any_shape(shape, outputs, kernel, biased, pooled, data) -> None:  # noqa: PLR0913
    """Whole numbers, of which float32 makes exact sums: every bit must be torch's, whichever of equal ones is pooled."""
    padding = tuple(data.draw(st.integers(0, side - 1)) for side in kernel)
    torch.manual_seed(sum(shape) + outputs)
    convolution = nn.Conv2d(shape[1], outputs, kernel, padding=padding, bias=biased)
    network = nn.Sequential(convolution, nn.ReLU(), nn.MaxPool2d(2)) if pooled else nn.Sequential(convolution)
    sides = [size + 2 * pad - side + 1 for size, pad, side in zip(shape[2:], padding, kernel, strict=True)]
    if pooled and min(sides) < 2:
        return
    with torch.no_grad():
        for parameter in convolution.parameters():
            parameter.copy_(torch.randint(-3, 4, parameter.shape))
    x = torch.randint(-4, 5, shape).float()
    form = images_last(network)
    assert isinstance(form[0], Convolution)
    assert all(torch.equal(a, b) for a, b in zip(gradients(form, x), gradients(network, x), strict=True))


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 70), st.integers(1, 90), st.integers(1, 20), st.booleans(), st.booleans(), st.booleans())
def test_dense_layers_of_any_shape(images, inputs, outputs, biased, rectified, flattened) -> None:  # noqa: PLR0913
    """As those of convolutions: every bit."""
    torch.manual_seed(images + inputs + outputs)
    dense = nn.Linear(inputs, outputs, bias=biased)
    before = [nn.Conv2d(1, 1, 1), nn.Flatten()] if flattened else []
    network = nn.Sequential(*before, dense, *[nn.ReLU()] * rectified)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(torch.randint(-3, 4, parameter.shape))
    x = torch.randint(-4, 5, (images, 1, 1, inputs) if flattened else (images, inputs)).float()
    assert all(torch.equal(a, b) for a, b in zip(gradients(images_last(network), x), gradients(network, x), strict=True))


@pytest.mark.parametrize("frozen", [range(1), range(2), range(4), (4, 5), (2, 3, 6)])
def test_what_is_frozen_gets_no_gradient_and_the_rest_its_own(frozen: range) -> None:
    torch.manual_seed(0)
    network, x = find("lenet5").build(10, 1), torch.randn(7, 1, 28, 28)
    wanted = gradients(network, x)[2:]
    for i in frozen:
        list(network.parameters())[i].requires_grad_(False)
    network.zero_grad()
    out = images_last(network)(x)  # of images that want none, as in training
    (out * torch.arange(out.numel()).remainder(7).sub(3).view(out.shape)).sum().backward()
    for i, parameter in enumerate(network.parameters()):
        assert (parameter.grad is None) is (i in frozen)
        if parameter.grad is not None:
            assert distance([parameter.grad], [wanted[i]]) < 1e-5


def test_a_weight_written_to_before_the_gradient_is_noticed() -> None:
    network = find("lenet5").build(10, 1)
    loss = images_last(network)(torch.randn(4, 1, 28, 28)).sum()
    with torch.no_grad():
        next(network.parameters()).mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


def test_a_result_may_be_written_to_before_the_gradient() -> None:
    """Though that of a ReLU is made of it, which torch refuses: what is kept is not what was given."""
    torch.manual_seed(0)
    parts, x = [nn.Conv2d(2, 3, 3), nn.Flatten(), nn.Linear(108, 5), nn.ReLU()], torch.randn(4, 2, 8, 8)
    form = images_last(nn.Sequential(*parts, nn.Hardtanh(0.1, 0.2, inplace=True)))
    assert distance(gradients(form, x), gradients(nn.Sequential(*parts, nn.Hardtanh(0.1, 0.2)), x)) < 1e-5


def test_what_was_kept_for_the_gradient_is_freed_after_it() -> None:
    """Though somebody keeps the loss."""
    loss = images_last(find("lenet5").build(10, 1))(torch.randn(4, 1, 28, 28)).sum()
    node = loss.grad_fn.next_functions[0][0]
    assert sum(each.numel() for each in node.saved_tensors if each is not None) > 60_000
    loss.backward()
    with pytest.raises(RuntimeError, match="after they have already been freed"):
        _ = node.saved_tensors


def test_lenet5_at_several_sizes_and_channels() -> None:
    for channels, side in ((1, 28), (3, 33), (1, 40)):
        torch.manual_seed(side)
        network = find("lenet5").build(10, channels)
        form = images_last(network)
        assert sum(isinstance(each, ConvolutionReluPool) for each in form.modules()) == 2
        x = torch.randn(5, channels, side, side)
        assert distance(gradients(form, x), gradients(network, x)) < 1e-5


@pytest.mark.parametrize("side", [6, 7])
def test_pooling_takes_the_first_of_equal_ones(side: int) -> None:
    x = torch.randint(-1, 2, (5, 3, side, side), generator=torch.Generator().manual_seed(0)).float()
    x[1] = -torch.inf
    found, wanted = (gradients(each, x) for each in (images_last(nn.MaxPool2d(2)), nn.MaxPool2d(2)))
    assert all(torch.equal(a, b) for a, b in zip(found, wanted, strict=True))


@pytest.mark.parametrize("network", [nn.MaxPool2d(2), nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.MaxPool2d(2))])
def test_what_is_not_finite_stays_so_and_where_it_is(network: nn.Module) -> None:
    torch.manual_seed(1)
    x = torch.rand(3, 1, 8, 8)
    x[0, 0, 3, 4], x[2, 0, 0, 7] = torch.nan, torch.inf
    found, wanted = images_last(network)(x), network(x)
    assert torch.equal(found.isfinite(), wanted.isfinite())
    assert not wanted.isfinite().all()
    finite = wanted.isfinite()
    torch.testing.assert_close(found[finite], wanted[finite])


def test_the_number_of_threads_changes_no_bit() -> None:
    torch.manual_seed(0)
    form, x = images_last(find("lenet5").build(10, 1)), torch.randn(33, 1, 28, 28)
    found = []
    for threads in (1, 2, 5):
        torch.set_num_threads(threads)
        found.append(gradients(form, x))
    assert all(torch.equal(a, b) for each in found[1:] for a, b in zip(each, found[0], strict=True))


def test_it_is_another_form_of_the_same_network() -> None:
    """Its steps train the tree it was made from, running statistics included; nothing is renamed."""
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(1, 4, 3, bias=False), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(36, 2)
    )
    form, x = images_last(network), torch.randn(6, 1, 8, 8)
    assert all(a is b for a, b in zip(form.parameters(), network.parameters(), strict=True))
    before = {name: value.clone() for name, value in network.state_dict().items()}
    F.cross_entropy(form(x), torch.tensor([0, 1] * 3)).backward()
    torch.optim.SGD(network.parameters(), lr=0.1).step()
    assert all(not torch.equal(before[name], value) for name, value in network.state_dict().items())
    assert type(network[0]) is nn.Conv2d
    assert type(network[3]) is nn.MaxPool2d


def test_hooks_are_those_of_the_network() -> None:
    """A method too, of which a copy would write down what it sees in a copy of its object."""
    network, seen = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 3)), Seen()
    network[1].register_forward_hook(seen.add)
    images_last(network)(torch.randn(6, 1, 8, 8))
    assert seen.shapes == [(6, 4, 6, 6)]


def test_maps_stay_images_last_between_layers() -> None:
    form = images_last(nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 3), nn.MaxPool2d(2)))
    assert form(torch.randn(6, 1, 12, 12)).stride() == strides_of((6, 4, 4, 4))
    assert [type(each) for each in form[2].layers] == [Convolution, MaxPool]


@pytest.mark.parametrize(
    ("layer", "does"),
    [
        (nn.Conv2d(3, 8, 3), True),
        (nn.Conv2d(3, 8, 3, padding="same"), False),
        (nn.Conv2d(3, 8, 3, stride=2), False),
        (nn.Conv2d(4, 8, 3, groups=2), False),
        (nn.Conv2d(4, 8, 3, dilation=2), False),
        (nn.Conv2d(4, 8, 3, padding=1, padding_mode="circular"), False),
        (nn.Conv2d(4, 8, 1, padding=1), False),
        (nn.Conv2d(64, 8, 3), False),
        (nn.ConvTranspose2d(4, 8, 3), False),
        (nn.Linear(4, 8), False),
    ],
)
def test_what_it_suits(layer: nn.Module, does: bool) -> None:
    assert suits(nn.Sequential(layer, nn.ReLU())) is does
    assert suits(nn.Sequential(nn.Conv2d(3, 4, 3), layer)) is (does or isinstance(layer, nn.Linear))


class Seen:
    def __init__(self) -> None:
        self.shapes: list[tuple[int, ...]] = []

    def add(self, module: nn.Module, args: tuple[Tensor, ...], out: Tensor) -> None:
        self.shapes.append(tuple(out.shape))


class Skipping(ConvNet):
    """A ConvNet that is not one part after the other."""

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.stages(self.stem(x)) + self.stem(x)[..., ::2, ::2])


class Counting(nn.Sequential):
    """Puts another tensor in the place of its buffer, in training."""

    def __init__(self, *parts: nn.Module):
        super().__init__(*parts)
        self.register_buffer("seen", torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        self.seen = self.seen + len(x)
        return super().forward(x)


class Adding(nn.Module):
    """What a part gives, written to."""

    def __init__(self, part: nn.Module):
        super().__init__()
        self.part = part

    def forward(self, x: Tensor) -> Tensor:
        out = self.part(x)
        out += x
        return out


class Doubling(nn.Module):
    def __init__(self, part: nn.Module):
        super().__init__()
        self.part = part

    def forward(self, x: Tensor) -> Tensor:
        return 2 * self.part(x)


def odd_networks() -> dict[str, nn.Module]:
    twice, norm = nn.Conv2d(2, 2, 3, padding=1), nn.BatchNorm2d(2)
    hooked = nn.Sequential(nn.Conv2d(2, 3, 3), nn.ReLU(), nn.MaxPool2d(2))
    hooked[1].register_forward_hook(lambda module, args, out: out + 1)
    pre_hooked = nn.Sequential(nn.Conv2d(2, 3, 3), nn.ReLU(), nn.MaxPool2d(2))
    pre_hooked[2].register_forward_pre_hook(lambda module, args: args[0] - 1)
    watched = nn.Sequential(nn.Conv2d(2, 3, 3), nn.ReLU(), nn.MaxPool2d(2))
    watched.register_forward_hook(lambda module, args, out: 2 * out)
    relu = nn.ReLU()
    hooked_dense = nn.Linear(108, 5)
    hooked_dense.register_forward_hook(lambda module, args, out: out + 1)
    return {
        "a convolution twice": nn.Sequential(twice, twice, nn.ReLU(), nn.MaxPool2d(2)),
        "a norm twice": nn.Sequential(nn.Conv2d(2, 2, 3), norm, nn.Conv2d(2, 2, 3), norm, nn.ReLU(), nn.MaxPool2d(2)),
        "a hook between": hooked,
        "a hook before": pre_hooked,
        "a hook on the whole": watched,
        "a ReLU twice": nn.Sequential(nn.Conv2d(2, 3, 3), relu, nn.MaxPool2d(2), nn.Conv2d(3, 3, 2), relu, nn.MaxPool2d(2)),
        "a convolution in a part of its own": nn.Sequential(Doubling(twice), twice, nn.ReLU(), nn.MaxPool2d(2)),
        "a skip": Skipping(twice, [nn.Sequential(nn.ReLU(), nn.MaxPool2d(2))], nn.Flatten()),
        "a buffer put in place of another": Counting(nn.Conv2d(2, 3, 3), nn.ReLU(), nn.MaxPool2d(2)),
        "a dense layer twice": nn.Sequential(nn.Conv2d(2, 3, 3), nn.Flatten(2), *[nn.Linear(36, 36), nn.ReLU()] * 2),
        "a hook on a dense layer": nn.Sequential(
            nn.Conv2d(2, 3, 3), nn.Flatten(), hooked_dense, nn.ReLU(), nn.Linear(5, 2)
        ),
        "a large dense layer": nn.Sequential(nn.Conv2d(2, 32, 3), nn.Flatten(), nn.Linear(1152, 200), nn.Linear(200, 3)),
        "a convolution that is written to": nn.Sequential(nn.Conv2d(2, 3, 3), nn.ReLU(inplace=True), nn.Conv2d(3, 3, 3)),
        "a sum that is written to": nn.Sequential(Adding(twice), nn.MaxPool2d(2), nn.ReLU(inplace=True)),
        "a dense layer that is written to": nn.Sequential(
            nn.Conv2d(2, 3, 3), nn.Flatten(), nn.Linear(108, 5), nn.SiLU(inplace=True)
        ),
        "a pool that is written to": nn.Sequential(nn.Conv2d(2, 3, 3), nn.AdaptiveAvgPool2d(6), nn.ReLU(inplace=True)),
    }


@pytest.mark.parametrize("name", odd_networks())
def test_what_does_not_follow_one_another_is_left_as_it_is(name: str) -> None:
    torch.manual_seed(0)
    network, x = odd_networks()[name], torch.randn(4, 2, 8, 8)
    form = images_last(network)
    assert distance(gradients(form, x), gradients(network, x)) < 1e-5
    assert all(torch.equal(a, b) for a, b in zip(form.buffers(), network.buffers(), strict=True))


def test_a_bias_of_one_number_is_that_of_every_output() -> None:
    network, x = nn.Sequential(nn.Conv2d(2, 3, 3), nn.Flatten(), nn.Linear(108, 50)), torch.randn(4, 2, 8, 8)
    network[2].bias = nn.Parameter(torch.ones(1))
    assert distance(gradients(images_last(network), x), gradients(network, x)) < 1e-5


@pytest.mark.parametrize("kind", ["float64", "16 bits", "one image", "too few channels", "too small", "a strided bias"])
def test_what_the_kernels_cannot_have_is_torchs(kind: str) -> None:
    torch.manual_seed(0)
    network, x = nn.Sequential(nn.Conv2d(2, 3, 3), nn.ReLU(), nn.MaxPool2d(2)), torch.randn(4, 2, 8, 8)
    if kind == "too few channels":
        x = x[:, :1]
    if kind == "too small":
        x = x[..., :3]
    if kind == "one image":
        x = x[0]
    if kind == "a strided bias":
        network[0].bias = nn.Parameter(torch.randn(6)[::2])
    to = {"float64": torch.float64, "16 bits": torch.bfloat16}.get(kind, torch.float32)
    network, x = network.to(to), x.to(to)
    form = images_last(network)
    if kind in ("too few channels", "too small"):
        for each in (network, form):
            with pytest.raises(RuntimeError):
                each(x)
        return
    torch.testing.assert_close(form(x), network(x), atol=1e-5, rtol=1e-5)


def test_its_numbers_are_float32_on_the_cpu_whatever_torch_makes_by_default() -> None:
    network, x = find("lenet5").build(10, 1), torch.randn(3, 1, 28, 28)
    wanted = network(x).detach()
    try:
        torch.set_default_dtype(torch.float64)
        torch.set_default_device("meta")
        found = images_last(network)(x).detach()
    finally:
        torch.set_default_device(None)
        torch.set_default_dtype(torch.float32)
    torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-5)


def test_a_copy_takes_no_addresses_along() -> None:
    form, x = (
        images_last(nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 3), nn.MaxPool2d(2))),
        torch.ones(2, 1, 9, 9),
    )
    out = form(x)
    copied = pickle.loads(pickle.dumps(form))
    passages = [vars(each)["passages"] for each in copied.modules() if "passages" in vars(each)]
    assert passages
    assert not any(passages)
    assert torch.equal(copied(x), out)


def test_a_graph_that_is_retained_gives_the_same_again() -> None:
    network, x = find("lenet5").build(10, 1), torch.randn(40, 1, 30, 30)[:, :, 1:29, :28]  # a piece of a larger tensor
    loss = images_last(network)(x).sum()  # whose gradient is one number, in every place
    first = torch.autograd.grad(loss, list(network.parameters()), retain_graph=True)
    again = torch.autograd.grad(loss, list(network.parameters()))
    wanted = torch.autograd.grad(network(x).sum(), list(network.parameters()))
    assert all(map(torch.equal, first, again))
    assert distance(list(first), list(wanted)) < 1e-5


def test_a_second_derivative_is_refused() -> None:
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU())
    x = torch.ones(1, 1, 4, 4, requires_grad=True)
    with pytest.raises(RuntimeError, match="no second derivatives"):
        torch.autograd.grad(images_last(network)(x).sum(), x, create_graph=True)


def test_layers_in_turn_hold_no_more_than_what_the_way_back_needs() -> None:
    """Eight convolutions with padding: a padded map of each, which is 34 / 32 of a map on each side."""
    form = images_last(nn.Sequential(*[nn.Conv2d(8, 8, 3, padding=1) for _ in range(8)]))
    x = torch.randn(64, 8, 32, 32)
    form(x).sum().backward()
    with torch.no_grad():
        form(x)
    (_, kept), (_, free) = form[0].passages.values()
    assert kept.bytes <= 8 * 32 * 4 * 8 * 34 * 34
    assert free.bytes == 0
    assert free.way_ahead.scratch <= 4 * 32 * 4 * 8 * 34 * 34
