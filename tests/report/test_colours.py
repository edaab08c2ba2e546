"""The colours of lines, as eyes see them: normal ones, and two kinds of colour-blind ones."""

from itertools import combinations

import numpy as np
import pytest

from saccade.report.studies import COLOURS, colour, race_page

# Oklab: https://bottosson.github.io/posts/oklab; deficient vision in linear RGB: Machado et al. 2009, severity 1
CONES = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)
OPPONENTS = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
)
EYES = {
    "normal": np.eye(3),
    "deuteranope": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]]
    ),
    "protanope": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
}


def linear(lightness: float, hue: float) -> np.ndarray:
    """Linear RGB of the colour as a screen shows it: with less chroma where it has none of that much."""
    for chroma in np.arange(0.15, 0, -0.002):
        a, b = chroma * np.cos(np.radians(hue)), chroma * np.sin(np.radians(hue))
        rgb = np.linalg.solve(CONES, np.linalg.solve(OPPONENTS, [lightness, a, b]) ** 3)
        if rgb.min() >= -1e-4 and rgb.max() <= 1 + 1e-4:
            return rgb.clip(0, 1)
    raise AssertionError("it is no colour of a screen")


@pytest.mark.parametrize("eye", EYES)
@pytest.mark.parametrize(("lines", "apart"), [(6, 0.13), (len(COLOURS), 0.07)])
def test_colours_of_lines_can_be_told_apart(eye: str, lines: int, apart: float) -> None:
    """By Oklab's distance, of which 0.02 is just seen side by side."""
    seen = [OPPONENTS @ np.cbrt(CONES @ (EYES[eye] @ linear(*each)).clip(0, 1)) for each in COLOURS[:lines]]
    assert min(np.linalg.norm(a - b) for a, b in combinations(seen, 2)) > apart


def test_a_race_gives_colours_by_rank() -> None:
    row = {"lr": 0.1, "part": "test", "by_seed": [0.5], "curves": [[0.4, 0.5]], "seconds": 1.0, "tried": [[0.1, 0.5]]}
    accuracy = {"low": 0.1, "high": 0.9, "n": 100}
    rules = [
        {"rule": "failed", "tried": [[0.1, -1]], "failed": ["failed-run-0"]},
        {"rule": "second", "accuracy": accuracy | {"value": 0.4}, **row},
        {"rule": "first", "accuracy": accuracy | {"value": 0.5}, **row},
    ]
    page = race_page({"rules": rules, "data": "digits", "epochs": 2, "study": "race"}, {})
    for rank, rule in enumerate(("first", "second")):
        assert f'<span class="key hued" style="{colour(rank)}">{rule}</span>' in page
