"""A fleet: networks of one architecture that run, and are trained, as one network.

The members stand one after the other in dim 1 of every map, (B, K C, H, W), and in dim 0 of every tensor of the state,
(K n, ...), under the name that it has in a member. So a convolution with K times the groups is K convolutions, a batch norm
of K C channels is K batch norms, and what treats every channel by itself stays as it is. The rest has a form of its own
here. No arithmetic joins two members: the gradient of one in another is exactly zero, and a NaN stays where it is.
"""

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from saccade.errors import InputError
from saccade.layers.drop import DropBlock, DropPath
from saccade.layers.joins import Append, Branches, Gate, PadShortcut, Residual
from saccade.layers.norms import FrozenBatchNorm2d
from saccade.layers.parts import put


class Draws:
    """Where the members' random draws come from: once seeded, from a stream for each member, else from torch's own.

    `streams` holds for each member a seed or, once drawn from, a state of torch's generator; None until it is seeded.
    """

    def __init__(self) -> None:
        self.streams: list[int | Tensor] | None = None

    @contextmanager
    def of(self, member: int, device: torch.device) -> Iterator[None]:
        """Inside, torch's generator of this device goes on where the member's stream stands; afterwards it is as before."""
        if self.streams is None:
            yield
            return
        generator = torch.default_generator if device.type == "cpu" else torch.cuda.default_generators[device.index or 0]
        before, stream = generator.get_state(), self.streams[member]
        if isinstance(stream, Tensor):
            generator.set_state(stream)
        else:
            generator.manual_seed(stream)
        try:
            yield
        finally:
            self.streams[member] = generator.get_state()
            generator.set_state(before)


class Alone(nn.Module):
    """Modules that run one member after the other, each on its own maps: (B, K C, ...) to (B, K D, ...).

    Right for every module that takes one tensor and has no children. `own`: the members' modules, whose settings count and
    whose tensors do not; those stand here, together.
    """

    def __init__(self, own: Sequence[nn.Module], draws: Draws):
        super().__init__()
        self.own, self.draws = tuple(own), draws  # a tuple keeps them out of the fleet's state
        for name, parameter in own[0].named_parameters():
            self.register_parameter(name, parameter)
        lasting = own[0].state_dict()
        for name, buffer in own[0].named_buffers():
            self.register_buffer(name, buffer, persistent=name in lasting)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.member(k, each) for k, each in enumerate(members_of(x, len(self.own)))], dim=1)

    def member(self, k: int, x: Tensor) -> Tensor:
        """What member k makes of its own maps (B, C, ...), which lie in memory as those of a network alone."""
        like = torch.channels_last if x.dim() == 4 and is_channels_last(x) else torch.contiguous_format
        shapes = {name: t.shape for name, t in (*self.own[k].named_parameters(), *self.own[k].named_buffers())}
        tensors = {name: row(getattr(self, name), len(self.own), k, shape) for name, shape in shapes.items()}
        with self.draws.of(k, x.device):
            return functional_call(self.own[k], tensors, (x.contiguous(memory_format=like),))

    def train(self, mode: bool = True) -> "Alone":
        for each in self.own:
            each.train(mode)
        return super().train(mode)

    def extra_repr(self) -> str:
        return f"{self.own[0]}, {len(self.own)} times"


class AloneAtRandom(Alone):
    """Those that drop something in training, each member with its own rate `p` and its own draws."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) if self.training and any(each.p for each in self.own) else x


# Other forms of modules, which keep their class above them and their names. How many members there are is held under a
# name that none of them has: under `k` it would change a response normalization, and nobody would notice.


class FleetBranches(Branches):
    fleet_members: int

    def forward(self, x: Tensor) -> Tensor:
        return together([branch(x) for branch in self], self.fleet_members)


class FleetAppend(Append):
    fleet_members: int

    def forward(self, x: Tensor) -> Tensor:
        return together([x, nn.Sequential.forward(self, x)], self.fleet_members)


class FleetPadShortcut(PadShortcut):
    fleet_members: int

    def forward(self, x: Tensor) -> Tensor:
        x = x[:, :, :: self.stride, :: self.stride]
        zeros = x.new_zeros(len(x), self.fleet_members * self.more, *x.shape[2:])
        return together([x, zeros], self.fleet_members)


class FleetLinear(nn.Linear):
    """(B, K in) to (B, K out): one product of K matrices."""

    fleet_members: int

    def forward(self, x: Tensor) -> Tensor:
        if x.dim() != 2:
            raise InputError(f"a dense layer of a fleet takes (B, features), not {tuple(x.shape)}")
        count = self.fleet_members
        x, weight = x.unflatten(1, (count, -1)).transpose(0, 1), self.weight.unflatten(0, (count, -1)).mT
        x = torch.bmm(x, weight) if self.bias is None else torch.baddbmm(self.bias.view(count, 1, -1), x, weight)
        return x.transpose(0, 1).flatten(1)


class FleetLocalResponseNorm(nn.LocalResponseNorm):
    """Neighbouring channels are those of the same member: members as samples, which never meet either."""

    fleet_members: int

    def forward(self, x: Tensor) -> Tensor:
        found = super().forward(x.unflatten(1, (self.fleet_members, -1)).flatten(0, 1))
        return found.unflatten(0, (-1, self.fleet_members)).flatten(1, 2)


def together(parts: Sequence[Tensor], count: int) -> Tensor:
    """The channels of several maps (B, K c, H, W) concatenated for each member: (B, K (c1 + c2 + ...), H, W)."""
    pieces = [members_of(part, count) for part in parts]
    return torch.cat([piece for own in zip(*pieces, strict=True) for piece in own], dim=1)


def members_of(x: Tensor, count: int) -> Sequence[Tensor]:
    """(B, K C, ...) as K maps (B, C, ...)."""
    return x.split(x.shape[1] // count, dim=1)


def row(wide: Tensor, count: int, k: int, shape: torch.Size) -> Tensor:
    """The part of member k in a tensor (K n, ...) of the state, which has this shape in a member, as a view."""
    return wide.view(count, *shape)[k]


def is_channels_last(x: Tensor) -> bool:
    """By the strides of a map, which may be a part of a larger one."""
    return x.stride(1) == 1 and x.stride(3) > 1


FORMS: dict[type[nn.Module], type[nn.Module]] = {
    Branches: FleetBranches,
    Append: FleetAppend,
    PadShortcut: FleetPadShortcut,
    nn.Linear: FleetLinear,
    nn.LocalResponseNorm: FleetLocalResponseNorm,
}
# The same module, with these numbers K times as large
WIDER: dict[type[nn.Module], tuple[str, ...]] = {
    nn.Conv2d: ("in_channels", "out_channels", "groups"),
    nn.ConvTranspose2d: ("in_channels", "out_channels", "groups"),
    nn.BatchNorm1d: ("num_features",),
    nn.BatchNorm2d: ("num_features",),
    FrozenBatchNorm2d: ("num_features",),
    nn.InstanceNorm2d: ("num_features",),
    nn.GroupNorm: ("num_channels", "num_groups"),
}
RANDOM = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, DropPath, DropBlock)
# Nothing to do: no channel meets another, or the children do all
SAME = {
    Residual, Gate, nn.Sequential, nn.ModuleList, nn.Identity, nn.Flatten, nn.Upsample, nn.ZeroPad2d,
    nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.ELU, nn.SELU, nn.CELU, nn.GELU, nn.SiLU, nn.Mish, nn.Softplus, nn.Tanh, nn.Sigmoid,
    nn.Hardswish, nn.Hardsigmoid, nn.Hardtanh, nn.MaxPool2d, nn.AvgPool2d, nn.LPPool2d, nn.AdaptiveMaxPool2d,
    nn.AdaptiveAvgPool2d,
}  # fmt: skip


class Fleet(nn.Module):
    """Images (B, K C, H, W), each member's own, to scores (K, B, classes); for `Scores` in training, to those.

    `stack` makes it. `network` has the names of a member, so parts and parameters are found as in one.
    """

    def __init__(self, network: nn.Module, solos: Sequence[nn.Module], draws: Draws):
        super().__init__()
        self.network, self.draws = network, draws
        self.solos = tuple(solos)  # the members without their values; a tuple keeps them out of the state

        self.count = len(self.solos)

    def forward(self, x: Tensor) -> Any:
        return apart(self.network(x), self.count)

    def seed_draws(self, seeds: Sequence[int]) -> None:
        """Dropout, DropPath and DropBlock of member k draw from now on what they draw alone after `manual_seed(seeds[k])`.

        To be called for every step, as the seed of a step is derived from the run's. Eager values are the same bit for bit;
        a compiled network draws otherwise, alone too. InputError where there is not one seed a member.
        """
        if len(seeds) != self.count:
            raise InputError(f"a fleet of {self.count} takes {self.count} seeds, not {len(seeds)}")
        self.draws.streams = list(seeds)

    def extra_repr(self) -> str:
        return f"members={self.count}"


def apart(scores: Any, count: int) -> Any:
    """(B, K n) as (K, B, n); of tuples, each of theirs."""
    if isinstance(scores, Tensor):
        return scores.unflatten(1, (count, -1)).transpose(0, 1)
    found = [apart(each, count) for each in scores]
    return type(scores)(*found) if hasattr(scores, "_fields") else type(scores)(found)


def stack(networks: Sequence[nn.Module]) -> Fleet:
    """The fleet of these networks, with copies of their values; member k is `networks[k]`.

    They may differ in their values and in the rates of what they drop. InputError where they differ in anything else, and
    for a kind of module of which it is not known that members stay apart in it.
    """
    check_alike(networks)
    draws, solos = Draws(), [without_values(each) for each in networks]
    network = without_values(networks[0])
    made: dict[nn.Module, nn.Module] = {}  # a module may stand in several places
    for path, module in list(network.named_modules(remove_duplicate=False)):
        if module not in made:
            made[module] = widened(path, module, [solo.get_submodule(path) for solo in solos], draws)
        if path and made[module] is not module:
            put(network, path, made[module])
    network = made[network]
    fill(network, networks)
    fleet = Fleet(network, solos, draws)
    return fleet.train(networks[0].training)


def members(fleet: Fleet) -> list[nn.Module]:
    """The networks alone, bit for bit, with copies of their values; in training or evaluation as the fleet is."""
    found = []
    for k, solo in enumerate(copy.deepcopy(fleet.solos)):
        made: dict[int, Tensor] = {}
        for (place, name), (wide_place, wide_name) in zip(slots(solo), slots(fleet.network), strict=True):
            own, wide = place[name], wide_place[wide_name]
            if id(wide) not in made:
                value = row(wide.detach(), fleet.count, k, own.shape).clone()
                made[id(wide)] = like(wide, value)
            place[name] = made[id(wide)]
        found.append(solo.train(fleet.training))
    return found


def widened(path: str, module: nn.Module, own: Sequence[nn.Module], draws: Draws) -> nn.Module:
    """What stands in the place of a module of a member: itself, changed, or another. `own`: the members' own modules."""
    kind = type(module)
    if isinstance(module, nn.modules.batchnorm._BatchNorm) and module.momentum is None:
        raise InputError(f"{path}: a fleet knows no batch norm with a plain average over all batches (momentum None)")
    if kind in RANDOM:
        return AloneAtRandom(own, draws)
    if kind in FORMS:
        assert not hasattr(module, "fleet_members")
        module.__class__ = FORMS[kind]
        module.fleet_members = len(own)  # type: ignore[assignment]
    elif kind in WIDER:
        for number in WIDER[kind]:
            setattr(module, number, len(own) * getattr(module, number))
    elif kind is nn.PReLU or (is_ours(kind) and not any(module.children())):
        return Alone(own, draws)
    elif not (kind in SAME or (is_ours(kind) and not has_tensors(module))):
        raise InputError(f"{path or 'the network'}: a fleet knows no {kind.__name__}, whose members it might mix up")
    return module


def is_ours(kind: type[nn.Module]) -> bool:
    """Whether it is a module of this package: with children they call them in turn, as a test shows for every network."""
    return kind.__module__.partition(".")[0] == __name__.partition(".")[0]


def has_tensors(module: nn.Module) -> bool:
    """Of its own, beside those of its children."""
    return any(True for _ in (*module.parameters(recurse=False), *module.buffers(recurse=False)))


def without_values(network: nn.Module) -> nn.Module:
    """A copy whose tensors are on the meta device."""
    memo: dict[int, Any] = {id(t): like(t, t.detach().to("meta")) for t in (*network.parameters(), *network.buffers())}
    return copy.deepcopy(network, memo)


def like(tensor: Tensor, value: Tensor) -> Tensor:
    """The value as a parameter where the tensor is one."""
    return nn.Parameter(value, tensor.requires_grad) if isinstance(tensor, nn.Parameter) else value


def fill(network: nn.Module, networks: Sequence[nn.Module]) -> None:
    """Put the members' values in place, one after the other in dim 0; tensors that are shared stay so."""
    made: dict[int, Tensor] = {}
    for (place, name), *own in zip(slots(network), *(slots(each) for each in networks), strict=True):
        tensors = [from_place[from_name].detach() for from_place, from_name in own]
        first = own[0][0][own[0][1]]
        if id(first) not in made:
            made[id(first)] = like(first, torch.stack(tensors) if not first.dim() else torch.cat(tensors))
        place[name] = made[id(first)]


def slots(network: nn.Module) -> Iterator[tuple[dict[str, Any], str]]:
    """Every place of a tensor, as the mapping that holds it and its key there."""
    for module in network.modules():
        for place in (module._parameters, module._buffers):
            yield from ((place, name) for name, tensor in list(place.items()) if tensor is not None)


def check_alike(networks: Sequence[nn.Module]) -> None:
    """InputError, with the first difference, unless all have the same modules, settings and kinds of tensors."""
    if not networks:
        raise InputError("a fleet has at least one member")
    first, *others = (described(network) for network in networks)
    for i, other in enumerate(others, start=2):
        for path, what in first | other:
            one, two = first.get((path, what), "not there"), other.get((path, what), "not there")
            if one != two:
                raise InputError(
                    f"{path or 'the network'}: {what} is {two} in member {i} and {one} in the first; "
                    "the members of a fleet differ in values only"
                )


def described(network: nn.Module) -> dict[tuple[str, str], Any]:
    """By the name of each module and a word: its kind, settings and tensors."""
    return {
        (path, what): value
        for path, module in network.named_modules()
        for what, value in {"the kind": type(module).__name__, **settings(module)}.items()
    }


def settings(module: nn.Module) -> dict[str, Any]:
    """All that makes a module another one, but for the values of its tensors and what members may differ in."""
    numbers = {
        name: value
        for name, value in vars(module).items()
        if isinstance(value, int | float | str | tuple) and name != "training" and not name.startswith("_")
    }
    tensors = {
        name: (tuple(t.shape), t.dtype, str(t.device), t.requires_grad)
        for name, t in (*module.named_parameters(recurse=False), *module.named_buffers(recurse=False))
    }
    return tensors if type(module) in RANDOM else {**numbers, **tensors}
