"""Charts as inline SVG; colours come from the style sheet, so they follow light, dark and print."""

from collections.abc import Sequence
from math import floor, log10

from saccade.report.html import percent, tag, text

WIDTH, HEIGHT, LEFT, BOTTOM, TOP, RIGHT = 520, 280, 60, 54, 12, 12
Line = tuple[str, Sequence[tuple[float, float]]]


def svg(title: str, inner: str, width: int = WIDTH, height: int = HEIGHT) -> str:
    return tag("svg", tag("title", text(title)) + inner, viewBox=f"0 0 {width} {height}", role="img", class_="chart")


def ticks(low: float, high: float, wanted: int = 5) -> list[float]:
    """Round numbers from low to high."""
    if high <= low:
        return [low]
    raw = (high - low) / wanted
    power = 10 ** floor(log10(raw))
    step = next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= raw)
    first = -floor(-low / step + 1e-9)
    return [round(i * step, 10) for i in range(first, floor(high / step + 1e-9) + 1)]


class Frame:
    """A plane from data to picture coordinates, with axes."""

    def __init__(self, xs: tuple[float, float], ys: tuple[float, float]):
        self.xs, self.ys = xs, ys

    def x(self, value: float) -> float:
        low, high = self.xs
        return LEFT + (value - low) / ((high - low) or 1) * (WIDTH - LEFT - RIGHT)

    def y(self, value: float) -> float:
        low, high = self.ys
        return HEIGHT - BOTTOM - (value - low) / ((high - low) or 1) * (HEIGHT - BOTTOM - TOP)

    def heights(self) -> str:
        """The lines and numbers of the upright axis."""
        parts = []
        for value in self.levels():
            y = self.y(value)
            parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
            parts.append(f'<text class="tick" x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{value:g}</text>')
        return "".join(parts)

    def levels(self) -> list[float]:
        return ticks(*self.ys)

    def axes(self, xlabel: str, whole: bool = False) -> str:
        parts = [self.heights()]
        for value in ticks(*self.xs):
            if not whole or value == int(value):
                x = self.x(value)
                parts.append(f'<text class="tick" x="{x:.1f}" y="{HEIGHT - 30}" text-anchor="middle">{value:g}</text>')
        middle = (LEFT + WIDTH - RIGHT) / 2
        parts.append(f'<text class="label" x="{middle}" y="{HEIGHT - 6}" text-anchor="middle">{text(xlabel)}</text>')
        return "".join(parts)


def curves(title: str, lines: Sequence[Line], marked: float | None = None) -> str:
    """Lines over epochs, those that have points in the legend; a dashed line at the epoch that was chosen."""
    points = [point for _, line in lines for point in line]
    if not points:
        return ""
    xs, ys = [x for x, _ in points], [y for _, y in points]
    margin = (max(ys) - min(ys)) * 0.05 or 0.05
    frame = Frame((min(xs), max(xs)), (max(0, min(ys) - margin), max(ys) + margin))
    parts = [frame.axes("epoch", whole=True)]
    if marked is not None:
        x = frame.x(marked)
        parts.append(f'<line class="chosen" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{HEIGHT - BOTTOM}"/>')
    for i, (_, line) in enumerate(lines):
        path = " ".join(f"{frame.x(x):.1f},{frame.y(y):.1f}" for x, y in line)
        parts.append(f'<polyline class="line line{i}" points="{path}"/>')
        if len(line) == 1:
            parts.append(
                f'<circle class="dot dot{i}" cx="{frame.x(line[0][0]):.1f}" cy="{frame.y(line[0][1]):.1f}" r="3"/>'
            )
    legend = "".join(tag("span", text(name), class_=f"key key{i}") for i, (name, line) in enumerate(lines) if name and line)
    caption = tag("figcaption", tag("b", text(title)) + legend)
    return tag("figure", caption + svg(title, "".join(parts)))


def interval(value: float, low: float, high: float, top: float = 1.0) -> str:
    """A value on a line from 0 to `top` with its interval."""

    def x(v: float) -> float:
        return round(2 + 156 * min(1.0, max(0.0, v / top)), 1)

    inner = (
        f'<line class="grid" x1="2" x2="158" y1="8" y2="8"/>'
        f'<line class="range" x1="{x(low)}" x2="{max(x(high), x(low) + 1)}" y1="8" y2="8"/>'
        f'<line class="mark" x1="{x(value)}" x2="{x(value)}" y1="2" y2="14"/>'
    )
    words = f"{value:.3f}, from {low:.3f} to {high:.3f}"
    return tag("svg", tag("title", words) + inner, viewBox="0 0 160 16", role="img", class_="interval")


def reliability(bins: Sequence[dict[str, float]]) -> str:
    """Accuracy against confidence; the diagonal is a classifier whose confidence can be believed."""
    frame = Frame((0, 1), (0, 1))
    most = max(b["n"] for b in bins)
    parts = [
        frame.axes("confidence"),
        f'<line class="chosen" x1="{frame.x(0)}" y1="{frame.y(0)}" x2="{frame.x(1)}" y2="{frame.y(1)}"/>',
    ]
    for b in bins:
        left, right, top = frame.x(b["low"]), frame.x(b["high"]), frame.y(b["accuracy"])
        words = f"{b['n']:,} images: confidence {percent(b['confidence'])}, right {percent(b['accuracy'])}"
        box = f'x="{left + 1:.1f}" y="{top:.1f}" width="{right - left - 2:.1f}" height="{frame.y(0) - top:.1f}"'
        strength = 0.25 + 0.75 * b["n"] / most
        parts.append(f'<rect class="column" {box} fill-opacity="{strength:.2f}"><title>{words}</title></rect>')
        parts.append(f'<circle class="value" cx="{frame.x(b["confidence"]):.1f}" cy="{top:.1f}" r="3.5"/>')
    title = "Accuracy by confidence"
    note = tag("span", "darker columns hold more images; on the dashed line, confidence can be believed", class_="note")
    return tag("figure", tag("figcaption", tag("b", title) + note) + svg(title, "".join(parts)))
