"""A surface over a square as a map: bands of colour between levels, a line at each level, its value on the line."""

from collections.abc import Sequence
from math import ceil, floor, log10

import numpy as np
from scipy.interpolate import RectBivariateSpline

from saccade.report.charts import svg
from saccade.report.html import tag, text
from saccade.report.pictures import png

SIDE, LEFT, TOP, BOTTOM, RIGHT = 420, 60, 12, 54, 12
LINES, PIXELS = 97, 480  # points of a side between which lines are drawn, and pixels of the bands
APART = 14  # between the values of two levels
LEAST = 1e-9  # a loss that has a logarithm
# From the bottom of a valley up: lightness grows evenly, so the map can be read without its colours
RAMP = np.array([[9, 48, 63], [11, 110, 117], [87, 167, 158], [176, 210, 190], [240, 236, 214], [248, 222, 178]])


def contour(title: str, marks: Sequence[float], heights: Sequence[Sequence[float]], note: str) -> str:
    """A figure; heights[i][j] stands at (marks[i], marks[j]), to the right and upwards. Levels are even in ratio."""
    fine = Smooth(marks, heights)
    chosen = levels(max(LEAST, float(np.min(heights))), float(np.max(heights)))
    scale = [mark for mark in (-1, -0.5, 0, 0.5, 1) if marks[0] <= mark <= marks[-1]]
    parts = [bands(fine(PIXELS), chosen), *lines(fine(LINES), chosen), axes(scale, (marks[0], marks[-1]))]
    centre = f'<path class="centre" d="M{LEFT + SIDE / 2 - 6} {TOP + SIDE / 2}h12m-6 -6v12"/>'
    caption = tag("figcaption", tag("b", text(title)) + tag("span", text(note), class_="note"))
    return tag("figure", caption + svg(title, "".join(parts) + centre, LEFT + SIDE + RIGHT, TOP + SIDE + BOTTOM))


class Smooth:
    """The logarithm of the heights between the marks, by a cubic spline through all of them."""

    def __init__(self, marks: Sequence[float], heights: Sequence[Sequence[float]]):
        self.spline = RectBivariateSpline(marks, marks, np.log(np.maximum(heights, LEAST)))
        self.low, self.high = marks[0], marks[-1]

    def __call__(self, points: int) -> np.ndarray:
        """(points, points), rows from the top of the picture down."""
        at = np.linspace(self.low, self.high, points)
        return self.spline(at, at).T[::-1]


def levels(low: float, high: float, wanted: int = 6) -> list[float]:
    """Round numbers between low and high, even in ratio: 1, 2, 5, 10, ... or, where these are few, more of them."""
    powers = range(floor(log10(low)), ceil(log10(high)) + 1)
    found: list[float] = []
    for steps in ((1,), (1, 2, 5), (1, 1.5, 2, 3, 5, 7), tuple(1 + i / 4 for i in range(36))):
        found = [round(step * 10.0**power, 12) for power in powers for step in steps if low < step * 10.0**power < high]
        if len(found) >= wanted:
            break
    return found


def bands(fine: np.ndarray, chosen: Sequence[float]) -> str:
    """The picture behind the lines."""
    places = np.linspace(0, len(RAMP) - 1, len(chosen) + 1)
    colours = np.stack([np.interp(places, range(len(RAMP)), channel) for channel in RAMP.T], 1).round().astype(np.uint8)
    pixels = colours[np.searchsorted(np.log(chosen), fine)]
    return f'<image href="{png(pixels)}" x="{LEFT}" y="{TOP}" width="{SIDE}" height="{SIDE}"/>'


def lines(fine: np.ndarray, chosen: Sequence[float]) -> list[str]:
    """A path for each level, with its value where it meets the way from the centre to the upper right corner."""
    paths, words = [], []
    last, corner = 0.0, SIDE / 2 - APART
    for level in chosen:
        ends = crossings(fine, np.log(level)) * (SIDE / (len(fine) - 1))
        moves = "".join(f"M{LEFT + x0:.1f} {TOP + y0:.1f}L{LEFT + x1:.1f} {TOP + y1:.1f}" for (y0, x0), (y1, x1) in ends)
        paths.append(f'<path class="level" d="{moves}"/>')
        along = [x - SIDE / 2 for y, x in ends[:, 0] if abs(x + y - SIDE) < SIDE / len(fine) and x - SIDE / 2 < corner]
        if along and max(along) > last + APART:
            last = max(along)
            x, y = LEFT + SIDE / 2 + last, TOP + SIDE / 2 - last + 4
            words.append(f'<text class="height" x="{x:.1f}" y="{y:.1f}" text-anchor="middle">{level:g}</text>')
    return [*paths, *words]


def crossings(fine: np.ndarray, level: float) -> np.ndarray:
    """(N, 2, 2) ends (row, column) of the pieces of the line where the surface has this level.

    Every square of four neighbours is cut into two triangles, each of which a plane crosses in one piece or not at all:
    marching triangles, without the ambiguous cases of marching squares.
    """
    rows, columns = np.indices(fine.shape)
    points = np.stack([rows, columns, fine - level], 2)
    a, b, c, d = points[:-1, :-1], points[:-1, 1:], points[1:, :-1], points[1:, 1:]
    corners = np.stack([np.stack([a, b, c], 2), np.stack([d, b, c], 2)]).reshape(-1, 3, 3)
    above = corners[:, :, 2] > 0
    corners, above = corners[crossed := above.any(1) & ~above.all(1)], above[crossed]
    # The corner that is alone on its side; the line crosses the two edges from it
    lonely = np.where(above.sum(1) == 1, above.argmax(1), (~above).argmax(1))
    each = np.arange(len(corners))
    alone = corners[each, lonely][:, None]
    others = np.stack([corners[each, (lonely + 1) % 3], corners[each, (lonely + 2) % 3]], 1)
    share = alone[..., 2:] / (alone[..., 2:] - others[..., 2:])
    return (alone + share * (others - alone))[..., :2]


def axes(scale: Sequence[float], ends: tuple[float, float]) -> str:
    parts = []
    for value in scale:
        along = (value - ends[0]) / (ends[1] - ends[0]) * SIDE
        x, y = LEFT + along, TOP + SIDE - along
        parts.append(f'<text class="tick" x="{x:.1f}" y="{TOP + SIDE + 20}" text-anchor="middle">{value:g}</text>')
        parts.append(f'<text class="tick" x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{value:g}</text>')
    middle = LEFT + SIDE / 2
    label = "along two directions, in lengths of the filters"
    parts.append(f'<text class="label" x="{middle}" y="{TOP + SIDE + 44}" text-anchor="middle">{label}</text>')
    return "".join(parts)
