"""Batches as index tensors into the resident images."""

import warnings
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from saccade.seeds import derive


def epoch_order(indices: np.ndarray, seed: int, epoch: int) -> np.ndarray:
    """The images of this epoch in their order: a function of (seed, epoch) alone, so that a resumed run sees the same."""
    return np.random.default_rng(derive(seed, "order", epoch)).permutation(indices)


def training_batches(order: np.ndarray, size: int) -> list[np.ndarray]:
    """The order cut into batches. A last batch of a single image is left out: batch norm has no variance for it."""
    cuts = [order[i : i + size] for i in range(0, len(order), size)]
    return cuts[:-1] if len(cuts) > 1 and len(cuts[-1]) == 1 < size else cuts


class Resident:
    """The stored images and their labels, on the device where they fit, else mapped from the disk (always on a CPU)."""

    def __init__(self, pixels: np.ndarray, labels: np.ndarray, device: torch.device):
        self.device = device
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of torch, that a mapped file cannot be written to: nothing here writes
            self.pixels = torch.from_numpy(pixels)
        self.labels = torch.from_numpy(labels)
        if device.type == "cuda" and pixels.nbytes < torch.cuda.mem_get_info(device)[0] // 2:
            self.pixels, self.labels = self.pixels.to(device), self.labels.to(device)

    def take(self, indices: np.ndarray) -> tuple[Tensor, Tensor]:
        """uint8 images (B, H, W, C) and labels (B,) on the device."""
        where = torch.from_numpy(indices).to(self.pixels.device)
        # index_select copies only the rows asked for out of the mapped file
        pixels, labels = self.pixels.index_select(0, where), self.labels.index_select(0, where)
        return pixels.to(self.device, non_blocking=True), labels.to(self.device, non_blocking=True)


def evaluation_batches(resident: Resident, indices: np.ndarray, size: int) -> Iterator[tuple[Tensor, Tensor, int]]:
    """Images, labels, and how many of them count: every batch has the same size, the last one filled up with repeats.

    Kernels are chosen by shape, so only with one shape does an image get the same scores whichever images are beside it.
    """
    for i in range(0, len(indices), size):
        part = indices[i : i + size]
        yield *resident.take(np.resize(part, size)), len(part)
