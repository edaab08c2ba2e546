"""Where a dimension goes: which dimension of a call's output runs along the same places as one of its input."""

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

from saccade.inspection.trace import Op, Shape

Moving = Callable[[Op, int, int], int | None]


def moved(op: Op, place: int, dim: int) -> int | None:
    """The dimension of the output that has, place for place, what `dim` of the tensor at this place of the call has.

    None where its places are mixed, or for calls that this does not know.
    """
    return MOVES[op.kind](op, place, dim) if op.kind in MOVES else None


def chosen(value: Any, dims: int) -> tuple[int, ...]:
    """One number or several, from the end where negative, as dimensions."""
    return tuple(each % dims for each in (value if isinstance(value, list | tuple) else (value,)))


def reshaped(op: Op, place: int, dim: int) -> int | None:
    """The dimension of the same size that has as many values ahead of it: of row-major order, nothing else is the same."""
    before, after = op.given[0], op.shape
    ahead = prod(before[:dim])
    return next((j for j in range(len(after)) if prod(after[:j]) == ahead and after[j] == before[dim]), None)


def permuted(op: Op, place: int, dim: int) -> int | None:
    return chosen(op.arguments["dims"], len(op.shape)).index(dim)


def swapped(op: Op, place: int, dim: int) -> int | None:
    if op.kind in ("T", "mT"):
        first, second = len(op.shape) - 2, len(op.shape) - 1
    else:
        first, second = chosen((op.arguments["dim0"], op.arguments["dim1"]), len(op.shape))
    return {first: second, second: first}.get(dim, dim)


def rearranged(op: Op, place: int, dim: int) -> int | None:
    """`movedim`: the dimensions that are not named keep their order."""
    dims = len(op.shape)
    source, target = (chosen(op.arguments[name], dims) for name in ("source", "destination"))
    if dim in source:
        return target[source.index(dim)]
    rest = [d for d in range(dims) if d not in target]
    return rest[[d for d in range(dims) if d not in source].index(dim)]


def aside(op: Op, place: int, dim: int) -> int | None:
    """Calls along another dimension, which leave this one in its place."""
    return None if dim in along(op, op.given[place]) else dim


def reduced(op: Op, place: int, dim: int) -> int | None:
    """Calls that make one value, or none, of each row along other dimensions."""
    gone = along(op, op.given[place])
    if len(op.given) > 1 or dim in gone:
        return None
    return dim if len(op.shape) == len(op.given[0]) else dim - sum(d < dim for d in gone)


def along(op: Op, shape: Shape) -> Sequence[int]:
    """The dimensions that a call names; all where it names none."""
    default = 0 if op.kind in ("cat", "concat", "concatenate", "chunk", "split", "tensor_split", "stack") else None
    default = 1 if op.kind == "normalize" else -1 if op.kind == "glu" else default
    value = op.arguments.get("dim", op.arguments.get("dims", op.arguments.get("axis", default)))
    return range(len(shape)) if value is None else chosen(value, len(shape))


def unsqueezed(op: Op, place: int, dim: int) -> int | None:
    return dim + (chosen(op.arguments["dim"], len(op.shape))[0] <= dim)


def stacked(op: Op, place: int, dim: int) -> int | None:
    return dim + (chosen(op.arguments.get("dim", 0), len(op.shape))[0] <= dim)


def dense(op: Op, place: int, dim: int) -> int | None:
    """Over the last dimension, at every place of the others."""
    return dim if place == 0 and dim < len(op.shape) - 1 else None


def multiplied(op: Op, place: int, dim: int) -> int | None:
    """Of matrices: rows come from the first, columns from the second, the dimensions ahead from both."""
    shape = op.given[place]
    summed = len(shape) - 1 if place == 0 else len(shape) - 2
    found = dim + len(op.shape) - len(shape)
    same = min(map(len, op.given)) > 1 and 0 <= found < len(op.shape) and op.shape[found] == shape[dim]
    return found if same and dim != summed else None


MOVES: dict[str, Moving] = {
    **dict.fromkeys(("view", "reshape", "flatten", "unflatten", "squeeze", "view_as", "reshape_as"), reshaped),
    "permute": permuted,
    **dict.fromkeys(("transpose", "swapaxes", "swapdims", "T", "mT"), swapped),
    **dict.fromkeys(("movedim", "moveaxis"), rearranged),
    **dict.fromkeys(("softmax", "log_softmax", "normalize", "cumsum", "flip", "roll", "glu"), aside),
    **dict.fromkeys(("cat", "concat", "concatenate", "chunk", "split", "tensor_split", "narrow"), aside),
    **dict.fromkeys(("mean", "sum", "amax", "amin", "max", "min", "std", "var", "prod", "argmax", "logsumexp"), reduced),
    **dict.fromkeys(("norm", "select", "unbind"), reduced),
    "unsqueeze": unsqueezed,
    "stack": stacked,
    "linear": dense,
    **dict.fromkeys(("matmul", "__matmul__", "bmm"), multiplied),
}
