"""Which process works in a study: two at once would write the same runs."""

import os
import subprocess
from contextlib import suppress
from pathlib import Path

from saccade.errors import InputError
from saccade.writing import write_text

OWNER = "study.pid"


def claim(place: Path) -> None:
    """Note that this process works in the study; InputError where another one that is alive does."""
    file, owner, start = place / OWNER, os.getpid(), ""
    with suppress(OSError, ValueError):  # not there, or not whole
        number, _, start = file.read_text(encoding="utf-8").strip().partition(" ")
        owner = int(number)
    same = not start or started(owner) in (start, "")
    if owner != os.getpid() and is_alive(owner) and same:
        raise InputError(f"{place}: process {owner} is at work in this study; wait for it, or choose another --out")
    write_text(file, f"{os.getpid()} {started(os.getpid())}".strip() + "\n")


def is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except PermissionError:
        return True
    except (OSError, OverflowError):
        return False
    return True


def started(process: int) -> str:
    """When it was started, which tells it from a later one with its number; "" where the system does not say.

    Of Linux the boot and the ticks since then (proc(5)), for numbers begin anew with a boot; elsewhere what `ps` says.
    """
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="utf-8").strip()
        fields = Path(f"/proc/{process}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        return f"{boot} {fields[19]}"
    except OSError:
        return said_by_ps(process)


def said_by_ps(process: int) -> str:
    command = ["ps", "-o", "lstart=", "-p", str(process)]
    try:
        found = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, "LC_ALL": "C"})
    except OSError:
        return ""
    return found.stdout.strip()
