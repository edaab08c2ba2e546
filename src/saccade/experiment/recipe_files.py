"""Recipes as files: those of the user, and those that come with the package by their names; and files that they name."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from saccade.errors import InputError, suggestion
from saccade.experiment.folder import MODEL

ADDRESSES = ("https://", "http://", "file://")


def shipped() -> dict[str, Path]:
    """The recipes that come with the package, by their names."""
    return {file.stem: file for file in sorted((Path(__file__).parents[1] / "recipes").glob("*.yaml"))}


def recipe_file(word: str | Path) -> Path:
    """The file, or that of a recipe of this name; InputError with the nearest name."""
    names = shipped()
    if Path(word).is_file() or Path(word).suffix:  # a folder may well be called like a recipe
        return Path(word)
    if str(word) not in names:
        near = suggestion(str(word), names)
        raise InputError(f'there is no recipe "{word}"{near} (a file, or one of {", ".join(names)})')
    return names[str(word)]


def weights_file(weights: str) -> Path | None:
    """The file of weights, or that of a run; None for an address, torchvision and timm. InputError where there is none."""
    path = Path(weights)
    if weights in ("torchvision", "timm") or weights.startswith(ADDRESSES):
        return None
    if (path / MODEL).is_file():
        return path / MODEL
    if not path.is_file():
        raise InputError(f"{weights}: there is no such file of weights; also a run, a URL, torchvision or timm")
    return path


class OnceEach(yaml.SafeLoader):
    """Refuses a field that is there twice, of which YAML's own loader takes the last in silence."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        names = set()
        for key, _ in node.value:
            name = getattr(key, "value", None)
            if name in names and isinstance(name, str):
                raise yaml.constructor.ConstructorError(None, None, f'"{name}" is there twice', key.start_mark)
            names |= {name} if isinstance(name, str) else set()
        return super().construct_mapping(node, deep)


def read_recipe(file: Path) -> dict[str, Any]:
    """The words of a recipe file (YAML); InputError that names the file and the line."""
    try:
        words = yaml.load(file.read_text(encoding="utf-8"), OnceEach)  # a SafeLoader
    except OSError as error:
        raise InputError(f"{file}: the recipe cannot be read ({error.strerror})") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f" at line {mark.line + 1}" if mark else ""
        raise InputError(f"{file}: this is no recipe in YAML{where}: {getattr(error, 'problem', error)}") from error
    if not isinstance(words, dict):
        met = "nothing is in it" if words is None else f"this is a {type(words).__name__}"
        raise InputError(f"{file}: a recipe is lines of `field: value`, and {met}")
    for name in names_in(words):
        if not isinstance(name, str):
            raise InputError(f"{file}: the name of a field is a word, such as epochs, not {name}")
    return words


def names_in(words: Mapping[Any, Any]) -> Iterator[Any]:
    """The names of the fields, and of those of its sections; YAML makes numbers, dates and truths of some words."""
    for name, value in words.items():
        yield name
        if isinstance(value, Mapping):
            yield from names_in(value)
