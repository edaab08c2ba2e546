"""The commands that train networks which decide together: bag, boost."""

from typing import Any

from saccade.cli.parsing import Parser
from saccade.cli.studies import add_study, studied
from saccade.wording import in_points

OUT = "the run folder; that of a stopped one goes on with it"


def bag(parser: Parser, words: list[str]) -> int:
    add_members(parser, 10, "networks, each trained on its own bootstrap sample")
    add_study(parser)
    options, given = parser.parse_recipe(words)

    from saccade import commands

    work = commands.bag(options.data, options.members, options.engine, options.out, **given)
    return studied(work, options.json, in_words)


def boost(parser: Parser, words: list[str]) -> int:
    add_members(parser, 5, "networks, each trained on what those before it get wrong")
    parser.add_argument("--out", metavar="DIR", help=OUT)
    options, given = parser.parse_recipe(words)

    from saccade import commands

    return studied(commands.boost(options.data, options.members, options.out, **given), options.json, in_words)


def add_members(parser: Parser, count: int, meaning: str) -> None:
    parser.add_argument("--members", type=int, default=count, metavar="M", help=f"{meaning} (default {count})")


def in_words(record: dict[str, Any]) -> str:
    """The score, what it is more than that of the members, and the score out of bag."""
    failed = record.get("failed", [])
    count = f"{len(record['members'])}{f' ({len(failed)} failed and left out)' if failed else ''}"
    lines = []
    for part in [part for part in ("test", "validation") if part in record["scores"]][:1]:
        score, gain = record["scores"][part]["accuracy"], record["gain"]
        lines += [f"{part} accuracy {of(score)}, {record['seconds']:.0f} s"]
        lines += [f"{in_points(gain)} against {gain['over']}, of {count}"]
    found = record.get("out_of_bag", {})
    if found.get("images"):
        lines += [f"out of bag {of(found['scores']['accuracy'])}"]
    return "\n".join(lines or [f"trained; nothing was held back to measure it. {record['run']}"])


def of(score: dict[str, float]) -> str:
    return f"{score['value']:.4f} (95 % interval {score['low']:.4f} to {score['high']:.4f}, n = {score['n']:,})"
