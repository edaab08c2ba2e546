"""The commands that train networks which decide together: bag, boost."""

from pathlib import Path
from typing import Any

from saccade.commands.studying import folder_of, in_memory
from saccade.commands.training import recipe_of, report_of
from saccade.events import Work
from saccade.experiment.settings import Bag, Boost

Record = dict[str, Any]


def bag(
    data: Any = None, members: int = 10, engine: str = "auto", out: str | Path | None = None, **fields: Any
) -> Work[Record]:
    """Train each of so many members on a bootstrap sample; together they are one run that says how sure it is.

    `fields` as for train. The record is that of a run, with `members`, `out_of_bag` (each training image scored by the
    members that did not draw it) and `gain` (over the members, on the same images). The same words with `out` go on with
    a bag that was stopped.
    """
    how, recipe, place = Bag(members, engine), recipe_of(data, **fields), folder_of(out)

    from saccade.experiment.ensemble import bag as work

    record = yield from work(recipe, how, place, in_memory(data))
    return (yield from report_of(Path(record["run"]), record))


def boost(data: Any = None, members: int = 5, out: str | Path | None = None, **fields: Any) -> Work[Record]:
    """Train members one after the other, each on images drawn by what the ones before got wrong (SAMME); they vote.

    `fields` as for train. The record is that of a run, with `members`: the weighted error of each on the training images,
    its vote, and the validation accuracy of all up to it. The same words with `out` go on with one that was stopped.
    """
    how, recipe, place = Boost(members), recipe_of(data, **fields), folder_of(out)

    from saccade.experiment.boost import boost as work

    record = yield from work(recipe, how, place, in_memory(data))
    return (yield from report_of(Path(record["run"]), record))
