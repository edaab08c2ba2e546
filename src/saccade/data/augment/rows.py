"""Some images of a batch, and one parameter for each image."""

from collections.abc import Callable

import torch
from torch import Tensor

Parameter = Tensor | float  # one number for all images, or (B,) on the CPU


def of_each(parameter: Parameter, images: Tensor) -> Tensor:
    """(B,) on the CPU: the parameter of each image."""
    return torch.as_tensor(parameter).expand(len(images))


def beside(values: Tensor, images: Tensor) -> Tensor:
    """(B,) as (B, 1, 1, 1) in the images' type on their device, so that it multiplies them."""
    return values.to(images.device, images.dtype).view(-1, 1, 1, 1)


def where_chosen(images: Tensor, chosen: Tensor, operation: Callable[..., Tensor], *parameters: Tensor) -> Tensor:
    """operation(images, *parameters) for the images with chosen[b]; the others stay as they are, bit for bit.

    images: (B, C, H, W), not written to. chosen: (B,) bool and parameters: (B, ...), on the CPU, so that no device is
    waited for. operation: keeps the shape.
    """
    rows = chosen.nonzero().squeeze(1)
    if not len(rows):
        return images
    if len(rows) == len(images):
        return operation(images, *parameters)
    there = rows.to(images.device)
    changed = operation(images.index_select(0, there), *(parameter[rows] for parameter in parameters))
    return images.index_copy(0, there, changed)
