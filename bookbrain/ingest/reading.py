"""Reading files in a child process: the text of each, or one clear reason why not."""

import json
import logging
import os
import socket
import subprocess
from collections.abc import Callable, Generator
from contextlib import closing
from pathlib import Path
from signal import SIGHUP, SIGINT, SIGKILL, SIGTERM
from typing import IO, Any, NamedTuple, Self

from bookbrain.children import describe_exit, end, start_module
from bookbrain.errors import InputError
from bookbrain.ingest.assembling import RawBook, RawPage, assemble
from bookbrain.ingest.deadlines import Deadlines, lines_until
from bookbrain.model import BookText
from bookbrain.wording import fill

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
    """The text of one PDF, read as `Reader` does."""
    with Reader(timeout=timeout, memory_mb=memory_mb) as reader:
        return assemble(reader.read(path, progress))


class _Child(NamedTuple):
    """A process that reads what it is asked for through the socket."""

    process: subprocess.Popen[bytes]
    asking: socket.socket


class Reader:
    """Reads PDFs in a child process, one at a time, each in a fork of its own.

    A fork is killed after `timeout` seconds without a page, when the whole book takes longer than
    `deadlines.whole_book` says, or at `memory_mb` MiB. The child starts with the first book.
    """

    def __init__(self, *, timeout: float, memory_mb: int) -> None:
        self._timeout = timeout
        self._memory_mb = memory_mb
        self._child: _Child | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the child, whatever it does."""
        if child := self._child:
            end(child.process)
            child.asking.close()
        self._child = None

    def read(self, path: Path, progress: Progress = lambda done, total: None) -> RawBook:
        """What is in the PDF at `path`.

        Raises InputError with the reason, which completes the sentence "… cannot be added: …".
        """
        book: dict[str, Any] = {"outline": [], "labels": []}
        pages: list[RawPage] = []
        try:
            with closing(self._answer(path)) as lines:
                for line in lines:
                    if "text" in line:
                        pages.append(RawPage(line["text"], line["problem"]))
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
        return RawBook(path, book["title"], pages, book["outline"], book["labels"])

    def _answer(self, path: Path) -> Generator[dict[str, Any]]:
        """What the fork prints, line by line; InputError when it crashes or stalls."""
        child = self._started()
        code = None
        deadlines = Deadlines(self._timeout)
        try:
            with _ask(child.asking, [str(path), self._memory_mb]) as pipe:
                for line in lines_until(pipe, lambda: deadlines.next, _MAX_BYTES):
                    answer = json.loads(line)
                    deadlines.hear(answer.get("pages"))
                    yield answer
            code = int(child.asking.recv(16) or child.process.wait())
        except ConnectionError:
            code = child.process.wait()  # killed before it heard us
        except OverflowError as error:
            raise InputError(*_REASONS["memory"]) from error
        except TimeoutError as error:
            raise deadlines.error from error
        finally:
            if code is None:  # it may still be at work, and nobody listens
                self.close()
        if code:
            crash = InputError(
                fill("the PDF reader crashed on it ({reason})", reason=describe_exit(code)),
                "It may be damaged, or need more memory than BOOKBRAIN_READ_MEMORY allows.",
            )
            raise killed(crash) if code in FROM_OUTSIDE else crash

    def _started(self) -> _Child:
        if self._child and self._child.process.poll() is None:
            return self._child
        self.close()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.settimeout(self._timeout)
        with theirs:
            process = start_module("bookbrain.ingest.reader", stdin=theirs.fileno())
        self._child = _Child(process, ours)
        return self._child


def _ask(asking: socket.socket, request: list[str | int]) -> IO[bytes]:
    """The pipe that the answer to `request` comes out of."""
    ours, theirs = os.pipe()
    pipe = open(ours, "rb", buffering=0)  # noqa: SIM115  (the caller closes it)
    try:
        socket.send_fds(asking, [json.dumps(request).encode()], [theirs])
    except OSError:
        pipe.close()
        raise
    finally:
        os.close(theirs)
    return pipe
