"""The commands that train many times: tune-rate, race, ablate."""

import sys
from collections.abc import Callable
from typing import Any

from saccade.cli.parsing import Parser, answer, show


def tune_rate(parser: Parser, words: list[str]) -> int:
    parser.add_argument("--from", dest="low", type=float, default=1e-5, metavar="R", help="first rate (default 1e-5)")
    parser.add_argument("--to", dest="high", type=float, default=10.0, metavar="R", help="last rate (default 10)")
    parser.add_argument("--steps", type=int, default=100, metavar="N", help="rates between them, one a step (default 100)")
    parser.add_argument(
        "--out", default="tune-rate.html", metavar="FILE", help="the page to write (default tune-rate.html)"
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
    parser.add_argument("--tries", type=int, default=3, metavar="N", help="rates tried for each rule at first (default 3)")
    add_common(parser)
    options, given = parser.parse_recipe(words)

    from saccade import commands
    from saccade.experiment.race import ranked, said

    work = commands.race(options.data, options.rules, options.tries, options.seeds, options.out, **given)
    return studied(work, options.json, lambda r: "\n".join(said(row) for row in ranked(r["rules"])))


def ablate(parser: Parser, words: list[str]) -> int:
    parser.add_argument(
        "--only", default="", metavar="A,B", help='regularizers to try, such as "mixup,dropout" (default all)'
    )
    parser.add_argument("--folds", type=int, default=1, metavar="K", help="parts that validate in turn (default 1)")
    add_common(parser)
    options, given = parser.parse_recipe(words)

    from saccade import commands
    from saccade.experiment.ablate import said

    work = commands.ablate(options.data, options.only, options.seeds, options.folds, options.out, **given)
    return studied(work, options.json, lambda r: "\n".join(said(row) for row in r["rows"]))


def add_common(parser: Parser) -> None:
    parser.add_argument("--seeds", type=int, default=3, metavar="N", help="runs of each, with their own seeds (default 3)")
    parser.add_argument("--out", metavar="DIR", help="the study's folder; that of a stopped study goes on with it")


def studied(work: Any, as_json: bool, text: Callable[[Any], str]) -> int:
    from saccade.experiment.fit import Interrupted

    try:
        return answer(show(work), as_json, text)
    except Interrupted as stop:
        folder = str(stop).rpartition("/")[0]
        print(f"\nstopped; nothing is lost: the same words with --out {folder} go on", file=sys.stderr)
        return 130
