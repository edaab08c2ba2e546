"""The pages of studies: a race of update rules, an ablation of regularizers, a range test of the rate."""

from collections.abc import Sequence
from math import log10
from typing import Any

import numpy as np

from saccade.experiment.ablate import clear
from saccade.experiment.race import lucky, ranked
from saccade.report.charts import BOTTOM, HEIGHT, TOP, Frame, svg
from saccade.report.contour import crossings
from saccade.report.html import document, percent, section, signed, table, tag, text
from saccade.wording import in_points

Record = dict[str, Any]
LEVELS = 9
# Lightness and hue (OKLCH) of the lines in turn: as far apart as eleven can be, for colour-blind eyes too
COLOURS = (
    *((0.56, 195), (0.56, 50), (0.48, 285), (0.72, 100), (0.72, 280), (0.72, 180)),
    *((0.48, 10), (0.64, 325), (0.64, 75), (0.48, 230), (0.64, 160)),
)


def colour(i: int) -> str:
    lightness, hue = COLOURS[i % len(COLOURS)]
    return f"--light:{lightness};--hue:{hue}"


def race_page(record: Record, paths: dict[str, Any]) -> str:
    """Scores, curves with bands over seeds, the rates that were tried, and the way of each rule over classic surfaces."""
    rows = [row for row in ranked(record["rules"]) if "accuracy" in row]
    if not rows:
        sorry = tag("h1", "No rule came to its end")
        return document("Update rules", tag("header", sorry) + tag("p", "Lower rates, or --optimizer.clip 1."), "studies")
    names = [row["rule"] for row in ranked(record["rules"])]
    lines = [(names.index(row["rule"]), row["rule"], np.array(row["curves"])) for row in rows]
    body = [
        race_head(record, rows[0]),
        section("Scores", finishers(rows, names)),
        section("Validation accuracy by epoch", banded("mean of the seeds, from the lowest to the highest", lines)),
        section("The search for the rate", searches(record["rules"])),
        section(
            "Where each rule goes", *(trodden(name, each, names) for name, each in paths.items()), nowhere(paths, names)
        ),
        tag("footer", f"Saccade, {text(record['study'])}, {record['epochs']} epochs"),
    ]
    return document(f"Update rules on {record['data']}", "".join(body), "studies")


def nowhere(paths: dict[str, Any], names: Sequence[str]) -> str:
    """Which of the rules have no path."""
    there = {rule for each in paths.values() for rule in each["paths"]}
    missing = [name for name in names if name not in there]
    words = f"Without {' and '.join(missing)}, which works on matrices: a point in a plane has none."
    return tag("p", text(words), class_="note") if missing else ""


def race_head(record: Record, best: Record) -> str:
    score = best["accuracy"]
    head = tag("p", f"a race of update rules on {text(record['data'])}", class_="kicker")
    title = tag("h1", f"{text(best['rule'])}: {percent(score['value'])}")
    lead = (
        f"95 % interval {percent(score['low'])} to {percent(score['high'])}, over seeds and images. "
        "Where intervals overlap widely, the order may be another with other seeds."
    )
    return tag("header", head + title + tag("p", lead, class_="lead"))


def finishers(rows: Sequence[Record], names: Sequence[str]) -> str:
    """The rules that came to their end, best first, each with the colour of its lines."""
    cells = [
        [
            tag("span", text(row["rule"]), class_="key hued", style=colour(names.index(row["rule"]))),
            f"{row['lr']:g}",
            percent(row["accuracy"]["value"]),
            f"{percent(row['accuracy']['low'])} to {percent(row['accuracy']['high'])}",
            ", ".join(f"{value:.3f}" for value in row["by_seed"]),
            f"{row['seconds']:.1f} s",
        ]
        for row in rows
    ]
    columns = ("rule", "rate", f"{rows[0]['part']} accuracy", "95 % interval", "by seed", "training of a run")
    return table(columns, cells, numbers=1)


def searches(rows: Sequence[Record]) -> str:
    """What each rate gave, rule by rule, and which rules did not come to their end."""
    said = []
    for row in rows:
        rates = [f"{rate:g} gave {score:.3f}" if score >= 0 else f"{rate:g} failed" for rate, score in row["tried"]]
        said.append(f"{row['rule']}: {', '.join(rates)}{lucky(row) if 'curves' in row else ''}")
    failed = [f"{row['rule']}: no run came to its end" for row in rows if "accuracy" not in row]
    return tag("ul", "".join(tag("li", text(each)) for each in (*said, *failed)))


def banded(note: str, lines: Sequence[tuple[int, str, np.ndarray]]) -> str:
    """Lines (name, (runs, epochs)): the mean over runs, and a band from the lowest run to the highest."""
    values = [line for _, _, line in lines]
    low, high = min(float(v.min()) for v in values), max(float(v.max()) for v in values)
    frame = Frame((1, max(v.shape[1] for v in values)), (low - 0.02, high + 0.02))
    parts = [frame.axes("epoch", whole=True)]
    for i, _, line in lines:
        xs = range(1, line.shape[1] + 1)
        edge = [*zip(xs, line.max(0), strict=True), *reversed(list(zip(xs, line.min(0), strict=True)))]
        mean = zip(xs, line.mean(0), strict=True)
        parts.append(f'<polygon class="spread hued" style="{colour(i)}" points="{points(frame, edge)}"/>')
        parts.append(f'<polyline class="line hued" style="{colour(i)}" points="{points(frame, mean)}"/>')
    legend = "".join(tag("span", text(name), class_="key hued", style=colour(i)) for i, name, _ in lines)
    return tag(
        "figure", tag("figcaption", legend + tag("span", note, class_="note")) + svg("Accuracy by epoch", "".join(parts))
    )


def trodden(name: str, surface: Record, names: Sequence[str]) -> str:
    """The paths over one surface, upon lines of equal height that are denser towards the bottom."""
    frame = Frame(*surface["sides"])
    (left, right), (bottom, top) = surface["sides"]
    heights = np.array(surface["heights"])  # rows from the bottom up
    scale = np.array([(top - bottom) / (heights.shape[0] - 1), (right - left) / (heights.shape[1] - 1)])
    parts = [frame.axes("x")]
    for level in heights.min() + np.ptp(heights) * np.geomspace(1e-4, 0.7, LEVELS):
        ends = crossings(heights, level) * scale + np.array([bottom, left])
        moves = "".join(
            f"M{frame.x(x0):.1f} {frame.y(y0):.1f}L{frame.x(x1):.1f} {frame.y(y1):.1f}" for (y0, x0), (y1, x1) in ends
        )
        parts.append(f'<path class="height-line" d="{moves}"/>')
    for rule, path in surface["paths"].items():
        inside = [(min(max(x, left), right), min(max(y, bottom), top)) for x, y in path]
        parts.append(f'<polyline class="line hued" style="{colour(names.index(rule))}" points="{points(frame, inside)}"/>')
    x, y = surface["minimum"]
    parts.append(f'<circle class="dot dot0" cx="{frame.x(x):.1f}" cy="{frame.y(y):.1f}" r="4"/>')
    keys = "".join(tag("span", text(r), class_="key hued", style=colour(names.index(r))) for r in surface["paths"])
    note = tag("span", surface["note"], class_="note")
    return tag("figure", tag("figcaption", tag("b", text(name)) + keys + note) + svg(name, "".join(parts)))


def points(frame: Frame, line: Any) -> str:
    return " ".join(f"{frame.x(x):.1f},{frame.y(y):.1f}" for x, y in line)


def ablation_page(record: Record) -> str:
    """A row for each regularizer with the difference that it makes and its interval."""
    rows = sorted((row for row in record["rows"] if "difference" in row), key=lambda row: -row["difference"]["value"])
    failed = [f"{row['name']}: {row['failed']}" for row in record["rows"] if "failed" in row]
    failed += [f"{name}: {why}" for name, why in record["left_out"].items()]
    body = [
        ablation_head(record, rows),
        section("What each change does", effects(rows)),
        section("Not measured", tag("ul", "".join(tag("li", text(each)) for each in failed))) if failed else "",
        tag("footer", f"Saccade, {text(record['study'])}, {record['epochs']} epochs a run; the test part was not read"),
    ]
    return document(f"Ablation on {record['data']}", "".join(body), "studies")


def ablation_head(record: Record, rows: Sequence[Record]) -> str:
    base = record["base"]["accuracy"]
    head = tag("p", f"regularizers of {text(record['network'])} on {text(record['data'])}", class_="kicker")
    title = tag("h1", f"{len(clear(rows))} of {len(rows)} changes make a difference that can be told from chance")
    images = "images" if record["folds"] == 1 else f"{record['folds']} folds"
    lead = (
        f"As it is: validation accuracy {percent(base['value'])} ({percent(base['low'])} to {percent(base['high'])}). "
        f"Each row is one change, with {record['seeds']} seeds on the same {images}. Intervals are for one row alone: of "
        f"{len(rows)}, one in twenty leaves out zero by chance. The p values, and the count above, allow for that (Holm)."
    )
    return tag("header", head + title + tag("p", lead, class_="lead"))


def effects(rows: Sequence[Record]) -> str:
    """The differences, each with its interval as a picture; the widest intervals are cut."""
    top = 1.5 * max((abs(row["difference"]["value"]) for row in rows), default=0.0) or 1.0
    cells = [
        [
            text(row["name"]),
            forest(row["difference"], top),
            signed(row["difference"]["value"]),
            f"{signed(row['difference']['low'])} to {signed(row['difference']['high'])}",
            f"{row['p_adjusted']:.3g}",
            percent(row["accuracy"]["value"]),
        ]
        for row in rows
    ]
    return table(
        ("change", "difference", "percentage points", "95 % interval", "p, among all rows", "accuracy"), cells, numbers=2
    )


def forest(found: Record, top: float) -> str:
    """A difference with its interval on a line from -top to top, a mark at zero."""

    def x(value: float) -> float:
        return round(80 + 76 * min(1.0, max(-1.0, value / top)), 1)

    side = "up" if found["low"] > 0 else "down" if found["high"] < 0 else "open"
    low, middle, high = (x(found[name]) for name in ("low", "value", "high"))
    inner = (
        '<line class="grid" x1="2" x2="158" y1="8" y2="8"/><line class="chosen" x1="80" x2="80" y1="0" y2="16"/>'
        f'<line class="range {side}" x1="{low}" x2="{max(high, low + 1)}" y1="8" y2="8"/>'
        f'<line class="mark {side}" x1="{middle}" x2="{middle}" y1="2" y2="14"/>'
    )
    return tag("svg", tag("title", in_points(found)) + inner, viewBox="0 0 160 16", role="img", class_="interval")


def rate_page(record: Record) -> str:
    """Loss against rate, with what is suggested."""
    rates, losses = [log10(rate) for rate in record["rates"]], record["losses"]
    smooth = record["smoothed"]
    high = min(max(losses), 2 * smooth[0])
    frame = Frame((rates[0], rates[-1]), (max(0.0, min(losses) * 0.95), high))
    chosen = log10(record["suggestion"])
    cut, mean = ([(x, min(y, high)) for x, y in zip(rates, line, strict=True)] for line in (losses, smooth))
    parts = [
        frame.axes("rate, as a power of ten"),
        f'<line class="chosen" x1="{frame.x(chosen):.1f}" x2="{frame.x(chosen):.1f}" y1="{TOP}" y2="{HEIGHT - BOTTOM}"/>',
        f'<polyline class="line faint" points="{points(frame, cut)}"/>',
        f'<polyline class="line line0" points="{points(frame, mean)}"/>',
    ]
    note = tag("span", "the loss of each step, its moving average, and dashed the suggestion", class_="note")
    figure = tag("figure", tag("figcaption", note) + svg("Loss against rate", "".join(parts)))
    head = tag(
        "p",
        f"range test of {text(record['rule'])} for {text(record['network'])} on {text(record['data'])}",
        class_="kicker",
    )
    lead = tag(
        "p",
        f"Never above {record['highest']:g}, the rate at the lowest loss; beyond it training gets worse.",
        class_="lead",
    )
    return document(
        "Range test", tag("header", head + tag("h1", f"Try a rate of {record['suggestion']:g}") + lead) + figure, "studies"
    )
