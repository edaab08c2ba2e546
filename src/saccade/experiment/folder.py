"""The run folder: what is where, and how it is written."""

import json
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from saccade.errors import InputError
from saccade.events import Interrupted
from saccade.writing import write_text

RUNS = Path("runs")
RECIPE, SPLIT, METRICS, CHECKPOINT = "recipe.yaml", "split.npz", "metrics.jsonl", "checkpoint.pt"
MODEL, PREDICTIONS, RECORD = "model.safetensors", "predictions.npz", "record.json"
STUDY = "study.json"  # what a study of several runs was asked for


def create(out: Path | None, network: str, data: str) -> Path:
    """A new folder: `out`, or runs/<time>-<network>-<data>. InputError where it exists with something in it."""
    check_free(out)
    if out is not None:
        return _make(out, exist_ok=True)
    word = re.sub(r"[^\w.-]+", "-", data).strip("-.") or "data"
    name = f"{datetime.now():%Y%m%d-%H%M%S}-{network}-{word}"
    for suffix in ["", *(f"-{i}" for i in range(2, 1000))]:
        with suppress(FileExistsError):  # of another run that began in this second
            return _make(RUNS / (name + suffix), exist_ok=False)
    raise AssertionError("a thousand runs in one second")


def check_free(out: Path | None) -> None:
    """InputError where the folder exists with something in it, or cannot be made, by default in runs/."""
    check_can_be_made(out or RUNS)
    if out is None or not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return
    way_on = f", or go on with `saccade resume {out}`" if (out / CHECKPOINT).is_file() else ""
    if (out / RECORD).is_file():
        way_on = f"; what is in there is finished (see {out / 'report.html'})"
    raise InputError(f"{out} exists already; choose another --out{way_on}")


def check_free_or_study(out: Path | None) -> None:
    """The same, but for a study, which goes on."""
    if out is None or not (out / STUDY).is_file():
        check_free(out)


@contextmanager
def going_on(run: Path) -> Iterator[None]:
    """Ctrl-C inside, where no step is waited for, ends with the name of the run, which keeps what it has."""
    try:
        yield
    except KeyboardInterrupt:
        raise Interrupted(str(run)) from None


def check_can_be_made(out: Path) -> None:
    """InputError where there is no such folder and none can be made: tried out, as rights do not tell of /proc."""
    above = next(each for each in (out, *out.absolute().parents) if each.exists())
    if out.exists() and out != RUNS:
        return
    try:
        TemporaryDirectory(dir=above).cleanup()
    except OSError as error:
        reason = "may not be written to" if above.is_dir() else "is a file"
        raise InputError(f"{out}: the run folder cannot be made, for {above} {reason}; choose another --out") from error


def _make(folder: Path, exist_ok: bool) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=exist_ok)
    except FileExistsError:
        raise
    except OSError as error:
        raise InputError(f"{folder}: the run folder cannot be made ({error.strerror}); choose another --out") from error
    return folder


@contextmanager
def gone_on_failure(run: Path) -> Iterator[None]:
    """A new folder in which not even the first checkpoint could be kept is removed: nothing can go on from it."""
    try:
        yield
    except BaseException:
        if not (run / CHECKPOINT).is_file():
            shutil.rmtree(run, ignore_errors=True)
        raise


def advice(run: Path) -> str:
    """What to do when a file of the run cannot be written."""
    return f"; free some space, then `saccade resume {run}`" if (run / CHECKPOINT).is_file() else "; free some space"


def write_record(run: Path, words: dict[str, Any]) -> None:
    write_text(run / RECORD, json.dumps(words, indent=1, ensure_ascii=False) + "\n", advice(run))


def write_metrics(run: Path, history: list[dict[str, float]]) -> None:
    write_text(run / METRICS, "".join(json.dumps(line) + "\n" for line in history), advice(run))


def read_metrics(run: Path) -> list[dict[str, float]]:
    """The measures of every epoch; InputError for a line that was cut."""
    file = run / METRICS
    try:
        return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    except (OSError, ValueError) as error:
        raise InputError(f"{file}: the measures of the epochs cannot be read ({error})") from error


def check_run(run: Path) -> None:
    """InputError where there is no such folder."""
    if run.is_file():
        raise InputError(f"{run}: this is a file; name the run folder, {run.parent}")
    if not run.is_dir():
        raise InputError(f"{run}: there is no such run folder")


def read_record(run: Path) -> dict[str, Any]:
    """The record of a finished run; InputError where there is none."""
    check_run(run)
    file = run / RECORD
    if not file.is_file():
        hint = f"; finish it with `saccade resume {run}`" if (run / CHECKPOINT).is_file() else ""
        raise InputError(f"{run}: there is no {RECORD}, so this is not the folder of a finished run{hint}")
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        again = f"; without it `saccade resume {run}` writes it anew" if (run / CHECKPOINT).is_file() else ""
        raise InputError(f"{file} is damaged ({error}){again}") from error
