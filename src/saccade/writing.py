"""Files written whole or not at all."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from saccade.errors import InputError


@contextmanager
def replacing(file: Path, advice: str = "") -> Iterator[Path]:
    """A path beside `file` to write to; at the end it is forced to the disk and takes the place of `file`.

    A crash or a full disk leaves the old file whole. A link keeps pointing where it does, and what is no file (a pipe,
    /dev/stdout) is written to as it is. InputError with the reason and the advice where it cannot be written.
    """
    target = Path(os.path.realpath(file))
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        if file.exists() and (not file.is_file() or Path("/dev") in file.absolute().parents):
            yield file
            return
        yield part
        with part.open("r+b") as written:
            os.fsync(written.fileno())
        part.chmod(0o666 & ~creation_mask())  # some writers make their files for their owner alone
        part.replace(target)
    except OSError as error:
        raise InputError(f"{file}: cannot be written ({error.strerror or error}){advice}") from error
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


def creation_mask() -> int:
    """What the system takes away from the rights of a new file; it can only be read by setting it."""
    mask = os.umask(0o022)
    os.umask(mask)
    return mask


def write_text(file: Path, text: str, advice: str = "") -> None:
    """UTF-8; a byte of a file name that is no UTF-8 becomes an escape, which JSON reads back as it was."""
    with replacing(file, advice) as part:
        part.write_text(text, encoding="utf-8", errors="backslashreplace")


def check_output(file: Path, ending: str) -> None:
    """InputError where `file` cannot be written, before the work, or is of another kind: a slip would cost a file."""
    if file.is_file() and file.suffix.lower() != ending:
        raise InputError(f"{file} exists already and is no {ending} file; choose another name")
    if file.is_dir():
        raise InputError(f"{file} is a folder; name a {ending} file in it")
    above = file.absolute().parent
    if not above.is_dir():
        raise InputError(f"{file}: there is no folder {above}; make it, or name a file in another")
    if not file.exists() and not os.access(above, os.W_OK):
        raise InputError(f"{file}: the folder {above} may not be written to; name a file in another")
