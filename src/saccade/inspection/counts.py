"""How many multiply-accumulates a call costs, from the shapes of what it reads and gives."""

from collections.abc import Callable
from math import prod

Shape = tuple[int, ...]
Formula = Callable[[tuple[Shape, ...], Shape], int]


def convolution(given: tuple[Shape, ...], shape: Shape) -> int:
    """Each output costs one filter: (cin / groups) * kernel."""
    return prod(shape) * prod(given[1][1:])


def transposed(given: tuple[Shape, ...], shape: Shape) -> int:
    """Each input costs one filter: (cout / groups) * kernel."""
    return prod(given[0]) * prod(given[1][1:])


def dense(given: tuple[Shape, ...], shape: Shape) -> int:
    return prod(shape) * given[1][-1]


def product(given: tuple[Shape, ...], shape: Shape) -> int:
    """Of two matrices, or of stacks of them: each output costs the side that they share."""
    return prod(shape) * given[0][-1]


def bilinear(given: tuple[Shape, ...], shape: Shape) -> int:
    """Each output costs one matrix (in1, in2)."""
    return prod(shape) * prod(given[2][1:])


def added_product(given: tuple[Shape, ...], shape: Shape) -> int:
    return prod(shape) * given[1][-1]


FORMULAS: dict[str, Formula] = {
    **dict.fromkeys(("conv1d", "conv2d", "conv3d"), convolution),
    **dict.fromkeys(("conv_transpose1d", "conv_transpose2d", "conv_transpose3d"), transposed),
    "linear": dense,
    **dict.fromkeys(("matmul", "__matmul__", "mm", "bmm"), product),
    **dict.fromkeys(("mv", "dot", "inner", "vdot"), product),
    **dict.fromkeys(("addmm", "baddbmm", "addmv"), added_product),
    "bilinear": bilinear,
}
# Calls without a product of matrices in them; in any other call torch's own counter looks for some
CHEAP = set(
    "add add_ sub mul mul_ div cat relu relu_ relu6 hardtanh hardtanh_ silu silu_ sigmoid sigmoid_ tanh gelu batch_norm "
    "dropout max_pool2d avg_pool2d adaptive_avg_pool2d flatten view reshape permute pad size contiguous "
    "local_response_norm layer_norm group_norm".split()
)
