"""The commands that train many times to find out something: tune-rate, race, ablate, compare.

What works with torch is imported in each of them once its words have been checked: a slip is answered at once.
"""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from saccade.commands.training import pictures_of, recipe_of, report_of
from saccade.errors import InputError
from saccade.events import Note, Work
from saccade.experiment import folder
from saccade.experiment.contenders import check_recipes, not_shared
from saccade.experiment.recipe import Recipe
from saccade.experiment.recipe_files import read_recipe, recipe_file
from saccade.experiment.settings import (
    SIZE,
    Ablation,
    Comparison,
    CrossValidation,
    Curve,
    Folds,
    Race,
    RangeTest,
    check_engine,
    check_free,
    check_members,
    with_value,
)
from saccade.writing import check_output, write_text

Record = dict[str, Any]
LETTERS = "abcdefgh"


def tune_rate(
    data: Any = None,
    low: float = 1e-5,
    high: float = 10.0,
    steps: int = 100,
    out: str | Path | None = None,
    **fields: Any,
) -> Work[Record]:
    """The loss at growing rates, and the rate that it suggests; with `out`, a page. `fields` as for train."""
    file = Path(out) if out is not None else None
    if file is not None:
        if file.suffix != ".html":
            raise InputError(f"tune-rate: --out is a page, a file that ends in .html, not {file}")
        check_output(file, ".html")
    test, recipe = RangeTest(low, high, steps), recipe_of(data, **fields)

    from saccade.experiment.tune import tune_rate as work
    from saccade.report.studies import rate_page

    record = yield from work(recipe, test, in_memory(data))
    record = {"data": recipe.data, **record}
    if file is not None:
        write_text(file, rate_page(record))
        yield Note(f"wrote {file}")
    return record


def race(  # noqa: PLR0913 - the words of the command line
    data: Any = None,
    rules: str | Sequence[str] = ("sgd", "momentum", "nesterov", "adam"),
    rates: int = 3,
    seeds: int = 3,
    engine: str = "auto",
    out: str | Path | None = None,
    **fields: Any,
) -> Work[Record]:
    """Update rules on the same network, images, seeds and epochs, each at the best of some rates; a page with curves."""
    settings = Race(words(rules), rates, seeds, engine)
    check_free(fields)
    recipe, place = recipe_of(data, **fields), folder_of(out)

    from saccade.experiment.race import race as work
    from saccade.experiment.trajectories import watched
    from saccade.report.studies import race_page

    record = yield from work(recipe, settings, place, in_memory(data))
    return (yield from kept(record, race_page(record, watched(settings.rules))))


def ablate(  # noqa: PLR0913 - the words of the command line
    data: Any = None,
    only: str | Sequence[str] = (),
    seeds: int = 3,
    folds: int = 1,
    engine: str = "auto",
    out: str | Path | None = None,
    **fields: Any,
) -> Work[Record]:
    """Each regularizer of the recipe switched off in turn, each absent one on; a table of differences with intervals."""
    names = words(only)
    if not names and (isinstance(only, str) or only):  # `--only ,`, or a shell variable that is empty
        raise InputError("ablate: --only names no regularizer; leave it out for all (`saccade ablate --help` names them)")
    settings = Ablation(names, seeds, folds, engine)
    recipe, place = recipe_of(data, **fields), folder_of(out)

    from saccade.experiment.ablate import ablate as work
    from saccade.report.studies import ablation_page

    record = yield from work(recipe, settings, place, in_memory(data))
    return (yield from kept(record, ablation_page(record)))


def compare(  # noqa: PLR0913 - the words of the command line
    data: Any = None,
    folds: int = 5,
    repeats: int = 1,
    seeds: int = 1,
    margin: float = 0.005,
    budget: float | str | None = None,
    engine: str = "auto",
    out: str | Path | None = None,
    **fields: Any,
) -> Work[Record]:
    """Which of several recipes is better, on the same folds and seeds: a verdict, a difference with its interval, a page.

    `a`, `b` and so on to `h` (a by default as it is) are recipes: a name, a file, or a dictionary of fields, which may have
    "recipe" in it, `b={"network": "plain20"}`. All other fields as for train, for all recipes. `margin`: a difference in
    accuracy that would not matter. `budget`: "20min", or seconds; repeats are then what it pays for. A recipe of which a
    run fails has "failed", why, in place of scores; where one alone is left the verdict is "not comparable".
    """
    own = {name: fields.pop(name) for name in LETTERS if name in fields}
    how = Comparison(Folds(folds, repeats, seeds), margin, seconds_of(budget), engine)
    recipes = {name: lettered(name, data, own.get(name, {}), fields) for name in sorted({"a", *own})}
    check_recipes(recipes)
    place = folder_of(out)
    yield from overruled(data, own)

    from saccade.experiment.compare import compare as work
    from saccade.report.comparison import compare_page

    record = yield from work(recipes, how, place, in_memory(data))
    shown = [each["id"] for pair in record["pairs"] for key in ("better", "worse") for each in pair["flips"][key]]
    return (yield from kept(record, compare_page(record, pictures_of(record["fingerprint"], shown))))


def crossval(  # noqa: PLR0913 - the words of the command line
    data: Any = None,
    folds: int = 5,
    repeats: int = 1,
    seeds: int = 1,
    search: Mapping[str, Sequence[Any]] | None = None,
    inner: int = 3,
    final: bool = False,
    engine: str = "auto",
    out: str | Path | None = None,
    **fields: Any,
) -> Work[Record]:
    """The score of a recipe on every image, each scored by networks that have not seen it; with likely label errors.

    `search`: values to choose from, `{"optimizer.lr": [0.01, 0.1]}`: `inner` folds of each training part choose, the outer
    folds report. `final`: then train on all images with what is chosen, into the folder `final` of the study.
    """
    how = CrossValidation(Folds(folds, repeats, seeds), search or {}, inner, final, engine)
    recipe, place = recipe_of(data, **fields), folder_of(out)
    how.recipes(recipe)

    from saccade.experiment.crossval import cross_validate
    from saccade.report.crossval import crossval_page

    record = yield from cross_validate(recipe, how, place, in_memory(data))
    shown = [each["id"] for each in record["label_errors"]]
    record = yield from kept(record, crossval_page(record, pictures_of(record["fingerprint"], shown)))
    if "final" in record:
        yield from report_of(Path(record["final"]), folder.read_record(Path(record["final"])))
    return record


def bias_variance(
    data: Any = None,
    vary: Mapping[str, Sequence[Any]] | None = None,
    members: int = 10,
    engine: str = "auto",
    out: str | Path | None = None,
    **fields: Any,
) -> Work[Record]:
    """Error, bias and variance over bootstrap members, as a curve over the values of one field; a page.

    `vary`: the field and its values, `{"optimizer.weight_decay": [0, 1e-3]}`; `{"network.width": [0.25, 1.0]}` for an
    option of the network; `{"split.images": [100, 1000]}` for training images. Unset: the recipe as it is.
    """
    recipe = recipe_of(data, **fields)
    varied = dict(vary) if vary else {"epochs": [recipe.epochs]}
    if len(varied) != 1:
        raise InputError(f"vary: one field, not {len(varied)} ({', '.join(varied)})")
    ((field, values),) = varied.items()
    curve = Curve(field, values, members, engine)
    curve.recipes(recipe)
    place = folder_of(out)

    from saccade.experiment.curves import bias_variance as work
    from saccade.report.curves import bias_variance_page

    record = yield from work(recipe, curve, place, in_memory(data))
    return (yield from kept(record, bias_variance_page(record)))


def learning_curve(
    data: Any = None,
    sizes: Sequence[int] = (),
    seeds: int = 5,
    engine: str = "auto",
    out: str | Path | None = None,
    **fields: Any,
) -> Work[Record]:
    """Accuracy after training on more and more images, several seeds each; what the last doubling brought; a page."""
    check_members(seeds, "seeds")
    check_engine(engine)
    recipe, place = recipe_of(data, **fields), folder_of(out)
    with_value(recipe, SIZE, min(sizes, default=None))  # what it refuses is told before any data are read

    from saccade.experiment.curves import learning_curve as work
    from saccade.report.curves import learning_page

    record = yield from work(recipe, sizes, seeds, engine, (place, in_memory(data)))
    return (yield from kept(record, learning_page(record)))


def lettered(letter: str, data: Any, own: str | Path | dict[str, Any], common: dict[str, Any]) -> Recipe:
    """The recipe of one letter: the fields for all, then its own; InputError that names the letter.

    Data of its own are for a comparison that names none for all.
    """
    own = worded(own)
    both, its = dict(common), own.pop("data", data)
    if not same_data(its, data) and (data is not None or in_memory(its) is not None):
        raise not_shared("a", "b" if letter == "a" else letter, "data")
    for name, value in own.items():
        known = both.get(name)
        both[name] = known | value if isinstance(value, dict) and isinstance(known, dict) else value
    try:
        return recipe_of(its, **both)
    except InputError as error:
        raise InputError(f"{letter}: {error}") from None


def same_data(one: Any, other: Any) -> bool:
    return one is other or (in_memory(one) is in_memory(other) is None and str(one) == str(other))


def worded(own: str | Path | dict[str, Any]) -> dict[str, Any]:
    """The words of one letter: a name or a file is its recipe."""
    return {"recipe": own} if isinstance(own, str | Path) else dict(own)


def overruled(data: Any, own: Mapping[str, str | Path | dict[str, Any]]) -> Work[None]:
    """A note for each recipe file that names other data than are compared on: DATA wins, as it does in train."""
    if data is None:
        return
    for letter, words_ in own.items():
        file = worded(words_).get("recipe")
        said = read_recipe(recipe_file(file)).get("data") if file is not None else None
        if said is not None and str(said) != str(data):
            here = data if in_memory(data) is None else "the images in memory"
            yield Note(f"{letter}: the recipe says data: {said}; compared is on {here}, as on the command line")


def seconds_of(budget: float | str | None) -> float | None:
    """1200.0 of "20min", of "0.33h" nearly, of "1200s" and of 1200."""
    if budget is None or isinstance(budget, int | float):
        return budget
    found = re.fullmatch(r"([\d.]+)\s*(s|sec|m|min|h)?", budget.strip())
    try:
        assert found is not None
        return float(found[1]) * {"s": 1, "sec": 1, "m": 60, "min": 60, "h": 3600}[found[2] or "s"]
    except (AssertionError, ValueError) as error:
        raise InputError(f'budget: a positive time such as 90s, 20min or 2h, not "{budget}"') from error


def kept(record: Record, page: str) -> Work[Record]:
    """Written into the study's folder, as JSON and as a page."""
    place = Path(record["study"])
    write_text(place / "record.json", json.dumps(record, indent=1) + "\n")
    write_text(place / "report.html", page)
    yield Note(f"report: {place / 'report.html'}")
    return record


def words(given: str | Sequence[str]) -> tuple[str, ...]:
    """("a", "b") of "a,b", as on the command line, and of a list."""
    names = given.split(",") if isinstance(given, str) else given
    return tuple(name.strip() for name in names if name.strip())


def folder_of(out: str | Path | None) -> Path | None:
    place = Path(out) if out is not None else None
    folder.check_free_or_study(place)
    return place


def in_memory(data: Any) -> Any:
    return None if data is None or isinstance(data, str | Path) else data
