"""The commands that measure more of a finished run than its scores."""

import json
from pathlib import Path
from typing import Any

from saccade.events import Note, Work
from saccade.experiment import folder
from saccade.experiment.settings import SharpnessSettings
from saccade.writing import write_text

Record = dict[str, Any]


def sharpness(run: str | Path, data: Any = None, **settings: Any) -> Work[Record]:
    """How sharp the minimum is that a run has found; writes sharpness.json and sharpness.html into its folder.

    `settings`: `images` in each of `subsamples` (5) of the training images, `surface=True` for pictures of the loss around
    the weights, `precision` "float32" or "float64". `data`: the images, where the run's own are no longer there.
    """
    folder.check_run(Path(run))
    how = SharpnessSettings(**settings)

    from saccade.experiment.sharpness import sharpness as work
    from saccade.report.sharpness import sharpness_page

    found = yield from work(Path(run), how, data)
    page = Path(run) / "sharpness.html"
    write_text(Path(run) / "sharpness.json", json.dumps(found, indent=1) + "\n")
    write_text(page, sharpness_page(found))
    yield Note(f"page: {page}")
    return found
