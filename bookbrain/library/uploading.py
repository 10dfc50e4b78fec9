"""Books that come from a browser, on their way into the inbox."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO
from unicodedata import normalize

from bookbrain.library.arrivals import INBOX
from bookbrain.library.facade import Library
from bookbrain.library.reports import Plan, Progress
from bookbrain.library.staging import Source, Sources, copy_into, plan_sources
from bookbrain.library.storage import storage_error
from bookbrain.model import Book

LARGEST = 300  # MiB of one file: while it is uploaded it is in the app's memory

_UPLOADING = ".upload-"  # how the hidden name of a file begins that is not whole yet
_LONGEST_STEM = 200  # bytes: " (2)" and the name of a reason file have room behind it


def plan_upload(library: Library, name: str, file: BinaryIO) -> Plan:
    """What adding this file would take, or why it cannot be added; changes nothing."""
    (plan,) = plan_sources(library, Sources((Source(_path(name), file),), ()))
    return plan


def land(library: Library, name: str, file: BinaryIO) -> None:
    """Put a file into the inbox, whole or not at all; raises BookBrainError when it has no room.

    Unlike what a command copies it waits for nobody who works on the inbox.
    """
    inbox = library.settings.home / INBOX
    with _room():
        inbox.mkdir(exist_ok=True)
        copy_into(inbox, Source(_path(name), file), prefix=_UPLOADING)


def add_again(library: Library, book_id: str, progress: Progress) -> None:
    """Put a book's own file into the inbox and remove the book: it is read as if it came today.

    Killed at any instant, the book is there or on its way: nobody takes the file out of the inbox
    before the book is gone.
    """

    def keep_file(book: Book) -> None:
        with library.open_book(book.id).path.open("rb") as file:
            land(library, book.file, file)

    library.remove(book_id, progress, keep_file)


def sweep_uploads(home: Path) -> None:
    """Remove what an app that was killed had begun to write. Only for the one app of a library."""
    for left in (home / INBOX).glob(f"{_UPLOADING}*"):
        left.unlink(missing_ok=True)


def _path(given: str) -> Path:
    """The name that a browser gave, as one that a file can have and that is not hidden."""
    name = "".join(c for c in normalize("NFC", Path(given).name) if c.isprintable())
    stem = name.removesuffix(".pdf").removesuffix(".PDF").lstrip(". ").rstrip()
    return Path((stem.encode()[:_LONGEST_STEM].decode(errors="ignore") or "book") + ".pdf")


@contextmanager
def _room() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise storage_error(error, "Make room and upload it again.") from error
