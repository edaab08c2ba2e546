"""One self-contained HTML page from the record of a run."""

from saccade.report.mistakes import pictured
from saccade.report.page import write_report

__all__ = ["pictured", "write_report"]
