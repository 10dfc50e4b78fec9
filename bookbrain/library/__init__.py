"""The library: what the commands, the web app and backups use of it is imported from here."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import as_file, files
from pathlib import Path

from bookbrain.library.findings import Expected
from bookbrain.library.inbox import Rejection, arrivals, dismiss, rejections
from bookbrain.library.inbox_worker import ingest
from bookbrain.library.library import Library
from bookbrain.library.maintenance import TakenExam
from bookbrain.library.open_book import Chapter, OpenBook, pick
from bookbrain.library.prepare import file_digest
from bookbrain.library.recovery import Recovered, mend_catalog, mend_store, recover, settle
from bookbrain.library.replacement import (
    damaged_aside,
    look_into,
)
from bookbrain.library.sources import (
    Sources,
    add_again,
    add_sources,
    land_upload,
    open_sources,
    plan_sources,
    plan_upload,
    sweep_uploads,
)
from bookbrain.paths import PDF, REJECTED

__all__ = [
    "INBOX",
    "REJECTED",
    "Chapter",
    "Expected",
    "Library",
    "OpenBook",
    "Recovered",
    "Rejection",
    "Sources",
    "TakenExam",
    "add_again",
    "add_sources",
    "arrivals",
    "damaged_aside",
    "dismiss",
    "ingest",
    "land_upload",
    "look_into",
    "mend_catalog",
    "mend_store",
    "open_sources",
    "pick",
    "plan_sources",
    "plan_upload",
    "recover",
    "rejections",
    "sample_book",
    "sample_id",
    "settle",
    "sweep_uploads",
]


@contextmanager
def sample_book() -> Iterator[Path]:
    """BookBrain's own handbook, a file until the block ends: for a library without books."""
    with as_file(files("bookbrain") / "sample" / f"handbook{PDF}") as path:
        yield path


def sample_id() -> str:
    """The id that the handbook has in a library."""
    with sample_book() as path:
        return file_digest(path)
