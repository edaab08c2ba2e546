"""The page of an inspection: totals, the picture, the table of layers."""

from typing import Any

from saccade.inspection.summary import main_rows
from saccade.inspection.text import pair, totals, window
from saccade.report.html import bar, count, document, section, table, tag, text
from saccade.wording import in_bytes

Record = dict[str, Any]


def inspection_page(record: Record, picture: str) -> str:
    """One self-contained page; `picture` is the SVG of the network."""
    name = text(record["network"])
    head = tag("header", tag("p", "inspection", class_="kicker") + tag("h1", name))
    facts = tag("dl", "".join(tag("dt", text(k)) + tag("dd", text(v)) for k, v in totals(record)), class_="plain")
    drawing = section("The network", tag("div", picture, class_="wide", tabindex=0))
    return document(record["network"], head + facts + section("Layer by layer", layer_rows(record)) + drawing)


def layer_rows(record: Record) -> str:
    rows = main_rows(record["layers"])
    most = {name: max(1, *(row[name] for row in rows)) for name in ("parameters", "macs", "bytes")}
    cells = []
    for row in rows:
        finite = bool(row["offset"]) and None not in row["offset"]
        cells.append(
            [
                tag("code", text(row["path"])),
                text(row["kind"]),
                text(window(row)),
                " × ".join(map(str, row["output"])),
                f"{count(row['parameters'])}{bar(row['parameters'] / most['parameters'])}",
                f"{count(row['macs'])}{bar(row['macs'] / most['macs'])}",
                f"{in_bytes(row['bytes'])}{bar(row['bytes'] / most['bytes'])}",
                pair(row["receptive_field"]) if finite else "all",
            ]
        )
    head = ("layer", "kind", "window", "output", "parameters", "multiply-adds", "output bytes", "sees (px)")
    return table(head, cells, numbers=3)
