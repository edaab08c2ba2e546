"""A trained network with all that it takes to use it, in one file."""

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file

from saccade.data.augment import CORNERS, VIEWS
from saccade.data.preprocess import Preprocess
from saccade.errors import InputError, suggestion
from saccade.experiment import folder
from saccade.layers.ensemble import KINDS, Ensemble
from saccade.layers.norms import swap_norms
from saccade.training.plan import device_of
from saccade.writing import replacing
from saccade.zoo import find

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class Model:
    """The network (or ensemble) in evaluation mode, its classes in the order of its scores, and its preprocessing."""

    network: "nn.Module"
    name: str
    classes: tuple[str, ...]
    preprocess: Preprocess
    device: str = "cpu"
    norm: str = "batch"


def build(name: str, classes: int, channels: int, norm: str) -> "nn.Module":
    """A network of the zoo for images of so many channels, with this kind of norm."""
    network = find(name).build(classes, channels)
    if norm != "batch":
        swap_norms(network, norm)
    return network


def looking(model: Model, views: str) -> Model:
    """The same model that looks at several views of every image; InputError for a name that no views have, and corners
    of images that are seen whole."""
    if views not in VIEWS:
        raise InputError(f'views: "{views}" is none of {", ".join(VIEWS)}{suggestion(views, VIEWS)}')
    size = model.preprocess.size
    if views in CORNERS and model.preprocess.stored <= size:
        raise InputError(
            f"views: {views} are corners of a larger image, and here images are seen whole, at {size} px; "
            "mirror and shifts are left"
        )
    return replace(model, preprocess=replace(model.preprocess, views=views))


def save(run: Path, model: Model) -> None:
    """Write model.safetensors; name, classes, preprocessing and device stand in its header."""
    about: dict[str, Any] = {
        "network": model.name,
        "classes": list(model.classes),
        "preprocess": model.preprocess.to_dict(),
    }
    about |= {"device": model.device, "norm": model.norm}
    if isinstance(model.network, Ensemble):
        about |= {"ensemble": model.network.kind, "members": len(model.network.members)}
    state = model.network.state_dict()
    file = run / folder.MODEL
    with replacing(file, folder.advice(run)) as part:
        try:
            save_file({k: v.cpu().contiguous() for k, v in state.items()}, part, {"saccade": json.dumps(about)})
        except SafetensorError as error:
            raise OSError(str(error)) from error


def load(run: Path) -> Model:
    """The model of a run folder, on the device that it was measured on where this machine has it, else on the CPU."""
    file = run / folder.MODEL
    if not file.is_file() and (run / "study.json").is_file():
        raise InputError(f"{run}: this is a study of several runs; name one of the run folders in it")
    if not file.is_file():
        folder.read_record(run)  # says what is missing when this is no finished run
        raise InputError(f"{run}: {folder.MODEL} is missing")
    try:
        with safe_open(file, "pt") as opened:
            about = json.loads((opened.metadata() or {})["saccade"])
        state = load_file(file)
    except (SafetensorError, KeyError, ValueError, OSError) as error:
        raise InputError(f"{file}: this is no model of Saccade's, or it is damaged ({error})") from error
    preprocess = Preprocess.from_dict(about["preprocess"])
    network = built(about, preprocess.channels)
    network.load_state_dict(state)
    try:
        device = device_of(about["device"])
    except InputError:  # trained on a device that this machine does not have
        device = device_of(None)
    network = network.eval().to(device).to(memory_format=torch.channels_last)
    return Model(network, about["network"], tuple(about["classes"]), preprocess, device, about.get("norm", "batch"))


def built(about: dict[str, Any], channels: int) -> "nn.Module":
    """The network, or the ensemble of several, that the header of a file tells of."""
    several = [
        build(about["network"], len(about["classes"]), channels, about.get("norm", "batch"))
        for _ in range(about.get("members", 1))
    ]
    return KINDS[about["ensemble"]](several) if "ensemble" in about else several[0]
