"""One forward pass written down: the description that everything numeric about a network is read from."""

import copy
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils.flop_counter import FlopCounterMode

from saccade.errors import InputError
from saccade.inspection.counts import CHEAP, FORMULAS

Shape = tuple[int, ...]
UNUSED = "not used in evaluation"

# The arguments of the calls whose values are read, in torch's order
ARGUMENTS = {
    **dict.fromkeys(("conv1d", "conv2d", "conv3d"), ("input", "weight", "bias", "stride", "padding", "dilation", "groups")),
    **dict.fromkeys(
        ("conv_transpose1d", "conv_transpose2d", "conv_transpose3d"),
        ("input", "weight", "bias", "stride", "padding", "output_padding", "groups", "dilation"),
    ),
    "linear": ("input", "weight", "bias"),
    "bilinear": ("input1", "input2", "weight", "bias"),
    "max_pool2d": ("input", "kernel_size", "stride", "padding", "dilation", "ceil_mode"),
    "avg_pool2d": ("input", "kernel_size", "stride", "padding", "ceil_mode"),
    "pad": ("input", "pad", "mode", "value"),
    "interpolate": ("input", "size", "scale_factor", "mode", "align_corners"),
    **dict.fromkeys(("__getitem__", "__setitem__"), ("input", "index")),
    **dict.fromkeys(("pixel_shuffle", "pixel_unshuffle"), ("input", "factor")),
    **dict.fromkeys(("transpose", "swapaxes", "swapdims"), ("input", "dim0", "dim1")),
    **dict.fromkeys(("movedim", "moveaxis"), ("input", "source", "destination")),
    **dict.fromkeys(("cat", "concat", "concatenate", "stack"), ("tensors", "dim")),
    **dict.fromkeys(("chunk", "split", "tensor_split"), ("input", "sections", "dim")),
    **dict.fromkeys(("select", "narrow", "unbind", "squeeze", "unsqueeze"), ("input", "dim")),
    **dict.fromkeys(("softmax", "log_softmax", "glu", "cumsum", "argmax", "logsumexp"), ("input", "dim")),
    **dict.fromkeys(("mean", "sum", "amax", "amin", "max", "min", "std", "var", "prod"), ("input", "dim", "keepdim")),
    "norm": ("input", "p", "dim", "keepdim"),
    "normalize": ("input", "p", "dim"),
    "roll": ("input", "shifts", "dim"),
}
WRITTEN = "written in place"
BY_TENSOR = "places named by a tensor"


@dataclass(frozen=True)
class Op:
    """One call, in the order of execution; `parameters` and `biases` are counted at the first call that reads them."""

    path: str  # the module that made it, such as "stages.0.1.body.0.conv"
    kind: str  # the function called: "conv2d", "add", "cat", ...
    sources: tuple[int | None, ...]  # the call that made each tensor that it reads; -1 is the image, None a weight
    given: tuple[Shape, ...]  # shapes of these tensors
    shape: Shape  # of its output
    arguments: Mapping[str, Any]  # by name, for the kinds of ARGUMENTS
    counted: bool  # whether its multiply-accumulates are known
    parameters: int
    biases: int  # of the parameters
    trained: int  # of the parameters, those that get a gradient
    macs: int  # multiply-accumulates
    bytes: int  # of its output

    @property
    def inputs(self) -> tuple[int, ...]:
        """The calls whose outputs it reads."""
        return tuple(source for source in self.sources if source is not None)


def trace(network: nn.Module, shape: Shape, device: str = "meta") -> list[Op]:
    """Every call of a forward pass over images (B, C, H, W) in evaluation mode, of a copy of the network.

    On the meta device nothing is computed; a network that must see values, or makes tensors on a device of its own choice,
    is run on the CPU instead. InputError with the path of the layer that fails.
    """
    try:
        with torch.random.fork_rng(devices=[]):
            return recorded(copied(network, device).eval(), torch.zeros(shape, device=device, dtype=dtype_of(network)))
    except Exception as error:
        if device != "meta" or not needs_values(error) or any(p.is_meta for p in network.parameters()):
            raise
    return trace(network, shape, "cpu")


def traced_on(device: str) -> str:
    """The device for `trace` where training on this one is to follow.

    For meta tensors torch imports its compiler and sympy, 2 seconds that a CPU has better uses for: there it takes less
    to compute a few images.
    """
    return "cpu" if device == "cpu" else "meta"


def copied(network: nn.Module, device: str) -> nn.Module:
    """A copy on this device; InputError where torch cannot copy it."""
    try:
        return copy.deepcopy(network).to(device)
    except Exception as error:  # a user's module may hold anything
        reason = str(error).split(". ")[0].splitlines()[0]
        raise InputError(f"{type(network).__name__} cannot be copied ({reason})") from error


def dtype_of(network: nn.Module) -> torch.dtype:
    """Of the images that the network takes."""
    return next((p.dtype for p in network.parameters() if p.is_floating_point()), torch.float32)


def needs_values(error: BaseException) -> bool:
    """Whether the meta device is the cause: torch raises NotImplementedError, or names the device or its tensors."""
    cause = error.__cause__ or error
    words = (
        "meta tensor",
        "meta device",
        "device meta",
        "device=meta",
        "meta and cpu",
        "cpu and meta",
        "_local_scalar_dense",
    )
    return isinstance(cause, NotImplementedError) or any(word in str(cause).lower() for word in words)


def recorded(model: nn.Module, images: Tensor) -> list[Op]:
    """The calls of a pass of this very model, in the mode that it is in."""
    recorder = Recorder(model, images)
    with recorder, torch.no_grad():
        recorder.run(images)
    return recorder.ops


class Recorder(TorchFunctionMode):
    """Writes down every call that a model makes while the mode is on."""

    def __init__(self, model: nn.Module, images: Tensor):
        super().__init__()
        self.model = model
        self.ops: list[Op] = []
        self.origin = {id(images): -1}  # which call made each tensor
        self.alive = [images]  # so that no id is used twice
        self.unread = {id(p): (name, p.numel()) for name, p in model.named_parameters()}
        self.trained = {name for name, p in model.named_parameters() if p.requires_grad}
        self.path = [""]

    def run(self, images: Tensor) -> Any:
        """The forward pass, with the place of every call known; an error of its own gets that place."""
        hooks = []
        for name, module in self.model.named_modules():
            hooks.append(module.register_forward_pre_hook(lambda m, args, name=name: self.path.append(name)))
            hooks.append(module.register_forward_hook(lambda m, args, out: self.path.pop() and None))
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # what a network warns of is said when it is used
                result = self.model(images)
            self.ops += self.left_out()
            return result
        except Exception as error:
            raise InputError(self.failure(error, images)) from error
        finally:
            for hook in hooks:
                hook.remove()

    def failure(self, error: Exception, images: Tensor) -> str:
        path = self.path[-1]
        kind = type(self.model.get_submodule(path)).__name__
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        size = "x".join(map(str, images.shape[1:]))
        return f"{path + ' ' if path else ''}({kind}) fails for images of {size}: {reason}"

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        kind = function.__name__ if function.__name__ != "__get__" else function.__self__.__name__  # x.T is called "T"
        tensors = [t for t in flat([args, in_order(kind, kwargs)]) if isinstance(t, Tensor)]
        sources = tuple(self.origin.get(id(t)) for t in tensors)
        given = tuple(tuple(t.shape) for t in tensors)
        result, macs = counted(function, kind, args, kwargs)
        outputs = [t for t in flat([args[0] if kind == "__setitem__" else result]) if isinstance(t, Tensor)]
        if outputs and (self.origin.keys() | self.unread.keys()) & {id(t) for t in tensors}:
            new = [self.unread.pop(id(t)) for t in tensors if id(t) in self.unread]
            shape, bytes_ = tuple(outputs[0].shape), sum(t.numel() * t.element_size() for t in outputs)
            macs = FORMULAS[kind](given, shape) if kind in FORMULAS else macs
            arguments = arguments_of(kind, args, kwargs)
            known = not (macs == 0 and is_foreign(function, kind))
            self.add(
                Op(self.path[-1], kind, sources, given, shape, arguments, known, *self.values(new), macs, bytes_), outputs
            )
            if writes(kind) or "out" in kwargs:
                self.write_through(outputs[0])
        return result

    def add(self, op: Op, outputs: list[Tensor]) -> None:
        for out in outputs:
            self.origin[id(out)] = len(self.ops)
        self.alive += outputs
        self.ops.append(op)

    def write_through(self, target: Tensor) -> None:
        """What is written into a tensor in place is in every other one that shares its memory."""
        base, written = target if target._base is None else target._base, len(self.ops) - 1
        sharing = {id(t): t for t in self.alive if t is not target and (t is base or t._base is base)}
        for other in sharing.values():
            sources, given = (self.origin[id(other)], written), (tuple(other.shape), tuple(target.shape))
            self.add(Op(self.path[-1], WRITTEN, sources, given, given[0], {}, True, 0, 0, 0, 0, 0), [other])

    def values(self, read: list[tuple[str, int]]) -> tuple[int, int, int]:
        """Parameters that are read for the first time, how many of them are biases, and how many are trained."""
        biases = sum(count for name, count in read if is_bias(name))
        return sum(count for _, count in read), biases, sum(count for name, count in read if name in self.trained)

    def left_out(self) -> list[Op]:
        """A line for each module with parameters that no call has read, such as classifiers used in training alone."""
        own: dict[str, list[tuple[str, int]]] = {}
        for name, count in self.unread.values():
            own.setdefault(name.rpartition(".")[0], []).append((name, count))
        return [Op(path, UNUSED, (), (), (), {}, True, *self.values(new)[:2], 0, 0, 0) for path, new in own.items()]


def is_foreign(function: Any, kind: str) -> bool:
    """Whether torch's own counter cannot know what a call costs: operators of extensions, Fourier transforms."""
    return str(getattr(function, "__module__", "")).startswith("torch._ops.") or kind.startswith("fft_")


def writes(kind: str) -> bool:
    """Whether a call changes its first tensor in place: relu_, x += y, x[...] = y."""
    return kind == "__setitem__" or kind.startswith("__i") or (kind.endswith("_") and not kind.startswith("_"))


def arguments_of(kind: str, args: Any, kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """By name, tensors aside."""
    if kind in ("permute", "flip"):  # which take one sequence, or its numbers one by one
        return {"dims": tuple(flat([args[1:], *kwargs.values()]))}
    named = dict(zip(ARGUMENTS.get(kind, ()), args, strict=False)) | dict(kwargs)
    if isinstance(named.get("index"), Tensor):
        named["index"] = (BY_TENSOR,)
    return {name: value for name, value in named.items() if not isinstance(value, Tensor)}


def in_order(kind: str, kwargs: Mapping[str, Any]) -> list[Any]:
    """What is given by name, in torch's order."""
    names = ARGUMENTS.get(kind, ())
    return [value for _, value in sorted(kwargs.items(), key=lambda each: names.index(each[0]) if each[0] in names else 99)]


def is_bias(name: str) -> bool:
    return name.rpartition(".")[2].endswith("bias")


def counted(function: Callable[..., Any], kind: str, args: Any, kwargs: Any) -> tuple[Any, int]:
    """The result, and the multiply-accumulates of a call that has no formula here, as torch counts them within it."""
    if kind in FORMULAS or kind in CHEAP or kind.startswith("_"):
        return function(*args, **kwargs), 0
    with FlopCounterMode(display=False) as counter:
        result = function(*args, **kwargs)
    return result, counter.get_total_flops() // 2


def flat(values: Iterable[Any]) -> Iterator[Any]:
    for value in values:
        if isinstance(value, list | tuple):
            yield from flat(value)
        else:
            yield value
