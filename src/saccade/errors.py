"""What a user gets to hear when the input cannot be used."""

from collections.abc import Iterable
from difflib import get_close_matches


class InputError(ValueError):
    """Something that the user gave cannot be used: one or two lines that say what, where, and what to do.

    The command line prints the text alone and leaves with exit code 2.
    """


def suggestion(word: str, known: Iterable[str]) -> str:
    """`, did you mean "resnet18"?` when a known word is near, else nothing.

    Dashes in front do not count, which all options share; of a dotted name its end is enough: "lrr" is near "optimizer.lr".
    """
    names = {name.lstrip("-"): name for name in known}
    ends = {plain.rpartition(".")[2]: name for plain, name in reversed(names.items())}
    near = get_close_matches(word.lstrip("-"), ends | names, n=1, cutoff=0.6)
    return f', did you mean "{(ends | names)[near[0]]}"?' if near else ""
