"""Class folders, with or without train, validation and test above them."""

import os
import unicodedata
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from saccade.data.images import Files
from saccade.data.listing import Finding, LeftOut, Listing
from saccade.errors import InputError

PART_NAMES = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "dev"), "validation"),
    **dict.fromkeys(("test", "testing"), "test"),
}
FORM = "expected a folder for each class with its images, or train/, validation/ and test/ with such folders"


def read(root: Path) -> Listing:
    """All images below the root by class; what is passed over is listed with the reason."""
    left_out: list[LeftOut] = []
    tops = folders_in(root, root, left_out)
    named = parts_among(tops, root, left_out)
    divided = bool(named)
    findings: list[Finding] = []
    found: list[tuple[str, str, str]] = []  # path, class, part
    for part, folder in named.items() if divided else [("", root)]:
        classes = folders_in(folder, root, left_out) if divided else tops
        findings += spelt_twice(classes)
        for klass in classes:
            files = files_below(klass, root, left_out)
            found += [(file, unicodedata.normalize("NFC", klass.name), part) for file in files]
            name = relative(klass, root) + "/"
            if not files and all(left.file != name for left in left_out):
                left_out.append(LeftOut(name, "class folder without images"))
    if not found:
        raise InputError(f"{root}: no images in class folders ({FORM})")
    if not divided:
        check_layout(root, tops, found)
    return replace(listing(root, found), left_out=left_out, findings=findings)


def parts_among(tops: list[Path], root: Path, left_out: list[LeftOut]) -> dict[str, Path]:
    """The folders of the parts by their part; empty where the folders are classes.

    Beside other folders, a train folder is the part when folders are in it, so that one folder more beside train and
    test does not turn the parts into classes; it is left out by name. Else it is a class of that name.
    """
    parts = [top for top in tops if top.name.lower() in PART_NAMES]
    trains = [top for top in parts if PART_NAMES[top.name.lower()] == "train"]
    if len(parts) < len(tops) and not any(each.is_dir() and not hidden(each) for top in trains for each in top.iterdir()):
        return {}
    others = [top for top in tops if top not in parts]
    if len(parts) == 1 and any(image_files(top, []) for top in others):
        raise InputError(
            f"{root}: is {parts[0].name} the training part, or a class beside {others[0].name}? Give it another name, or "
            "put validation/ or test/ beside it"
        )
    named: dict[str, Path] = {}
    for top in parts:
        part = PART_NAMES[top.name.lower()]
        if part in named:
            raise InputError(f"{root}: {named[part].name} and {top.name} are both {part}; keep one of them")
        named[part] = top
    for top in tops:
        if top not in parts:
            count = count_below(top)
            left_out.append(LeftOut(relative(top, root) + "/", f"neither train, validation nor test ({count} files)"))
    return named


def spelt_twice(classes: list[Path]) -> Iterator[Finding]:
    """Folders that differ in their bytes alone: an accent as a letter of its own (macOS) or within one (elsewhere)."""
    for name, count in Counter(unicodedata.normalize("NFC", klass.name) for klass in classes).items():
        if count > 1:
            yield Finding(
                "similar names", f"{count} folders of {classes[0].parent} read {name}; they are taken for one class"
            )


def listing(root: Path, found: list[tuple[str, str, str]]) -> Listing:
    classes = sorted({klass for _, klass, _ in found})
    number = {klass: i for i, klass in enumerate(classes)}
    paths = [path for path, _, _ in found]
    return Listing(
        name=root.resolve().name,
        source=str(root),
        classes=tuple(classes),
        images=Files(root, paths),
        ids=paths,
        labels=np.array([number[klass] for _, klass, _ in found]),
        parts=np.array([part for _, _, part in found]),
        photos=True,
    )


def check_layout(root: Path, tops: list[Path], found: list[tuple[str, str, str]]) -> None:
    """Folders that all hold folders of the same names, and no image of their own, are no classes but parts."""
    below = [{name.split("/")[1] for name, _, _ in found if name.startswith(f"{top.name}/")} for top in tops]
    if len(tops) > 1 and len(below[0]) > 1 and all(names == below[0] for names in below):
        folders = [top.name for top in tops]
        if all((tops[0] / name).is_dir() for name in below[0]):
            raise InputError(
                f"{root}: {', '.join(folders[:3])} hold the same folders ({', '.join(sorted(below[0])[:3])}), so they are "
                "no classes; name them train, validation and test, or train on one of them"
            )


def relative(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix()


def entries(folder: Path, root: Path, left_out: list[LeftOut]) -> list[tuple[Path, bool]]:
    """The visible entries by name, each with whether it is a folder; what is hidden or cannot be opened is left out."""
    kept = []
    try:
        paths = [(path, path.is_dir()) for path in sorted(folder.iterdir())]
    except OSError as error:
        if folder == root:
            raise InputError(f"{root}: this folder cannot be opened ({error.strerror})") from error
        left_out.append(LeftOut(relative(folder, root) + "/", f"folder that cannot be opened ({error.strerror})"))
        return []
    for path, is_folder in paths:
        if not hidden(path):
            kept.append((path, is_folder))
        elif is_folder:
            left_out.append(LeftOut(relative(path, root) + "/", f"hidden folder ({count_below(path)} files)"))
        else:
            left_out.append(LeftOut(relative(path, root), "hidden file"))
    return kept


def folders_in(folder: Path, root: Path, left_out: list[LeftOut]) -> list[Path]:
    """The visible folders, by name; files are left out by name."""
    kept = []
    for path, is_folder in entries(folder, root, left_out):
        if is_folder:
            kept.append(path)
        else:
            left_out.append(LeftOut(relative(path, root), "not in a class folder"))
    return kept


def files_below(folder: Path, root: Path, left_out: list[LeftOut], above: frozenset[Path] = frozenset()) -> list[str]:
    """The image files of a class and of the folders in it, by name, relative to the root; `above` is where we come from."""
    kept: list[str] = []
    above |= {folder.resolve()}
    for path, is_folder in entries(folder, root, left_out):
        name = relative(path, root)
        if is_folder and path.is_symlink() and path.resolve() in above | set(folder.resolve().parents):
            left_out.append(LeftOut(name + "/", "link to a folder above it"))
        elif is_folder:
            kept += files_below(path, root, left_out, above)
        elif path.is_symlink() and not path.exists():
            left_out.append(LeftOut(name, "link to a file that is not there"))
        elif not path.is_file():
            left_out.append(LeftOut(name, "neither a file nor a folder (a pipe, a socket, a device)"))
        elif path.suffix.lower() not in extensions():
            left_out.append(LeftOut(name, f"not an image file ({path.suffix or 'no ending'})"))
        else:
            kept.append(name)
    return kept


def count_below(folder: Path) -> int:
    """How many files a folder holds that is passed over."""
    return sum(len(files) for _, _, files in os.walk(folder))


def hidden(path: Path) -> bool:
    return path.name.startswith(".") or path.name == "__MACOSX"


def extensions() -> set[str]:
    """The endings of every format that Pillow reads."""
    from PIL import Image

    known = Image.registered_extensions()
    read = {*Image.OPEN, "MPO"}  # of this one, several JPEGs in a file, the first is a JPEG, and is opened as such
    return {ending for ending, kind in known.items() if kind in read} - {".pdf", ".mpg", ".mpeg", ".h5", ".hdf"}


def image_files(folder: Path, left_out: list[LeftOut]) -> list[Path]:
    """Every image file below a folder, for prediction; what is passed over is listed by its whole path."""
    passed: list[LeftOut] = []
    files = [folder / name for name in files_below(folder, folder, passed)]
    left_out += [LeftOut(f"{folder / each.file}", each.reason) for each in passed]
    return files
