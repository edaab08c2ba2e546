"""The arithmetic of convolution, in whole numbers: sizes, paddings, counts, receptive fields. No torch.

Along one axis: n pixels in, a kernel of k weights, stride s, p zeros on each side, dilation d. Formulas and their proofs:
Dumoulin and Visin, arXiv:1603.07285; for fields Araujo, Norris and Sim, doi:10.23915/distill.00021.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from math import ceil, floor, inf, lcm


@dataclass(frozen=True)
class Window:
    """What a convolution or pooling looks through along one axis."""

    kernel: int
    stride: int = 1
    padding: int = 0
    dilation: int = 1

    def __post_init__(self) -> None:
        least = {"kernel": 1, "stride": 1, "padding": 0, "dilation": 1}
        for name, low in least.items():
            if getattr(self, name) < low:
                raise ValueError(f"{name} is {getattr(self, name)}; it is at least {low}")

    @property
    def span(self) -> int:
        """Pixels from the first weight to the last: d (k - 1) + 1."""
        return self.dilation * (self.kernel - 1) + 1


def check_size(size: int) -> None:
    if size < 1:
        raise ValueError(f"a size is at least 1, not {size}")


def output_size(size: int, window: Window) -> int:
    """floor((n + 2p - d (k - 1) - 1) / s) + 1. ValueError where the kernel does not fit even once."""
    check_size(size)
    padded = size + 2 * window.padding
    if window.span > padded:
        raise ValueError(
            f"a kernel that spans {window.span} pixels does not fit {size} + 2 * {window.padding} = {padded}; "
            f"the smallest size that it takes is {max(1, window.span - 2 * window.padding)}"
        )
    return (padded - window.span) // window.stride + 1


def transposed_size(size: int, window: Window, output_padding: int = 0) -> int:
    """(n - 1) s - 2p + d (k - 1) + 1 + output padding, the sizes that `output_size` brings to n."""
    check_size(size)
    if not 0 <= output_padding < max(window.stride, window.dilation):
        raise ValueError(f"output padding {output_padding} must be smaller than stride or dilation")
    found = (size - 1) * window.stride - 2 * window.padding + window.span + output_padding
    if found < 1:
        raise ValueError(f"padding {window.padding} cuts away all that a transposed convolution of {size} pixels gives")
    return found


def same_padding(kernel: int, dilation: int = 1) -> int:
    """Zeros on each side for which a convolution of stride 1 keeps the size: d (k - 1) / 2.

    ValueError where that is no whole number: an even kernel of odd dilation needs one zero more on one side.
    """
    total = Window(kernel, dilation=dilation).span - 1
    if total % 2:
        raise ValueError(
            f"a kernel of {kernel} needs {total} zeros in all, which is odd: {total // 2} on one side and "
            f"{total // 2 + 1} on the other; an odd kernel has as many on both"
        )
    return total // 2


def padding_for(size: int, wanted: int, kernel: int, stride: int = 1, dilation: int = 1) -> int:
    """The fewest zeros on each side that bring `size` to `wanted`. ValueError with the sizes that can be had."""
    check_size(size)
    check_size(wanted)
    smallest = Window(kernel, stride, 0, dilation)
    lacking = (wanted - 1) * stride + smallest.span - size
    padding = max(0, -(-lacking // 2))
    window = Window(kernel, stride, padding, dilation)
    if size + 2 * padding >= window.span and output_size(size, window) == wanted:
        return padding
    near = [
        output_size(size, Window(kernel, stride, p, dilation))
        for p in (padding - 1, padding)
        if p >= 0 and size + 2 * p >= window.span
    ]
    there = " or ".join(map(str, dict.fromkeys(near))) or "nothing"
    raise ValueError(f"no padding brings {size} to {wanted} by a kernel of {kernel} and stride {stride}: it gives {there}")


@dataclass(frozen=True)
class Layer:
    """A convolution's channels and the sides of its kernel; a dense layer has a kernel of 1x1."""

    cin: int
    cout: int
    kernel: tuple[int, int] = (1, 1)
    groups: int = 1

    def __post_init__(self) -> None:
        for name in ("cin", "cout", "groups", *("kernel" for side in self.kernel if side < 1)):
            if name == "kernel" or getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it is at least 1")
        if self.cin % self.groups or self.cout % self.groups:
            raise ValueError(f"{self.groups} groups divide neither or only one of {self.cin} and {self.cout} channels")

    @property
    def weights(self) -> int:
        return self.kernel[0] * self.kernel[1] * (self.cin // self.groups) * self.cout

    @property
    def biases(self) -> int:
        return self.cout

    def macs(self, height: int, width: int) -> int:
        """Multiply-accumulates for an output of this size, without the biases."""
        check_size(min(height, width))
        return self.weights * height * width


def bottleneck(layer: Layer, mid: int) -> tuple[Layer, Layer]:
    """1x1 to `mid` channels, then the kernel: what takes the place of `layer` in an inception block."""
    return Layer(layer.cin, mid), Layer(mid, layer.cout, layer.kernel)


def stacked(kernel: int) -> int:
    """How many 3x3 convolutions of stride 1 see as much as one of this kernel. ValueError for an even one."""
    if kernel < 3 or kernel % 2 == 0:
        raise ValueError(f"3x3 kernels see 3, 5, 7, ... pixels together, never {kernel}")
    return (kernel - 1) // 2


Interval = tuple[float, float]  # first and last pixel; the first is larger than the last where nothing is seen
NOTHING: Interval = (inf, -inf)


@dataclass(frozen=True)
class Field:
    """What the places of a feature map see of the image along one axis.

    Place i * period + r sees the pixels i * step + first to i * step + last, with (first, last) = intervals[r] and
    period = len(intervals): a period of 1 everywhere but behind upsampling, where neighbours see differently. Pixels
    outside of the image, which padding adds, are counted.
    """

    step: int = 1
    intervals: tuple[Interval, ...] = ((0, 0),)

    @property
    def size(self) -> float:
        """The most pixels that a place sees; inf where it is the whole image."""
        return max(last - first + 1 for first, last in self.intervals)

    @property
    def stride(self) -> Fraction:
        """Pixels of the image from one place to the next, on average."""
        return Fraction(self.step, len(self.intervals))

    @property
    def offset(self) -> float:
        """The first pixel that place 0 sees."""
        return self.intervals[0][0]

    def at(self, place: int) -> Interval:
        """First and last pixel that this place sees."""
        turn, rest = divmod(place, len(self.intervals))
        first, last = self.intervals[rest]
        return first + turn * self.step, last + turn * self.step

    def window(self, window: Window) -> "Field":
        """Behind a convolution or pooling: each place sees what the places under the window see."""
        if self == ALL:
            return ALL
        turns = lcm(len(self.intervals), window.stride)
        period, step = turns // window.stride, turns // len(self.intervals) * self.step
        starts = (i * window.stride - window.padding for i in range(period))
        return Field(
            step, tuple(hull(self.at(start + k * window.dilation) for k in range(window.kernel)) for start in starts)
        )

    def transposed(self, window: Window) -> "Field":
        """Behind a transposed convolution: place j sees the places i with i s - p <= j <= i s - p + span - 1."""
        if self == ALL:
            return ALL
        period = len(self.intervals) * window.stride
        reach = range(-(-window.span // window.stride) + 1)
        found = []
        for place in range(period):
            last = (place + window.padding) // window.stride
            under = [
                last - i for i in reach if (place + window.padding - (last - i) * window.stride) % window.dilation == 0
            ]
            within = [i for i in under if place + window.padding - i * window.stride < window.span]
            found.append(hull(self.at(i) for i in within))
        return Field(self.step, tuple(found))

    def enlarged(self, scale: int, linear: bool = False) -> "Field":
        """Behind upsampling by a whole number: the nearest place, or the two between which a place lies (half-pixel)."""
        if self == ALL:
            return ALL
        found = []
        for place in range(len(self.intervals) * scale):
            between = Fraction(2 * place + 1, 2 * scale) - Fraction(1, 2)
            under = (floor(between), ceil(between)) if linear else (place // scale,)
            found.append(hull(self.at(i) for i in under))
        return Field(self.step, tuple(found))

    def aligned(self, before: int, after: int) -> "Field":
        """Behind linear upsampling of `before` places to `after` whose first and last places are the same.

        Each place lies elsewhere between two others, so the period is the whole map. ValueError where the period of the
        map before does not divide it.
        """
        if self == ALL:
            return ALL
        if before % len(self.intervals):
            raise ValueError(f"a map of {before} places does not repeat after {len(self.intervals)}")
        found = []
        for place in range(after):
            between = Fraction(place * (before - 1), max(1, after - 1))
            found.append(hull(self.at(i) for i in (floor(between), ceil(between))))
        return Field(before // len(self.intervals) * self.step, tuple(found))

    def __or__(self, other: "Field") -> "Field":
        """What a sum or a concatenation of the two sees. ValueError where their strides differ."""
        if ALL in (self, other):
            return ALL
        if self.stride != other.stride:
            raise ValueError(f"maps of stride {self.stride} and {other.stride} meet")
        period = lcm(len(self.intervals), len(other.intervals))
        step = period // len(self.intervals) * self.step
        return Field(step, tuple(hull((self.at(i), other.at(i))) for i in range(period)))


ALL = Field(0, ((-inf, inf),))


def hull(intervals: Iterable[Interval]) -> Interval:
    """The smallest interval around all of them."""
    kept = [each for each in intervals if each[0] <= each[1]]
    return (min(first for first, _ in kept), max(last for _, last in kept)) if kept else NOTHING
