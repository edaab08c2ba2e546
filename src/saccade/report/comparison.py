"""The page of a comparison: which recipe is better, by how much, on which images, and what would tell more."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from saccade.experiment.compare import looked_before
from saccade.experiment.looks import EACH_LOOK, TWICE, spelled
from saccade.experiment.verdict import own_fields, sized
from saccade.report.charts import HEIGHT, Frame, svg
from saccade.report.html import MINUS, document, percent, section, signed, table, tag, text
from saccade.report.pictures import gallery, picture
from saccade.report.studies import forest
from saccade.wording import half_width, in_points

Record = dict[str, Any]
SHOWN = 12


def compare_page(record: Record, pictures: Mapping[str, np.ndarray]) -> str:
    pairs = record["pairs"]
    head = tag("p", f"a comparison on {text(record['data'])}", class_="kicker")
    before = f" {capital(looked_before(record['looks']))}." if record["looks"] > 1 else ""
    differ = f"{capital('; '.join(map(sized, pairs))).replace('-', MINUS)}. " if pairs else ""
    lead = f"{differ}{trained(record)} {certainty(record) if pairs else ''}{twice(record)}{before}{overrun(record)}"
    body = [
        tag("header", head + tag("h1", text(named(record))) + tag("p", text(lead), class_="lead")),
        section("The difference", differences(pairs)) if pairs else "",
        section("What to buy next" if pairs else "What to do", *paragraphs(record["advice"]), bought(record["purchases"])),
        section("The recipes", recipes(record["recipes"]), untrained(record["recipes"])),
        section("Fold by fold", *(fold_by_fold(pair) for pair in pairs)) if pairs else "",
        *(flips(pair, record["classes"], pictures) for pair in pairs),
        section("Where the spread comes from", *(spread(pair) for pair in pairs)) if pairs else "",
        tag("footer", f"Saccade, {text(record['study'])}; the test part that the data give was not read"),
    ]
    return document(f"Comparison on {record['data']}", "".join(body), "studies")


def trained(record: Record) -> str:
    """How much each recipe was trained; of several with a budget, those that were settled early were trained less."""
    said, there = dict[int, list[str]](), scored(record["recipes"])
    for name, row in there.items():
        said.setdefault(row["repeats"], []).append(name)
    alike = len(said) == 1 and len(there) == len(record["recipes"])
    runs = record["folds"] * record["seeds"]
    each = "; ".join(
        f"{'each recipe' if alike else ' and '.join(names)}: {record['folds']} folds, divided {times(repeats)}, "
        f"trained {times(record['seeds'])}, {runs * repeats} runs"
        for repeats, names in said.items()
    )
    return (
        f"{record['images']:,} images, each scored by networks that had not seen it. {capital(each)}, on the same images."
    )


def scored(rows: Mapping[str, Record]) -> dict[str, Record]:
    """The recipes that could be trained."""
    return {name: row for name, row in rows.items() if "failed" not in row}


def untrained(rows: Mapping[str, Record]) -> str:
    """Why the others could not; nothing where there are none."""
    failed = [f"{name}: {row['failed']}" for name, row in rows.items() if "failed" in row]
    words = "Could not be trained, and so has no score: without one fold not every image has one."
    return tag("p", words) + tag("ul", "".join(tag("li", text(each)) for each in failed)) if failed else ""


def overrun(record: Record) -> str:
    """That the budget was not kept, where one round has taken more."""
    budget = record.get("budget")
    if budget is None or budget["round_seconds"] <= budget["seconds"]:
        return ""
    took, paid = spelled(budget["round_seconds"]), spelled(budget["seconds"])
    return f" One round of folds takes {took}, more than the budget of {paid}."


def certainty(record: Record) -> str:
    """What the intervals hold for, and when something is said of a pair."""
    pairs, level, single = len(record["pairs"]), percent(record["level"]), percent(record["interval_level"])
    together = f"All {pairs} together, the intervals are at {level}, each by itself at {single} (Bonferroni)"
    intervals = f"Intervals are at {level}" if pairs == 1 else together
    adjusted = "" if pairs == 1 else f", p values times {pairs} to match"
    return (
        f"{intervals}, and hold for other training images and seeds too{adjusted}. One is called better where its "
        f"interval leaves out zero, two equivalent where both one-sided tests place the difference within "
        f"{100 * record['margin']:g} percentage points, which are taken not to matter."
    )


def twice(record: Record) -> str:
    """Why the level is another than of --repeats, where a budget paid for several rounds."""
    return f" {capital(TWICE)}." if record["pairs"] and record["level"] == EACH_LOOK else ""


def bought(rows: Sequence[Record]) -> str:
    """For each undecided pair, what twice as many repeats, seeds or images would tell, and how many would decide."""
    if not rows:
        return ""
    cells = [
        [
            f"{row['b']} minus {row['a']}",
            {"repeats": "repeats of the folds", "seeds": "seeds in a fold", "images": "images"}[row["kind"]],
            half_width(row["doubled"]) if row["doubled"] is not None else "not known from one seed",
            worded(row),
            f"{row['runs']:,}" if row["runs"] is not None else "",
        ]
        for row in rows
    ]
    return table(
        ("", "more", "interval with twice as many, percentage points", "would decide", "further runs"), cells, numbers=2
    )


def worded(row: Record) -> str:
    if row["doubled"] is None:
        return ""
    if row["enough"] is None:
        return "no affordable number"
    return f"{row['enough']} times as many" if row["kind"] == "images" else f"{row['enough']} more"


def named(record: Record) -> str:
    """The headline, with the network of the better one where that is what differs."""
    rows, words = record["recipes"], record["headline"]
    winner = rows.get(record["verdict"])
    several = len({row["network"] for row in rows.values()}) > 1
    if winner and several:
        return words.replace(record["verdict"], f"{record['verdict']}, {winner['network']},", 1)
    return words if words.split()[0] in rows else capital(words)


def paragraphs(words: str) -> list[str]:
    return [tag("p", text(line)) for line in words.splitlines()]


def times(count: int) -> str:
    return {1: "once", 2: "twice"}.get(count, f"{count} times")


def capital(words: str) -> str:
    return words[:1].upper() + words[1:]


def differences(pairs: Sequence[Record]) -> str:
    top = 1.5 * max(max(abs(pair["difference"]["low"]), abs(pair["difference"]["high"])) for pair in pairs) or 1.0
    rows = [
        [
            f"{pair['b']} minus {pair['a']}",
            forest(pair["difference"], top),
            signed(pair["difference"]["value"]),
            f"{signed(pair['difference']['low'])} to {signed(pair['difference']['high'])}",
            f"{pair['p']:.3g}",
            f"{pair['p_equivalent']:.3g}",
            text(pair["verdict"] if pair["verdict"] not in (pair["a"], pair["b"]) else f"{pair['verdict']} better"),
        ]
        for pair in pairs
    ]
    columns = (
        "accuracy",
        "difference",
        "percentage points",
        "interval",
        "p, no difference",
        "p, not equivalent",
        "verdict",
    )
    return table(columns, rows, numbers=2)


def recipes(rows: Mapping[str, Record]) -> str:
    cells = [
        [
            tag("b", text(name)),
            text(row["network"]),
            text(own_fields(row) or "–"),
            *(["–"] * 5 if "failed" in row else measures(row)),
        ]
        for name, row in rows.items()
    ]
    columns = ("", "network", "what is its own", "accuracy", "95 % interval", "log loss", "parameters", "a run")
    return table(columns, cells, numbers=3)


def measures(row: Record) -> list[str]:
    return [
        percent(row["accuracy"]["value"]),
        f"{percent(row['accuracy']['low'])} to {percent(row['accuracy']['high'])}",
        f"{row['log_loss']:.4f}",
        f"{row['parameters']:,}",
        f"{row['seconds_of_a_run']:.1f} s",
    ]


def fold_by_fold(pair: Record) -> str:
    """A line for each fold from the accuracy of a to that of b."""
    sides = [np.array(pair["by_fold"][name]).ravel() for name in ("a", "b")]
    every = np.concatenate(sides)
    margin = float(np.ptp(every)) * 0.1 or 0.01
    frame = Frame((-0.2, 1.2), (max(0.0, float(every.min()) - margin), min(1.0, float(every.max()) + margin)))
    parts = [frame.heights()]
    for low, high in zip(*sides, strict=True):
        side = "up" if high > low else "down" if high < low else "open"
        ends = f'x1="{frame.x(0):.1f}" y1="{frame.y(low):.1f}" x2="{frame.x(1):.1f}" y2="{frame.y(high):.1f}"'
        parts.append(f'<line class="range {side}" {ends}/>')
    for x, name in enumerate((pair["a"], pair["b"])):
        label = f'<text class="label" x="{frame.x(x):.1f}" y="{HEIGHT - 30}" text-anchor="middle">{text(name)}</text>'
        parts.append(label)
    better = int((sides[1] > sides[0]).sum())
    note = tag("span", f"{pair['b']} is ahead in {better} of {len(sides[0])} folds", class_="note")
    title = f"Accuracy of {pair['a']} and {pair['b']}"
    return tag("figure", tag("figcaption", tag("b", title) + note) + svg(f"{title}, fold by fold", "".join(parts)))


def flips(pair: Record, classes: Sequence[str], pictures: Mapping[str, np.ndarray]) -> str:
    found, a, b = pair["flips"], pair["a"], pair["b"]
    grouped = pair["units"] < pair["difference"]["n"]
    drawn = f"{pair['units']:,} groups of images" if grouped else "images"
    test = "permutation test over groups" if grouped else "exact McNemar"
    gained, lost = (round(found[way], 1) for way in ("wrong_to_right", "right_to_wrong"))  # means over runs
    these = in_points(pair["these_networks"]).replace("-", MINUS)
    words = (
        f"Of the images of a run, {gained:,.9g} are right with {b} and wrong with {a}, {lost:,.9g} the other "
        f"way round. For these very networks, the difference is {these}, bootstrap over {drawn}; of the first run of each, "
        f"{test}, {pair['mcnemar']['only_b']:,} against {pair['mcnemar']['only_a']:,}, p = {pair['mcnemar']['p']:.3g}."
    )
    parts = [tag("p", text(words))]
    for key, title in (("better", f"Right with {b}, wrong with {a}"), ("worse", f"Right with {a}, wrong with {b}")):
        shown = [flipped(each, classes, (a, b), pictures) for each in found[key][:SHOWN]]
        parts.append(tag("h3", text(title)) + (gallery(shown) if shown else tag("p", "None.")))
    return section(f"Images that change sides, {a} and {b}", *parts)


def flipped(example: Record, classes: Sequence[str], names: tuple[str, str], pictures: Mapping[str, np.ndarray]) -> str:
    truth, a, b = (classes[example[key]] for key in ("truth", "a", "b"))
    words = f"is {truth}; {names[0]} says {a}, {names[1]} {b}"
    return picture(example["id"], words, text(words), pictures)


def spread(pair: Record) -> str:
    """The variance of the measured difference by its sources."""
    found, units = pair["components"], pair["units"]
    names = {
        "image": (1 / units, "which images are scored"),
        "split": (1.0, "how the images are divided into folds"),
        "seed": (1.0, "the seed of training"),
        "image_by_split": (1 / units, "images that another division scores otherwise"),
        "residual": (1 / units, "the rest"),
    }
    rows = []
    for name, (factor, words) in names.items():
        value = found[name]
        known = value is not None
        rows.append(
            [words, half_width(1.96 * (value * factor) ** 0.5) if known else "not told apart; it takes repeats and seeds"]
        )
    return table(
        (f"{pair['b']} minus {pair['a']}: source of chance", "what it does to one run, 95 %, percentage points"), rows
    )
