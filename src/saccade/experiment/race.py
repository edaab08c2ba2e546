"""Update rules against each other: the same network, images, seeds and epochs, each rule at the rate that suits it."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from saccade import statistics
from saccade.events import Note, Work
from saccade.experiment.division import check_scored
from saccade.experiment.engine import prepare_all, settle
from saccade.experiment.members import Member, seeded
from saccade.experiment.recipe import Recipe
from saccade.experiment.settings import DECIDED, Race
from saccade.experiment.study import Study, open_study, validation_accuracy
from saccade.optim import find_rule

Record = dict[str, Any]
FACTOR = 4.0  # from one rate of the search to the next
UNSTABLE = 0.1  # of accuracy, between the search and the runs
WIDEN = 3  # how often the search goes on where its last rate was the best


def race(recipe: Recipe, race: Race, place: Path | None = None, data: Any = None) -> Work[Record]:
    """Search, then run; the record has a row for each rule.

    The rate is chosen by the validation accuracy of the last epoch with the recipe's own seed; where the best lies at the
    edge, the search goes on. The chosen rate then runs with other seeds, so that the search's luck does not count, and only
    those runs read the test part.
    """
    yield from map(Note, not_counted(recipe))
    own = {rule: with_rule(recipe, rule) for rule in race.rules}
    prepared = yield from prepare_all(own, data)
    first = next(iter(prepared.values()))
    for part in ("validation", *(["test"] if len(first.indices("test")) else [])):
        check_scored(first.store, first.indices(part), "race")
    words = {"rules": list(race.rules), "rates": race.rates, "seeds": race.seeds}
    study = open_study(place, "race", recipe, words, data)
    yield Note(f"writing to {study.place}")
    settled = yield from settle(study, prepared, len(race.rules) * (race.rates + race.seeds), race.engine)
    rows = []
    for complete in settled.recipes.values():
        rows.append((yield from raced(settled.study, complete, race)))
        yield Note(row_in_words(rows[-1]))
    return {"study": str(study.place), "data": recipe.data, "epochs": recipe.epochs, "rules": rows}


def not_counted(recipe: Recipe) -> Iterator[str]:
    """A remark where a recipe file has such fields."""
    names = ", ".join(f"optimizer.{name}" for name in DECIDED if getattr(recipe.optimizer, name) is not None)
    if names:
        yield f"{names} of the recipe: not counted, in a race each rule has its own"


def with_rule(recipe: Recipe, rule: str) -> Recipe:
    """With what this rule decides by itself."""
    return recipe.changed(optimizer={**dict.fromkeys(DECIDED), "rule": rule})


def raced(study: Study, recipe: Recipe, race: Race) -> Work[Record]:
    """The row of one rule: its search, then its runs."""
    tried = yield from search(study, recipe, race.rates)
    rate, rule = max(tried, key=lambda each: tried[each]), recipe.optimizer.rule
    split = {"seed": recipe.seed if recipe.split.seed is None else recipe.split.seed}  # that of the search
    chosen = recipe.changed(seed=recipe.seed + 1, optimizer={"lr": rate}, split=split)
    members = seeded(chosen, f"{rule}-run", race.seeds)
    records = yield from study.runs(members)
    return {"rule": rule, "lr": rate, "tried": [list(each) for each in sorted(tried.items())], **outcome(study, records)}


def search(study: Study, recipe: Recipe, count: int) -> Work[dict[float, float]]:
    """The validation accuracy at each rate tried; -1 where training failed."""
    usual = find_rule(recipe.optimizer.rule).default_lr
    found: dict[float, float] = {}
    steps = [i - count // 2 for i in range(count)]
    for widened in range(WIDEN + 1):
        rates = [float(f"{usual * FACTOR**i:.3g}") for i in steps]
        new = [rate for rate in rates if rate not in found]
        if widened:
            yield study.tally.more(len(new), f"{recipe.optimizer.rule}: the best rate so far is at the edge of those tried")
        found |= yield from tried(study, recipe, new)
        ordered = sorted(found)
        best = ordered.index(max(ordered, key=lambda rate: found[rate]))
        if count == 1 or 0 < best < len(ordered) - 1:
            break
        steps = [max(steps) + 1] if best else [min(steps) - 1]
    return found


def tried(study: Study, recipe: Recipe, rates: Sequence[float]) -> Work[dict[float, float]]:
    """A run at each rate, together where the engine trains several at once."""
    fields = {"split": {"read_test": False}, "checkpoint": {"select": "last"}}
    own = recipe.changed(**fields)
    members = {
        rate: Member(f"{recipe.optimizer.rule}-search-{rate:g}", own.changed(optimizer={"lr": rate})) for rate in rates
    }
    records = yield from study.runs(list(members.values()))
    return {rate: validation_accuracy(records[member.name]) for rate, member in members.items()}


def outcome(study: Study, records: dict[str, Record]) -> Record:
    """The mean score of the runs with its interval, their curves, and how long a run took."""
    failed = [name for name, record in records.items() if "failed" in record]
    done = [name for name in records if name not in failed]
    if not done:
        return {"failed": failed}
    part = "test" if "test" in records[done[0]]["scores"] else "validation"
    curves = [[epoch["validation_accuracy"] for epoch in study.history(name)] for name in done]
    return {
        "part": part,
        "accuracy": statistics.share_over_runs(study.outcomes(done, part), groups=study.units(done[0], part)).to_dict(),
        "by_seed": [records[name]["scores"][part]["accuracy"]["value"] for name in done],
        "curves": curves,
        "seconds": float(np.median([records[name]["times"]["training"] for name in done])),
        "failed": failed,
    }


def row_in_words(row: Record) -> str:
    if "accuracy" not in row:
        return f"{row['rule']}: no run came to its end"
    score = row["accuracy"]
    found = f"{score['value']:.4f} ({score['low']:.4f} to {score['high']:.4f})"
    return f"{row['rule']}: {row['part']} accuracy {found} at a rate of {row['lr']:g}{lucky(row)}"


def lucky(row: Record) -> str:
    """A remark where the search, with its one seed, promised much more than the runs with other seeds kept."""
    promised = dict(map(tuple, row["tried"]))[row["lr"]]
    kept = float(np.mean([curve[-1] for curve in row["curves"]]))
    if promised - kept < UNSTABLE:
        return ""
    return f"; this rate is unstable: validation accuracy {promised:.3f} in the search, {kept:.3f} with other seeds"


def ranked(rows: Sequence[Record]) -> list[Record]:
    """Best first; those that failed last."""
    return sorted(rows, key=lambda row: -row["accuracy"]["value"] if "accuracy" in row else 1.0)
