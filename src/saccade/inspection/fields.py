"""Receptive fields of every call of a recorded pass, by interval arithmetic on whole pixels."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from operator import or_
from typing import Any

from saccade.arithmetic import ALL, Field, Window
from saccade.errors import InputError
from saccade.inspection.places import moved
from saccade.inspection.trace import WRITTEN, Op

AXES = (0, 1)  # height and width: dimensions 2 and 3 of the images (B, C, H, W)


@dataclass(frozen=True)
class View:
    """What the places of a tensor see of the image along one axis, and which of its dimensions runs along it."""

    field: Field
    dim: int


EVERYTHING = View(ALL, -1)


def receptive_fields(ops: Sequence[Op], axis: int) -> list[Field]:
    """What each call sees of the image along the axis, 0 for height and 1 for width.

    Calls that neither move nor mix places see what their inputs see, normalizations among them, as is usual; whatever
    else this does not know sees everything. What is computed from weights alone sees nothing and adds nothing; its own
    field is ALL. Padding counts as pixels outside: under circular or reflected padding the places at the border see more.
    Values that leave torch (`.numpy()`) and come back are not followed. InputError where maps of different strides meet.
    """
    views: list[View | None] = []
    for op in ops:
        try:
            views.append(behind(op, views, axis))
        except ValueError as error:
            raise InputError(f"{op.path} ({op.kind}): {error}, so it has no receptive field") from error
    return [ALL if view is None else view.field for view in views]


def behind(op: Op, views: Sequence[View | None], axis: int) -> View | None:
    """What the output of a call sees: what its inputs see, together. None where that is nothing of the image."""
    read = []
    for place, source in enumerate(op.sources):
        view = View(Field(), 2 + axis) if source == -1 else views[source] if source is not None else None
        if view is not None and op.kind not in CONSTANT:
            read.append(EVERYTHING if view.field == ALL else through(op, place, view))
    if not read:
        return None
    if EVERYTHING in read or len({view.dim for view in read}) > 1:
        return EVERYTHING
    return View(reduce(or_, (view.field for view in read)), read[0].dim)


def through(op: Op, place: int, seen: View) -> View:
    """What the output sees through the tensor at this place of the call's."""
    shape, axis = op.given[place], seen.dim - len(op.given[place]) + 2
    if op.kind in WINDOWS:
        images = place == 0 and len(shape) == 4 and axis in AXES
        return View(WINDOWS[op.kind](op, seen.field, axis), seen.dim) if images else EVERYTHING
    if op.kind == "pad":
        return View(padded(op, seen), seen.dim)
    if op.kind in ("__getitem__", "__setitem__"):
        return sliced(op, place, seen)
    if op.kind in POINTWISE:
        dim = seen.dim + len(op.shape) - len(shape)
        return View(seen.field, dim) if op.shape[dim] == shape[seen.dim] else EVERYTHING
    found = moved(op, place, seen.dim)
    return EVERYTHING if found is None else View(seen.field, found)


def along(value: Any, axis: int) -> int:
    """One of a pair; a number stands for both."""
    if isinstance(value, list | tuple):
        return int(value[axis] if len(value) > 1 else value[0])
    return int(value)


def convolved(op: Op, seen: Field, axis: int) -> Field:
    return seen.window(window_of(op, op.given[1][2 + axis], axis))


def pooled(op: Op, seen: Field, axis: int) -> Field:
    return seen.window(window_of(op, along(op.arguments["kernel_size"], axis), axis))


def transposed(op: Op, seen: Field, axis: int) -> Field:
    return seen.transposed(window_of(op, op.given[1][2 + axis], axis))


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


def enlarged(op: Op, seen: Field, axis: int) -> Field:
    before, after = op.given[0][2 + axis], op.shape[2 + axis]
    mode = op.arguments.get("mode", "nearest")
    if after % before or mode not in ("nearest", "bilinear"):
        return ALL
    if op.arguments.get("align_corners"):
        return seen.aligned(before, after) if before % len(seen.intervals) == 0 else ALL
    return seen.enlarged(after // before, mode == "bilinear")


def shuffled(op: Op, seen: Field, axis: int) -> Field:
    """Channels become places (arXiv:1609.05158, equation 4), or places channels."""
    before, after = op.given[0][2 + axis], op.shape[2 + axis]
    return seen.enlarged(after // before) if after >= before else seen.window(Window(before // after, before // after))


# Calls that move a window over a map (B, C, H, W)
WINDOWS = {
    "conv2d": convolved,
    "conv_transpose2d": transposed,
    **dict.fromkeys(("max_pool2d", "avg_pool2d"), pooled),
    **dict.fromkeys(("adaptive_avg_pool2d", "adaptive_max_pool2d"), evenly_pooled),
    "interpolate": enlarged,
    **dict.fromkeys(("pixel_shuffle", "pixel_unshuffle"), shuffled),
}


def padded(op: Op, seen: View) -> Field:
    """`pad` counts from the last dimension back: left, right, top, bottom, ..."""
    amounts, place = op.arguments["pad"], 2 * (len(op.shape) - 1 - seen.dim)
    before = amounts[place] if place < len(amounts) else 0
    return shifted(seen.field, -before)


def shifted(seen: Field, places: int) -> Field:
    """Place i of the result is place i + places."""
    if places < 0:
        return seen.window(Window(1, padding=-places))
    return Field(seen.step, tuple(seen.at(i + places) for i in range(len(seen.intervals))))


def sliced(op: Op, place: int, seen: View) -> View:
    """x[:, 0, a::s, None, ...]; an index by tensors, or of a single place, sees everything.

    What is written into x[...] must run along the axis as x does; x itself stays where it is.
    """
    if op.kind == "__setitem__" and place == 0:
        return seen
    index, shape = op.arguments.get("index"), op.given[0]
    found = indexed(index if isinstance(index, tuple) else (index,), len(shape))
    if found is None:
        return EVERYTHING
    kept = [dim for dim, _ in found]
    if op.kind == "__setitem__":
        before = len(found) - len(op.given[place])  # smaller values are repeated
        dim = kept[seen.dim + before] if seen.dim + before >= 0 else None
        whole = dim is not None and found[seen.dim + before][1] == slice(None)
        return (
            View(seen.field, dim) if whole and dim is not None and shape[dim] == op.given[place][seen.dim] else EVERYTHING
        )
    if seen.dim not in kept:
        return EVERYTHING
    start, stop, step = found[kept.index(seen.dim)][1].indices(shape[seen.dim])
    if stop <= start or step < 1:
        return EVERYTHING
    return View(shifted(seen.field, start).window(Window(1, step)), kept.index(seen.dim))


def indexed(index: Sequence[Any], dims: int) -> list[tuple[int | None, slice]] | None:
    """For each dimension of x[index], which one of x it is (None: a new one) and the slice of it; None for tensors."""
    if not all(isinstance(each, slice | int) or each is None or each is Ellipsis for each in index):
        return None
    used = sum(isinstance(each, slice | int) for each in index)
    rest = [slice(None)] * (dims - used)
    at = next((i for i, each in enumerate(index) if each is Ellipsis), len(index))
    found: list[tuple[int | None, slice]] = []
    dim = 0
    for each in (*index[:at], *rest, *index[at + 1 :]):
        if isinstance(each, slice):
            found.append((dim, each))
        elif each is None:
            found.append((None, slice(None)))
        dim += each is not None
    return found


# Calls that give every place what they make of that place alone, whatever the order of dimensions; smaller tensors repeat
POINTWISE = set(
    "add add_ sub sub_ mul mul_ div div_ true_divide neg abs exp log sqrt rsqrt pow square clamp clamp_ clip where maximum "
    "minimum lerp addcmul addcdiv __add__ __radd__ __iadd__ __sub__ __rsub__ __isub__ __mul__ __rmul__ __imul__ "
    "__truediv__ __rtruediv__ __pow__ __neg__ relu relu_ relu6 hardtanh hardtanh_ leaky_relu leaky_relu_ elu elu_ selu "
    "celu gelu silu silu_ mish sigmoid sigmoid_ tanh tanh_ hardswish hardswish_ hardsigmoid softplus softsign logsigmoid "
    "prelu threshold dropout dropout2d feature_dropout alpha_dropout batch_norm instance_norm group_norm layer_norm "
    "rms_norm local_response_norm clone contiguous to type float half double bfloat16 detach data real expand expand_as "
    "repeat stochastic_depth copy_".split()
) | {WRITTEN}
CONSTANT = set(
    "zeros_like ones_like empty_like full_like rand_like randn_like new_zeros new_ones new_empty new_full".split()
)
