"""PDFs are opened, and read in a child process: the text of each, or one reason why not."""

import json
import logging
import re
from collections.abc import Callable, Generator
from contextlib import closing
from math import inf
from pathlib import Path
from signal import SIGHUP, SIGINT, SIGKILL, SIGTERM
from time import monotonic
from typing import Any, BinaryIO, Self

from bookbrain.errors import InputError
from bookbrain.files import open_below, open_input
from bookbrain.formats.fork_server import ForkError, ForkServer
from bookbrain.formats.page_image import Picture, Sheet
from bookbrain.formats.text import RawBook, RawPage, assemble
from bookbrain.messages import fill
from bookbrain.model import BookText
from bookbrain.ocr.choice import PageContent
from bookbrain.paths import PDF
from bookbrain.processes import describe_exit

_START = b"%PDF-"  # in the first 1,024 bytes


def open_pdf(path: Path, folder: Path | None = None, *, lent: bool = True) -> BinaryIO:
    """The PDF at `path`, open; no link is followed in `folder`, where it is found below that.

    `lent` is that of `open_below`. Raises InputError for what cannot be a PDF: gone, unreadable,
    empty, of another kind.
    """
    file = open_below(folder, path, lent=lent) if folder else open_input(path)
    try:
        _check_start(file)
    except InputError:
        file.close()
        raise
    return file


def _check_start(file: BinaryIO) -> None:
    try:
        start = file.read(1024)
        file.seek(0)
    except OSError as error:
        raise InputError(
            fill("it cannot be read ({reason})", reason=error.strerror), "Get the file again."
        ) from error
    if not start:
        raise InputError("it is empty", "Get the file again.")
    if _START not in start:
        raise InputError("it is not a PDF", "BookBrain reads PDF files; convert it first.")


_CHUNK = 1 << 20
_PAGES = 500  # for which a book gets the time of one sign of life more
_MOST = 15  # times the time of one sign of life, whatever a file says of its pages


def whole_book(timeout: float, pages: int) -> float:
    """Seconds that reading a book of so many pages may take where a page may take `timeout`."""
    return timeout * min(2 + pages / _PAGES, _MOST)


class Deadlines:
    """Those of the book that is worked on now, by time.monotonic.

    Where what follows its reading is included, it may take twice as long, and be quiet meanwhile.
    """

    def __init__(self, timeout: float, *, all_of_it: bool = False) -> None:
        self._timeout = 2 * timeout if all_of_it else timeout
        self._quiet = inf if all_of_it else timeout
        self._begun = monotonic()
        self._seconds = whole_book(self._timeout, 0)
        self._heard = self._begun

    def hear(self, pages: int | None = None) -> None:
        """Note a sign of life, and how many pages the book has, where it says so."""
        self._heard = monotonic()
        if pages:
            self._seconds = whole_book(self._timeout, pages)

    @property
    def next(self) -> float:
        """When it is given up."""
        return min(self._heard + self._quiet, self._begun + self._seconds)

    @property
    def error(self) -> InputError:
        """Why it is given up, once it is."""
        hint = "If the file is good, raise BOOKBRAIN_READ_TIMEOUT."
        if self._heard + self._quiet <= self._begun + self._seconds:
            return InputError(
                fill("reading it made no progress for {seconds:g} seconds", seconds=self._quiet),
                hint,
            )
        return InputError(
            fill("reading it takes longer than {seconds:g} seconds in all", seconds=self._seconds),
            hint,
        )


log = logging.getLogger(__name__)
Progress = Callable[[int, int], None]
_MAX_BYTES = 300_000_000  # of what a reader prints; a long book is a hundredth of that
FROM_OUTSIDE = {-SIGHUP, -SIGINT, -SIGKILL, -SIGTERM}  # no book ends its reader like this
_REASONS = {
    "password": ("it is protected by a password", "Save a copy without the password and add that."),
    "damaged": ("it is not a readable PDF (cut off or damaged)", "Get the file again."),
    "memory": ("reading it needs too much memory", "Raise BOOKBRAIN_READ_MEMORY, or split it."),
    "too many pages": ("it has too many pages", "Split it and add the parts."),
    "too much text": ("it has too much text", "Split it and add the parts."),
    "no pages": ("it has no pages", "Get the file again."),
}


class KilledError(InputError):
    """Somebody ended the process that worked on a book: it may be no fault of the book's.

    Too little memory may be why: then the kernel ends processes.
    """


def killed(error: InputError) -> KilledError:
    """The same error, where somebody ended the process."""
    return KilledError(error.message, error.hint)


def read_pdf(
    path: Path, *, timeout: float, memory_mb: int, progress: Progress = lambda done, total: None
) -> BookText:
    """The text of one PDF, read as `PdfReader` does."""
    with PdfReader(timeout=timeout, memory_mb=memory_mb) as reader:
        return assemble(reader.read(path, progress))


class PdfReader:
    """Reads PDFs in a child process, one at a time, each in a fork of its own.

    A fork is killed after `timeout` seconds without a page, when the whole book takes longer than
    `whole_book` says, or at `memory_mb` MiB. The child starts with the first book.
    """

    def __init__(self, *, timeout: float, memory_mb: int) -> None:
        self._timeout = timeout
        self._memory_mb = memory_mb
        self._forks = ForkServer("bookbrain.formats.pdf_child")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the child, whatever it does."""
        self._forks.close()

    def read(self, path: Path, progress: Progress = lambda done, total: None) -> RawBook:
        """What is in the PDF at `path`.

        Raises InputError with the reason, which completes the sentence "… cannot be added: …".
        """
        book: dict[str, Any] = {"outline": [], "labels": [], "elsewhere": ""}
        pages: list[RawPage] = []
        try:
            with closing(self._answer(path)) as lines:
                for line in lines:
                    if "text" in line:
                        pages.append(RawPage(line["text"], PageContent(**line["content"])))
                    elif "read" in line:
                        progress(line["read"], book["pages"])
                    else:
                        book |= line
        except InputError:
            if len(pages) < book.get("pages", 1):
                raise
            log.info("%s: its outline or page labels cannot be read", path)  # its text was
        if "error" in book:
            raise InputError(*_REASONS[book["error"]])
        if not pages:
            raise InputError(*_REASONS["no pages"])
        return RawBook(
            path, book["title"], pages, book["outline"], book["labels"], book["elsewhere"]
        )

    def _answer(self, path: Path) -> Generator[dict[str, Any]]:
        """What the fork prints, line by line; InputError when it crashes or stalls."""
        deadlines = Deadlines(self._timeout)
        request = [str(path), self._memory_mb]
        try:
            with closing(self._forks.lines(request, lambda: deadlines.next, _MAX_BYTES)) as lines:
                for line in lines:
                    answer = json.loads(line)
                    deadlines.hear(answer.get("pages"))
                    yield answer
        except OverflowError as error:
            raise InputError(*_REASONS["memory"]) from error
        except TimeoutError as error:
            raise deadlines.error from error
        except ForkError as error:
            crash = InputError(
                fill("the PDF reader crashed on it ({reason})", reason=describe_exit(error.code)),
                "It may be damaged, or need more memory than BOOKBRAIN_READ_MEMORY allows.",
            )
            raise (killed(crash) if error.code in FROM_OUTSIDE else crash) from error


class Pdf:
    """PDF, as a `Format`."""

    suffix = PDF
    open = staticmethod(open_pdf)
    reader = PdfReader
    picture = Picture
    sheet = Sheet

    def begins(self, start: bytes) -> bool:
        return _START in start

    def has_ended(self, start: bytes, tail: bytes, size: int) -> bool:
        if b"/Linearized" in start and (length := re.search(rb"/L\s+(\d{1,15})\b", start)):
            return size >= int(length[1])  # such a PDF has an end near its start, too
        return b"%%EOF" in tail
