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

    Calls that neither move nor mix places see what their inputs see, normalizations among them, as is usual; whatever
    else this does not know sees everything. What is computed from weights alone sees nothing and adds nothing; its own
    field is ALL. InputError where maps of different strides meet.
    """
    fields: list[Field | None] = []
    for op in ops:
        try:
            read = [fields[i] if i >= 0 else Field() for i in op.inputs]
            seen = [field for field in read if field is not None]
            fields.append(behind(op, reduce(or_, seen), axis) if seen else None)
        except ValueError as error:
            raise InputError(f"{op.path} ({op.kind}): {error}, so it has no receptive field") from error
    return [ALL if field is None else field for field in fields]


def behind(op: Op, seen: Field, axis: int) -> Field:
    """What the output of a call sees, when its input sees this."""
    if seen == ALL:
        return ALL
    match op.kind:
        case "conv2d":
            return seen.window(window_of(op, op.given[1][2 + axis], axis))
        case "max_pool2d" | "avg_pool2d":
            return seen.window(window_of(op, along(op.arguments["kernel_size"], axis), axis))
        case "adaptive_avg_pool2d" | "adaptive_max_pool2d":
            return evenly_pooled(op, seen, axis)
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


def evenly_pooled(op: Op, seen: Field, axis: int) -> Field:
    """Pooling to a size that divides the map's is pooling by a window; to one place it sees the whole map."""
    before, after = op.given[0][2 + axis], op.shape[2 + axis]
    if after == 1 or before % after:
        return ALL
    return seen.window(Window(before // after, before // after))


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
    index = op.arguments.get("index", ())
    index = index if isinstance(index, tuple) else (index,)
    if not all(isinstance(each, slice) for each in index) or len(op.given[0]) != 4:
        return seen if keeps_places(op, axis) else ALL
    if len(index) <= 2 + axis:
        return seen
    start, stop, step = index[2 + axis].indices(op.given[0][2 + axis])
    moved = Field(seen.step, tuple(seen.at(i + start) for i in range(len(seen.intervals))))
    return moved.window(Window(1, step)) if stop > start and step > 0 else ALL


# Calls that give every place what they make of that place alone, in any order of dimensions
POINTWISE = set(
    "add add_ sub sub_ mul mul_ div div_ true_divide neg abs exp log sqrt rsqrt pow square clamp clamp_ clip where maximum "
    "minimum lerp addcmul addcdiv __add__ __radd__ __iadd__ __sub__ __rsub__ __isub__ __mul__ __rmul__ __imul__ "
    "__truediv__ __rtruediv__ __pow__ __neg__ relu relu_ relu6 hardtanh hardtanh_ leaky_relu leaky_relu_ elu elu_ selu "
    "celu gelu silu silu_ mish sigmoid sigmoid_ tanh tanh_ hardswish hardswish_ hardsigmoid softplus softsign logsigmoid "
    "prelu threshold dropout dropout2d feature_dropout alpha_dropout batch_norm instance_norm group_norm layer_norm "
    "rms_norm local_response_norm cat concat concatenate clone contiguous to type float half double bfloat16 "
    "detach chunk split tensor_split zeros_like ones_like stochastic_depth".split()
)
ORDERS = ((0, 1, 2, 3), (0, 2, 3, 1), (0, 3, 1, 2))  # of permutations between channels first and channels last


def keeps_places(op: Op, axis: int) -> bool:
    """Whether output place i comes from input place i alone.

    A dense layer keeps the places of (B, H, W, C), the order in which it is applied at every place.
    """
    maps = [shape for shape in op.given if len(shape) == 4]
    if len(op.shape) != 4 or not maps:
        return False
    if op.kind == "linear":
        return op.shape[:3] == op.given[0][:3]
    if op.kind == "permute":
        return op.arguments["dims"] in ORDERS
    return op.kind in POINTWISE and max(shape[2 + axis] for shape in maps) == op.shape[2 + axis]
