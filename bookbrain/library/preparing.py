"""Having a book made ready by a child process: its pages, its passages and its postings."""

import json
import logging
import os
import subprocess
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bookbrain.children import describe_exit, end, start_module
from bookbrain.config import Settings
from bookbrain.errors import InputError
from bookbrain.index.rows import parse_spans, to_page
from bookbrain.ingest.deadlines import Deadlines, lines_until
from bookbrain.ingest.passages import text_of
from bookbrain.ingest.reading import FROM_OUTSIDE, killed
from bookbrain.library.reports import Step
from bookbrain.model import Page, Passage
from bookbrain.wording import fill, unpacked

log = logging.getLogger(__name__)

_MAX_BYTES = 1 << 30  # of what a preparer says of one book

OnStep = Callable[[Step, int, int], None]


@dataclass(frozen=True, slots=True)
class Prepared:
    """A book whose postings are in its shard; `title` is "" where the file names none."""

    title: str
    pages: tuple[Page, ...]
    passages: tuple[Passage, ...]


class PreparerFault(Exception):
    """The child failed in a way that is no book's fault. The log has where."""


class Preparer:
    """Makes books ready in a child process, one at a time. It starts with the first book."""

    def __init__(self, settings: Settings, shards: Path) -> None:
        self._limits = (settings.read_timeout, settings.read_memory)
        self._shards = shards
        self._child: subprocess.Popen[bytes] | None = None
        self._interrupted = False

    def close(self) -> None:
        """End the child, whatever it does."""
        if child := self._child:
            end(child)
            for pipe in (child.stdin, child.stdout, child.stderr):
                if pipe:
                    pipe.close()
        self._child = None

    def interrupt(self) -> None:
        """End the child, for good, from another thread: whoever waits for it gets an error."""
        self._interrupted = True
        if child := self._child:
            end(child)

    def prepare(self, path: Path, book_id: str, on_step: OnStep) -> Prepared:
        """Make the book at `path` ready.

        Raises InputError with the reason, which completes the sentence "… cannot be added: …"
        (KilledError when somebody ended the process), OSError when the disk is full, PreparerFault
        for what should never be.
        """
        child = self._started()
        _tell(child, [str(path), book_id, str(self._shards)])
        assert child.stdout  # noqa: S101  (a pipe was asked for)
        deadlines = Deadlines(self._limits[0], all_of_it=True)
        try:
            for answer in lines_until(child.stdout, lambda: deadlines.next, _MAX_BYTES):
                line = json.loads(answer)
                if "step" not in line:
                    return _made(line)
                step, done, total = line["step"]
                deadlines.hear(total)
                on_step(step, done, total)
        except TimeoutError as error:
            self.close()
            raise deadlines.error from error
        raise self._ended(child)

    def _started(self) -> "subprocess.Popen[bytes]":
        if self._child and self._child.poll() is None:
            return self._child
        self.close()
        self._child = start_module(
            "bookbrain.library.preparer", stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )  # fmt: skip
        _tell(self._child, self._limits)
        if self._interrupted:  # before there was a child that could be ended
            self.close()
            raise InterruptedError
        return self._child

    def _ended(self, child: "subprocess.Popen[bytes]") -> Exception:
        code = child.wait()
        complaint = child.stderr.read().decode(errors="replace") if child.stderr else ""
        self.close()
        if code > 0:
            log.error("a book could not be prepared\n%s", complaint)
            return PreparerFault()
        error = InputError(
            fill("the process that prepares it ended ({reason})", reason=describe_exit(code)),
            "There may be too little memory: lower BOOKBRAIN_READ_MEMORY, or close other programs.",
        )
        return killed(error) if code in FROM_OUTSIDE else error


def _tell(child: "subprocess.Popen[bytes]", line: Sequence[Any]) -> None:
    assert child.stdin  # noqa: S101  (a pipe was asked for)
    with suppress(BrokenPipeError):  # its output ends too, and tells why
        child.stdin.write(json.dumps(line).encode() + b"\n")
        child.stdin.flush()


def _made(line: dict[str, Any]) -> Prepared:
    if "book" in line:
        return _book(*line["book"])
    if "errno" in line:
        raise OSError(line["errno"], os.strerror(line["errno"]))
    error = InputError(unpacked(line["error"]), unpacked(line["hint"]))
    raise killed(error) if line["killed"] else error


def _book(title: str, pages: list[Any], spans: list[str]) -> Prepared:
    made = tuple(to_page(row) for _, *row in pages)
    texts = {page.number: page.text for page in made}
    passages = map(parse_spans, spans)
    return Prepared(
        title, made, tuple(Passage(n, of, text_of(texts, of)) for n, of in enumerate(passages))
    )
