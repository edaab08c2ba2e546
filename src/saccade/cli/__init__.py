"""The command line: words in, a command's function, its result printed."""

from saccade.cli.entry import main, program

__all__ = ["main", "program"]
