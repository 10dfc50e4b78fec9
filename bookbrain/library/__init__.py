"""The library: the one facade that the command line and the web use."""

from bookbrain.library.facade import Library, sample_book
from bookbrain.library.reports import AddReport, Arrival, Outcome, Plan, Progress, Silent

__all__ = [
    "AddReport",
    "Arrival",
    "Library",
    "Outcome",
    "Plan",
    "Progress",
    "Silent",
    "sample_book",
]
