"""Checkpoints: written whole or not at all."""

from pathlib import Path
from typing import Any

import torch

from saccade.errors import InputError
from saccade.writing import replacing


def save(file: Path, state: dict[str, Any]) -> None:
    """Whole or not at all: a crash or a full disk leaves the last one as it was."""
    with replacing(file, f"; free some space, then `saccade resume {file.parent}`") as part:
        try:
            torch.save(state, part)
        except RuntimeError as error:  # what torch's own writer says where it meets a full disk
            raise OSError(str(error).splitlines()[0]) from error


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
