"""What is to be inspected: a network by name, the one of a run, or any module of the user's."""

import sys
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from saccade.errors import InputError
from saccade.experiment import folder, model
from saccade.zoo import NETWORKS, find

Image = tuple[int, int, int]
USUAL: Image = (3, 224, 224)


@dataclass(frozen=True)
class Subject:
    """A network and the images (C, H, W) that it is for."""

    name: str
    network: nn.Module
    image: Image


def subject(word: Any, classes: int | None = None, image: Image | None = None) -> Subject:
    """Of a name of the zoo, a run folder, "module:callable" that gives an nn.Module, or a module itself.

    Networks of the zoo get 1,000 classes, or 10 where they are for images of up to 64 px, unless `classes` says otherwise.
    """
    if classes is not None and classes < 1:
        raise InputError(f"classes: at least one, not {classes}")
    if isinstance(word, nn.Module):
        return Subject(type(word).__name__, inspectable(word, type(word).__name__), image or USUAL)
    name = str(word)
    if name.partition(":")[0] in NETWORKS:
        entry = find(name)
        image = image or (entry.channels, entry.size, entry.size)
        with torch.random.fork_rng(devices=[]), torch.device("meta"):
            return Subject(name, entry.build(classes or (1000 if entry.size > 64 else 10), image[0]), image)
    if (Path(name) / folder.MODEL).is_file():
        if classes is not None:
            raise InputError(f"classes: {name} is trained, and for its own classes")
        loaded = model.load(Path(name))
        side = loaded.preprocess.size
        return Subject(loaded.name, loaded.network, image or (loaded.preprocess.channels, side, side))
    if Path(name).is_dir():
        folder.read_record(Path(name))
    if ":" in name and not Path(name).exists():
        return Subject(name, inspectable(imported(name, classes), name), image or USUAL)
    find(name)  # says which name is near
    raise AssertionError(name)


def inspectable(module: nn.Module, name: str) -> nn.Module:
    """InputError for a module whose calls or weights cannot be seen."""
    if isinstance(module, torch.jit.ScriptModule):
        raise InputError(f"{name}: the calls of a scripted module cannot be seen; give the module that it was made from")
    lazy = next((path for path, parameter in module.named_parameters() if is_lazy(parameter)), None)
    if lazy is not None:
        raise InputError(f"{name}: {lazy} has no shape yet; a lazy module must have seen an image before")
    return module


def imported(word: str, classes: int | None) -> nn.Module:
    """The module that "package.file:callable" gives, called without arguments or with num_classes, as torchvision's.

    Looked for in the current folder too.
    """
    file, _, name = word.partition(":")
    if not all(part.isidentifier() for part in (*file.split("."), name)):
        raise InputError(f'{word}: module:callable such as torchvision.models:resnet50, not "{word}"')
    if "" not in sys.path:
        sys.path.insert(0, "")
    try:
        module = import_module(file)
    except ImportError as error:
        raise InputError(f"{word}: there is no module {file} ({error})") from error
    except Exception as error:  # whatever a user's file does when it is imported
        raise InputError(f"{word}: importing {file} failed ({type(error).__name__}: {error})") from error
    if not hasattr(module, name):
        raise InputError(f"{word}: there is no {name} in {file}")
    found = getattr(module, name)
    try:
        words = {} if classes is None else {"num_classes": classes}
        made = found if isinstance(found, nn.Module) else found(**words)
    except Exception as error:
        raise InputError(f"{word}: calling {name}() failed ({type(error).__name__}: {error})") from error
    if not isinstance(made, nn.Module):
        raise InputError(f"{word}: {name}() gives a {type(made).__name__}, not an nn.Module")
    return made
