"""Augmentation of one image after another, compiled for the CPU: an image stays in the cache until all is done to it.

Each loop does to one image (float32 planes in 0..1, one behind the other) what a function of the floor above does to
batches by torch's operations; tests hold the two together. A file here calls no other: numba keeps compiled loops on disk,
and compiles anew only what lies in the changed file itself.
"""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from saccade.data.augment.loops.channels import apart
from saccade.data.preprocess import to_float
from saccade.kernels import on_threads

Work = Callable[[np.ndarray, np.ndarray, int, int], None]


def fit(images: Tensor) -> bool:
    """Whether loops can do it: float32 on the CPU, and no gradient is asked for."""
    return images.device.type == "cpu" and images.dtype == torch.float32 and not images.requires_grad


def on_images(images: Tensor, work: Work) -> Tensor:
    """What work(images, out, start, stop) has written into `out` for image start to stop, on the threads of torch."""
    given = planes(images).numpy()
    out = np.empty_like(given)
    on_threads(lambda start, stop: work(given, out, start, stop), len(given))
    return torch.from_numpy(out)


def planes(images: Tensor) -> Tensor:
    """float32 (B, C, H, W) in 0..1 in planes, of such images or of uint8 as stored.

    What torch does in three passes, or in one of three times the length, where three channels lie side by side on a CPU.
    """
    known = images.dtype in (torch.uint8, torch.float32) and images.device.type == "cpu"
    pixels = images.permute(0, 2, 3, 1)
    if images.shape[1] != 3 or not known or images.is_contiguous() or not pixels.is_contiguous():
        return to_float(images).contiguous()
    unit = 1.0 if images.is_floating_point() else 1 / 255  # float64, which gives the float32 that is nearest to x / 255
    given, out = pixels.flatten(2).numpy(), np.empty(images.shape, np.float32)
    on_threads(lambda start, stop: apart(given, unit, out, (start, stop)), len(given))
    return torch.from_numpy(out)
