"""Runs of a study that could not be trained to their end: which they are, and why. The others stand."""

from collections.abc import Mapping
from typing import Any

from saccade.errors import InputError

NAMED = 3  # runs that are named


def failures(records: Mapping[str, dict[str, Any]]) -> dict[str, str]:
    """Why, by the name of each run that failed."""
    return {name: record["failed"] for name, record in records.items() if "failed" in record}


def summary(failed: Mapping[str, str], count: int) -> str:
    """Which of so many runs failed, and why the first of them did."""
    names = [*list(failed)[:NAMED], *([f"{len(failed) - NAMED} more"] if len(failed) > NAMED else [])]
    which = f"{len(failed)} of {count} run{'s' if count > 1 else ''} failed ({', '.join(names)})"
    return f"{which}{'; the first' if len(failed) > 1 else ''}: {next(iter(failed.values()))}"


def check_done(records: Mapping[str, dict[str, Any]], kind: str) -> None:
    """InputError where a run has failed, of a study that says nothing without it."""
    if failed := failures(records):
        raise InputError(
            f"{kind}: {summary(failed, len(records))}\nThere is no score without all folds. What is done is kept; "
            "the same words with --out try the rest again"
        )
