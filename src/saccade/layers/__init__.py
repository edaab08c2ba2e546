"""The convolution unit and the joins that networks are built of."""

from saccade.layers.initial import initialize
from saccade.layers.joins import PadShortcut, Residual
from saccade.layers.unit import conv

__all__ = ["PadShortcut", "Residual", "conv", "initialize"]
