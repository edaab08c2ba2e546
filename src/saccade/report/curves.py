"""The pages of curves over one field: bias and variance, and what more images bring."""

from collections.abc import Sequence
from math import log10
from typing import Any

from saccade.experiment.curves import by_class
from saccade.experiment.lowest import headline, lowest_of, method
from saccade.report.charts import HEIGHT, Frame, svg
from saccade.report.html import document, percent, section, signed, table, tag, text
from saccade.report.studies import colour, points

Record = dict[str, Any]
Found = dict[str, float]  # value, low, high
LOSSES = {
    "log_loss": ("Log loss", "nats; bias is the loss of the members' mean, variance their distance from it (Heskes)"),
    "kohavi_wolpert": ("Share of images named wrongly", "bias and variance after Kohavi and Wolpert"),
}


def bias_variance_page(record: Record) -> str:
    rows, field = record["rows"], record["field"]
    charts = []
    for key, (name, note) in LOSSES.items():
        lines = [(part, [row[key][part] for row in rows]) for part in ("error", "bias", "variance")]
        charts.append(banded(name, note, [row["value"] for row in rows], lines))
    body = [
        parts_head(record, rows),
        section("The parts of the error", *charts) if len(rows) > 1 else "",
        section("In numbers", numbers(field, rows)),
        untrained(record),
        tag("footer", f"Saccade, {text(record['study'])}; the test part was not read"),
    ]
    return document(f"Bias and variance on {record['data']}", "".join(body), "studies")


def parts_head(record: Record, rows: Sequence[Record]) -> str:
    """Where the error is lowest, and what it is made of there; of a single value the latter alone."""
    best = lowest_of(rows)
    share = best["log_loss"]["bias"]["value"] / max(1e-12, best["log_loss"]["error"]["value"])
    bias = f"{percent(max(0.0, min(1.0, share)))} of the log loss is bias"
    title, each, lead = bias, "", "Bias is what all networks share; the rest is variance"
    if len(rows) > 1:
        title, each = headline(record["field"], rows), " at each value"
        lead = f"At {best['value']} {bias}, which all networks share, the rest variance"
    head = tag("p", f"bias and variance of {text(record['network'])} on {text(record['data'])}", class_="kicker")
    lead += (
        f", which a mean over networks would take away. {record['members']} members on bootstrap samples{each}, scored on "
        f"{record['scored']:,} validation images; intervals are at 95 %, for other members and other images (groups are "
        "drawn whole)."
    )
    lead += f" Which value is lowest is told {method(rows)}." if len(rows) > 1 else ""
    return tag("header", head + tag("h1", text(title)) + tag("p", lead, class_="lead"))


def numbers(field: str, rows: Sequence[Record]) -> str:
    cells = []
    for row in rows:
        found = [row["log_loss"][part] for part in ("error", "bias", "variance")]
        wrong = [row["kohavi_wolpert"][part] for part in ("error", "bias", "variance")]
        cells.append(
            [
                text(row["value"]),
                f"{row['parameters']:,}",
                *(f"{each['value']:z.3f} ({each['low']:z.3f} to {each['high']:z.3f})" for each in found),
                *(percent(each["value"]) for each in wrong),
            ]
        )
    columns = (field, "parameters", "log loss", "bias", "variance", "wrong", "bias", "variance")
    return table(columns, cells)


def untrained(record: Record) -> str:
    """The runs that failed; nothing where there are none."""
    rows = [f"{each['run']}, at {record['field']} {each['value']}: {each['why']}" for each in record["failed"]]
    words = (
        f"A value is measured by those of its {record['members']} runs that came to their end; one with fewer than two is "
        "left out."
    )
    listed = tag("ul", "".join(tag("li", text(row)) for row in rows))
    return section("Could not be trained", tag("p", words) + listed) if rows else ""


def learning_page(record: Record) -> str:
    rows = record["rows"]
    lines, images = [("accuracy", [row["accuracy"] for row in rows])], [row["images"] for row in rows]
    body = [
        learning_head(record, rows),
        section("Accuracy by training images", banded("Accuracy", "", images, lines)) if len(rows) > 1 else "",
        section("In numbers", by_size(rows)),
        untrained(record),
        tag("footer", f"Saccade, {text(record['study'])}; the test part was not read"),
    ]
    return document(f"Learning curve on {record['data']}", "".join(body), "studies")


def learning_head(record: Record, rows: Sequence[Record]) -> str:
    head = tag("p", f"learning curve of {text(record['network'])} on {text(record['data'])}", class_="kicker")
    title = tag("h1", f"{percent(rows[-1]['accuracy']['value'])} after {rows[-1]['images']:,} images")
    lead = (
        f"{record['members']} trainings at each size, each with its own images, scored on {record['scored']:,} validation "
        "images; the band is the 95 % interval for other trainings and other images (groups are drawn whole). Where all "
        f"images train, which ones has no part in it. {by_class(rows)}"
    )
    if "gain" in rows[-1]:
        lead = (
            f"From {rows[-2]['images']:,} to {rows[-1]['images']:,} images it gained {gained(rows[-1])} percentage points; "
            f"while that is above zero, more images are worth having. {lead}"
        )
    return tag("header", head + title + tag("p", lead, class_="lead"))


def by_size(rows: Sequence[Record]) -> str:
    cells = [
        [
            f"{row['images']:,}",
            percent(row["accuracy"]["value"]),
            f"{percent(row['accuracy']['low'])} to {percent(row['accuracy']['high'])}",
            gained(row),
            f"{row['log_loss']:.4f}",
        ]
        for row in rows
    ]
    return table(("images", "accuracy", "95 % interval", "gained, percentage points", "log loss"), cells, numbers=0)


def gained(row: Record) -> str:
    if "gain" not in row:
        return ""
    gain = row["gain"]
    return f"{signed(gain['value'])} ({signed(gain['low'])} to {signed(gain['high'])})"


def banded(title: str, note: str, values: Sequence[Any], lines: Sequence[tuple[str, Sequence[Found]]]) -> str:
    """Lines with the bands of their intervals over the values: by their logarithm where they span a lot, else evenly."""
    places = along(values)
    every = [each[edge] for _, line in lines for each in line for edge in ("low", "high")]
    margin = (max(every) - min(every)) * 0.05 or 0.01
    spare = (max(places) - min(places)) * 0.05 or 0.5
    frame = Frame((min(places) - spare, max(places) + spare), (min(every) - margin, max(every) + margin))
    parts = [frame.heights()]
    for i, (_, line) in enumerate(lines):
        upper = list(zip(places, (each["high"] for each in line), strict=True))
        lower = list(zip(places, (each["low"] for each in line), strict=True))
        middle = list(zip(places, (each["value"] for each in line), strict=True))
        parts.append(f'<polygon class="spread hued" style="{colour(i)}" points="{points(frame, [*upper, *lower[::-1]])}"/>')
        parts.append(f'<polyline class="line hued" style="{colour(i)}" points="{points(frame, middle)}"/>')
    for place, value in zip(places, values, strict=True):
        words = f"{value:,}" if isinstance(value, int) else text(value)
        parts.append(f'<text class="tick" x="{frame.x(place):.1f}" y="{HEIGHT - 30}" text-anchor="middle">{words}</text>')
    keys = "".join(tag("span", text(name), class_="key hued", style=colour(i)) for i, (name, _) in enumerate(lines))
    return tag(
        "figure", tag("figcaption", tag("b", title) + keys + tag("span", note, class_="note")) + svg(title, "".join(parts))
    )


def along(values: Sequence[Any]) -> list[float]:
    """Where each value stands: positive numbers that span tenfold by their logarithm, others side by side."""
    numbers = [float(value) for value in values if isinstance(value, int | float)]
    if len(numbers) == len(values) and min(numbers) > 0:
        return [log10(value) for value in numbers] if max(numbers) >= 10 * min(numbers) else numbers
    return [float(i) for i in range(len(values))]
