"""The page: sections in order, one style sheet, no script and nothing from outside."""

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from saccade.errors import InputError
from saccade.experiment import folder
from saccade.report import ensemble, sections
from saccade.report.html import details, document, percent, section, tag, text
from saccade.report.mistakes import mistakes
from saccade.writing import write_text


def whole_history(run: Path, epochs: int) -> list[dict[str, float]]:
    """The measures of every epoch; InputError where some are gone: a page without its curves would replace a good one."""
    history = folder.read_metrics(run)
    if len(history) < epochs:
        raise InputError(
            f"{run / folder.METRICS}: it holds {len(history)} epochs of the {epochs} that were trained; the report is left "
            "as it was"
        )
    return history


def unscored(run: Path) -> str:
    """Why a run without held-back images has no score, and where an honest one is or comes from."""
    words = "Nothing was held back from this training, so this network has no score of its own."
    study = run.resolve().parent
    found = folder.read_record(study) if (study / folder.RECORD).is_file() else {}
    score = found.get("scores", {}).get("out_of_fold", {}).get("accuracy")
    if score is None:
        return f"{words} <code>saccade evaluate RUN DATA</code> scores it on labelled images that it has not seen."
    return (
        f"{words} Networks trained as it was, each without one fold, named {percent(score['value'])} of the images of that "
        f"fold correctly (95 % interval {percent(score['low'])} to {percent(score['high'])}): see "
        f"{tag('a', 'the page of the cross-validation', href='../report.html')}."
    )


def write_report(run: Path, pictures: Mapping[str, np.ndarray]) -> Path:
    """Write report.html into the run folder, whole or not at all; `pictures` maps ids to uint8 (H, W, 1 or 3)."""
    record = json.loads((run / "record.json").read_text(encoding="utf-8"))
    history = whole_history(run, record["epochs"]["trained"])
    recipe = (run / "recipe.yaml").read_text(encoding="utf-8")
    body = [
        sections.verdict(record),
        sections.facts(record),
        sections.training(record, history),
        sections.scores(record) if record["scores"] else section("Scores", tag("p", unscored(run))),
        ensemble.members(record),
        sections.confusion(record),
        sections.per_class(record),
        sections.confidence(record),
        mistakes(run, record["classes"], pictures),
        sections.data(record),
        sections.layers(record),
        section("The recipe", ensemble.repeated(record, run / "recipe.yaml")),
        details("recipe.yaml", tag("pre", text(recipe))),
        sections.machine(record),
        tag("footer", f"Saccade {text(record['versions']['saccade'])}, run {text(record['run'])}"),
    ]
    file = run / "report.html"
    write_text(file, document(f"{sections.named(record)} on {record['data']}", "".join(body)))
    return file
