"""Checkpoints: written whole or not at all."""

from pathlib import Path
from typing import Any
from zipfile import ZipFile

import torch

from saccade.errors import InputError
from saccade.writing import replacing


def save(file: Path, state: dict[str, Any], advice: str = "; free some space") -> None:
    """Whole or not at all: a crash or a full disk leaves the last one as it was, and InputError ends with the advice."""
    with replacing(file, advice) as part, part.open("wb") as stream:
        try:
            torch.save(state, stream)
        except RuntimeError as error:  # torch says "unexpected pos 704 vs 598" after the system said that the disk is full
            if isinstance(error.__context__, OSError):
                raise error.__context__ from None
            raise


def load(file: Path) -> dict[str, Any]:
    """The state as it was saved; no code of the file is ever run (`weights_only`)."""
    if not file.is_file():
        raise InputError(f"{file}: there is no checkpoint here; is {file.parent} the folder of a run?")
    try:
        with ZipFile(file) as parts:  # torch does not look at the sums by which damage inside shows
            if damaged := parts.testzip():
                raise ValueError(damaged)
        return torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # truncated and damaged files fail in a dozen ways
        raise InputError(
            f"{file}: the checkpoint is damaged ({file.stat().st_size:,} bytes, not readable to its end); "
            f"`saccade train --recipe {file.parent / 'recipe.yaml'}` starts the run anew"
        ) from error
