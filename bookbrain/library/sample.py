"""BookBrain's own handbook, for a library that has no book yet."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import as_file, files
from pathlib import Path


@contextmanager
def sample_book() -> Iterator[Path]:
    """The handbook, a file until the block ends."""
    with as_file(files("bookbrain") / "sample" / "handbook.pdf") as path:
        yield path
