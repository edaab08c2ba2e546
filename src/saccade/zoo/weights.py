"""Weights trained elsewhere, put into our networks."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from saccade.errors import InputError

# Our names where torchvision's or timm's differ
TORCHVISION = {"alexnet_one_tower": "alexnet", "googlenet_bn": "googlenet"}
TIMM = {"mobilenet_v1": "mobilenetv1_100", "mobilenet_v2": "mobilenetv2_100"}


@dataclass(frozen=True)
class Loaded:
    """How many tensors and values were taken over, and the names of our tensors that keep their fresh values."""

    tensors: int
    values: int
    fresh: tuple[str, ...]

    def __str__(self) -> str:
        new = f"; {', '.join(self.fresh)} start anew, for other classes" if self.fresh else ""
        return f"{self.tensors} tensors with {self.values:,} values{new}"


def transplant(source: Mapping[str, Tensor], network: nn.Module) -> Loaded:
    """Load tensors whose names differ from ours but that come in the same order, that of the forward pass.

    The layers that give the scores are left out where the classes differ. InputError with the first pair that does not
    fit. Tensors of the same values in another shape (a dense layer as a convolution) fit.
    """
    own, given = counted(network.state_dict()), counted(source)
    if not any(name.startswith("auxiliary") for name in own):
        given = {name: t for name, t in given.items() if not name.startswith("aux")}
    if set(own) == set(given):
        given = {name: given[name] for name in own}
    fresh, taken = [], {}
    classes = tuple((*list(t.values())[-1].shape, 0)[0] if t else 0 for t in (own, given))
    for (name, here), (other, there) in zip(own.items(), given.items(), strict=False):
        if here.numel() == there.numel() and here.shape[:1] == there.shape[:1]:
            taken[name] = there.view(here.shape).to(here.dtype)
        elif (
            classes[0] != classes[1]
            and (*here.shape[:1], *there.shape[:1]) == classes
            and fits_but_for_classes(here, there)
        ):
            fresh.append(name)
        else:
            raise InputError(f"{name} {tuple(here.shape)} does not match {other} {tuple(there.shape)}")
    if len(own) != len(given):
        raise InputError(f"the network has {len(own)} tensors, the file {len(given)}")
    network.load_state_dict({**network.state_dict(), **taken})
    return Loaded(len(taken), sum(t.numel() for t in taken.values()), tuple(fresh))


def fits_but_for_classes(here: Tensor, there: Tensor) -> bool:
    return here[0].numel() == there[0].numel()


def counted(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Without the counters of batch norm, which old files lack and nothing here reads."""
    return {name: t for name, t in state.items() if not name.endswith("num_batches_tracked")}


def in_order(source: Mapping[str, Tensor], name: str) -> dict[str, Tensor]:
    """The tensors in the order of the network that they come from: some formats keep names, but sort them."""
    for keys in (torchvision_keys(name), timm_keys(name)):
        if keys and set(counted(source)) <= set(keys):
            return {key: source[key] for key in keys if key in source}
    return dict(source)


def torchvision_keys(name: str) -> list[str]:
    import torchvision

    word = TORCHVISION.get(name, name)
    if word not in torchvision.models.list_models(module=torchvision.models):
        return []
    extra = {"aux_logits": True, "init_weights": False} if word == "googlenet" else {}
    with torch.device("meta"):
        return list(torchvision.models.get_model(word, **extra).state_dict())


def timm_keys(name: str) -> list[str]:
    try:
        import timm
    except ImportError:
        return []
    word = TIMM.get(name, name)
    if not timm.is_model(word):
        return []
    with torch.device("meta"):
        return list(timm.create_model(word).state_dict())
