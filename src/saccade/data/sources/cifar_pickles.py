"""The Python version of CIFAR: pickled dictionaries of arrays, read without running anything that a pickle may name."""

import io
import pickle
from typing import Any

import numpy as np

# All that the official files name: an array put together from its type and bytes (written by Python 2 with numpy 1)
ALLOWED = {
    ("numpy.core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "_reconstruct"),
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
    ("_codecs", "encode"),
}


class Arrays(pickle.Unpickler):
    """A pickle may name any function of the machine; this one gets at the makers of arrays alone."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in ALLOWED:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}")
        return super().find_class(module.replace("numpy.core", "numpy._core"), name)


def unpickled(data: bytes) -> dict[bytes, Any]:
    """The dictionary; its words are bytes whichever Python wrote them."""
    words = Arrays(io.BytesIO(data), encoding="bytes").load()
    return {name.encode() if isinstance(name, str) else name: value for name, value in words.items()}


def records(data: bytes, labels: tuple[bytes, ...]) -> np.ndarray:
    """uint8 (N, labels + 3072) in the order of the binary version."""
    words = unpickled(data)
    columns = [np.asarray(words[name], np.uint8)[:, None] for name in labels]
    return np.concatenate([*columns, np.asarray(words[b"data"], np.uint8).reshape(-1, 3 * 32 * 32)], axis=1)


def records_of_cifar10(data: bytes) -> np.ndarray:
    return records(data, (b"labels",))


def records_of_cifar100(data: bytes) -> np.ndarray:
    return records(data, (b"coarse_labels", b"fine_labels"))


def class_names(data: bytes) -> tuple[str, ...]:
    """Of batches.meta (CIFAR-10) or meta (CIFAR-100)."""
    words = unpickled(data)
    names = words.get(b"fine_label_names", words.get(b"label_names", ()))
    return tuple(name.decode() if isinstance(name, bytes) else str(name) for name in names)
