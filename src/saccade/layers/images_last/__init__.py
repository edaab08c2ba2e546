"""A network of small maps in another memory layout, images last, in which its layers have kernels of their own.

The form of a network in which a CPU trains it fastest, as a compiled network is another form of it: it shares parameters
and buffers with the tree it was made from, takes and gives tensors of the same shapes, and differs by roundings.
"""

from saccade.layers.images_last.form import images_last as images_last
from saccade.layers.images_last.form import suits as suits
