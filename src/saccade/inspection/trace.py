"""One forward pass written down: the description that everything numeric about a network is read from."""

import copy
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from math import prod
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

WEIGHTED = ("conv2d", "linear")


@dataclass(frozen=True)
class Op:
    """One call, in the order of execution."""

    path: str  # the module that made it, such as "stages.0.1.body.0.conv"
    kind: str  # the function called: "conv2d", "add", "cat", ...
    shape: tuple[int, ...]  # of its output
    kernel: tuple[int, ...]  # shape of its weight, () without one
    parameters: int  # that the module holds itself, 0 when an earlier call of the module has them

    @property
    def macs(self) -> int:
        """Multiply-accumulates: each output element costs one slice of the kernel."""
        return prod(self.shape) * prod(self.kernel[1:]) if self.kernel else 0


def trace(network: nn.Module, shape: tuple[int, ...]) -> list[Op]:
    """Every call of a forward pass over images (B, C, H, W) in evaluation mode.

    On the meta device: nothing is computed and no weight allocated. Errors of the network's own forward come through.
    """
    model = copy.deepcopy(network).to("meta").eval()
    images = torch.empty(shape, device="meta")
    recorder = _Recorder(model)
    with recorder, torch.no_grad():
        model(images)
    return recorder.ops


class _Recorder(TorchFunctionMode):
    def __init__(self, model: nn.Module):
        super().__init__()
        self.ops: list[Op] = []
        self.modules = dict(model.named_modules())
        self.counted: set[str] = set()
        self.path = [""]
        for name, module in self.modules.items():
            module.register_forward_pre_hook(lambda m, args, name=name: self.path.append(name))
            module.register_forward_hook(lambda m, args, out: self.path.pop() and None)

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = function(*args, **(kwargs or {}))
        kind = function.__name__
        if isinstance(result, Tensor) and not kind.startswith("_") and kind not in ("to", "detach", "new_zeros"):
            tensors = [t for t in _flat([args, list((kwargs or {}).values())]) if isinstance(t, Tensor)]
            kernel = tuple(tensors[1].shape) if kind in WEIGHTED else ()
            self.ops.append(Op(self.path[-1], kind, tuple(result.shape), kernel, self._own_parameters()))
        return result

    def _own_parameters(self) -> int:
        path = self.path[-1]
        if path in self.counted:
            return 0
        self.counted.add(path)
        return sum(p.numel() for p in self.modules[path].parameters(recurse=False))


def _flat(values: Iterable[Any]) -> Iterator[Any]:
    for value in values:
        if isinstance(value, list | tuple):
            yield from _flat(value)
        else:
            yield value
