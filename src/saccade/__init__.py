"""Saccade trains convolutional networks on your images and says honestly how good they are.

Each command is a function with the same words; it shows its progress on standard error and returns its result:

>>> import saccade
>>> record = saccade.train("digits", network="lenet5", epochs=2)  # doctest: +SKIP
"""

from collections.abc import Callable
from typing import Any

from saccade.errors import InputError

__version__ = "0.1.0"
__all__ = [
    "ImageClassifier",
    "InputError",
    "ablate",
    "bag",
    "bias_variance",
    "boost",
    "compare",
    "crossval",
    "doctor",
    "draw",
    "effective",
    "evaluate",
    "export",
    "filter",
    "inspect",
    "learning_curve",
    "networks",
    "predict",
    "race",
    "resume",
    "sharpness",
    "show_maps",
    "train",
    "tune_rate",
]


def __dir__() -> list[str]:
    return [*__all__, "__version__"]


def __getattr__(name: str) -> Callable[..., Any]:
    """The commands and the estimator, imported when first asked for, so that `import saccade` costs nothing."""
    if name not in __all__:
        raise AttributeError(f"saccade has no {name!r}")
    if name == "ImageClassifier":
        from saccade.estimator import ImageClassifier

        return ImageClassifier
    from functools import wraps
    from inspect import isgeneratorfunction

    from saccade import commands
    from saccade.display import show

    command = getattr(commands, name)
    if not isgeneratorfunction(command):
        return command

    @wraps(command)
    def run(*args: Any, **kwargs: Any) -> Any:
        return show(command(*args, **kwargs))

    return run
