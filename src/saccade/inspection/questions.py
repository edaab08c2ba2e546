"""Questions about convolutions in numbers, each answered with the working."""

from collections.abc import Callable
from typing import Any

from saccade import arithmetic
from saccade.arithmetic import Layer, Window
from saccade.errors import InputError, suggestion

Answer = dict[str, Any]
Kernel = int | tuple[int, int]


def ask(question: str, *numbers: int, **words: Any) -> Answer:
    """The answer with its `text`. InputError for an unknown question, missing numbers, and what is impossible."""
    if question not in QUESTIONS:
        raise InputError(
            f'arithmetic: there is no question "{question}"{suggestion(question, QUESTIONS)} ({", ".join(QUESTIONS)})'
        )
    if not isinstance(words.get("kernel", 1), int) and question not in RECTANGULAR:
        raise InputError(f"arithmetic {question}: one axis at a time: a kernel of one side, not of two")
    try:
        return QUESTIONS[question](*numbers, **words)
    except TypeError as error:  # of the call: too few or too many numbers, or an option of another question
        reason = str(error).split("() ", 1)[-1]
        raise InputError(f"arithmetic {question}: {reason} (see `saccade arithmetic --help`)") from error
    except ValueError as error:
        raise InputError(f"arithmetic {question}: {error}") from error


def size(given: int, *, kernel: int, stride: int = 1, padding: int = 0, dilation: int = 1) -> Answer:
    found = arithmetic.output_size(given, Window(kernel, stride, padding, dilation))
    span = "" if dilation == 1 else f" (a kernel of {kernel} dilated by {dilation} spans {dilation * (kernel - 1) + 1})"
    reach = dilation * (kernel - 1) + 1
    return {"size": found, "text": f"floor(({given} + 2*{padding} - {reach}) / {stride}) + 1 = {found}{span}"}


def transposed(given: int, *, output_padding: int = 0, **words: int) -> Answer:
    window = Window(**words)
    found = arithmetic.transposed_size(given, window, output_padding)
    text = f"({given} - 1)*{window.stride} - 2*{window.padding} + {window.span} + {output_padding} = {found}"
    return {"size": found, "text": text}


def padding(given: int, *, kernel: int, wanted: int | None = None, stride: int = 1, dilation: int = 1) -> Answer:
    if wanted is None and stride == 1:
        found = arithmetic.same_padding(kernel, dilation)
        return {"padding": found, "text": f"{dilation}*({kernel} - 1) / 2 = {found} keeps every size"}
    target = -(-given // Window(kernel, stride).stride) if wanted is None else wanted
    found = arithmetic.padding_for(given, target, kernel, stride, dilation)
    return {"padding": found, "size": target, "text": f"{found} zeros on each side bring {given} to {target}"}


def sides(kernel: Kernel) -> tuple[int, int]:
    return (kernel, kernel) if isinstance(kernel, int) else kernel


def parameters(cin: int, cout: int, *, kernel: Kernel = 1, groups: int = 1, size: int | None = None) -> Answer:
    layer = Layer(cin, cout, sides(kernel), groups)
    shape = f"{layer.kernel[0]}x{layer.kernel[1]}x{cin if groups == 1 else f'{cin}/{groups}'}x{cout}"
    found: Answer = {"weights": layer.weights, "biases": layer.biases}
    text = f"{shape} = {layer.weights:,} weights and {layer.biases:,} biases"
    if size is not None:
        found["macs"] = layer.macs(size, size)
        text += f"\n{layer.weights:,} * {size}*{size} = {found['macs']:,} multiply-accumulates, output {size}x{size}"
    return found | {"text": text}


def bottleneck(cin: int, cout: int, *, kernel: Kernel, through: int) -> Answer:
    layer = Layer(cin, cout, sides(kernel))
    first, second = arithmetic.bottleneck(layer, through)
    weights = first.weights + second.weights
    saved = 1 - weights / layer.weights
    text = (
        f"{layer.weights:,} weights; by 1x1 through {through}: {first.weights:,} + {second.weights:,} = {weights:,}, "
        f"{abs(saved):.0%} {'fewer' if saved >= 0 else 'more'}"
    )
    return {"weights": layer.weights, "bottleneck_weights": weights, "text": text}


def stack(channels: int, *, kernel: int) -> Answer:
    count = arithmetic.stacked(kernel)
    large, small = Layer(channels, channels, (kernel, kernel)).weights, Layer(channels, channels, (3, 3)).weights
    text = (
        f"{count} of 3x3 see as much as one {kernel}x{kernel}: {count} * {small:,} = {count * small:,} weights "
        f"against {large:,}, {1 - count * small / large:.0%} fewer"
    )
    return {"layers": count, "weights": count * small, "large_weights": large, "text": text}


RECTANGULAR = ("parameters", "bottleneck")
QUESTIONS: dict[str, Callable[..., Answer]] = {
    "size": size,
    "transposed": transposed,
    "padding": padding,
    "parameters": parameters,
    "bottleneck": bottleneck,
    "stack": stack,
}
