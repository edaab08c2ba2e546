"""An inspection as text for a terminal."""

from collections.abc import Sequence
from typing import Any

from saccade.inspection.summary import folded, main_rows
from saccade.wording import adding_up, in_bytes

Record = dict[str, Any]
# Of the memory of a training step, at its fullest moment
PARTS = {
    "weights": "weights",
    "state": "state of the optimizer",
    "activations": "kept activations",
    "gradients": "gradients of weights",
    "passing": "gradients of activations",
}


def short(value: float) -> str:
    """1,814,073,344 as 1.81 G."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "K")):
        if value >= size:
            return f"{value / size:.3g} {letter}"
    return f"{value:g}"


def pair(values: Sequence[Any] | str | None) -> str:
    """[3, 3] as 3, [3, 1] as 3x1."""
    if values is None or isinstance(values, str):
        return values or ""
    words = [f"{value:g}" for value in values]
    return words[0] if len(set(words)) == 1 else "x".join(words)


def aligned(head: Sequence[str], rows: Sequence[Sequence[str]], words: int) -> list[str]:
    """Lines of columns; the first `words` to the left, numbers to the right."""
    widths = [max(len(line[i]) for line in (head, *rows)) for i in range(len(head))]
    return [
        "  ".join(
            cell.ljust(w) if i < words else cell.rjust(w) for i, (cell, w) in enumerate(zip(line, widths, strict=True))
        )
        for line in (head, *rows)
    ]


def window(row: Record) -> str:
    """Kernel, stride, and padding, dilation and groups where they are not the usual: "3 /2 p1 g32"."""
    if "kernel" not in row:
        return ""
    padding = row["padding"] if isinstance(row["padding"], str) else "p" + pair(row["padding"])
    parts = [pair(row["kernel"]), "/" + pair(row["stride"]), "" if padding == "p0" else padding]
    parts.append("" if set(row["dilation"]) == {1} else "d" + pair(row["dilation"]))
    parts.append("" if row.get("groups", 1) == 1 else f"g{row['groups']}")
    return " ".join(filter(None, parts))


def layers(record: Record, depth: int | None, every: bool) -> list[str]:
    """One line a layer, or a module of this depth."""
    rows = folded(record["layers"], depth) if depth else record["layers"]
    rows = rows if every or depth else main_rows(rows)
    cells = [
        [
            row["path"],
            row["kind"],
            "x".join(map(str, row["output"])),
            window(row),
            f"{row['parameters'] - row['biases']:,}",
            f"{row['biases']:,}",
            f"{row['macs']:,}" if row["counted"] else "not counted",
            in_bytes(row["bytes"]),
            pair(row["receptive_field"]) if row["offset"] and None not in row["offset"] else "all",
            pair(row["step"]) if row["offset"] and None not in row["offset"] else "",
            pair(row["offset"]) if row["offset"] and None not in row["offset"] else "",
        ]
        for row in rows
    ]
    head = ("layer", "kind", "output", "window", "weights", "biases", "MACs", "output bytes", "sees", "step", "from")
    return aligned(head, cells, words=4)


def totals(record: Record) -> list[tuple[str, str]]:
    memory = record["memory"]
    *parts, whole = adding_up([memory[part] for part in PARTS])
    found = [
        ("parameters", f"{record['parameters']:,}"),
        ("MACs of one image", f"{record['macs']:,} ({short(record['flops'])}FLOPs)"),
        ("receptive field", pair(record["receptive_field"]) or "the whole image"),
        (f"training step of {memory['batch']} in {memory['precision']}", whole),
        *((f"  {name}", part) for name, part in zip(PARTS.values(), parts, strict=True)),
        ("  margin for kernels and allocator", "+ " + in_bytes(memory["margin"])),
    ]
    if missing := [f"{row['path']} {row['kind']}".strip() for row in record["layers"] if not row["counted"]]:
        found.insert(2, ("  without", ", ".join(missing)))
    if "time" in record:
        time = record["time"]
        found.append((f"its time on this machine ({time['device']})", f"{time['seconds']:.3g} s"))
    if "largest_batch" in record:
        found.append(("largest batch that fits", f"{record['largest_batch']:,}"))
    return found


def pictured(record: Record) -> str:
    """What there is to say of pictures of a run, and the files that they are in."""
    rows = []
    if "part" in record:
        rows += [
            ("part of the network", record["part"]),
            ("images", f"{record['images']:,}"),
            ("receptive field", pair(record["theoretical"])),
            ("really used, as a square", f"{record['effective_side']:.3g}"),
        ]
    return "\n".join(titled([*rows, *(("picture", file) for file in record["files"])]))


def titled(rows: Sequence[tuple[str, str]]) -> list[str]:
    return [f"{name:<36}{value}" for name, value in rows]


def inspection(record: Record, depth: int | None = None, every: bool = False) -> str:
    title = f"{record['network']} for images of {'x'.join(map(str, record['input']))}"
    return "\n".join([*layers(record, depth, every), "", title, *titled(totals(record))])


def side_by_side(records: Sequence[Record]) -> str:
    """The totals of several networks in columns."""
    columns = [dict(totals(record)) for record in records]
    head = ["", *(record["network"] for record in records)]
    names = dict.fromkeys(name for column in columns for name in column)
    rows = [[name, *(column.get(name, "") for column in columns)] for name in names]
    rows.insert(0, ["images", *("x".join(map(str, record["input"])) for record in records)])
    return "\n".join(aligned(head, rows, words=1))
