"""A CSV of path, label and, optionally, split and group."""

import csv
import io
from pathlib import Path

import numpy as np

from saccade.data.images import Files
from saccade.data.listing import LeftOut, Listing
from saccade.data.sources.folders import PART_NAMES
from saccade.errors import InputError, suggestion

PATH_NAMES = ("path", "file", "filename", "image")
LABEL_NAMES = ("label", "class", "target")
PREDICTED = ("file", "class", "probability")  # the first columns of what `saccade predict --csv` writes
LISTED = 10  # lines that an error names


def read(file: Path, group: str | None) -> Listing:
    """Paths are relative to the CSV; a file that is missing is left out by name."""
    rows, columns = read_rows(file)
    check_no_predictions(file, columns)
    path_column = column(file, columns, PATH_NAMES)
    label_column = column(file, columns, LABEL_NAMES)
    group_column = column(file, columns, (group.strip().lower(),)) if group else ("group" if "group" in columns else None)
    check_rows(file, rows, (path_column, label_column))
    left_out, kept = [], []
    for _, row in rows:
        if reason := reason_against(file.parent / row[path_column]):
            left_out.append(LeftOut(row[path_column], reason))
        else:
            part = PART_NAMES.get(part_of(row), "")
            kept.append((row[path_column], row[label_column], part, row.get(group_column or "", "")))
    if not rows:
        raise InputError(f"{file}: there is no line of an image in it, only the names of its columns")
    if not kept:
        raise InputError(f"{file}: none of its {len(rows)} files exists; paths are read relative to {file.parent}")
    return listing(file, kept, left_out, group_column is not None)


def check_no_predictions(file: Path, columns: list[str]) -> None:
    """InputError for what a network has said of images, which is no truth to learn from or to score by."""
    if tuple(columns[: len(PREDICTED)]) == PREDICTED:
        raise InputError(
            f"{file}: these are predictions that `saccade predict` wrote, not labels that somebody gave; to use them as "
            "labels all the same, keep the columns file and class alone"
        )


def check_rows(file: Path, rows: list[tuple[int, dict[str, str]]], needed: tuple[str, str]) -> None:
    """InputError that names every line that cannot be used, or the first of them and how many more there are."""
    wrong = [(number, why) for number, row in rows if (why := reason_against_row(row, needed))]
    if len(wrong) == 1:
        raise InputError(f"{file}, line {wrong[0][0]}: {wrong[0][1]}")
    if wrong:
        lines = [f"  line {number}: {why}" for number, why in wrong[:LISTED]]
        lines += [f"  and {len(wrong) - LISTED:,} more"] if len(wrong) > LISTED else []
        raise InputError("\n".join([f"{file}: {len(wrong):,} of {len(rows):,} lines cannot be used:", *lines]))


def reason_against_row(row: dict[str, str], needed: tuple[str, str]) -> str:
    """What is wrong with a line; "" for nothing."""
    if not all(row[name] for name in needed):
        return f"a {needed[0]} and a {needed[1]} are needed, met {list(row.values())}"
    part = part_of(row)
    return "" if part in (*PART_NAMES, "") else f'split is train, validation or test, not "{part}"'


def part_of(row: dict[str, str]) -> str:
    return row.get("split", "").strip().lower()


def reason_against(path: Path) -> str:
    """Why there is no file to be read; "" where there is one."""
    try:
        return "" if path.is_file() else "no such file"
    except OSError as error:  # a name that is too long, a folder that may not be entered
        return f"no file that can be opened ({error.strerror})"


def listing(file: Path, kept: list[tuple[str, str, str, str]], left_out: list[LeftOut], grouped: bool) -> Listing:
    classes = sorted({row[1] for row in kept})
    paths = [row[0] for row in kept]
    return Listing(
        name=file.stem,
        source=str(file),
        classes=tuple(classes),
        images=Files(file.parent, paths),
        ids=paths,
        labels=np.array([classes.index(row[1]) for row in kept]),
        parts=np.array([row[2] for row in kept]),
        groups=np.array([row[3] for row in kept]) if grouped else None,
        photos=True,
        left_out=left_out,
    )


def read_rows(file: Path) -> tuple[list[tuple[int, dict[str, str]]], list[str]]:
    """Rows with their line numbers, and the columns; comma, semicolon or tab."""
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{file}: this CSV cannot be read as UTF-8 text ({error})") from error
    head = text.split("\n", 1)[0]
    delimiter = max(",;\t", key=head.count)
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter, restkey="more", restval="")
    try:
        columns = [name.strip().lower() for name in reader.fieldnames or []]
        reader.fieldnames = columns
        return [(reader.line_num, stripped(row)) for row in reader], columns
    except csv.Error as error:
        raise InputError(f"{file}, line {reader.line_num}: this is no CSV ({error})") from error


def has_column(file: Path, name: str) -> bool:
    """Whether the file is there with a column of this name."""
    return file.is_file() and name.strip().lower() in read_rows(file)[1]


def stripped(row: dict[str, str]) -> dict[str, str]:
    """Without the blanks that people put after a comma: " cat" is no class of its own."""
    return {name: cell.strip() if isinstance(cell, str) else cell for name, cell in row.items()}


def column(file: Path, columns: list[str], names: tuple[str | None, ...]) -> str:
    for name in names:
        if name in columns:
            return str(name)
    wanted = str(names[0])
    if not columns:
        raise InputError(f"{file}: there is nothing in it; expected a CSV whose first line is path,label")
    raise InputError(f'{file}: there is no column "{wanted}"{suggestion(wanted, columns)} (columns: {", ".join(columns)})')
