"""From words to options, and from results to what is printed: what all commands share."""

import argparse
import json
import textwrap
from collections.abc import Callable
from typing import Any, NoReturn

from saccade.errors import InputError, suggestion

Options = argparse.Namespace
WORDS = ("network", "device", "group", "recipe")  # fields of words, whatever YAML would make of them
LISTS = ("at", "mean", "std")  # fields of several numbers
SHORT = {
    "optimizer.freeze": ["--freeze"],
    "optimizer.rates": ["--rates"],
    "optimizer.lr": ["--lr"],
    "split.group": ["--group"],
    "optimizer.weight_decay": ["--wd"],
}
SUMMARIES = {
    "train": "train a classifier on images and measure it",
    "resume": "go on with an interrupted run, exactly",
    "evaluate": "the scores of a run, or of its network on other labelled images",
    "predict": "name the class of images",
    "export": "write the trained network as ONNX, verified",
    "tune-rate": "a learning rate, by raising it step by step until the loss does not fall any more",
    "race": "update rules against each other, each at its best rate, with several seeds",
    "ablate": "switch each regularizer off or on in turn, and say what it does",
    "compare": "which of two or more recipes is better on your images: paired, with an interval and a verdict",
    "crossval": "the score of a recipe with every image scored unseen; chooses values inside the folds; finds wrong labels",
    "bias-variance": "where the error comes from, as a curve over the values of a field",
    "learning-curve": "what more images bring: accuracy by the number of training images",
    "bag": "networks on bootstrap samples that decide together, and say how sure they are",
    "boost": "networks one after the other, each on what those before it get wrong, which vote",
    "doctor": "open every image of a data set and tell what is wrong",
    "inspect": "every layer of a network: size, parameters, multiply-accumulates, receptive field, memory",
    "sharpness": "how sharp the minimum is that a run has found: curvature, sharpness, pictures of the loss",
    "filter": "convolve an image with a kernel, as signal processing does or as networks do",
    "arithmetic": "sizes, paddings and parameters of convolutions",
    "networks": "list the networks that exist",
}


class WholeNames(argparse.HelpFormatter):
    """Ends no line inside a name such as resnet20-cifar10, which a reader may copy."""

    def _split_lines(self, text: str, width: int) -> list[str]:
        return textwrap.wrap(" ".join(text.split()), width, break_on_hyphens=False)


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, with the nearest option."""

    def __init__(self, command: str):
        self.command = command
        told = SUMMARIES[command].capitalize() + "."
        super().__init__(f"saccade {command}", description=told, formatter_class=WholeNames, allow_abbrev=False)
        self.add_argument("--json", action="store_true", help="print the result as JSON, and nothing else")

    def error(self, message: str) -> NoReturn:
        raise InputError(f"{self.command}: {message} (see `{self.prog} --help`)")

    def parse(self, words: list[str]) -> Options:
        options, unknown = self.parse_known_args(words)
        if unknown:
            known = [option for action in self._actions for option in action.option_strings]
            word = unknown[0].split("=")[0]
            raise InputError(f'{self.command}: there is no option "{word}"{suggestion(word, known)}')
        return options

    def parse_recipe(self, words: list[str]) -> tuple[Options, dict[str, Any]]:
        """With DATA, --recipe and an option for each field of the recipe; and these, as `commands` take them."""
        from saccade.experiment.recipe import field_names
        from saccade.experiment.recipe_files import shipped

        names = field_names()
        self.usage = self.usage or "%(prog)s DATA [options, and any field of the recipe: --FIELD X]"
        self.add_argument("data", nargs="?", metavar="DATA", help=names.pop("data"))
        told = f"a file of the fields below, or a name: {', '.join(shipped())}; options given here win"
        self.add_argument("--recipe", metavar="FILE", help=told)
        fields = self.add_argument_group("recipe")
        for name, text in names.items():
            options = [f"--{name}", *SHORT.get(name, ())]
            fields.add_argument(*options, dest=name, metavar="X", help=text.replace("%", "%%"), default=argparse.SUPPRESS)
        found = self.parse(words)
        given = {name: value for name, value in vars(found).items() if name in names}
        return found, {"recipe": found.recipe, **nested(given)}


def nested(given: dict[str, str]) -> dict[str, Any]:
    """{"optimizer.lr": "0.1"} to {"optimizer": {"lr": 0.1}}; values are read as YAML reads them."""
    words: dict[str, Any] = {}
    for name, value in given.items():
        if not value.strip():
            raise InputError(f"{name}: there is no value; leave --{name} out for what is usual")
        *sections, last = name.split(".")
        place = words
        for section in sections:
            place = place.setdefault(section, {})
        place[last] = value if last in WORDS else numbers(value) if last in LISTS else scalar(value)
    return words


def numbers(word: str) -> Any:
    """[2, 4] of "2,4" and of "[2, 4]", [2] of "2"."""
    value = [scalar(each) for each in word.strip("[]() ").split(",")]
    return value if all(isinstance(each, int | float) for each in value) else word


def scalar(word: str) -> Any:
    """What YAML makes of the word; 1e-3, too, is a number, which YAML 1.1 takes for a word."""
    import yaml

    try:
        value = yaml.safe_load(word)
        return float(value) if isinstance(value, str) else value
    except (ValueError, yaml.YAMLError):
        return word


def show(work: Any) -> Any:
    from saccade.display import show as display

    return display(work)


def answer(result: Any, as_json: bool, text: Callable[[Any], str]) -> int:
    if said := json.dumps(result, indent=1, ensure_ascii=False) if as_json else text(result):
        print(said)
    return 0
