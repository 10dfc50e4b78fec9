"""Books that come from a browser, on their way into the inbox."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from errno import EXDEV
from pathlib import Path
from typing import BinaryIO
from unicodedata import normalize

from bookbrain.library.arrivals import INBOX
from bookbrain.library.facade import Library
from bookbrain.library.reports import Plan, Progress
from bookbrain.library.staging import Source, copy_into, name_file
from bookbrain.library.storage import storage_error
from bookbrain.model import Book
from bookbrain.server import refuse_in_upgrade

_UPLOADING = ".upload-"  # how the hidden name of a file begins that is not whole yet
_LONGEST_STEM = 200  # bytes: " (2)" and the name of a reason file have room behind it


def plan_upload(library: Library, name: str, path: Path) -> Plan:
    """What adding the file at `path` would take, or why it cannot be added; changes nothing."""
    return library.plan_file(path, _path(name).name)


def land_upload(home: Path, name: str, path: Path) -> None:
    """Give the whole file at `path`, in the library's folder, a name in the inbox as well.

    Where that is on another disk it is copied there.

    Raises BookBrainError when the inbox takes nothing.
    """
    inbox = home / INBOX
    with _room():
        inbox.mkdir(exist_ok=True)
        with path.open("rb") as file:
            try:
                name_file(file, inbox, _path(name).name)
            except OSError as error:
                if error.errno != EXDEV:  # the inbox may be on a disk of its own
                    raise
                copy_into(inbox, Source(_path(name), file), prefix=_UPLOADING)


def land(library: Library, name: str, file: BinaryIO) -> None:
    """Put a file into the inbox, whole or not at all; raises BookBrainError when it has no room.

    Unlike what a command copies it waits for nobody who works on the inbox.
    """
    inbox = library.settings.home / INBOX
    refuse_in_upgrade(library.settings.home)
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
        with suppress(OSError):  # or somebody else made it
            left.unlink()


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
