"""What the values of a recipe may be where a type and two bounds do not say it, and what a user hears of a bad one."""

import re
from collections.abc import Iterable
from typing import Any, get_args

from pydantic import ValidationError
from pydantic_core import PydanticCustomError

from saccade.errors import suggestion

LEAST_RATE = 1e-12  # a step of this rate is lost in weights of 32 bits
SEVERITIES = 10  # of AugMix
# What pydantic says in Python's words
EXPECTED = {"tuple_type": "should be numbers, such as 15,25", "model_type": "should be fields with their values"}


def takes_numbers(kind: Any) -> bool:
    """Whether a field of this type takes numbers, and no true or false."""
    kinds = list(parts(kind))
    return (int in kinds or float in kinds) and bool not in kinds


def parts(kind: Any) -> Iterable[type]:
    """The types that a type is made of."""
    yield kind if isinstance(kind, type) else type(kind)
    for part in get_args(kind):
        yield from parts(part)


def truth_in(value: Any) -> None:
    """An error for true or false, alone or in a list."""
    for each in value if isinstance(value, list | tuple) else [value]:
        if isinstance(each, bool):
            raise PydanticCustomError("no_number", "should be a number")


def usable(rate: float) -> float:
    if rate < LEAST_RATE:
        raise PydanticCustomError(
            "rate", "should be {least} or more, as no weight would change by less", {"least": f"{LEAST_RATE:g}"}
        )
    return rate


def in_order(epochs: tuple[float, ...]) -> tuple[float, ...]:
    if any(after <= before for before, after in zip((0.0, *epochs), epochs, strict=False)):
        raise PydanticCustomError("order", "should be epochs above 0, each later than the one before")
    return epochs


def severity(magnitude: int | None) -> int | None:
    if magnitude is not None and not 1 <= magnitude <= SEVERITIES:
        raise PydanticCustomError("severity", "should be 1 to {most} with augmix", {"most": SEVERITIES})
    return magnitude


def explanation(error: ValidationError, fields: Iterable[str]) -> str:
    """The first field in the way, what was expected there, and what was met; for a field that is none, the nearest."""
    first = error.errors()[0]
    # Places in a list, and the kinds that a field may have, are no fields
    field = ".".join(each for each in first["loc"] if isinstance(each, str) and each != "constrained-int")
    if first["type"] == "extra_forbidden":
        return f'there is no field "{field}"{suggestion(field, fields)}'
    if first["type"] == "missing":
        return f'the field "{field}" is missing'
    expected = EXPECTED.get(first["type"]) or re.sub("^Input should be", "should be", first["msg"]).split(", unable")[0]
    near = suggestion(str(first["input"]), re.findall("'(.+?)'", expected)) if first["type"] == "literal_error" else ""
    return f"{field} {expected}, not {first['input']!r}{near}"
