"""The smallest images that a network takes."""

import torch
from torch import nn

from saccade.errors import InputError
from saccade.inspection.trace import copied, dtype_of, needs_values, recorded

LARGEST = 1024


def check(network: nn.Module, image: tuple[int, int, int], device: str = "meta") -> None:
    """InputError with the layer where images (C, H, W) do not pass, in training or evaluation, and the smallest that do.

    On the meta device a network that must see values cannot be tried, and is not; which device see `traced_on`.
    """
    try:
        both(copied(network, device), image)
    except InputError as error:
        if device != "meta" or not needs_values(error):
            raise with_smallest(error, network, image[0]) from error


def passes_alone(network: nn.Module, image: tuple[int, int, int], device: str = "meta") -> bool:
    """Whether a single image (C, H, W) passes in training; not where a batch norm would see one value of each channel.

    Several images of this size do pass. True too where that cannot be told without computing.
    """
    try:
        passed(copied(network, device).train(), (1, *image))
    except InputError as error:
        return device == "meta" and needs_values(error)
    return True


def with_smallest(error: InputError, network: nn.Module, channels: int) -> InputError:
    """The same with the smallest side that passes, where that can be told without computing."""
    try:
        side = smallest_side(network, channels)
    except InputError:
        side = None
    return InputError(f"{error}{f'; the smallest side that passes is {side}' if side else ''}")


def smallest_side(network: nn.Module, channels: int) -> int | None:
    """The side in pixels of the smallest square images that pass in training and in evaluation; None above 1024.

    Tried on the meta device, by doubling and then by halving the distance: what a network takes is taken from some side
    on, or, where its dense layers fix the size of the last map, within some range. InputError where it must see values.
    """
    model = copied(network, "meta")

    def passes(side: int) -> bool:
        try:
            both(model, (channels, side, side))
        except InputError as error:
            if needs_values(error):
                raise
            return False
        return True

    high = 1
    while not passes(high):
        high *= 2
        if high > LARGEST:  # perhaps a range between two powers of two
            return next((side for side in range(1, LARGEST) if passes(side)), None)
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if passes(middle) else (middle, high)
    return high


def both(model: nn.Module, image: tuple[int, int, int]) -> None:
    """A pass in evaluation and one in training, of two images."""
    for training in (False, True):
        passed(model.train(training), (2, *image))


def passed(model: nn.Module, shape: tuple[int, int, int, int]) -> None:
    """A pass of black images (B, C, H, W) on the device of the network; nothing is drawn from the generators of others."""
    device = next((p.device for p in model.parameters()), torch.device("cpu"))
    with torch.random.fork_rng(devices=[]):
        recorded(model, torch.zeros(shape, device=device, dtype=dtype_of(model)))
