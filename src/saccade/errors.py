"""What a user gets to hear when the input cannot be used."""

from collections.abc import Iterable
from difflib import SequenceMatcher, get_close_matches
from functools import partial

EQUALS = 8  # near words among which the nearest is looked for


class InputError(ValueError):
    """Something that the user gave cannot be used: one or two lines that say what, where, and what to do.

    A training that diverges is one too: rate, rule and images were given, and others help. The command line prints the text
    alone and leaves with exit code 2; 1 is left to what Python ends with, a fault of ours.
    """


# What other tools call some fields of a recipe
ELSEWHERE = {
    "learning_rate": "optimizer.lr",
    "lr0": "optimizer.lr",
    "momentum": "optimizer.momentum",
    "batch_size": "batch",
    "imgsz": "images.size",
    "image_size": "images.size",
    "model": "network",
    "arch": "network",
    "pretrained": "weights",
}


def suggestion(word: str, known: Iterable[str]) -> str:
    """`, did you mean "resnet18"?` when a known word is near, else nothing.

    Dashes in front do not count, which all options share; of a dotted name its end is enough: "lrr" is near "optimizer.lr".
    """
    names = {name.lstrip("-"): name for name in known}
    ends = {plain.rpartition(".")[2]: name for plain, name in reversed(names.items())}
    typed = word.lstrip("-")
    if (usual := ELSEWHERE.get(typed.rpartition(".")[2].replace("-", "_").lower(), "")) in names:
        return f', did you mean "{names[usual]}"?'
    near = get_close_matches(typed, ends | names, n=EQUALS, cutoff=0.6)
    return f', did you mean "{(ends | names)[max(near, key=partial(nearness, typed))]}"?' if near else ""


def nearness(typed: str, word: str) -> tuple[float, int, bool]:
    """By what difflib goes, and among equals by how much they begin alike, or are of the same letters."""
    begin = next((i for i, (a, b) in enumerate(zip(typed, word, strict=False)) if a != b), min(len(typed), len(word)))
    return SequenceMatcher(None, word, typed).ratio(), begin, sorted(typed) == sorted(word)
