"""From words to options, and from results to what is printed: what all commands share."""

import argparse
import json
from collections.abc import Callable
from typing import Any, NoReturn

from saccade.errors import InputError, suggestion

Options = argparse.Namespace
SUMMARIES = {
    "train": "train a classifier on images and measure it",
    "resume": "go on with an interrupted run, exactly",
    "evaluate": "the scores of a run, or of its network on other labelled images",
    "predict": "name the class of images",
    "export": "write the trained network as ONNX, verified",
    "doctor": "open every image of a data set and tell what is wrong",
    "inspect": "every layer of a network: size, parameters, multiply-accumulates, receptive field, memory",
    "sharpness": "how sharp the minimum is that a run has found: curvature, sharpness, pictures of the loss",
    "filter": "convolve an image with a kernel, as signal processing does or as networks do",
    "arithmetic": "sizes, paddings and parameters of convolutions",
    "networks": "list the networks that exist",
}


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, with the nearest option."""

    def __init__(self, command: str):
        super().__init__(f"saccade {command}", description=SUMMARIES[command].capitalize() + ".", allow_abbrev=False)
        self.add_argument("--json", action="store_true", help="print the result as JSON, and nothing else")

    def error(self, message: str) -> NoReturn:
        raise InputError(f"{self.prog}: {message} (see `{self.prog} --help`)")

    def parse(self, words: list[str]) -> Options:
        options, unknown = self.parse_known_args(words)
        if unknown:
            known = [option for action in self._actions for option in action.option_strings]
            word = unknown[0].split("=")[0]
            raise InputError(f'{self.prog}: there is no option "{word}"{suggestion(word, known)}')
        return options


def show(work: Any) -> Any:
    from saccade.display import show as display

    return display(work)


def answer(result: Any, as_json: bool, text: Callable[[Any], str]) -> int:
    print(json.dumps(result, indent=1, ensure_ascii=False) if as_json else text(result))
    return 0
