"""Reading a file in a child process: its text, or one clear reason why not."""

import json
import logging
import os
import select
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from bookbrain.children import describe_exit, end, start_module
from bookbrain.errors import InputError
from bookbrain.ingest import outline, quality
from bookbrain.ingest.joining import clean, join_hyphens, join_lines, words_of
from bookbrain.model import BookText, Page

log = logging.getLogger(__name__)

Progress = Callable[[int, int], None]

_MAX_BYTES = 500_000_000  # of what a reader prints; a long book is a hundredth of that
_CHUNK = 1 << 20

_REASONS = {
    "password": ("it is protected by a password", "Save a copy without the password and add that."),
    "damaged": ("it is not a readable PDF (cut off or damaged)", "Get the file again."),
    "memory": ("reading it needs too much memory", "Raise BOOKBRAIN_READ_MEMORY, or split it."),
    "too many pages": ("it has too many pages", "Split it and add the parts."),
    "no pages": ("it has no pages", "Get the file again."),
}


def read_pdf(
    path: Path, *, timeout: float, memory_mb: int, progress: Progress = lambda done, total: None
) -> BookText:
    """The pages of the PDF at `path`, with labels, chapters and problems.

    The child is killed after `timeout` seconds without a page, or at `memory_mb` MiB. Raises
    InputError with the reason, which completes the sentence "… cannot be added: …".
    """
    book: dict[str, Any] = {"outline": [], "labels": []}
    raw_pages: list[dict[str, Any]] = []
    try:
        for line in _child_lines(path, timeout, memory_mb):
            if "number" in line:
                raw_pages.append(line)
                progress(len(raw_pages), book["pages"])
            else:
                book |= line
    except InputError:
        if len(raw_pages) < book.get("pages", 1):
            raise
        log.info("%s: its outline or page labels cannot be read", path)  # its text was
    if "error" in book:
        raise InputError(*_REASONS[book["error"]])
    if not raw_pages:
        raise InputError(*_REASONS["no pages"])
    return BookText(_title(book["title"], path), _pages(raw_pages, book))


def _child_lines(path: Path, timeout: float, memory_mb: int) -> Iterator[dict[str, Any]]:
    """What the reader prints, line by line; InputError when it crashes or stalls."""
    child = start_module(
        "bookbrain.ingest.reader", str(path), str(memory_mb), stdout=subprocess.PIPE
    )
    try:
        yield from map(json.loads, _lines(child, timeout))
        if code := child.wait(timeout):
            raise InputError(
                f"the PDF reader crashed on it ({describe_exit(code)})",
                "It may be damaged, or need more memory than BOOKBRAIN_READ_MEMORY allows.",
            )
    except subprocess.TimeoutExpired as error:
        raise _stalled(timeout) from error
    finally:
        end(child)
        if child.stdout:
            child.stdout.close()


def _lines(child: subprocess.Popen[bytes], timeout: float) -> Iterator[bytes]:
    assert child.stdout is not None  # noqa: S101  (a pipe was asked for)
    descriptor = child.stdout.fileno()
    buffer, received = b"", 0
    deadline = time.monotonic() + timeout
    while True:
        if not select.select([descriptor], [], [], max(deadline - time.monotonic(), 0))[0]:
            raise _stalled(timeout)
        chunk = os.read(descriptor, _CHUNK)
        received += len(chunk)
        if received > _MAX_BYTES:
            raise InputError(*_REASONS["memory"])
        if not chunk:
            return
        *lines, buffer = (buffer + chunk).split(b"\n")
        if lines:
            deadline = time.monotonic() + timeout
        yield from lines


def _stalled(timeout: float) -> InputError:
    return InputError(
        f"reading it made no progress for {timeout:g} seconds",
        "If the file is good, raise BOOKBRAIN_READ_TIMEOUT.",
    )


def _title(title: str, path: Path) -> str:
    """The document's own title where it is one, else "" (the caller knows the file's name)."""
    name = " ".join(clean(title).replace("\x02", "").split())
    junk = not any(map(str.isalpha, name)) or name.lower().startswith(
        ("untitled", "microsoft word")
    )
    is_file = name.lower().endswith((".pdf", ".doc", ".docx", ".dvi", ".tex", ".indd", ".qxd"))
    return "" if junk or is_file or quality.is_garbled(title) or path.stem == name else name[:300]


def _pages(raw_pages: list[dict[str, Any]], book: dict[str, Any]) -> tuple[Page, ...]:
    titles = outline.titles_by_page(book["outline"])
    labels = book["labels"] or [""] * len(raw_pages)
    texts = [clean(raw["text"] or "") for raw in raw_pages]
    words: set[str] = set().union(*map(words_of, texts))
    problems = [quality.page_problem(raw["text"], raw["scanned"]) for raw in raw_pages]
    readable = ["" if p else t for p, t in zip(problems, texts, strict=True)]
    joined = join_lines([join_hyphens(text, words) for text in readable])
    pages, chapter = [], ""
    for index, (raw, text) in enumerate(zip(raw_pages, joined, strict=True)):
        headings = outline.headings(titles.get(index, []), text)
        label = clean(labels[index])[:40].strip() or str(raw["number"])
        pages.append(Page(raw["number"], label, chapter, text, headings, problems[index]))
        chapter = headings[-1].title if headings else chapter
    return tuple(pages)
