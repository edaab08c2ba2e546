"""Passages: batches of one shape through layers that follow one another, ahead, and their gradients back."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from math import prod
from typing import Any, NamedTuple

from torch import Tensor, nn

from saccade.layers.images_last.program import BLOCK, Program
from saccade.layers.images_last.sums import ROWS, SIZE
from saccade.layers.images_last.tape import Array, Buffer, Outside, Shape, Tape
from saccade.layers.images_last.totals import added

Kept = tuple[Array, ...]  # by `ahead` for `back`
Tensors = Sequence[Tensor | None]
WAYS = 16  # of gradients that lie in memory in several ways


class Weights(NamedTuple):
    """Of a layer, and where their gradients go; zeros for a bias that it has not."""

    weight: Array
    bias: Array
    of_weight: Array
    of_bias: Array


class Layer(nn.Module, ABC):
    """What writes its calls onto a tape."""

    @abstractmethod
    def ahead(self, tape: Tape, x: Array | Outside, weights: Weights) -> tuple[Array, Kept]:
        """What it gives, and what `back` needs."""

    @abstractmethod
    def back(self, tape: Tape, gradient: Array, weights: Weights, kept: Kept) -> Array | None:
        """From the gradient of what it gave to those of its weights, and that of x where the tape wants it."""


class Passage:
    """Of batches like x, through layers with weights like these; differentiable: and back."""

    def __init__(self, layers: Sequence[Layer], tensors: Tensors, x: Tensor, differentiable: bool):
        self.layers, self.nothing, self.x_shape = layers, x.new_empty(0), tuple(x.shape)
        self.weights, self.parts = weights_like(tensors)
        places = [each for weights in self.weights for each in (weights.of_weight, weights.of_bias)]
        self.views = [(each.shape, contiguous(each.shape), each.offset // SIZE) for each in places]
        self.zeros = x.new_zeros(max(ROWS, *(each.bias.shape[0] for each in self.weights)))
        self.blocks = [min(BLOCK, len(x) - first) for first in range(0, len(x), BLOCK)]
        self.kept: dict[int, list[Kept]] = {}
        tapes = {n: Tape() for n in self.blocks}
        for n, tape in tapes.items():
            end, kept = self.record(tape, Outside(Buffer.X, *lanes(x.shape, x.stride(), n)))
            self.out_shape = len(x), *end.shape[:-1]
            tape.put(end, Outside(Buffer.OUT, *lanes(self.out_shape, strides_of(self.out_shape), n)))
            placed = tape.place(each for layer in kept for each in layer) if differentiable else tape.place()
            self.kept[n] = [tuple(map(placed, layer)) for layer in kept] if differentiable else []
        self.bytes = tapes[self.blocks[0]].bytes[Buffer.KEPT]
        steps: dict[int, int] = {Buffer.X: SIZE * BLOCK * x.stride(0), Buffer.OUT: step_of(self.out_shape)}
        self.way_ahead = Program([tapes[n] for n in self.blocks], steps | {Buffer.KEPT: self.bytes})
        self.ways_back: dict[tuple[Any, ...], Program] = {}

    def record(self, tape: Tape, x: Outside) -> tuple[Array, list[Kept]]:
        """What comes of a block of images, and what each layer keeps."""
        value: Array | Outside = x
        kept = []
        for layer, weights in zip(self.layers, self.weights, strict=True):
            value, found = layer.ahead(tape, value, weights)
            kept.append(found)
        return tape.inside(value), kept

    def ahead(self, x: Tensor, tensors: Tensors) -> tuple[Tensor, Tensor]:
        """What the layers give for x, and what `back` needs."""
        out, kept = self.empty(self.out_shape), self.nothing.new_empty(len(self.blocks) * self.bytes // SIZE)
        self.run(self.way_ahead, tensors, {Buffer.X: x, Buffer.OUT: out, Buffer.KEPT: kept})
        return out, kept

    def back(self, wanted: Sequence[bool], gradient: Tensor, tensors: Tensors, kept: Tensor) -> list[Tensor | None]:
        """The gradients of x and of the weights, those that are wanted, from the gradient of what `ahead` gave.

        Those of the weights are pieces of one tensor: autograd takes writing to one of them for writing to any.
        """
        key = (tuple(wanted), gradient.stride())
        if (way_back := self.ways_back.get(key)) is None:
            if len(self.ways_back) >= WAYS:
                self.ways_back.clear()
            way_back = self.ways_back[key] = self.way_back(wanted, gradient)
        of_x, of_weights = self.empty(self.x_shape) if wanted[0] else self.nothing, self.nothing.new_empty(self.parts)
        parts = self.nothing.new_empty(len(self.blocks) * self.parts)
        buffers = {Buffer.GRADIENT: gradient, Buffer.KEPT: kept, Buffer.OF_X: of_x}
        self.run(way_back, tensors, buffers | {Buffer.PARTS: parts, Buffer.OF_WEIGHTS: of_weights})
        views = zip(self.views, wanted[1:], strict=True)
        return [of_x if wanted[0] else None, *(of_weights.as_strided(*view) if want else None for view, want in views)]

    def way_back(self, wanted: Sequence[bool], gradient: Tensor) -> Program:
        """The calls of `back`, for gradients with the strides of this one."""
        tapes = {n: Tape() for n in self.blocks}
        for n, tape in tapes.items():
            value = tape.inside(Outside(Buffer.GRADIENT, *lanes(gradient.shape, gradient.stride(), n)))
            for i in reversed(range(len(self.layers))):
                tape.wanted = any(wanted[: 1 + 2 * i])  # x or a weight of a layer before
                found = self.layers[i].back(tape, value, self.weights[i], self.kept[n][i])
                if not tape.wanted:
                    break
                assert found is not None
                value = found
            if wanted[0]:
                tape.put(value, Outside(Buffer.OF_X, *lanes(self.x_shape, strides_of(self.x_shape), n)))
            tape.place()
        steps: dict[int, int] = {Buffer.GRADIENT: SIZE * BLOCK * gradient.stride(0), Buffer.OF_X: step_of(self.x_shape)}
        steps |= {Buffer.KEPT: self.bytes, Buffer.PARTS: SIZE * self.parts}
        return Program([tapes[n] for n in self.blocks], steps, self.summing(self.weights[i].of_weight.offset))

    def summing(self, first: int) -> Tape:
        """The gradients of the weights as the sums over the blocks, from so many bytes on."""
        tape, size = Tape(), (self.parts - first // SIZE,)
        parts, sums = (Array(buffer, first, size) for buffer in (Buffer.PARTS, Buffer.OF_WEIGHTS))
        tape.call(added, (parts, sums), (len(self.blocks), self.parts))
        return tape

    def empty(self, shape: Shape) -> Tensor:
        """An empty tensor with `strides_of(shape)`."""
        return self.nothing.new_empty_strided(shape, strides_of(shape))

    def run(self, program: Program, tensors: Tensors, buffers: Mapping[Buffer, Tensor]) -> None:
        """With these weights, and what else has an address."""
        weights = [None if each is None else each.contiguous() for each in tensors]
        addresses = [0] * Buffer.WEIGHTS + [0 if each is None else each.data_ptr() for each in weights]
        addresses[Buffer.ZEROS] = self.zeros.data_ptr()
        for buffer, tensor in buffers.items():
            addresses[buffer] = tensor.data_ptr()
        program.run(addresses)


def weights_like(tensors: Tensors) -> tuple[list[Weights], int]:
    """Of each layer with a weight and a bias like these, and how many numbers their gradients are."""
    found, numbers = [], 0
    for i in range(0, len(tensors), 2):
        weight, bias = tensors[i : i + 2]
        shape = (0,) if weight is None else tuple(weight.shape)
        biases = Array(Buffer.ZEROS if bias is None else Buffer.WEIGHTS + i + 1, 0, shape[:1])
        of_weight = Array(Buffer.PARTS, SIZE * numbers, shape)
        of_bias = Array(Buffer.PARTS, SIZE * (numbers + prod(shape)), shape[:1])
        found.append(Weights(Array(Buffer.WEIGHTS + i, 0, shape), biases, of_weight, of_bias))
        numbers += prod(shape) + shape[0]
    return found, numbers


def lanes(shape: Shape, strides: Shape, images: int) -> tuple[Shape, Shape]:
    """Shape and strides of so many images of a tensor (N, ...), an image a lane."""
    return (*shape[1:], images), (*strides[1:], strides[0])


def contiguous(shape: Shape) -> Shape:
    """The strides of a contiguous tensor."""
    return tuple(prod(shape[i + 1 :]) for i in range(len(shape)))


def strides_of(shape: Shape) -> Shape:
    """Of tensors made here: (N, C, H, W) with the images last in memory, so that they stay so; (N, I) as usual."""
    images, *sides = shape
    return (1, *contiguous((*sides, images))[:-1]) if len(sides) > 1 else (sides[0], 1)


def step_of(shape: Shape) -> int:
    """Bytes from one block to the next in a tensor with `strides_of(shape)`."""
    return SIZE * BLOCK * strides_of(shape)[0]
