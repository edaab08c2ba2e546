"""Sharpness as a table for a terminal, and as a page with pictures of the loss around the weights."""

from typing import Any

from saccade.inspection.text import aligned
from saccade.report.band import band
from saccade.report.contour import contour
from saccade.report.html import count, document, section, table, tag, text

Record = dict[str, Any]
ORDINALS = ("largest", "second", "third")


def title_of(name: str) -> tuple[str, str]:
    """What a measure is called, and what it says."""
    kind, *rest = name.split("_")
    if kind == "eigenvalue":
        return f"{ORDINALS[int(rest[0]) - 1]} eigenvalue", "of the Hessian of the loss"
    if kind == "keskar":
        where = "all weights" if rest[0] == "full" else "a random subspace"
        return f"Keskar's sharpness, ε = {rest[1]}", f"growth of the loss in %, box in {where}"
    if name == "trace_standard_error":
        return "standard error", "of a trace, by its random probes alone"
    return {"loss": ("loss", "mean cross entropy in nats"), "trace": ("trace", "the sum of all eigenvalues")}[name]


def sharpness_text(record: Record) -> str:
    """One line a measure: mean, standard deviation over subsamples."""
    rows = []
    for name, found in record["measures"].items():
        title, meaning = title_of(name)
        rows.append([title, meaning, f"{found['mean']:.4g}", f"± {found['deviation']:.2g}"])
    head = ("measure", "", "mean", "deviation")
    return "\n".join([*aligned(head, rows, words=2), "", over(record)])


def over(record: Record) -> str:
    return (
        f"mean and standard deviation over {record['subsamples']} disjoint subsamples "
        f"of {record['images']:,} training images each"
    )


def sharpness_page(record: Record) -> str:
    """One self-contained page: the numbers, and the surface where it was computed."""
    name = text(f"{record['network']} on {record['data']}")
    largest = record["measures"]["eigenvalue_1"]
    words = f"Largest curvature {largest['mean']:.3g} ± {largest['deviation']:.2g}"
    head = tag("p", f"sharpness of {name}", class_="kicker") + tag("h1", words)
    lead = tag("p", f"{over(record).capitalize()}; {count(record['weights'])} weights that learn.", class_="lead")
    body = [tag("header", head + lead), section("The numbers", numbers(record)), pictures(record), reading()]
    foot = tag("footer", f"Saccade, run {text(record['run'])}, seed {record['seed']}, {record['precision']}")
    title = f"Sharpness of {record['network']} on {record['data']}"
    return document(title, "".join(body) + foot, "sharpness")


def numbers(record: Record) -> str:
    rows = []
    for name, found in record["measures"].items():
        title, meaning = title_of(name)
        cell = f"{text(title)} {tag('small', text(meaning))}"
        rows.append([cell, dots(found), f"{found['mean']:.4g}", f"± {found['deviation']:.2g}", str(found["n"])])
    note = "Every dot is one subsample, on a line from 0 (or the lowest) to the highest; the bar is mean ± one deviation."
    head = ("measure", "", "mean", "deviation", "n")
    return table(head, rows, numbers=2) + tag("p", note, class_="note")


def dots(found: Record) -> str:
    """The values of the subsamples on a line, with their mean and one deviation to each side."""
    values, mean, deviation = found["values"], found["mean"], found["deviation"]
    low, high = min(0.0, *values), max(0.0, *values, mean + deviation) or 1.0

    def x(value: float) -> float:
        return round(5 + 150 * (min(high, max(low, value)) - low) / (high - low), 1)

    inner = (
        '<line class="grid" x1="5" x2="155" y1="8" y2="8"/>'
        f'<line class="range" x1="{x(mean - deviation)}" x2="{x(mean + deviation)}" y1="8" y2="8"/>'
        f'<line class="mark" x1="{x(mean)}" x2="{x(mean)}" y1="2" y2="14"/>'
    )
    inner += "".join(f'<circle class="value" cx="{x(value)}" cy="8" r="3"/>' for value in values)
    words = ", ".join(f"{value:.4g}" for value in values)
    return tag("svg", tag("title", words) + inner, viewBox="0 0 160 16", role="img", class_="interval")


def pictures(record: Record) -> str:
    if "line" not in record:
        return ""
    line, plane = record["line"], record["plane"]
    words = (
        "Each filter of a random direction is as long as the filter of the network to which it is added, so a step of 1 "
        "is as long as the filters themselves; biases and the scales of norms stay as they are (arXiv:1712.09913). All "
        "subsamples are seen along the same directions. Losses are drawn by their logarithm."
    )
    left = tag("div", band("Along a random direction", line) + tag("p", words, class_="note"))
    note = f"loss, mean over {plane['n']} subsamples; the cross marks the weights of the run"
    right = contour("Over a random plane", plane["marks"], plane["mean"], note)
    return section("The loss around the weights", tag("div", left + right, class_="charts wide-charts"))


def reading() -> str:
    words = (
        "The loss is the mean cross entropy over training images as they are: no augmentation, no penalty, batch norm on "
        "its running statistics, dropout off. Eigenvalues are found by Lanczos' method, the trace by Hutchinson's with "
        "random signs, Keskar's sharpness (arXiv:1609.04836, metric 2.1) with ten gradients. The larger a number, the "
        "sharper the minimum. Compare runs of one network on the same images only, and at equal loss: scaling a layer up "
        "and the next one down leaves the network as it is and changes these numbers (arXiv:1703.04933), all but the "
        "pictures."
    )
    return section("How to read it", tag("p", words))
