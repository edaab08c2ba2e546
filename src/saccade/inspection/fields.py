"""Receptive fields of every call of a recorded pass, by interval arithmetic on whole pixels."""

from collections.abc import Sequence
from functools import reduce
from operator import or_
from typing import Any

from saccade.arithmetic import ALL, Field, Window
from saccade.errors import InputError
from saccade.inspection.trace import Op

AXES = (0, 1)  # height and width: dimensions 2 and 3 of a map (B, C, H, W)


def receptive_fields(ops: Sequence[Op], axis: int) -> list[Field]:
    """What each call sees of the image along the axis, 0 for height and 1 for width.

    Calls that neither move nor mix places see what their inputs see; whatever else this does not know sees everything.
    InputError where maps of different strides meet.
    """
    fields: list[Field] = []
    for op in ops:
        try:
            seen = [fields[i] if i >= 0 else Field() for i in op.inputs]
            fields.append(behind(op, reduce(or_, seen) if seen else ALL, axis))
        except ValueError as error:
            raise InputError(f"{op.path} ({op.kind}): {error}, so it has no receptive field") from error
    return fields


def behind(op: Op, seen: Field, axis: int) -> Field:
    """What the output of a call sees, when its input sees this."""
    if seen == ALL:
        return ALL
    match op.kind:
        case "conv2d":
            return seen.window(window_of(op, op.given[1][2 + axis], axis))
        case "max_pool2d" | "avg_pool2d":
            return seen.window(window_of(op, along(op.arguments["kernel_size"], axis), axis))
        case "conv_transpose2d":
            return seen.transposed(window_of(op, op.given[1][2 + axis], axis))
        case "pad":
            return padded(op, seen, axis)
        case "interpolate":
            return enlarged(op, seen, axis)
        case "__getitem__":
            return sliced(op, seen, axis)
        case _:
            return seen if keeps_places(op, axis) else ALL


def along(value: Any, axis: int) -> int:
    """One of a pair; a number stands for both."""
    if isinstance(value, list | tuple):
        return int(value[axis] if len(value) > 1 else value[0])
    return int(value)


def window_of(op: Op, kernel: int, axis: int) -> Window:
    words = op.arguments
    dilation = along(words.get("dilation", 1), axis)
    pooling = op.kind.endswith("pool2d")
    stride = words.get("stride") or (words["kernel_size"] if pooling else 1)
    padding = words.get("padding", 0)
    if isinstance(padding, str):  # torch puts the smaller half of "same" first
        padding = dilation * (kernel - 1) // 2 if padding == "same" else 0
    return Window(kernel, along(stride, axis), along(padding, axis), dilation)


def padded(op: Op, seen: Field, axis: int) -> Field:
    """`pad` counts from the last dimension back: left, right, top, bottom, ..."""
    amounts, place = op.arguments["pad"], 2 * (1 - axis)
    before = amounts[place] if place < len(amounts) else 0
    if before >= 0:
        return seen.window(Window(1, padding=before))
    return Field(seen.step, tuple(seen.at(i - before) for i in range(len(seen.intervals))))


def enlarged(op: Op, seen: Field, axis: int) -> Field:
    before, after = op.given[0][2 + axis], op.shape[2 + axis]
    mode = op.arguments.get("mode", "nearest")
    if after % before or mode not in ("nearest", "bilinear") or op.arguments.get("align_corners"):
        return ALL
    return seen.enlarged(after // before, mode == "bilinear")


def sliced(op: Op, seen: Field, axis: int) -> Field:
    """x[:, :, a::s, b::t]; any other index of the places sees everything."""
    index = op.arguments["index"]
    index = index if isinstance(index, tuple) else (index,)
    if not all(isinstance(each, slice) for each in index) or len(op.given[0]) != 4:
        return seen if keeps_places(op, axis) else ALL
    if len(index) <= 2 + axis:
        return seen
    start, stop, step = index[2 + axis].indices(op.given[0][2 + axis])
    moved = Field(seen.step, tuple(seen.at(i + start) for i in range(len(seen.intervals))))
    return moved.window(Window(1, step)) if stop > start and step > 0 else ALL


MIXING = {"linear", "matmul", "__matmul__", "mm", "bmm", "mean", "sum", "amax", "softmax", "roll", "flip", "fft2", "einsum"}


def keeps_places(op: Op, axis: int) -> bool:
    """Whether output place i comes from input place i alone: the same side, and no kind that mixes places.

    A dense layer keeps the places of (B, H, W, C), the order in which it is applied at every place.
    """
    if not op.given:
        return False
    if op.kind == "linear":
        return len(op.shape) == 4 and op.shape[:3] == op.given[0][:3]
    if op.kind in ("permute", "transpose", "movedim"):
        return len(op.shape) == 4
    maps = [shape for shape in op.given if len(shape) == 4]
    if op.kind in MIXING or op.kind.startswith("adaptive") or len(op.shape) != 4 or not maps:
        return False
    return max(shape[2 + axis] for shape in maps) == op.shape[2 + axis]
