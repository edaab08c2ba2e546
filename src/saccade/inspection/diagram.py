"""The picture of a network from its recorded pass: modules as boxes, tensors as lines."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from itertools import pairwise

from saccade.errors import InputError
from saccade.inspection.text import short
from saccade.inspection.trace import Op

BOX_WIDTH, BOX_HEIGHT, GAP_X, GAP_Y, MARGIN = 190, 58, 26, 34, 20


@dataclass
class Node:
    """One call, or all calls within a module."""

    name: str
    calls: list[Op] = field(default_factory=list)

    def lines(self) -> list[str]:
        """Name, what it does, size of the output and parameters."""
        if not self.calls:
            return [self.name]
        last = self.calls[-1]
        kind = last.kind if len(self.calls) == 1 else f"{len(self.calls)} calls"
        count = sum(op.parameters for op in self.calls)
        weights = f", {short(count)} parameters" if count else ""
        return [self.name, f"{kind}{weights}", " × ".join(map(str, last.shape[1:]))]


@dataclass(frozen=True)
class Graph:
    """Nodes in the order of the pass, and lines between their numbers."""

    nodes: list[Node]
    edges: list[tuple[int, int]]


def graph(ops: Sequence[Op], depth: int, part: str = "") -> Graph:
    """Calls within modules of this depth (below `part`, where one is named) folded into one node each.

    Views and other calls without a computation of their own are drawn where they stand alone. InputError for an unknown
    part.
    """
    inside = {
        i for i, op in enumerate(ops) if op.inputs and (op.path == part or op.path.startswith(part + ".") or not part)
    }
    if not ops:
        raise InputError("the network calls nothing: there is nothing to draw")
    if not inside:
        raise InputError(f'there is no part "{part}" in the pass; such as {ops[len(ops) // 2].path}')
    nodes, place = [Node("input" if part else "images")], {-1: 0}
    keys: dict[str, int] = {}
    edges: dict[tuple[int, int], None] = {}
    below = part.count(".") + 1 if part else 0
    for i in sorted(inside):
        op = ops[i]
        names = op.path.split(".") if op.path else []
        folds = len(names) > below + depth
        key = ".".join(names[: below + depth]) if folds else f"{op.path}#{i}"
        if key not in keys:
            keys[key] = len(nodes)
            nodes.append(Node(key.partition("#")[0] or op.kind))
        place[i] = keys[key]
        nodes[place[i]].calls.append(op)
        for source in op.inputs:
            edge = (place.get(source, 0), place[i])
            if edge[0] != edge[1]:
                edges[edge] = None
    return Graph(nodes, list(edges))


def mermaid(drawn: Graph) -> str:
    """Text for Mermaid's flowcharts."""
    lines = ["flowchart TD"]
    for i, node in enumerate(drawn.nodes):
        words = "<br>".join(line.replace('"', "'") for line in node.lines())
        lines.append(f'  n{i}["{words}"]')
    return "\n".join([*lines, *(f"  n{a} --> n{b}" for a, b in drawn.edges)]) + "\n"


@dataclass(frozen=True)
class Layout:
    """Row and lane of every node, and for every edge the (row, lane) places that it goes through, both ends included."""

    places: list[tuple[int, float]]
    wires: list[list[tuple[int, float]]]


def laid_out(drawn: Graph) -> Layout:
    """Rows by the longest way from the images, lanes beside one another; a line past other rows keeps a lane of its own.

    The layered drawing of Sugiyama, Tagawa and Toda (1981), with lanes in the order of the pass.
    """
    rows = longest_ways(drawn)
    chains, before = [], defaultdict(list)  # a line over several rows goes through a point in each of them
    for a, b in drawn.edges:
        chain = [a]
        for row in range(rows[a] + 1, rows[b]):
            before[len(rows)].append(chain[-1])
            chain.append(len(rows))
            rows.append(row)
        before[b].append(chain[-1])
        chains.append([*chain, b])
    lanes = lanes_of(rows, before)
    places = list(zip(rows, lanes, strict=True))
    return Layout(places[: len(drawn.nodes)], [[places[i] for i in chain] for chain in chains])


def longest_ways(drawn: Graph) -> list[int]:
    rows = [0] * len(drawn.nodes)
    for a, b in sorted(drawn.edges, key=lambda edge: edge[1]):  # what a node reads comes before it in the pass
        if a < b:
            rows[b] = max(rows[b], rows[a] + 1)
    return rows


def lanes_of(rows: Sequence[int], before: Mapping[int, Sequence[int]]) -> list[float]:
    """Below the middle of what is read, children of one node side by side, no two of a row closer than one lane."""
    children = defaultdict(list)
    for b, read in before.items():
        for a in read:
            children[a].append(b)
    lanes = [0.0] * len(rows)
    for row in range(max(rows) + 1):
        wanted = []
        for i in (i for i, at in enumerate(rows) if at == row):
            offers = [lanes[a] + children[a].index(i) - (len(children[a]) - 1) / 2 for a in before[i]]
            wanted.append((sum(offers) / len(offers) if offers else 0.0, i))
        spread = sorted(wanted)
        for k, (lane, i) in enumerate(spread):
            lanes[i] = lane if k == 0 else max(lane, lanes[spread[k - 1][1]] + 1)
        shift = sum(lanes[i] - lane for lane, i in spread) / len(spread)
        for _, i in spread:
            lanes[i] -= shift
    least = min(lanes)
    return [lane - least for lane in lanes]


def svg(drawn: Graph, title: str) -> str:
    """A picture that stands alone; light or dark as the reader's system is."""
    layout = laid_out(drawn)
    points = [*layout.places, *(place for wire in layout.wires for place in wire)]
    width = 2 * MARGIN + max(lane for _, lane in points) * (BOX_WIDTH + GAP_X) + BOX_WIDTH
    height = 2 * MARGIN + max(row for row, _ in points) * (BOX_HEIGHT + GAP_Y) + BOX_HEIGHT
    parts = [wire_path(wire) for wire in layout.wires]
    parts += [box(node, corner(place)) for node, place in zip(drawn.nodes, layout.places, strict=True)]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" role="img">'
        f"<title>{escape(title)}</title><style>{STYLE}</style>{''.join(parts)}</svg>\n"
    )


def corner(place: tuple[int, float]) -> tuple[float, float]:
    row, lane = place
    return MARGIN + lane * (BOX_WIDTH + GAP_X), MARGIN + row * (BOX_HEIGHT + GAP_Y)


STYLE = (
    ".box{fill:#eef4f3;stroke:#0b6e75}.wire{fill:none;stroke:#626c73;stroke-width:1.4}"
    "text{font:11px system-ui,sans-serif;fill:#1d2327;text-anchor:middle}.name{font-weight:600}.detail{font-weight:400}"
    "@media(prefers-color-scheme:dark){.box{fill:#1c2427;stroke:#4fc1c5}.wire{stroke:#98a3a9}text{fill:#e6e9ea}}"
)


def box(node: Node, corner: tuple[float, float]) -> str:
    x, y = corner
    lines = node.lines()
    top = y + BOX_HEIGHT / 2 - 7.5 * (len(lines) - 1) + 4
    words = "".join(
        f'<text class="{"name" if i == 0 else "detail"}" x="{x + BOX_WIDTH / 2:.0f}" y="{top + 15 * i:.0f}">'
        f"{escape(cut(text))}</text>"
        for i, text in enumerate(lines)
    )
    return f'<rect class="box" x="{x:.0f}" y="{y:.0f}" width="{BOX_WIDTH}" height="{BOX_HEIGHT}" rx="6"/>{words}'


def cut(text: str, most: int = 30) -> str:
    return text if len(text) <= most else "…" + text[1 - most :]


def wire_path(wire: Sequence[tuple[int, float]]) -> str:
    """From the bottom of a box, straight down past the rows between, to the top of another."""
    words = []
    for k, (here, there) in enumerate(pairwise(wire)):
        (x1, y1), (x2, y2) = corner(here), corner(there)
        x1, x2 = x1 + BOX_WIDTH / 2, x2 + BOX_WIDTH / 2
        middle = (y1 + BOX_HEIGHT + y2) / 2
        words.append(f"{'M' if k == 0 else 'L'}{x1:.0f} {y1 + BOX_HEIGHT:.0f}")
        words.append(f"C{x1:.0f} {middle:.0f} {x2:.0f} {middle:.0f} {x2:.0f} {y2:.0f}")
    return f'<path class="wire" d="{"".join(words)}"/>'
