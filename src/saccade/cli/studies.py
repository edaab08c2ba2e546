"""The commands that train many times: tune-rate, race, ablate, compare, crossval, and curves."""

import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from saccade.cli.parsing import SHORT, Parser, answer, nested, numbers, scalar, show
from saccade.errors import InputError, suggestion

OUT = "the study's folder; that of a stopped study goes on with it"


def tune_rate(parser: Parser, words: list[str]) -> int:
    parser.add_argument("--from", dest="low", type=float, default=1e-5, metavar="R", help="first rate (default 1e-5)")
    parser.add_argument("--to", dest="high", type=float, default=10.0, metavar="R", help="last rate (default 10)")
    parser.add_argument("--steps", type=int, default=100, metavar="N", help="rates between them, one a step (default 100)")
    parser.add_argument(
        "--out",
        default="tune-rate.html",
        metavar="FILE",
        help="the page to write, a file that ends in .html (default tune-rate.html)",
    )
    options, given = parser.parse_recipe(words)

    from saccade import commands

    work = commands.tune_rate(options.data, options.low, options.high, options.steps, options.out, **given)
    return answer(
        show(work),
        options.json,
        lambda r: f"suggested rate for {r['rule']}: {r['suggestion']:g} (the loss is lowest at {r['highest']:g})",
    )


def race(parser: Parser, words: list[str]) -> int:
    parser.add_argument(
        "--rules", default="sgd,momentum,nesterov,adam", metavar="A,B", help="names of rules, see the recipe"
    )
    parser.add_argument(
        "--tries", type=int, default=3, metavar="N", help="rates tried for each rule at first, an odd number (default 3)"
    )
    add_common(parser)
    options, given = parser.parse_recipe(words)

    from saccade import commands

    def in_words(record: dict[str, Any]) -> str:
        from saccade.experiment.race import ranked, row_in_words

        return "\n".join(map(row_in_words, ranked(record["rules"])))

    kept = {"rates": options.tries, **{name: getattr(options, name) for name in ("rules", "seeds", "engine", "out")}}
    work = commands.race(options.data, **kept, **given)
    return studied(work, options.json, in_words)


def ablate(parser: Parser, words: list[str]) -> int:
    from saccade.experiment.regularizers import REGULARIZERS

    parser.add_argument(
        "--only", default=(), metavar="A,B", help=f"regularizers to try (default all: {', '.join(REGULARIZERS)})"
    )
    parser.add_argument("--folds", type=int, default=1, metavar="K", help="parts that validate in turn (default 1)")
    add_common(parser)
    options, given = parser.parse_recipe(words)

    from saccade import commands

    def in_words(record: dict[str, Any]) -> str:
        from saccade.experiment.ablate import row_in_words, summary

        return "\n".join([*map(row_in_words, record["rows"]), summary(record["rows"])])

    names = ("only", "seeds", "folds", "engine", "out")
    work = commands.ablate(options.data, **{name: getattr(options, name) for name in names}, **given)
    return studied(work, options.json, in_words)


def compare(parser: Parser, words: list[str]) -> int:
    parser.usage = "saccade compare DATA --b.network plain20 [--a.FIELD X] [--b RECIPE] [--c.FIELD X] [--folds 5] [options]"
    parser.description = (
        "Which of two or more recipes is better on your images. a, b and so on to h start as the recipe of the options "
        "below; --b.network X (and any other field) changes b alone, --b FILE starts it from another recipe."
    )
    words, own = lettered(words)
    words = joined(words, "--budget")
    add_folds(parser)
    parser.add_argument(
        "--margin", type=float, default=0.005, metavar="D", help="a difference that would not matter (default 0.005)"
    )
    parser.add_argument("--budget", metavar="TIME", help="such as 20min: as many repeats as that pays for")
    add_study(parser)
    options, given = parser.parse_recipe(words)

    from saccade import commands

    def in_words(record: dict[str, Any]) -> str:
        from saccade.experiment.verdict import sized, together

        rows = [f"{name}  {scored_row(row)}" for name, row in record["recipes"].items()]
        joint = [together(record)] if len(record["pairs"]) > 1 else []
        return "\n".join([record["headline"], *map(sized, record["pairs"]), *joint, *rows, record["advice"]])

    names = ("folds", "repeats", "seeds", "margin", "budget", "engine", "out")
    work = commands.compare(options.data, **{name: getattr(options, name) for name in names}, **given, **own)
    return studied(work, options.json, in_words, comparable)


def comparable(record: dict[str, Any]) -> int:
    """The exit code: 2 where a recipe alone is left."""
    from saccade.experiment.verdict import NOT_COMPARABLE

    return 2 if record["verdict"] == NOT_COMPARABLE else 0


def scored_row(row: dict[str, Any]) -> str:
    from saccade.experiment.verdict import own_fields

    own = own_fields(row)
    named = f"{row['network']}{f' ({own})' if own else ''}"
    if "failed" in row:
        return f"{named}: {row['failed']}"
    score = row["accuracy"]
    return f"{named}: {score['value']:.4f} ({score['low']:.4f} to {score['high']:.4f})"


def crossval(parser: Parser, words: list[str]) -> int:
    add_folds(parser)
    parser.add_argument(
        "--search",
        nargs="+",
        action="extend",
        default=[],
        metavar="F=A,B",
        help="values to choose from, such as lr=0.01,0.1 wd=0,5e-4: inner folds choose, outer folds report",
    )
    parser.add_argument("--inner", type=int, default=3, metavar="K", help="folds that choose (default 3)")
    parser.add_argument("--final", action="store_true", help="then train on all images, with what is chosen")
    add_study(parser)
    options, given = parser.parse_recipe(words)

    from saccade import commands

    names = ("folds", "repeats", "seeds", "inner", "final", "engine", "out")
    kept = {name: getattr(options, name) for name in names}
    work = commands.crossval(options.data, search=searched(options.search, "search"), **kept, **given)
    return studied(work, options.json, scored)


def bias_variance(parser: Parser, words: list[str]) -> int:
    parser.add_argument(
        "--vary",
        nargs="+",
        action="extend",
        default=[],
        metavar="F=A,B",
        help="a field and its values, such as network.width=0.25,0.5,1",
    )
    parser.add_argument("--members", type=int, default=10, metavar="M", help="bootstrap samples of each value (default 10)")
    add_study(parser)
    options, given = parser.parse_recipe(words)

    from saccade import commands

    def in_words(record: dict[str, Any]) -> str:
        from saccade.experiment.curves import left_out, words_of
        from saccade.experiment.lowest import headline

        lowest = [headline(record["field"], record["rows"])] if len(record["rows"]) > 1 else []
        return "\n".join([*(words_of(record["field"], row) for row in record["rows"]), *lowest, *left_out(record)])

    work = commands.bias_variance(
        options.data, searched(options.vary, "vary"), options.members, options.engine, options.out, **given
    )
    return studied(work, options.json, in_words)


def learning_curve(parser: Parser, words: list[str]) -> int:
    parser.add_argument(
        "--sizes", default="", metavar="A,B", help="training images (default all of them, half, and so on down)"
    )
    parser.add_argument("--seeds", type=int, default=5, metavar="N", help="trainings of each size (default 5)")
    add_study(parser)
    options, given = parser.parse_recipe(words)

    from saccade import commands

    def in_words(record: dict[str, Any]) -> str:
        from saccade.experiment.curves import gained, grown, left_out

        return "\n".join([*map(grown, record["rows"]), *gained(record["rows"]), *left_out(record)])

    sizes = numbers(options.sizes) if options.sizes else []
    if not isinstance(sizes, list) or not all(isinstance(size, int) for size in sizes):
        raise InputError(f'sizes: whole numbers, such as 100,1000, not "{options.sizes}"')
    work = commands.learning_curve(options.data, sizes, options.seeds, options.engine, options.out, **given)
    return studied(work, options.json, in_words)


def scored(record: dict[str, Any]) -> str:
    from saccade.experiment.suspects import FILE

    score, suspects = record["scores"]["out_of_fold"]["accuracy"], record["label_errors_found"]
    lines = [
        f"accuracy {score['value']:.4f} (95 % interval {score['low']:.4f} to {score['high']:.4f}, n = {score['n']:,}), "
        f"each image scored by networks that had not seen it"
    ]
    lines += [f"{suspects:,} labels to look at: {Path(record['study']) / FILE}"] if suspects else []
    lines += [f"trained on all images: {record['final']}"] if "final" in record else []
    lines += [f"the run on all images: {record['final_failed']}"] if "final_failed" in record else []
    return "\n".join(lines)


def searched(words: list[str], option: str) -> dict[str, list[Any]]:
    """{"optimizer.lr": [0.01, 0.1], ...} of "lr=0.01,0.1,wd=0" and of the same in several words."""
    found: dict[str, list[Any]] = {}
    name = typed = ""
    for part in ",".join(words).split(",") if words else ():
        before, equals, value = part.rpartition("=")
        if equals:
            typed = before
            name = next((field for field, short in SHORT.items() if f"--{before}" in short), before.strip("-"))
        if not name:
            raise InputError(f'{option}: write a field and its values, such as lr=0.01,0.1, not "{part}"')
        if not value:
            raise InputError(f"{option}: {typed} has an empty value; write {typed}=0.01,0.1")
        found.setdefault(name, []).append(scalar(value))
    return found


def lettered(words: list[str]) -> tuple[list[str], dict[str, Any]]:
    """The words without those of single recipes, and these: `--b.optimizer.lr 0.1` is {"b": {"optimizer": {"lr": 0.1}}}."""
    from saccade.experiment.recipe import field_names

    rest, given, i = [], dict[str, dict[str, str]](), 0
    names = field_names()
    while i < len(words):
        found = re.fullmatch(r"--([a-z])(?:\.([\w.]+))?(?:=(.*))?", words[i])
        i += 1
        if found is None:
            rest.append(words[i - 1])
            continue
        letter, field, value = found[1], found[2] or "recipe", found[3]
        if letter > "h":
            raise InputError(f"compare: recipes are --a to --h, there is no --{letter}")
        field = next((name for name, short in SHORT.items() if f"--{field}" in short), field)
        if field != "recipe" and field not in names:
            raise InputError(f'compare: there is no field "{field}" for --{letter}.{field}{suggestion(field, names)}')
        if value is None:
            if i == len(words) or words[i].startswith("--"):
                raise InputError(f"compare: --{letter}{'.' + field if found[2] else ''} needs a value")
            value, i = words[i], i + 1
        given.setdefault(letter, {})[field] = value
    return rest, {letter: nested(fields) for letter, fields in given.items()}


def joined(words: list[str], option: str) -> list[str]:
    """With the option and its value in one word: argparse would take "-5s" for an option of its own."""
    found: list[str] = []
    for word in words:
        if found[-1:] == [option] and not word.startswith("--"):
            found[-1] = f"{option}={word}"
        else:
            found.append(word)
    return found


def add_common(parser: Parser) -> None:
    parser.add_argument("--seeds", type=int, default=3, metavar="N", help="runs of each, with their own seeds (default 3)")
    add_study(parser)


def add_folds(parser: Parser) -> None:
    parser.add_argument("--folds", type=int, default=5, metavar="K", help="parts that are scored in turn (default 5)")
    parser.add_argument("--repeats", type=int, default=1, metavar="R", help="divisions into folds (default 1)")
    parser.add_argument("--seeds", type=int, default=1, metavar="N", help="trainings of each fold (default 1)")


def add_study(parser: Parser) -> None:
    parser.add_argument(
        "--engine", default="auto", metavar="E", help="serial, processes, batched, or auto (measured; default)"
    )
    parser.add_argument("--out", metavar="DIR", help=OUT)


def studied(work: Any, as_json: bool, text: Callable[[Any], str], code: Callable[[Any], int] = lambda record: 0) -> int:
    """Show the work and its answer; the exit code is what `code` makes of it, 130 where the user has stopped it."""
    from saccade.events import Interrupted

    shown: list[str] = []
    try:
        record = show(noting(work, shown) if not as_json and on_one_screen() else work)
    except Interrupted as stop:
        folder = Path(str(stop)).parent
        print(f"\nstopped; nothing is lost: the same words with --out {folder} go on", file=sys.stderr)
        return 130
    answer(record, as_json, lambda r: unseen(text(r), shown))
    return code(record)


def on_one_screen() -> bool:
    """Whether results and progress are read in one place: on a terminal, or in a pipe after `2>&1`."""
    try:
        return os.path.sameopenfile(sys.stdout.fileno(), sys.stderr.fileno())
    except (OSError, AttributeError):  # no files, as in a notebook
        return sys.stdout is sys.stderr


def noting(work: Any, shown: list[str]) -> Any:
    """The same work, of which `shown` keeps the lines that a person sees while it goes on, in their order."""
    from saccade.events import Note, retold

    def tell(event: Any) -> Any:
        if isinstance(event, Note):
            shown.extend(event.text.splitlines())
        return event

    return retold(work, tell)


def unseen(lines: str, shown: list[str]) -> str:
    """Nothing where all lines are on the screen already in this order; else all of them, as the order may be the answer."""
    before = iter(shown)
    return "" if all(line in before for line in lines.splitlines()) else lines
