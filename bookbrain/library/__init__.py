"""The library: the one facade that the command line and the web use."""

from bookbrain.library.facade import Library
from bookbrain.library.reports import AddReport, Arrival, Outcome, Plan, Progress, Silent
from bookbrain.library.sample import sample_book

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
