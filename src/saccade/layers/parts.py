"""The parts of a network by their names."""

from torch import nn

from saccade.errors import InputError, suggestion


def find_part(network: nn.Module, name: str) -> nn.Module:
    """The module of this name; InputError with the nearest name where there is none."""
    known = dict(network.named_modules())
    if name not in known or not name:
        names = [each for each in known if each]
        tops = ", ".join(each for each in names if each.count(".") == (each.startswith("stages.")))
        raise InputError(f'the network has no part "{name}"{suggestion(name, names)} ({tops})')
    return known[name]


def put(network: nn.Module, name: str, module: nn.Module) -> None:
    """Replace the part of this name."""
    parent, _, own = name.rpartition(".")
    setattr(network.get_submodule(parent), own, module)


def has_state(module: nn.Module) -> bool:
    """Whether a state dict has anything of it."""
    return bool(module.state_dict())


def put_before(sequence: nn.Sequential, follower: str, name: str, module: nn.Module) -> None:
    """Insert into a sequence without renaming what is there."""
    before = dict(sequence._modules)
    sequence._modules = {}
    for each, own in before.items():
        if each == follower:
            sequence._modules[name] = module
        sequence._modules[each] = own
