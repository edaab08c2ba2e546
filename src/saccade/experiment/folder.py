"""The run folder: what is where, and how it is written."""

import json
import os
import re
from datetime import datetime
from pathlib import Path
from typing import Any

from saccade.errors import InputError

RECIPE, RECORD, METRICS = "recipe.yaml", "record.json", "metrics.jsonl"
CHECKPOINT, MODEL, PREDICTIONS = "checkpoint.pt", "model.safetensors", "predictions.npz"


def create(out: Path | None, network: str, data: str) -> Path:
    """A new folder: `out`, or runs/<time>-<network>-<data>. InputError where it exists with something in it."""
    if out is not None:
        if out.exists() and (not out.is_dir() or any(out.iterdir())):
            raise InputError(f"{out} exists already; choose another --out, or go on with `saccade resume {out}`")
        return _make(out)
    word = re.sub(r"[^\w.-]+", "-", data).strip("-.") or "data"
    name = f"{datetime.now():%Y%m%d-%H%M%S}-{network}-{word}"
    for suffix in ["", *(f"-{i}" for i in range(2, 1000))]:
        folder = Path("runs") / (name + suffix)
        if not folder.exists():
            return _make(folder)
    raise AssertionError("a thousand runs in one second")


def _make(folder: Path) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{folder}: the run folder cannot be made ({error.strerror}); choose another --out") from error
    return folder


def write_text(file: Path, text: str) -> None:
    """Whole or not at all."""
    part = file.with_name(file.name + ".part")
    try:
        part.write_text(text, encoding="utf-8")
        os.replace(part, file)
    except OSError as error:
        raise InputError(f"{file} cannot be written ({error.strerror})") from error


def write_json(file: Path, words: dict[str, Any]) -> None:
    write_text(file, json.dumps(words, indent=1, ensure_ascii=False) + "\n")


def write_metrics(folder: Path, history: list[dict[str, float]]) -> None:
    write_text(folder / METRICS, "".join(json.dumps(line) + "\n" for line in history))


def read_record(run: Path) -> dict[str, Any]:
    """The record of a finished run; InputError where there is none."""
    if not run.is_dir():
        raise InputError(f"{run}: there is no such run folder")
    file = run / RECORD
    if not file.is_file():
        hint = f"; finish it with `saccade resume {run}`" if (run / CHECKPOINT).is_file() else ""
        raise InputError(f"{run}: there is no {RECORD}, so this is not the folder of a finished run{hint}")
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"{file} is damaged: {error}") from error
