"""Test-time augmentation: several views of each image, and the mean of what is said about them."""

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from saccade.data.preprocess import center_crop
from saccade.errors import InputError, suggestion

SHIFT = 1 / 16  # of the size: how far the views of "shifts" lie from the middle
CORNERS = ("five", "ten")
VIEWS = ("center", "mirror", "five", "ten", "shifts")


def views(images: Tensor, size: int, kind: str) -> Iterator[Tensor]:
    """Batches (B, C, size, size), one for each view of the images (B, C, H, W), sides at least size.

    "center": the middle (1 view). "mirror": it and its mirror image (2). "five": four corners and the middle, "ten": those
    and their mirror images (AlexNet, section 4.1); of images that have this very size all corners are the middle.
    "shifts": the middle, and moved by a sixteenth of the size to each of four sides, where nothing is left the border
    pixels are repeated (5).
    """
    if kind not in VIEWS:
        raise InputError(f'views: "{kind}" is none of {", ".join(VIEWS)}{suggestion(kind, VIEWS)}')
    for view in _crops(images, size, kind):
        yield view
        if kind in ("mirror", "ten"):
            yield view.flip(3)


def _crops(images: Tensor, size: int, kind: str) -> Iterator[Tensor]:
    middle = center_crop(images, size)
    yield middle
    if kind in CORNERS:
        down, right = (side - size for side in images.shape[2:])
        for top, left in ((0, 0), (0, right), (down, 0), (down, right)):
            yield images[..., top : top + size, left : left + size]
    if kind == "shifts":
        far = max(1, round(SHIFT * size))
        padded = F.pad(middle, (far,) * 4, mode="replicate")
        for top, left in ((0, far), (2 * far, far), (far, 0), (far, 2 * far)):
            yield padded[..., top : top + size, left : left + size]


def mean_probabilities(predict: Callable[[Tensor], Tensor], batches: Iterator[Tensor] | Sequence[Tensor]) -> Tensor:
    """(B, classes): the mean over the views of predict(view), which are probabilities (B, classes)."""
    return torch.stack([predict(view) for view in batches]).mean(dim=0)
