"""Files written whole or not at all."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from saccade.errors import InputError


@contextmanager
def replacing(file: Path, advice: str = "") -> Iterator[Path]:
    """A path beside `file` to write to; at the end it is forced to the disk and takes the place of `file`.

    A crash or a full disk leaves the old file whole. InputError with the reason and the advice where it cannot be written.
    """
    part = file.with_name(f".{file.name}.{os.getpid()}.part")
    try:
        yield part
        with part.open("rb") as written:
            os.fsync(written.fileno())
        part.replace(file)
    except OSError as error:
        raise InputError(f"{file}: cannot be written ({error.strerror or error}){advice}") from error
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


def write_text(file: Path, text: str, advice: str = "") -> None:
    """UTF-8; a byte of a file name that is no UTF-8 becomes an escape, which JSON reads back as it was."""
    with replacing(file, advice) as part:
        part.write_text(text, encoding="utf-8", errors="backslashreplace")
