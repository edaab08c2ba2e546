"""The pictures of a loss surface: the map against circles, and the page as a whole."""

import re
from xml.etree import ElementTree

import numpy as np
import pytest

from saccade.report.band import LogFrame, band
from saccade.report.charts import BOTTOM, HEIGHT, TOP
from saccade.report.contour import LEFT, SIDE, Smooth, contour, crossings, levels
from saccade.report.contour import TOP as EDGE
from saccade.report.sharpness import sharpness_page, sharpness_text

MARKS = np.linspace(-1, 1, 21).tolist()


def bowl(x: float, y: float) -> float:
    """Its levels are ellipses around (0.2, 0); steeper to the right."""
    return float(np.exp(3 * np.hypot(x - 0.2, 2 * y)))


def bowl_on_marks() -> list[list[float]]:
    return [[bowl(x, y) for y in MARKS] for x in MARKS]


def test_a_level_of_a_cone_is_a_circle() -> None:
    rows, columns = np.indices((101, 101))
    ends = crossings(np.hypot(rows - 50, columns - 50), 30)
    assert np.hypot(*(ends - 50).reshape(-1, 2).T) == pytest.approx(30, abs=0.02)
    lengths = np.hypot(*(ends[:, 0] - ends[:, 1]).T)
    assert lengths.sum() == pytest.approx(2 * np.pi * 30, rel=1e-3)
    assert len(crossings(np.ones((5, 5)), 2.0)) == 0


def test_every_end_of_a_piece_is_met_by_another_or_lies_on_the_edge() -> None:
    fine = np.random.default_rng(0).normal(size=(12, 12))
    ends = crossings(fine, 0.1).reshape(-1, 2)
    inside = ends[((ends > 1e-9) & (ends < 11 - 1e-9)).all(1)].round(9)
    _, met = np.unique(inside, axis=0, return_counts=True)
    assert (met == 2).all()


def test_the_map_stands_the_right_way_up() -> None:
    """First direction to the right, second upwards: between the marks as on them."""
    fine = np.exp(Smooth(MARKS, bowl_on_marks())(101))
    assert fine[0, 100] == pytest.approx(bowl(1, 1), rel=1e-6)
    assert fine[50, 0] == pytest.approx(bowl(-1, 0), rel=1e-6)
    assert fine[25, 98] == pytest.approx(bowl(0.96, 0.5), rel=1e-3)


def test_the_lines_of_the_map_lie_on_their_levels() -> None:
    figure = ElementTree.fromstring(contour("A map", MARKS, bowl_on_marks(), "a note"))
    paths = [path.attrib["d"] for path in figure.iter("path") if path.attrib["class"] == "level"]
    chosen = levels(1.0, bowl(-1, 1))
    assert len(paths) == len(chosen)
    for d, level in zip(paths[3:], chosen[3:], strict=True):
        for x, y in re.findall(r"[ML](\S+) ([\d.]+)", d):
            a, b = 2 * (float(x) - LEFT) / SIDE - 1, 1 - 2 * (float(y) - EDGE) / SIDE
            assert np.log(bowl(a, b)) == pytest.approx(np.log(level), abs=0.05)
    assert {label.text for label in figure.iter("text")} & {f"{level:g}" for level in chosen}


@pytest.mark.parametrize(
    ("low", "high", "found"),
    [
        (0.03, 400, [0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200]),
        (1e-4, 3e3, [1e-3, 1e-2, 1e-1, 1, 10, 100, 1000]),
        (0.9, 7.5, [1, 1.5, 2, 3, 5, 7]),
        (2.0, 2.0, []),
    ],
)
def test_levels_are_round_and_enough(low: float, high: float, found: list[float]) -> None:
    assert levels(low, high) == found


def test_a_flat_surface_and_one_that_touches_zero_have_a_picture() -> None:
    assert "<image" in contour("flat", MARKS, np.full((21, 21), 0.5).tolist(), "")
    heights = bowl_on_marks()
    heights[10][10] = 0.0
    assert "<image" in contour("deep", MARKS, heights, "")


def test_the_band_is_drawn_by_the_logarithm() -> None:
    frame = LogFrame((0, 1), (0.01, 100))
    assert frame.y(0.01) == HEIGHT - BOTTOM
    assert frame.y(100) == pytest.approx(TOP)
    assert frame.y(1) == pytest.approx((HEIGHT - BOTTOM + TOP) / 2)
    line = {"marks": MARKS, "mean": [bowl(x, 0) for x in MARKS], "deviation": [5.0] * 21, "n": 4}
    figure = ElementTree.fromstring(band("A band", line))
    heights = [float(pair.split(",")[1]) for pair in figure.find(".//polyline").attrib["points"].split()]
    assert np.argmax(heights) == np.argmin(line["mean"])
    edge = np.array([pair.split(",") for pair in figure.find(".//polygon").attrib["points"].split()], float)
    assert (edge[:21, 1] <= heights).all()
    assert (edge[:20:-1, 1] >= heights).all()
    assert edge[:, 1].max() <= HEIGHT - BOTTOM


def record() -> dict:
    spread = {"mean": 2.0, "deviation": 0.5, "n": 3, "values": [1.5, 2.0, 2.5]}
    names = ("loss", "eigenvalue_1", "eigenvalue_2", "trace", "trace_standard_error", "keskar_full_0.001")
    names += ("keskar_subspace_0.0005",)
    measures = dict.fromkeys(names, spread) | {"eigenvalue_3": {**spread, "mean": -1.0, "values": [-3.0, 0.0, 0.0]}}
    about = {"run": "runs/<b>&", "network": "lenet5", "data": "<i>digits</i>", "seed": 0, "precision": "float32"}
    return about | {"images": 200, "subsamples": 3, "weights": 61706, "measures": measures}


def test_the_page_is_well_formed_escaped_and_self_contained() -> None:
    plane = {"marks": MARKS, "mean": bowl_on_marks(), "deviation": bowl_on_marks(), "n": 3}
    line = {"marks": MARKS, "mean": plane["mean"][10], "deviation": [0.1] * 21, "n": 3}
    for page in (sharpness_page(record()), sharpness_page({**record(), "line": line, "plane": plane})):
        body = page[page.index("<main>") : page.index("</body>")]
        ElementTree.fromstring(body)
        assert "&lt;i&gt;digits&lt;/i&gt;" in body
        assert all(link.startswith("data:image/png;base64,") for link in re.findall(r'(?:src|href)="([^"]*)"', body))
        assert "<script" not in page
        assert "url(" not in page
        assert body.count("disjoint subsamples of 200 training images each") == 1
    assert "Over a random plane" in page


def test_the_table_names_every_measure_with_mean_and_spread() -> None:
    lines = sharpness_text(record()).splitlines()
    assert len(lines) == 1 + len(record()["measures"]) + 2
    largest = next(line for line in lines if line.startswith("largest eigenvalue"))
    assert largest.split()[-3:] == ["2", "±", "0.5"]
