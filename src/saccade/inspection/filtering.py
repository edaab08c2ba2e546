"""A filter on a real picture."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from saccade.data.decode import decode
from saccade.data.listing import Unusable
from saccade.errors import InputError, suggestion
from saccade.layers.filter import KERNELS, How, filtered
from saccade.writing import replacing


def filter_image(image: Path, kernel: str, out: Path, how: How) -> dict[str, Any]:
    """Write the image convolved with a named kernel, or with one from a text file, channel by channel.

    Values below 0 and above 255 are cut off. InputError for what cannot be read or written.
    """
    try:
        pixels = decode(image.read_bytes()).pixels
    except (OSError, Unusable) as error:
        raise InputError(f"{image}: {getattr(error, 'strerror', None) or error}") from error
    kernels = kernels_of(kernel)
    try:
        found = filtered(torch.tensor(pixels, dtype=torch.float64).permute(2, 0, 1), kernels, how)
    except ValueError as error:
        raise InputError(f"filter: {error} (the image is {image})") from error
    values = found.round().clamp(0, 255).byte().permute(1, 2, 0).numpy()
    if image.resolve() == out.resolve():
        raise InputError(f"{out}: this is the image itself; name another file with -o")
    save(values, out)
    way = "convolved" if how.flip else "correlated"
    return {"file": str(out), "height": values.shape[0], "width": values.shape[1], "how": way, "kernel": kernel}


def save(values: np.ndarray, out: Path) -> None:
    """uint8 (H, W, 1 or 3), in the format that the ending names."""
    kind = Image.registered_extensions().get(out.suffix.lower())
    if kind is None or kind not in Image.SAVE:
        raise InputError(f'{out}: there is no image format "{out.suffix}"; use .png or .jpg')
    with replacing(out) as part:
        Image.fromarray(values[:, :, 0] if values.shape[2] == 1 else values).save(part, kind)


def kernels_of(word: str) -> list[Tensor]:
    """Those of a name, or the rows of numbers in a text file."""
    if word in KERNELS:
        return [kernel.double() for kernel in KERNELS[word]]
    file = Path(word)
    if not file.is_file():
        raise InputError(f'kernel: there is no "{word}"{suggestion(word, KERNELS)} ({", ".join(KERNELS)}, or a text file)')
    try:
        rows = [
            [float(each) for each in line.replace(",", " ").split()]
            for line in file.read_text().splitlines()
            if line.strip()
        ]
        found = torch.tensor(rows, dtype=torch.float64).reshape(len(rows), -1) if rows else torch.zeros(0)
        if not found.numel() or not found.isfinite().all():
            raise ValueError("it has none" if not found.numel() else "one is not finite")
        return [found]
    except (ValueError, RuntimeError) as error:
        raise InputError(f"{file}: a kernel is rows of as many numbers each ({error})") from error
