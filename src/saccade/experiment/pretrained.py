"""Where pretrained weights come from: a file, an address, a run, torchvision or timm."""

import pickle
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from saccade.errors import InputError
from saccade.experiment import folder, model
from saccade.experiment.recipe_files import weights_file
from saccade.zoo import NETWORKS
from saccade.zoo.weights import TIMM, TORCHVISION, Loaded, in_order, transplant

State = dict[str, Tensor]
Statistics = tuple[tuple[float, ...], tuple[float, ...]]
# Of ImageNet's training images in 0..1: what most published weights were trained with
IMAGENET: Statistics = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
HALF: Statistics = ((0.5,) * 3, (0.5,) * 3)  # of weights that came from TensorFlow


def load_pretrained(network: nn.Module, weights: str, name: str) -> Loaded:
    """Put the weights of a file, a run folder, a URL, "torchvision" or "timm" into our network of this name."""
    state = fetched(weights, name.partition(":")[0])
    try:
        return transplant(in_order(state, name.partition(":")[0]), network)
    except InputError as error:
        raise InputError(f"{weights}: these weights do not fit {name}: {error}") from error


def statistics_for(weights: str, name: str) -> Statistics:
    """Mean and deviation of the pixels that the weights of this network were trained on."""
    run, plain = Path(weights), name.partition(":")[0]
    if (run / folder.MODEL).is_file():
        preprocess = model.load(run).preprocess
        return preprocess.mean, preprocess.std
    if weights in ("torchvision", "timm"):
        check_published(weights, plain)
    if weights == "timm":
        import timm

        config = timm.get_pretrained_cfg(TIMM.get(plain, plain))
        return (tuple(config.mean), tuple(config.std)) if config is not None else IMAGENET
    return HALF if plain == "googlenet_bn" else IMAGENET  # torchvision's GoogLeNet transforms its input to these


def fetched(weights: str, name: str) -> State:
    if weights == "torchvision":
        return from_torchvision(name)
    if weights == "timm":
        return from_timm(name)
    if (file := weights_file(weights)) is not None:
        return read(file)
    load = torch.hub.load_state_dict_from_url
    return unwrapped(downloaded(weights, lambda: load(weights, map_location="cpu", weights_only=True)), weights)


def read(file: Path) -> State:
    """The tensors of a .safetensors or a torch file; nothing in it is run."""
    try:
        if file.suffix == ".safetensors":
            return unwrapped(load_file(file), str(file))
        found = torch.load(file, map_location="cpu", weights_only=True)
    except InputError:
        raise
    except Exception as error:  # damaged files fail in a dozen ways
        whole = isinstance(error, pickle.UnpicklingError) and "WeightsUnpickler" in str(error)
        reason = "it holds code as well; save network.state_dict() alone" if whole else type(error).__name__
        raise InputError(f"{file}: no weights can be read from it ({reason})") from error
    return unwrapped(found, str(file))


def unwrapped(found: Any, name: str) -> State:
    """The tensors, out of what training scripts wrap them in."""
    for key in ("state_dict", "model_state_dict", "model"):
        found = found.get(key, found) if isinstance(found, dict) else found
    if not isinstance(found, dict) or not found or not all(isinstance(t, Tensor) for t in found.values()):
        raise InputError(f"{name}: this is no state of a network (names and tensors)")
    wrapped = all(each.startswith("module.") for each in found)  # by DataParallel, or by an average of weights
    return {each.removeprefix("module."): tensor for each, tensor in found.items()} if wrapped else found


def check_published(source: str, name: str) -> None:
    """InputError where torchvision (or timm) has no weights for our network of this name: it says for which it has."""
    there = published(source)
    if name not in there:
        raise InputError(f"{source} has no weights for {name}; it has them for {', '.join(there)}")


def published(source: str) -> list[str]:
    """Our networks of which torchvision or timm has weights; a name of ours may be that of another network there."""
    if source == "torchvision":
        import torchvision

        known = set(torchvision.models.list_models(module=torchvision.models)) - set(TORCHVISION.values())
        return [name for name in NETWORKS if name in known or name in TORCHVISION]
    try:
        import timm
    except ImportError as error:
        raise InputError("weights: timm is not installed (pip install timm)") from error
    return [name for name in NETWORKS if timm.is_model(TIMM.get(name, name))]


def from_torchvision(name: str) -> State:
    import torchvision

    check_published("torchvision", name)
    word = TORCHVISION.get(name, name)
    url = torchvision.models.get_model_weights(word).DEFAULT.url
    return downloaded(url, lambda: torch.hub.load_state_dict_from_url(url, map_location="cpu", weights_only=True))


def from_timm(name: str) -> State:
    check_published("timm", name)
    import timm

    word = TIMM.get(name, name)
    return downloaded(word, lambda: timm.create_model(word, pretrained=True).state_dict())


def downloaded(what: str, load: Any) -> State:
    """What `load` brings through the caches of torch or huggingface."""
    try:
        return load()
    except Exception as error:  # of the network, in as many forms as there are libraries
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise InputError(f"{what}: could not be downloaded ({reason}); --weights takes a file, too") from error
