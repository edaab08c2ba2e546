"""Values of one field that are tried in turn, to choose one of them or to see what they do."""

from collections.abc import Sequence
from itertools import combinations
from typing import Any

from saccade.errors import InputError


def check_values(field: str, values: Sequence[Any]) -> None:
    """InputError where there are none, where one comes twice (1 and 1.0 are the same), or where they are one word."""
    word = isinstance(values, str)
    if word or not values or any(same(a, b) for a, b in combinations(values, 2)):
        shown = values if word else ", ".join(map(str, values)) or "none"
        raise InputError(f"{field}: one value at least, each once, not {shown}")


def same(a: Any, b: Any) -> bool:
    """Whether a field could not tell them apart, as 1 and 1.0; it can tell 1 from true."""
    return str(a) == str(b) or (a == b and isinstance(a, bool) == isinstance(b, bool))
