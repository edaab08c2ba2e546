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
    "InputError",
    "ablate",
    "doctor",
    "draw",
    "effective",
    "evaluate",
    "export",
    "filter",
    "inspect",
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
    """The commands, imported when they are first asked for, so that `import saccade` costs nothing."""
    if name not in __all__:
        raise AttributeError(f"saccade has no {name!r}")
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
