"""The page of a cross-validation: the score with its interval, fold by fold, what was chosen, and labels to look at."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from saccade.experiment.crossval import intervals
from saccade.experiment.suspects import FILE
from saccade.report import sections
from saccade.report.charts import HEIGHT, Frame, svg
from saccade.report.html import document, percent, section, table, tag, text
from saccade.report.pictures import gallery, picture

Record = dict[str, Any]
PICTURED = 24


def crossval_page(record: Record, pictures: Mapping[str, np.ndarray]) -> str:
    score = record["scores"]["out_of_fold"]["accuracy"]
    runs = record["folds"] * record["repeats"] * record["seeds"]
    head = tag("p", f"{text(record['network'])}, cross-validated on {text(record['data'])}", class_="kicker")
    title = tag("h1", f"{percent(score['value'])} of images it has not seen, named correctly")
    nested = (
        " The choice was made by inner folds, so the score is that of choosing and training." if record["chosen"] else ""
    )
    lead = (
        f"95 % interval {percent(score['low'])} to {percent(score['high'])}, for other training images and seeds too: "
        f"{score['n']:,} images in {record['folds']} folds, {runs} runs.{nested}"
    )
    body = [
        tag("header", head + title + tag("p", lead, class_="lead")),
        section("Fold by fold", by_fold(record["by_fold"])),
        section("What was chosen", chosen(record)) if record["chosen"] else "",
        sections.scores(record, " ".join(intervals(record))),
        sections.confusion(record),
        sections.per_class(record),
        sections.confidence(record),
        section("Labels to look at", suspects(record, pictures)),
        on_all(record),
        tag("footer", f"Saccade, {text(record['study'])}; the test part that the data give was not read"),
    ]
    return document(f"{record['network']} on {record['data']}", "".join(body), "studies")


def on_all(record: Record) -> str:
    """Where the run on all images is, or why there is none; nothing where none was asked for."""
    if "final_failed" in record:
        return section("Trained on all", tag("p", f"The run on all images failed: {text(record['final_failed'])}"))
    if "final" not in record:
        return ""
    return section("Trained on all", tag("p", f"The run is in <code>{text(record['final'])}</code>."))


def by_fold(rows: list[list[float]]) -> str:
    """A dot for the accuracy of each fold, a column for each repeat."""
    every = np.array(rows)
    margin = float(np.ptp(every)) * 0.1 or 0.01
    frame = Frame((0.3, len(rows) + 0.7), (max(0.0, float(every.min()) - margin), min(1.0, float(every.max()) + margin)))
    parts = [frame.heights()]
    for i, row in enumerate(rows, start=1):
        parts += [f'<circle class="dot dot0" cx="{frame.x(i):.1f}" cy="{frame.y(each):.1f}" r="4"/>' for each in row]
        middle = f'x="{frame.x(i):.1f}" y="{HEIGHT - 30}" text-anchor="middle"'
        parts.append(f'<text class="label" {middle}>division {i}</text>')
    return tag("figure", svg("Accuracy of each fold", "".join(parts)))


def chosen(record: Record) -> str:
    names = list(record["chosen"][0])
    rows = [[str(i), *(text(choice[name]) for name in names)] for i, choice in enumerate(record["chosen"], start=1)]
    return table(("run", *names), rows)


def suspects(record: Record, pictures: Mapping[str, np.ndarray]) -> str:
    """The images whose label is probably wrong, worst first."""
    found = record["label_errors"]
    if not found:
        return tag("p", "None: no image is confidently another class than its label says.")
    count = record["label_errors_found"]
    fewer = f" The {PICTURED} most doubtful are shown, all are in {FILE} beside this page." if count > PICTURED else ""
    words = (
        f"{count:,} images are confidently another class than their label says, by networks that had not seen them "
        f"(confident learning). Some are wrong labels, some hard images: look before you change one.{fewer}"
    )
    shown = []
    for each in found[:PICTURED]:
        caption = f"labelled {each['label']} ({percent(each['probability_of_label'])}), looks like "
        likely = f"{each['likely']} ({percent(each['probability'])})"
        shown.append(picture(each["id"], caption + likely, text(caption) + tag("b", text(likely)), pictures))
    return tag("p", words) + gallery(shown)
