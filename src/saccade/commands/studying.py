"""The commands that train many times to find out something: tune-rate, race, ablate."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from saccade.commands.training import recipe_of
from saccade.events import Note, Work
from saccade.writing import check_output, write_text

Record = dict[str, Any]


def tune_rate(
    data: Any = None,
    low: float = 1e-5,
    high: float = 10.0,
    steps: int = 100,
    out: str | Path | None = None,
    **fields: Any,
) -> Work[Record]:
    """The loss at growing rates, and the rate that it suggests; with `out`, a page. `fields` as for train."""
    from saccade.experiment.tune import tune_rate as work
    from saccade.report.studies import rate_page

    file = folder_of(out)
    if file is not None:
        check_output(file, ".html")
    recipe = recipe_of(data, **fields)
    record = yield from work(recipe, low, high, steps, in_memory(data))
    record = {"data": recipe.data, **record}
    if file is not None:
        write_text(file, rate_page(record))
        yield Note(f"wrote {file}")
    return record


def race(
    data: Any = None,
    rules: str | Sequence[str] = ("sgd", "momentum", "nesterov", "adam"),
    rates: int = 3,
    seeds: int = 3,
    out: str | Path | None = None,
    **fields: Any,
) -> Work[Record]:
    """Update rules on the same network, images, seeds and epochs, each at the best of some rates; a page with curves."""
    from saccade.experiment.race import Race
    from saccade.experiment.race import race as work
    from saccade.experiment.trajectories import watched
    from saccade.report.studies import race_page

    settings = Race(words(rules), rates, seeds)
    record = yield from work(recipe_of(data, **fields), settings, folder_of(out), in_memory(data))
    return (yield from kept(record, race_page(record, watched(settings.rules))))


def ablate(
    data: Any = None,
    only: str | Sequence[str] = (),
    seeds: int = 3,
    folds: int = 1,
    out: str | Path | None = None,
    **fields: Any,
) -> Work[Record]:
    """Each regularizer of the recipe switched off in turn, each absent one on; a table of differences with intervals."""
    from saccade.experiment.ablate import Ablation
    from saccade.experiment.ablate import ablate as work
    from saccade.report.studies import ablation_page

    settings = Ablation(words(only), seeds, folds)
    record = yield from work(recipe_of(data, **fields), settings, folder_of(out), in_memory(data))
    return (yield from kept(record, ablation_page(record)))


def kept(record: Record, page: str) -> Work[Record]:
    """Written into the study's folder, as JSON and as a page."""
    folder = Path(record["study"])
    write_text(folder / "record.json", json.dumps(record, indent=1) + "\n")
    write_text(folder / "report.html", page)
    yield Note(f"report: {folder / 'report.html'}")
    return record


def words(given: str | Sequence[str]) -> tuple[str, ...]:
    """("a", "b") of "a,b", as on the command line, and of a list."""
    names = given.split(",") if isinstance(given, str) else given
    return tuple(name.strip() for name in names if name.strip())


def folder_of(out: str | Path | None) -> Path | None:
    return Path(out) if out is not None else None


def in_memory(data: Any) -> Any:
    return None if data is None or isinstance(data, str | Path) else data
