"""Convolution as signal processing defines it, and as convolutional networks use it."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

MODES = ("valid", "same", "full")
_SOBEL = [[-1.0, 0.0, 1.0], [-2.0, 0.0, 2.0], [-1.0, 0.0, 1.0]]

# Each stamps its shape on the image; of the two of Sobel the length is taken (Sobel and Feldman 1968)
KERNELS: dict[str, list[Tensor]] = {
    "blur": [torch.tensor([[1.0, 2.0, 1.0], [2.0, 4.0, 2.0], [1.0, 2.0, 1.0]]) / 16],
    "sharpen": [torch.tensor([[0.0, -1.0, 0.0], [-1.0, 5.0, -1.0], [0.0, -1.0, 0.0]])],
    "emboss": [torch.tensor([[-2.0, -1.0, 0.0], [-1.0, 1.0, 1.0], [0.0, 1.0, 2.0]])],
    "outline": [torch.tensor([[-1.0, -1.0, -1.0], [-1.0, 8.0, -1.0], [-1.0, -1.0, -1.0]])],
    "sobel": [torch.tensor(_SOBEL), torch.tensor(_SOBEL).T],
}


@dataclass(frozen=True)
class How:
    """`mode`: "valid", only where the kernel lies inside; "same", the size of the signal; "full", wherever they touch.

    `flip`: the convolution of signal processing, `(I * K)(i, j) = sum over m, n of I(m, n) K(i - m, j - n)`; without, the
    cross-correlation that networks compute, `sum over m, n of I(i + m, j + n) K(m, n)`.
    """

    mode: str = "same"
    flip: bool = True


def convolve(signal: Tensor, kernel: Tensor, how: How | None = None) -> Tensor:
    """Of signals (..., N) with a kernel (K,), or of images (..., H, W) with a kernel (K, L); zeros lie around them.

    Equal to scipy.signal.convolve and convolve2d and, without flip, to correlate2d and to torch's convolutions.
    ValueError where the kernel does not fit a valid place.
    """
    how = how or How()
    if kernel.dim() not in (1, 2) or signal.dim() < kernel.dim():
        raise ValueError(
            f"a kernel has one or two axes and a signal at least as many, not {kernel.dim()} and {signal.dim()}"
        )
    if how.mode not in MODES:
        raise ValueError(f'mode is {", ".join(MODES)}, not "{how.mode}"')
    axes = kernel.dim()
    sides = signal.shape[-axes:]
    if how.mode == "valid" and any(k > n for k, n in zip(kernel.shape, sides, strict=True)):
        raise ValueError(f"a kernel of {tuple(kernel.shape)} lies nowhere inside a signal of {tuple(sides)}")
    weight = kernel.flip(tuple(range(axes))) if how.flip else kernel
    flat = signal.reshape(-1, 1, *sides)
    padding = [0 if how.mode == "valid" else k - 1 for k in kernel.shape]
    compute = functional.conv1d if axes == 1 else functional.conv2d
    found = compute(flat, weight[None, None].to(signal.dtype), padding=padding)
    if how.mode == "same":
        for axis, (k, n) in enumerate(zip(kernel.shape, sides, strict=True)):
            found = found.narrow(2 + axis, (k - 1) // 2 if how.flip else k // 2, n)
    return found.reshape(*signal.shape[:-axes], *found.shape[2:])


def filtered(images: Tensor, kernels: list[Tensor], how: How) -> Tensor:
    """Images (..., H, W) by one kernel, or by several of which the length is taken."""
    answers = [convolve(images, kernel, how) for kernel in kernels]
    return answers[0] if len(answers) == 1 else torch.stack(answers).square().sum(0).sqrt()
