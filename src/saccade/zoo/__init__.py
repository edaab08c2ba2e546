"""Networks: functions that build trees of modules, listed by name in `NETWORKS`."""

from saccade.zoo.catalogue import NETWORKS, Entry, find

__all__ = ["NETWORKS", "Entry", "find"]
