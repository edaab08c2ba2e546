"""The most confident mistakes, as pictures."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from saccade import statistics
from saccade.reading import read_npz
from saccade.report.html import percent, section, tag, text
from saccade.report.pictures import gallery, picture

SHOWN = 24


def outcomes(run: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """Ids, labels and probabilities of the part that was measured last: test where there is one."""
    file = run / "predictions.npz"
    if not file.is_file():
        return None
    why = "it holds what was said of each image, and without it there is no report"
    found = read_npz(file, why, "parts", "ids", "labels", "probabilities")
    last = found["parts"] == found["parts"][-1]
    return found["ids"][last], found["labels"][last], found["probabilities"][last]


def pictured(run: Path, count: int = SHOWN) -> list[str]:
    """The ids of the most confident mistakes, most confident first: the pictures that the page would like to have."""
    found = outcomes(run)
    if found is None:
        return []
    ids, labels, likely = found
    return [str(name) for name in ids[statistics.confident_mistakes(labels, likely, count)]]


def mistakes(run: Path, classes: list[str], pictures: Mapping[str, np.ndarray]) -> str:
    found = outcomes(run)
    if found is None:
        return ""
    ids, labels, likely = found
    figures = []
    for i in statistics.confident_mistakes(labels, likely, SHOWN):
        said, truth = classes[int(likely[i].argmax())], classes[int(labels[i])]
        words = f"said {tag('b', text(said))} ({percent(float(likely[i].max()))}), is {tag('b', text(truth))}"
        figures.append(picture(str(ids[i]), f"said {said}, is {truth}", words, pictures))
    if not figures:
        return section("The most confident mistakes", tag("p", "None: every image was named correctly."))
    return section("The most confident mistakes", gallery(figures))
