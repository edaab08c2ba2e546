"""The convolution unit, the joins that networks are built of, and edits of built networks."""

from saccade.layers.drop import DropBlock, DropPath
from saccade.layers.initial import initialize
from saccade.layers.joins import Append, Branches, Gate, PadShortcut, Residual
from saccade.layers.unit import conv, preactivated, preactivation

__all__ = [
    "Append", "Branches", "DropBlock", "DropPath", "Gate", "PadShortcut", "Residual", "conv", "initialize",
    "preactivated", "preactivation",
]  # fmt: skip
