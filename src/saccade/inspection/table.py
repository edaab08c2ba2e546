"""The table of a network's layers."""

from collections.abc import Sequence
from math import isinf
from typing import Any

from torch import nn

from saccade.arithmetic import Field
from saccade.inspection.fields import AXES, along, receptive_fields
from saccade.inspection.trace import Op, trace

Row = dict[str, Any]


def layer_table(network: nn.Module, image: tuple[int, int, int], device: str = "meta") -> list[Row]:
    """One row for each call of a forward pass over one image (C, H, W), and one for each module that it passes by.

    path, kind, output, parameters and biases of them, macs and whether they could be counted, bytes of the output in the
    network's precision, kernel, stride, padding, dilation and groups where it has them, and in pixels of the image,
    height before width: receptive_field, step from one place to the next, offset of the first pixel that the first place
    sees. A field that is the whole image has no offset (None), and the image's size. Which device see `traced_on`.
    """
    ops = trace(network, (1, *image), device)
    fields = zip(*(receptive_fields(ops, axis) for axis in AXES), strict=True)
    return [row(op, field, image[1:]) for op, field in zip(ops, fields, strict=True)]


def row(op: Op, fields: tuple[Field, ...], sides: Sequence[int]) -> Row:
    whole = [field.stride == 0 for field in fields]
    return {
        "path": op.path,
        "kind": op.kind,
        "output": list(op.shape[1:]),
        "parameters": op.parameters,
        "biases": op.biases,
        "macs": op.macs,
        "counted": op.counted,
        "bytes": op.bytes,
        **window(op),
        "receptive_field": [
            side if every else int(field.size) for side, every, field in zip(sides, whole, fields, strict=True)
        ],
        "step": [float(field.stride) for field in fields],
        "offset": [
            None if every or isinf(field.offset) else int(field.offset) for every, field in zip(whole, fields, strict=True)
        ],
    }


def window(op: Op) -> Row:
    """Kernel, stride and so on of a convolution or pooling, each as height and width."""
    if not op.kind.startswith("conv") and op.kind not in ("max_pool2d", "avg_pool2d"):
        return {}
    words, pooling = op.arguments, op.kind.endswith("pool2d")
    kernel = [along(words["kernel_size"], axis) for axis in AXES] if pooling else list(op.given[1][2:])
    found: Row = {"kernel": kernel}
    for name, default in (("stride", kernel if pooling else 1), ("padding", 0), ("dilation", 1)):
        value = words.get(name)
        found[name] = value if isinstance(value, str) else [along(default if value is None else value, a) for a in AXES]
    return found if pooling else {**found, "groups": words.get("groups", 1)}
