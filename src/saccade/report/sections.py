"""The sections of the page, each from the record alone."""

from collections.abc import Callable, Sequence
from typing import Any

from saccade.report import charts
from saccade.report.html import bar, count, details, percent, section, short, table, tag, text
from saccade.wording import SCORES, in_bytes

Record = dict[str, Any]
GRID = 30  # classes, above which a confusion matrix is no longer a picture
PAIRS = 25


def measured(record: Record) -> str | None:
    """The part whose outcomes the page shows: test, else validation, else none."""
    return next((part for part in ("test", "validation") if part in record["scores"]), None)


def named(record: Record) -> str:
    """The network, and of an ensemble how many there are of it."""
    kinds = {"bag": "bagged", "boost": "boosted"}
    several = f"{len(record['members'])} {kinds[record['ensemble']]} " if "ensemble" in record else ""
    return several + record["network"]


def verdict(record: Record) -> str:
    part = measured(record)
    title = tag("p", f"{text(named(record))} on {text(record['data'])}", class_="kicker")
    if part is None:
        return tag("header", title + tag("h1", "Trained on everything: nothing was held back to measure it."))
    s = record["scores"][part]["accuracy"]
    times = (
        "once" if record["test_read"] == 1 else f"{record['test_read']} times (the run was interrupted while it was read)"
    )
    unseen = "unseen images" if part == "test" else "validation images"
    head = tag("h1", f"{percent(s['value'])} of {count(s['n'])} {unseen} named correctly")
    words = (
        f"95 % interval: {tag('b', percent(s['low']))} to {tag('b', percent(s['high']))}. "
        f"The test part was opened {times}, after all choices had been made."
    )
    if absent := [row["class"] for row in record["per_class"] if not row["n"]]:
        words += f" It has no image of {text(', '.join(absent))}."
    if part == "validation":
        words = (
            f"95 % interval {percent(s['low'])} to {percent(s['high'])}. There is no test part: the checkpoint was chosen "
            "on these very images, so this figure is optimistic."
        )
    return tag("header", title + head + tag("p", words, class_="lead") + charts.interval(s["value"], s["low"], s["high"]))


def facts(record: Record) -> str:
    epochs = record["epochs"]
    rows = {
        "parameters": short(record["parameters"]),
        "multiply-adds": short(record["macs"]),
        "images": count(record["images"]["used"]),
        "training": f"{record['images_per_second']:,.0f} images/s",
        "all in all": f"{record['seconds']:,.0f} s",
        "chosen epoch": f"{epochs['best']} of {epochs['trained']}" if epochs["best"] else "each its own",
        "seed": str(record["seed"]),
    }
    facts = tag("dl", "".join(tag("div", tag("dt", text(k)) + tag("dd", text(v))) for k, v in rows.items()), class_="facts")
    notes = "".join(tag("li", text(note)) for note in record["notes"])
    return facts + (tag("ul", notes, class_="notes") if notes else "")


def training(record: Record, history: Sequence[dict[str, float]]) -> str:
    def line(name: str) -> list[tuple[float, float]]:
        return [(row["epoch"], row[name]) for row in history if name in row]

    best = record["epochs"]["best"]
    found = [
        charts.curves("Loss", [("train", line("train_loss")), ("validation", line("validation_loss"))], best),
        charts.curves("Accuracy", [("train", line("train_accuracy")), ("validation", line("validation_accuracy"))], best),
        charts.curves("Learning rate", [("", line("learning_rate"))], best),
    ]
    chosen = "the last" if record["selected_on"].startswith("nothing") else f"chosen by {text(record['selected_on'])}"
    line_of = f"The dashed line marks epoch {best}, {chosen}."
    mean_of = f"Means over the members; what chose the epoch of each: {text(record['selected_on'])}."
    words = tag("p", line_of if best else mean_of, class_="note")
    return section("Training", tag("div", "".join(found), class_="charts"), words)


INTERVALS = (
    "Proportions have Wilson intervals, but reach to the exact one-sided limit where few images are right, or few wrong, "
    "and that is wider; so have the other scores, for as many images as the spread of their parts says "
    "they count for, and the calibration error one by its bootstrap. Where images belong together (groups, "
    "duplicates), all go over groups."
)


def scores(record: Record, intervals: str = INTERVALS) -> str:
    rows = []
    for part, found in reversed(record["scores"].items()):
        for name, s in found.items():
            title, meaning = SCORES.get(name, (name, ""))
            top = 1.0 if "accuracy" in name or "f1" in name else max(s["high"] * 1.2, 1e-9)
            rows.append(
                [
                    f"{text(title)} {tag('small', text(meaning))}",
                    text(part.replace("_", " ")),
                    charts.interval(s["value"], s["low"], s["high"], top),
                    f"{s['value']:.4f}",
                    f"{s['low']:.4f} – {s['high']:.4f}",
                    count(s["n"]),
                ]
            )
    head = ("score", "part", "", "value", "95 % interval", "images")
    return section("Scores", table(head, rows, numbers=3), tag("p", intervals, class_="note"))


def confusion(record: Record) -> str:
    matrix, classes = record.get("confusion"), record["classes"]
    if not matrix:
        return ""
    if len(classes) > GRID:
        return section("What is taken for what", _pairs(matrix, classes))
    head = tag("td", "") + "".join(tag("th", tag("span", text(name)), scope="col") for name in classes)
    rows = ""
    for name, row in zip(classes, matrix, strict=True):
        total = sum(row) or 1
        cells = ""
        for j, n in enumerate(row):
            kind = "right" if classes[j] == name else "wrong"
            loud = " loud" if n / total > 0.55 else ""
            words = f"{name} taken for {classes[j]}: {n}"
            cells += tag("td", str(n or ""), class_=kind + loud, style=f"--share:{n / total:.3f}", title=words)
        rows += tag("tr", tag("th", text(name), scope="row") + cells)
    grid = tag("table", tag("thead", tag("tr", head)) + tag("tbody", rows), class_="confusion")
    words = tag("p", "Rows are the truth, columns what was said; the shade is the share of the row.", class_="note")
    return section("What is taken for what", tag("div", grid, class_="wide", tabindex=0), words)


def _pairs(matrix: list[list[int]], classes: list[str]) -> str:
    found = [(n, i, j) for i, row in enumerate(matrix) for j, n in enumerate(row) if i != j and n]
    rows = [
        [text(classes[i]), text(classes[j]), str(n), percent(n / sum(matrix[i]))]
        for n, i, j in sorted(found, key=lambda each: (-each[0], each[1:]))[:PAIRS]
    ]
    return table(("truth", "was taken for", "times", "of its images"), rows, numbers=2)


def per_class(record: Record) -> str:
    if not record.get("per_class"):
        return ""
    rows = []
    for row in record["per_class"]:
        cells = [f"{percent(row[name])}{bar(row[name] or 0)}" for name in ("precision", "recall", "f1")]
        rows.append([text(row["class"]), *cells, count(row["n"])])
    return section("Class by class", table(("class", "precision", "recall", "F1", "images"), rows))


def confidence(record: Record) -> str:
    bins = record.get("reliability")
    return section("Can its confidence be believed?", charts.reliability(bins)) if bins else ""


def data(record: Record) -> str:
    images, splits, classes = record["images"], record["splits"], record["classes"]
    rows = [[text(name), *(count(splits[p]["per_class"][i]) for p in splits)] for i, name in enumerate(classes)]
    rows.append([tag("b", "all"), *(tag("b", count(splits[p]["images"])) for p in splits)])
    parts = [
        tag("p", f"{text(images['source'])}: {count(images['used'])} images used. Division: {text(record['split_by'])}.")
    ]
    divided = table(("class", *splits), rows)
    parts.append(divided if len(rows) <= GRID else details(f"{len(classes)} classes", divided))
    for finding in images["findings"]:
        listed = tag("ul", "".join(tag("li", text(file)) for file in finding["files"]))
        words = tag("b", text(finding["kind"])) + ": " + text(finding["text"])
        parts.append(tag("p", words) + (details(files_of(len(finding["files"])), listed) if finding["files"] else ""))
    left = images["left_out"]
    if left:
        listed = table(("file", "reason"), [[text(x["file"]), text(x["reason"])] for x in left], numbers=9)
        parts.append(
            tag("h3", f"Left out: {count(len(left))}") + (listed if len(left) <= 8 else details("all files", listed))
        )
    else:
        parts.append(tag("p", "Nothing was left out."))
    return section("The images", *parts)


def files_of(number: int) -> str:
    return "1 file" if number == 1 else f"{number:,} files"


def layers(record: Record) -> str:
    rows = [row for row in record["layers"] if row["parameters"] or row["macs"]]
    most_parameters, most_macs = max(r["parameters"] for r in rows), max(1, *(r["macs"] for r in rows))
    cells = [
        [
            tag("code", text(row["path"])),
            text(row["kind"]),
            " × ".join(map(str, row["output"])),
            f"{count(row['parameters'])}{bar(row['parameters'] / most_parameters)}",
            f"{count(row['macs'])}{bar(row['macs'] / most_macs)}",
        ]
        for row in rows
    ]
    listed = table(("layer", "kind", "output", "parameters", "multiply-adds"), cells, numbers=2)
    words = f"{count(record['parameters'])} parameters, {count(record['macs'])} multiply-adds for one image."
    return section("The network", tag("p", words), details(f"{len(rows)} layers with parameters", listed))


def met(predicted: float | None, actual: float | None, words: Callable[[Any], str]) -> str:
    """A prediction beside what came out."""
    said = f"{words(predicted)} predicted" if predicted is not None else "not predicted"
    return f"{said}, {words(actual)} met" if actual is not None else said


def expected_bytes(memory: Record) -> int:
    """Of a process: what torch allocates and the margin; on a GPU torch's allocator counts the first alone."""
    allocated = memory["met_by"] == "torch's allocator"
    return memory["predicted_bytes"] + (0 if allocated else memory["margin_bytes"])


def machine(record: Record) -> str:
    plan, m = record["plan"], record["machine"]
    tried = "".join(tag("li", f"{text(t['choice'])}: {t['images_per_second']:,.0f} images/s") for t in plan["measured"])
    layout = "channels-last" if plan["channels_last"] else "channels-first"
    layout = "images-last" if plan.get("images_last") else layout  # which records of before do not name
    rows = {
        "processor": f"{m['cpu']}, {m['cores']} cores" + (f"; {m['gpu']}" if m["gpu"] else ""),
        "memory": f"{(m['memory_bytes'] or 0) / 2**30:.1f} GiB",
        "system": m["system"],
        "plan": f"{plan['device']}, {plan['precision']}, {layout}, {plan['micro_batch']} images at a time",
        "times": ", ".join(f"{name} {seconds:.1f} s" for name, seconds in record["times"].items()),
        "memory of training": met(expected_bytes(record["memory"]), record["memory"]["met_bytes"], in_bytes),
        "time of training": met(record["time"]["predicted_seconds"], record["time"]["met_seconds"], lambda s: f"{s:.1f} s"),
        "versions": ", ".join(f"{name} {number}" for name, number in record["versions"].items()),
        "started": record["started"],
        "fingerprint of the images": record["images"]["fingerprint"],
    }
    listed = tag("dl", "".join(tag("dt", text(k)) + tag("dd", text(v)) for k, v in rows.items()), class_="plain")
    return section("The machine", listed, details("what the plan was measured against", tag("ul", tried)) if tried else "")
