"""Pictures inside the page."""

import base64
import io
from collections.abc import Mapping

import numpy as np

from saccade.report.html import tag, text

SMALL = 64


def data_uri(pixels: np.ndarray) -> str:
    """A PNG inside the page."""
    from PIL import Image

    stream = io.BytesIO()
    Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels).save(stream, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(stream.getvalue()).decode()


def picture(name: str, alt: str, caption: str, pictures: Mapping[str, np.ndarray]) -> str:
    """An image by its id with an HTML caption and its name; a blank where its pixels are no longer there."""
    image = tag("span", "no picture", class_="missing")
    if name in pictures:
        kind = "pixelated" if max(pictures[name].shape[:2]) < SMALL else "smooth"
        image = f'<img class="{kind}" alt="{text(f"{name}: {alt}")}" src="{data_uri(pictures[name])}">'
    return tag("figure", image + tag("figcaption", caption + tag("small", text(name))))


def gallery(figures: list[str]) -> str:
    return tag("div", "".join(figures), class_="gallery")
