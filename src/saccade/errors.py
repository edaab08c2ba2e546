"""What a user gets to hear when the input cannot be used."""

from collections.abc import Iterable
from difflib import get_close_matches


class InputError(ValueError):
    """Something that the user gave cannot be used: one or two lines that say what, where, and what to do.

    The command line prints the text alone and leaves with exit code 2.
    """


def suggestion(word: str, known: Iterable[str]) -> str:
    """`, did you mean "resnet18"?` when a known word is near, else nothing."""
    near = get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f', did you mean "{near[0]}"?' if near else ""
