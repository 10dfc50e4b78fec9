"""The process that opens PDFs: `python -m bookbrain.formats.pdf_child`, its input a socket.

A request is one message: a JSON array of a path and the MiB that reading it may take, and the end
of a pipe. The file is read in a fork of this process, which never opens one itself; the answer is
the fork's exit code. The fork writes one JSON object a line into the pipe: first the book (`pages`,
`title`), then `read`, the number of a page, for each that it has read, then each page's `text`
(null where it cannot be loaded) and `content`, then what a damaged book can do without: `outline`,
`labels`. A line with `error` is the last one. A hostile PDF may crash, hang or fill the fork;
`pdf.py` survives it. No other book sees what it does there, for this process has read none; and a
fork starts twenty times faster than Python.
"""

import json
import os
import socket
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from functools import partial
from itertools import islice
from typing import Any, NamedTuple

import pypdfium2 as pdfium

from bookbrain.formats.page_content import content_of
from bookbrain.formats.page_text import HYPHEN, clean, join_hyphens, words_of
from bookbrain.ocr.choice import PageContent
from bookbrain.processes import die_with_parent, limit_this_process, run_forked

MAX_PAGES = 50_000
MAX_PAGE_CHARACTERS = 400_000
MAX_BOOK_CHARACTERS = 20_000_000  # some 6,500 pages full of text
MAX_OUTLINE = 20_000
LONGEST_TITLE = 300  # characters that are kept of a title in the outline, or of a page's label
_MOST_READ = 10_000_000  # characters of all titles, or of all labels, before they are cut
_LONGEST_REQUEST = 1 << 16  # bytes


class _RawPage(NamedTuple):
    """What the PDF says of a page; `text` is None when pdfium cannot load it.

    `characters` are all that there are, also those that cannot be seen.
    """

    text: str | None
    content: PageContent
    characters: int


def main() -> None:
    """Read what is asked for, one file at a time, until nobody can ask any more."""
    die_with_parent()
    with socket.socket(fileno=sys.stdin.fileno()) as asked:
        while True:
            message, descriptors, _, _ = socket.recv_fds(asked, _LONGEST_REQUEST, 1)
            if not message:
                return
            (pipe,), (path, memory_mb) = descriptors, json.loads(message)
            code = run_forked(partial(_answer, asked, pipe, path, memory_mb))
            os.close(pipe)
            asked.send(str(code).encode())


def _answer(asked: socket.socket, pipe: int, path: str, memory_mb: int) -> None:
    """Print the book into the pipe. What a PDF has taken over must not answer on the socket."""
    asked.close()
    os.dup2(pipe, sys.stdout.fileno())
    limit_this_process(memory_mb)
    try:
        document = pdfium.PdfDocument(path)
    except pdfium.PdfiumError as error:
        _print({"error": "password" if "Incorrect password" in str(error) else "damaged"})
        return
    try:
        _print_book(document)
    except MemoryError:
        _print({"error": "memory"})


def _print_book(document: pdfium.PdfDocument) -> None:
    count = len(document)
    if count > MAX_PAGES:
        _print({"error": "too many pages"})
        return
    _print({"pages": count, "title": _title(document)})
    pages, characters = [], 0
    for index in range(count):
        pages.append(_page(document, index))
        characters += pages[-1].characters
        if characters > MAX_BOOK_CHARACTERS:
            _print({"error": "too much text"})
            return
        _print({"read": index + 1})
    _print_pages(pages)
    _print({"outline": _outline(document)})
    _print({"labels": _labels(document)})


def _print_pages(pages: Sequence[_RawPage]) -> None:
    """Each page's text in clean lines, and what else is on it."""
    texts = [clean(page.text or "") for page in pages]
    words: set[str] = set()
    if any(HYPHEN in text for text in texts):
        words.update(*map(words_of, texts))
    for page, text in zip(pages, texts, strict=True):
        lines = None if page.text is None else join_hyphens(text, words)
        _print({"text": lines, "content": asdict(page.content)})


def _title(document: pdfium.PdfDocument) -> str:
    try:
        return str(document.get_metadata_value("Title"))[: 4 * LONGEST_TITLE]
    except (pdfium.PdfiumError, UnicodeError):
        return ""


def _outline(document: pdfium.PdfDocument) -> list[tuple[int, str, int]]:
    """(level from 0, title, page index) of each entry that leads to a page, as far as it goes."""
    entries: list[tuple[int, str, int]] = []
    characters = 0
    with suppress(pdfium.PdfiumError, UnicodeError, RecursionError):
        for bookmark in islice(document.get_toc(max_depth=15), MAX_OUTLINE):
            target = bookmark.get_dest()
            index = target.get_index() if target else None
            if index is None:
                continue
            title = bookmark.get_title()
            characters += len(title)
            entries.append((bookmark.level, title[:LONGEST_TITLE], index))
            if characters > _MOST_READ:
                break
    return entries


def _labels(document: pdfium.PdfDocument) -> list[str]:
    """The label of each page; none at all where they are too long for labels."""
    labels, characters = [], 0
    for index in range(len(document)):
        label = _label(document, index)
        characters += len(label)
        if characters > _MOST_READ:
            return []
        labels.append(label[:LONGEST_TITLE])
    return labels


def _label(document: pdfium.PdfDocument, index: int) -> str:
    try:
        return str(document.get_page_label(index))
    except (pdfium.PdfiumError, UnicodeError):
        return ""


def _page(document: pdfium.PdfDocument, index: int) -> _RawPage:
    text, content, characters = None, PageContent(), 0
    with suppress(pdfium.PdfiumError):
        page = document[index]
        textpage = page.get_textpage()
        text, characters = _text(page, textpage)
        content = content_of(page, textpage, text)
        page.close()
    return _RawPage(text, content, characters)


def _text(page: pdfium.PdfPage, textpage: pdfium.PdfTextPage) -> tuple[str, int]:
    """What is visible inside the page's crop box, in pdfium's order; and how much there is in all.

    On a page turned on its side pdfium's boxes lose the breaks between lines, so that words run
    together: there all characters are taken, whatever the crop.
    """
    count = textpage.count_chars()
    if count > MAX_PAGE_CHARACTERS or page.get_rotation() in (90, 270):
        most = min(count, MAX_PAGE_CHARACTERS)
        return str(textpage.get_text_range(0, most, errors="replace")), count
    return str(textpage.get_text_bounded(errors="replace")), count


def _print(line: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
