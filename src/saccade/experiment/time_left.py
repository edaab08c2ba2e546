"""How long the runs that are left will take, by those that have ended."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from math import ceil

from saccade.experiment.members import Member

WORTH_SAYING = 60.0  # seconds
HOURS = 2 * 3600.0  # from which on they are hours


def seconds_left(ended: Mapping[str, float], met: Mapping[str, Member], left: Iterable[str], unmet: int) -> float | None:
    """Of the runs `left`, and of `unmet` others, by the seconds of those that have ended, one after the other.

    A network takes as long for an epoch, or an image of it, as it did before. None while one of them has not been met.
    """
    seconds, amounts = defaultdict[str | None, float](float), defaultdict[str | None, float](float)
    for name, taken in ended.items():
        seconds[met[name].recipe.network] += taken
        amounts[met[name].recipe.network] += amount(met[name])
    rest = [met[name] for name in left]
    if not ended or any(member.recipe.network not in seconds for member in rest):
        return None
    known = sum(
        amount(member) * seconds[network] / amounts[network] for member in rest for network in [member.recipe.network]
    )
    return known + unmet * sum(ended.values()) / len(ended)


def amount(member: Member) -> float:
    """Of work, for one network: epochs, or images in them where the recipe says how many."""
    return member.recipe.epochs * (member.recipe.split.images or 1)


def in_words(seconds: float, runs: int) -> str:
    """Such as "about 12 min for the other 101 runs"; "" for what is soon done."""
    if seconds < WORTH_SAYING:
        return ""
    time = f"{seconds / 3600:.1f} h" if seconds >= HOURS else f"{ceil(seconds / 60)} min"
    return f"about {time} for the other {runs} run{'s' if runs > 1 else ''}"
