"""The library: the one facade that the command line and the web use."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import as_file, files
from pathlib import Path

from bookbrain.library.library import Library
from bookbrain.model import AddReport, Arrival, Outcome, Plan, Progress, Silent

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


@contextmanager
def sample_book() -> Iterator[Path]:
    """The handbook, a file until the block ends."""
    with as_file(files("bookbrain") / "sample" / "handbook.pdf") as path:
        yield path
