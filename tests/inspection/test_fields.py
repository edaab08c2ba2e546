"""Receptive fields against published values and against gradients, to the pixel."""

from collections.abc import Callable

import pytest
import torch
import torchvision
from contract import ROWS, Row
from torch import Tensor, nn
from torch.nn import functional as F

from saccade import InputError
from saccade.arithmetic import ALL, Field
from saccade.inspection.fields import receptive_fields
from saccade.inspection.trace import trace
from saccade.zoo import NETWORKS, find


def last_finite(name: str) -> float:
    entry = find(name)
    with torch.device("meta"):
        network = entry.build(10, entry.channels)
    fields = receptive_fields(trace(network, (1, entry.channels, entry.size, entry.size)), 0)
    return [field for field in fields if field != ALL][-1].size


@pytest.mark.parametrize(
    ("name", "pixels"),
    [
        ("alexnet", 195),
        ("vgg16", 212),
        ("resnet50:stride=1x1", 483),
        ("resnet101:stride=1x1", 1027),
        ("resnet152:stride=1x1", 1507),
        ("resnet50", 427),
        ("resnet101", 971),
        ("resnet152", 1451),
        ("mobilenet_v1", 315),
    ],
)
def test_published_values(name: str, pixels: int) -> None:
    """Araujo, Norris and Sim, doi:10.23915/distill.00021, and the papers."""
    assert last_finite(name) == pixels


def transparent(network: nn.Module) -> nn.Module:
    """The same connections, with every path open: equal positive weights, and nothing that selects or saturates."""
    for parameter in network.parameters():
        nn.init.constant_(parameter, 1 / max(1, parameter[0].numel()) if parameter.dim() > 1 else 0.1)
    for module in network.modules():
        for name, child in module.named_children():
            if isinstance(child, nn.MaxPool2d):
                k, s, p = child.kernel_size, child.stride, child.padding
                setattr(module, name, nn.AvgPool2d(k, s, p, child.ceil_mode))
            if isinstance(child, nn.ReLU | nn.ReLU6 | nn.SiLU | nn.LocalResponseNorm | nn.Tanh):
                setattr(module, name, nn.Identity())
    return network.double().eval()


def reached(stage: Callable[[Tensor], Tensor], side: int, place: int, axis: int) -> tuple[int, int]:
    """The first and last pixel that the gradient of this place reaches."""
    images = torch.ones(1, 1, side, side, dtype=torch.float64, requires_grad=True)
    stage(images).select(2 + axis, place).sum().backward()
    assert images.grad is not None
    found = images.grad.abs().sum((0, 1, 3 - axis)).nonzero().flatten()
    return int(found.min()), int(found.max())


@pytest.mark.parametrize(
    "row",
    [pytest.param(row, id=row.name, marks=[] if row.quick and row.name != "vgg11" else [pytest.mark.slow]) for row in ROWS],
)
def test_every_stage_agrees_with_gradients_to_the_pixel(row: Row) -> None:
    """Behind squeeze-and-excitation both must say: the whole image."""
    entry = NETWORKS[row.name]
    torch.manual_seed(0)
    network = transparent(entry.build(3, 1))
    side = 259 if entry.size > 64 else 65
    for axis in (0, 1):
        for i in range(len(row.stages)):
            part = nn.Sequential(network.stem, *network.stages[: i + 1])
            field = receptive_fields(trace(part, (1, 1, side, side)), axis)[-1]
            place = part(torch.zeros(1, 1, side, side, dtype=torch.float64)).shape[2 + axis] // 2
            first, last = field.at(place)
            assert reached(part, side, place, axis) == (max(0, first), min(side - 1, last)), (i, axis)


class Irregular(nn.Module):
    """Unequal axes, dilation, a skip over a transposed convolution, strings for padding, slices, upsampling."""

    def __init__(self) -> None:
        super().__init__()
        self.down = nn.Conv2d(1, 2, (3, 5), (2, 1), (1, 2))
        self.wide = nn.Conv2d(2, 2, 3, padding="same", dilation=(2, 1))
        self.up = nn.ConvTranspose2d(2, 2, (4, 3), (2, 1), 1)
        self.even = nn.Conv2d(2, 1, 4, padding="same")

    def forward(self, x: Tensor) -> Tensor:
        skip = F.pad(x, (1, 0, 2, 0))[:, :, 2:, 1:]
        x = self.up(self.wide(self.down(x)))
        x = x[:, :, : skip.shape[2], : skip.shape[3]] + skip
        x = F.interpolate(F.avg_pool2d(x, 2, ceil_mode=True), scale_factor=2, mode="bilinear")
        return self.even(x)


def test_an_irregular_network_agrees_with_gradients_at_every_place() -> None:
    network = transparent(Irregular())
    for axis in (0, 1):
        field = receptive_fields(trace(network, (1, 1, 64, 64)), axis)[-1]
        for place in range(24, 40):
            assert reached(network, 64, place, axis) == field.at(place), (axis, place)


class ChannelsLast(nn.Module):
    """(B, H, W, C): a dense layer at every place, a slice, a norm; a mean over channels that weighs places, a shuffle."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(4, 1, 3, padding=1)
        self.dense = nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x).permute(0, 2, 3, 1)
        x = self.dense(x)[:, 1:, 2:].movedim(-1, 1)
        x = x * (1 + x.mean(1, keepdim=True)) + x[:, 0].unsqueeze(1) + x.sum(1)[:, None]
        b, c, h, w = x.shape
        x = x.view(b, 2, c // 2, h, w).transpose(1, 2).flatten(1, 2)
        return self.last(x)


class Turned(nn.Module):
    """The axes change places and back, halves are split, swapped and joined, a matrix mixes channels."""

    def __init__(self) -> None:
        super().__init__()
        self.tall, self.mix = nn.Conv2d(1, 4, (3, 1), padding=(1, 0)), nn.Parameter(torch.ones(4, 4))

    def forward(self, x: Tensor) -> Tensor:
        x = self.tall(x.transpose(2, 3)).mT
        x = torch.cat([half.flip(1) for half in x.chunk(2, dim=1)][::-1], 1).softmax(1) + x
        x = (self.mix @ x.permute(0, 2, 1, 3)).transpose(1, 2)
        return torch.stack([x, x[:, :1].expand_as(x)], 1).amax((1, 2), keepdim=False)[:, None]


class Upscaled(nn.Module):
    """Sub-pixel convolution, its reverse, and upsampling that keeps the corners."""

    def __init__(self) -> None:
        super().__init__()
        self.wide, self.narrow = nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(4, 1, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = F.pixel_shuffle(self.wide(x), 2)
        x = self.narrow(F.pixel_unshuffle(x, 2))
        return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=True)


class Overwritten(nn.Module):
    """Parts are written in place: into a slice, into a view, and through the weights' own views."""

    def __init__(self) -> None:
        super().__init__()
        self.near, self.far = nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(1, 2, 7, padding=3)
        self.mix = nn.Parameter(torch.ones(4, 4))

    def forward(self, x: Tensor) -> Tensor:
        y = self.near(x)
        y = y.clone()
        y[:, 1:3] = self.far(x)
        y = F.linear(y.permute(0, 2, 3, 1), self.mix.T).permute(0, 3, 1, 2)
        z = torch.zeros_like(y)
        z[:, :2].add_(y[:, 2:])
        return z + y.data


@pytest.mark.parametrize("network", [ChannelsLast, Turned, Upscaled, Overwritten])
def test_other_orders_of_dimensions_agree_with_gradients(network: type[nn.Module]) -> None:
    model = transparent(network())
    ops = trace(model, (1, 1, 24, 24))
    assert sum(op.parameters for op in ops) == sum(p.numel() for p in model.parameters())
    for axis in (0, 1):
        field = receptive_fields(ops, axis)[-1]
        for place in range(8, 16):
            assert reached(model, 24, place, axis) == field.at(place), (axis, place)


class Moved(nn.Module):
    """A narrow and a wide look; `way` moves the places of the wide one before they are added."""

    def __init__(self, way: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.near, self.far, self.way = nn.Conv2d(1, 1, 3, padding=1), nn.Conv2d(1, 1, 7, padding=3), way

    def forward(self, x: Tensor) -> Tensor:
        return self.way(self.far(x)) + self.near(x)


def into_a_view(x: Tensor) -> Tensor:
    found = torch.zeros_like(x)
    torch.clamp(x, -99, 99, out=found[:, :, :])
    return found


@pytest.mark.parametrize(
    "way",
    [
        lambda x: x.flip(1, 3),
        lambda x: x.flip((2, 3)),
        lambda x: torch.flip(x, dims=[0, 2, 3]),
        lambda x: x[0].permute(1, 2, 0)[torch.arange(47, -1, -1)].permute(2, 0, 1)[None],
        lambda x: x.index_select(2, torch.arange(47, -1, -1)),
        lambda x: x.roll((5, 5), (2, 3)),
        into_a_view,
    ],
)
def test_no_field_is_smaller_than_what_gradients_reach(way: Callable[[Tensor], Tensor]) -> None:
    network = transparent(Moved(way))
    for axis in (0, 1):
        field = receptive_fields(trace(network, (1, 1, 48, 48)), axis)[-1]
        for place in (16, 24):
            if way is into_a_view:  # autograd knows no out=
                assert field.at(place) == (place - 3, place + 3)
                continue
            first, last = reached(network, 48, place, axis)
            assert field.at(place)[0] <= first
            assert field.at(place)[1] >= last


def test_a_shuffle_of_channels_hides_nothing() -> None:
    network = torchvision.models.shufflenet_v2_x0_5(weights=None)
    ops = trace(network, (1, 3, 224, 224))
    fields = receptive_fields(ops, 0)
    assert all(field != ALL for op, field in zip(ops, fields, strict=True) if len(op.shape) == 4)


class Crossed(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x[:, :, ::2, ::2] + x[:, :, : x.shape[2] // 2, : x.shape[3] // 2]


class FromWeights(nn.Module):
    """A weight made of parameters adds nothing to what is seen; a Fourier transform sees everything."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.scale = nn.Conv2d(3, 4, 3, padding=1), nn.Parameter(torch.ones(4))

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x) * self.scale.softmax(0).view(1, -1, 1, 1)
        return torch.fft.ifft2(torch.fft.fft2(x)).abs()


def test_weights_of_weights_add_nothing_and_unknown_calls_see_everything() -> None:
    ops = trace(FromWeights(), (1, 3, 16, 16))
    fields = dict(zip([op.kind for op in ops], receptive_fields(ops, 0), strict=True))
    assert fields["mul"].size == 3
    assert fields["abs"] == ALL


def test_maps_of_unequal_strides_are_refused() -> None:
    with pytest.raises(InputError, match="stride 2 and 1 meet, so it has no receptive field"):
        receptive_fields(trace(Crossed(), (1, 1, 8, 8)), 0)


def test_the_field_of_the_image_is_the_pixel() -> None:
    assert Field().at(7) == (7, 7)
