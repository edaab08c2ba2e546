"""What a trained network sees: its first filters, its feature maps, and the pixels that it really uses."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor, nn

from saccade.arithmetic import Field
from saccade.errors import InputError

CELL, GAP = 72, 4
MOST = 24  # maps of one layer that are shown
PAPER = (253, 253, 251)


@dataclass(frozen=True)
class Effective:
    """How much each pixel moves the middle of a map, (H, W) from 0 to 1, and what it could see at most: rows, columns."""

    weights: np.ndarray
    rows: tuple[float, float]
    columns: tuple[float, float]

    @property
    def side(self) -> float:
        """The side of a square of as many pixels as have at least 4.55 % of the largest weight (arXiv:1701.04128)."""
        return float(np.sqrt((self.weights > 0.0455).sum()))


def outputs(network: nn.Module, paths: Sequence[str], images: Tensor) -> list[Tensor]:
    """What the modules of these paths give for the images. InputError for an unknown path."""
    known = dict(network.named_modules())
    if missing := [path for path in paths if path not in known]:
        raise InputError(f'the network has no part "{missing[0]}"')
    found: dict[str, Tensor] = {}
    hooks = [
        known[path].register_forward_hook(lambda module, args, out, path=path: found.__setitem__(path, out))
        for path in paths
    ]
    try:
        network(images)
    finally:
        for hook in hooks:
            hook.remove()
    return [found[path] for path in paths]


def effective_field(network: nn.Module, path: str, images: Tensor, fields: tuple[Field, Field]) -> Effective:
    """Of the middle place of a module's output, over images (N, C, H, W): the mean size of the gradient at every pixel.

    Luo, Li, Urtasun and Zemel 2016, arXiv:1701.04128, on real images and not on noise. `fields` are the largest possible.
    """
    leaf = images.clone().requires_grad_(True)
    (out,) = outputs(network.eval(), [path], leaf)
    if out.dim() != 4:
        raise InputError(f"{path}: its output is no map of places, but {tuple(out.shape[1:])}")
    row, column = out.shape[2] // 2, out.shape[3] // 2
    out[:, :, row, column].sum().backward()
    assert leaf.grad is not None
    weights = leaf.grad.abs().sum(1).mean(0).numpy()
    return Effective(weights / max(float(weights.max()), 1e-30), fields[0].at(row), fields[1].at(column))


def effective_picture(effective: Effective, image: np.ndarray) -> Image.Image:
    """The image (H, W, 3) dimmed where its pixels count for little, with a frame around all that could count."""
    shown = np.sqrt(effective.weights)[:, :, None]
    faded = 255 - (255 - image.astype(np.float64)) * 0.25
    mixed = faded * (1 - shown) + np.array([196, 99, 31]) * shown
    scale = max(1, 448 // image.shape[0])
    picture = Image.fromarray(mixed.round().astype(np.uint8)).resize((image.shape[1] * scale, image.shape[0] * scale), 0)
    corners = [effective.columns[0], effective.rows[0], effective.columns[1] + 1, effective.rows[1] + 1]
    sides = (picture.width, picture.height) * 2
    frame = [min(max(corner * scale, 0), side - 1) for corner, side in zip(corners, sides, strict=True)]
    ImageDraw.Draw(picture).rectangle(frame, outline=(11, 110, 117), width=2)
    return picture


def filters_and_maps(network: nn.Module, image: Tensor, paths: Sequence[str]) -> Image.Image:
    """The filters of the first convolution, then the first maps of each of these modules for an image (1, C, H, W)."""
    first = next((m for m in network.modules() if isinstance(m, nn.Conv2d)), None)
    if first is None:
        raise InputError("there is no convolution whose filters could be shown")
    with torch.no_grad():
        rows = [("filters of the first convolution", list(first.weight[:MOST]))]
        for path, out in zip(paths, outputs(network.eval(), paths, image), strict=True):
            rows.append((f"{path}: {'x'.join(map(str, out.shape[1:]))}", list(out[0, :MOST, None])))
    return sheet(rows)


def sheet(rows: Sequence[tuple[str, Sequence[Tensor]]]) -> Image.Image:
    """Rows of small pictures, each (1 or 3, h, w) with its own lightest and darkest value, under their titles."""
    across = 12
    heights = [20 + -(-len(pictures) // across) * (CELL + GAP) for _, pictures in rows]
    page = Image.new("RGB", (across * (CELL + GAP) + GAP, sum(heights) + GAP), PAPER)
    draw, top = ImageDraw.Draw(page), GAP
    for (title, pictures), height in zip(rows, heights, strict=True):
        draw.text((GAP, top), title, fill=(29, 35, 39))
        for i, picture in enumerate(pictures):
            place = (GAP + i % across * (CELL + GAP), top + 16 + i // across * (CELL + GAP))
            page.paste(thumbnail(picture), place)
        top += height
    return page


def thumbnail(picture: Tensor) -> Image.Image:
    low, high = picture.min(), picture.max()
    values = ((picture - low) / (high - low).clamp_min(1e-12) * 255).byte().permute(1, 2, 0).cpu().numpy()
    values = values if values.shape[2] == 3 else values.mean(2).astype(np.uint8)
    return Image.fromarray(values).resize((CELL, CELL), 0).convert("RGB")
