"""Words, numbers and tags: every string from data is escaped here."""

from collections.abc import Iterable
from html import escape
from importlib.resources import files

from saccade.inspection import text as plain

MINUS = "−"


def text(value: object) -> str:
    return escape(str(value))


def tag(name: str, inner: str, **attributes: object) -> str:
    """An element; `inner` is HTML. A trailing underscore frees attributes that are Python's words (`class_`)."""
    words = "".join(f' {key.rstrip("_").replace("_", "-")}="{text(value)}"' for key, value in attributes.items())
    return f"<{name}{words}>{inner}</{name}>"


def document(title: str, body: str, *styles: str) -> str:
    """A whole page that needs nothing from outside, in the report's style and further style sheets of this folder."""
    style = "".join(files("saccade.report").joinpath(f"{each}.css").read_text("utf-8") for each in ("style", *styles))
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{text(title)}</title><style>{style}</style></head><body><main>{body}</main></body></html>\n"
    )


def section(title: str, *parts: str) -> str:
    return tag("section", tag("h2", text(title)) + "".join(parts))


def table(head: Iterable[str], rows: Iterable[Iterable[str]], numbers: int = 1) -> str:
    """`head` is text, cells are HTML; columns from `numbers` on stand to the right."""
    titles = "".join(tag("th", text(t), scope="col", **_side(i, numbers)) for i, t in enumerate(head))
    body = "".join(tag("tr", "".join(tag("td", c, **_side(i, numbers)) for i, c in enumerate(row))) for row in rows)
    return tag("div", tag("table", tag("thead", tag("tr", titles)) + tag("tbody", body)), class_="wide", tabindex=0)


def _side(column: int, numbers: int) -> dict[str, object]:
    return {"class_": "number"} if column >= numbers else {}


def details(summary: str, inner: str) -> str:
    return tag("details", tag("summary", text(summary)) + inner)


def signed(value: float) -> str:
    """A difference of two shares in percentage points."""
    return f"{100 * value:+z.2f}".replace("-", MINUS)


def percent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:z.1f}\u202f%".replace("-", MINUS)


def count(value: float) -> str:
    return f"{value:,.0f}"


def short(value: float) -> str:
    """1,814,073,344 as 1.81 G, in one piece."""
    return plain.short(value).replace(" ", "\u202f")


def bar(share: float) -> str:
    return tag("span", "", class_="bar", style=f"--share:{max(0.0, min(1.0, share)):.4f}")
