"""Files read whole, or refused with what is wrong."""

from pathlib import Path

import numpy as np

from saccade.errors import InputError


def read_npz(file: Path, why: str, *names: str) -> dict[str, np.ndarray]:
    """The arrays of these names; InputError, which says `why` the file is needed, where it is missing, cut or damaged."""
    try:
        # opened here, since numpy leaves a damaged file open
        with file.open("rb") as stream, np.load(stream, allow_pickle=False) as found:
            return {name: found[name] for name in names}
    except Exception as error:  # truncated and damaged files fail in a dozen ways
        reason = getattr(error, "strerror", None) or str(error).strip("'\"") or type(error).__name__
        raise InputError(f"{file}: cannot be read ({reason}); {why}") from error


def text_of(data: bytes, file: Path) -> str:
    """The text of a file with these bytes; InputError where it is not UTF-8."""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(
            f"{file}: this is no UTF-8 text (at byte {error.start}: {error.reason}); save it as UTF-8"
        ) from error
