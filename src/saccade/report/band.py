"""A loss along a line, with its spread, by its logarithm."""

from collections.abc import Sequence
from math import log
from typing import Any

from saccade.report.charts import BOTTOM, HEIGHT, TOP, Frame, svg
from saccade.report.contour import LEAST, levels
from saccade.report.html import tag, text


def band(title: str, line: dict[str, Any]) -> str:
    """The mean over subsamples as a line, one standard deviation to each side as a band."""
    marks, mean, deviation = line["marks"], line["mean"], line["deviation"]
    above = [m + d for m, d in zip(mean, deviation, strict=True)]
    low = max(LEAST, min(mean) / 2)
    high = max(2 * low, max(above) * 1.2)
    below = [max(low, m - d) for m, d in zip(mean, deviation, strict=True)]
    frame = LogFrame((marks[0], marks[-1]), (low, high))
    middle = frame.x(0)
    parts = [
        frame.axes("along the direction, in lengths of the filters"),
        f'<line class="chosen" x1="{middle:.1f}" x2="{middle:.1f}" y1="{TOP}" y2="{HEIGHT - BOTTOM}"/>',
        f'<polygon class="spread" points="{points(frame, [*marks, *reversed(marks)], [*above, *reversed(below)])}"/>',
        f'<polyline class="line line0" points="{points(frame, marks, mean)}"/>',
    ]
    note = f"loss, mean and standard deviation over {line['n']} subsamples; dashed: the weights of the run"
    caption = tag("figcaption", tag("b", text(title)) + tag("span", note, class_="note"))
    return tag("figure", caption + svg(title, "".join(parts)))


class LogFrame(Frame):
    """Heights by their logarithm; the ticks are round heights."""

    def y(self, value: float) -> float:
        low, high = self.ys
        return HEIGHT - BOTTOM - log(max(value, low) / low) / log(high / low) * (HEIGHT - BOTTOM - TOP)

    def levels(self) -> list[float]:
        return list(levels(*self.ys, wanted=3))


def points(frame: Frame, xs: Sequence[float], ys: Sequence[float]) -> str:
    return " ".join(f"{frame.x(x):.1f},{frame.y(y):.1f}" for x, y in zip(xs, ys, strict=True))
