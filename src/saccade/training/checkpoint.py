"""Checkpoints: written whole or not at all."""

import os
from pathlib import Path
from typing import Any

import torch

from saccade.errors import InputError


def save(file: Path, state: dict[str, Any]) -> None:
    """Write beside the file, force it to the disk, then take the file's place: a crash leaves the old one whole."""
    part = file.with_suffix(".part")
    try:
        with part.open("wb") as stream:
            torch.save(state, stream)
            stream.flush()
            os.fsync(stream.fileno())
        part.replace(file)
    except (OSError, RuntimeError) as error:  # torch says RuntimeError where its own writer meets a full disk
        part.unlink(missing_ok=True)
        reason = error.strerror if isinstance(error, OSError) else str(error).splitlines()[0]
        raise InputError(
            f"{file}: the checkpoint could not be written ({reason}); free some space, then `saccade resume {file.parent}`"
        ) from error


def load(file: Path) -> dict[str, Any]:
    """The state as it was saved; no code of the file is ever run (`weights_only`)."""
    if not file.is_file():
        raise InputError(f"{file}: there is no checkpoint here; is {file.parent} the folder of a run?")
    try:
        return torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # truncated and damaged files fail in a dozen ways
        raise InputError(
            f"{file}: the checkpoint is damaged ({file.stat().st_size:,} bytes, not readable to its end); "
            f"`saccade train --recipe {file.parent / 'recipe.yaml'}` starts the run anew"
        ) from error
