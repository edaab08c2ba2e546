"""The images of a cross-validation whose label is probably wrong, as rows of a record and of a CSV."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from saccade import statistics
from saccade.experiment.folds import OutOfFold
from saccade.writing import write_text

FILE = "label-errors.csv"
COLUMNS = ("id", "label", "probability_of_label", "likely", "probability")


def suspected(found: OutOfFold, classes: Sequence[str]) -> list[dict[str, Any]]:
    """All of them, the most doubtful first, with what networks say that had not seen them (`COLUMNS`)."""
    return [
        {
            "id": str(found.ids[i]),
            "label": classes[found.labels[i]],
            "probability_of_label": float(found.mean[i, found.labels[i]]),
            "likely": classes[int(found.mean[i].argmax())],
            "probability": float(found.mean[i].max()),
        }
        for i in statistics.likely_label_errors(found.labels, found.mean)
    ]


def write_suspects(study: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Into the folder of the study, one line for each; only the names of the columns where there is none."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(
        {key: round(value, 6) if isinstance(value, float) else value for key, value in row.items()} for row in rows
    )
    write_text(study / FILE, text.getvalue())
