"""Where images come from: one file a kind of source, each giving a Listing."""

from difflib import get_close_matches
from pathlib import Path
from typing import Any

from saccade.data.listing import Listing
from saccade.data.sources import cifar, folders, idx, memory, table
from saccade.errors import InputError

DIGITS = "digits"  # of scikit-learn


def open_source(data: Any, group: str | None = None) -> Listing:
    """The listing of whatever `data` is: a path, a name, (X, y), a sequence of (image, label), or a listing."""
    if isinstance(data, Listing):
        return data
    check_source(data, group)
    if not isinstance(data, str | Path):
        return memory.from_memory(data)
    path = Path(data).expanduser()
    if path.exists():
        return _at(path, group)
    if str(data) == DIGITS:
        return memory.digits()
    from saccade.data.sources import hub

    return hub.by_name(str(data))


def check_source(data: Any, group: str | None = None) -> None:
    """InputError where nothing of that name is there, or where groups are asked of it and it is no CSV; opens nothing."""
    if group is not None and not is_table(data):
        name = data if isinstance(data, str | Path) else "these images in memory"
        raise InputError(f'{name}: groups are a column of a CSV, here "{group}", and this is none; leave the group out')
    if not isinstance(data, str | Path) or str(data) == DIGITS or (path := Path(data).expanduser()).exists():
        return
    from saccade.data.sources import hub

    if (known_set := hub.known(str(data))) is not None:
        hub.check_usable(known_set)
        return
    beside = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
    known = [DIGITS, *hub.USABLE] if hub.plain(str(data)).isidentifier() else [DIGITS]
    lower = {each.lower(): each for each in (*known, *beside)}
    near = [lower[each] for each in get_close_matches(path.name.lower(), lower, n=1)]
    hint = f', did you mean "{path.parent / near[0] if near[0] in beside else near[0]}"?' if near else ""
    raise InputError(f"{data}: there is no such file or folder{hint}")


def _at(path: Path, group: str | None) -> Listing:
    """The listing of what is there."""
    if is_table(path):
        return table.read(path, group)
    if not (path.is_file() or path.is_dir()):
        raise InputError(f"{path}: this is neither a file nor a folder")
    for form in (idx, cifar):
        if (listing := form.recognize(path)) is not None:
            return listing
    if path.is_dir():
        return folders.read(path)
    kind = f"a {path.suffix} file" if path.suffix else "a file without an ending"
    of_set = f"; its folder may be meant, {path.parent}" if idx.NAME.fullmatch(path.name) else ""
    raise InputError(f"{path}: expected a folder, a CSV or an archive of CIFAR; this is {kind}{of_set}")


def open_grouped(data: Any, group: str | None) -> Listing:
    """As open_source, in groups where the data have such a column: other data may be scored by a run with groups."""
    there = group is not None and is_table(data) and table.has_column(Path(data).expanduser(), group)
    return open_source(data, group if there else None)


def is_table(data: Any) -> bool:
    return isinstance(data, str | Path) and Path(data).suffix.lower() in (".csv", ".tsv")
