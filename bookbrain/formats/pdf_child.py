"""The child process that reads PDFs, each in a fork: `python -m bookbrain.formats.pdf_child`.

A request is a path and the MiB that reading it may take. The answer is one JSON object a line:
first the book (`pages`, `title`), then `read`, the number of a page, for each that was read, then
each page's `text` (null where it cannot be loaded) and `content`, then what a damaged book can do
without: `outline`, `labels`. A line with `error` is the last one. A hostile PDF may crash, hang or
fill the fork; `pdf.py` survives it, and no other book sees what it does there.
"""

import ctypes
import gc
import json
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import pypdfium2 as pdfium
import pypdfium2.raw as pdfium_c

from bookbrain.formats.attachments import elsewhere
from bookbrain.formats.fork_server import serve
from bookbrain.formats.glyphs import in_whole_words, seen_on
from bookbrain.formats.headline import headline
from bookbrain.formats.ligatures import decode_ligatures
from bookbrain.formats.page_content import content_of
from bookbrain.formats.page_layout import Stretch, cleaned, parts_of
from bookbrain.formats.page_text import HYPHEN, is_garbled, join_hyphens, words_of
from bookbrain.formats.titles import as_meant, is_title, tidy
from bookbrain.ocr.choice import PageContent
from bookbrain.processes import limit_this_process

MAX_PAGES = 50_000
MAX_PAGE_CHARACTERS = 400_000
MAX_BOOK_CHARACTERS = 20_000_000  # some 6,500 pages full of text
MAX_OUTLINE = 20_000
LONGEST_TITLE = 300  # characters that are kept of a title in the outline, or of a page's label
_MOST_READ = 10_000_000  # characters of all titles, or of all labels, before they are cut
_SPARE = 1_000  # characters of a page that are none of its font's: breaks of lines


class _RawPage(NamedTuple):
    """What the PDF says of a page; `parts` is None when pdfium cannot load it.

    `characters` are all that there are, also those that cannot be seen.
    """

    parts: Sequence[Stretch] | None
    content: PageContent
    characters: int


def _answer(request: tuple[str, int]) -> None:
    """Print the book."""
    path, memory_mb = request
    limit_this_process(memory_mb)
    gc.disable()  # it lives for one book
    try:
        document = pdfium.PdfDocument(path)
    except pdfium.PdfiumError as error:
        _print({"error": "password" if "Incorrect password" in str(error) else "damaged"})
        return
    try:
        _print_book(document, Path(path))
    except MemoryError:
        _print({"error": "memory"})


def _print_book(document: pdfium.PdfDocument, path: Path) -> None:
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
    _print(
        {
            "elsewhere": elsewhere(
                document, path, "".join(part.text for page in pages for part in page.parts or ())
            )
        }
    )
    _print_pages(pages)
    title = tidy(_title(document))
    if title and not is_title(title):
        _print({"title": headline(document)})
    _print({"outline": _outline(document)})
    _print({"labels": _labels(document)})


def _print_pages(pages: Sequence[_RawPage]) -> None:
    """Each page's text in clean lines, and what else is on it."""
    decoded = _decoded(pages)
    texts = [cleaned(parts) for parts in decoded]
    words: set[str] = set()
    if any(HYPHEN in text for text in texts):
        words.update(*map(words_of, texts))
    for page, parts, text in zip(pages, decoded, texts, strict=True):
        lines = None if page.parts is None else join_hyphens(text, words)
        content = page.content
        if content.garbled and parts != page.parts:
            content = replace(content, garbled=is_garbled("".join(part.text for part in parts)))
        _print({"text": lines, "content": asdict(content)})


def _decoded(pages: Sequence[_RawPage]) -> list[list[Stretch]]:
    """What is on each page, with the letters for which a font has bare codes."""
    texts = iter(decode_ligatures([part.text for page in pages for part in page.parts or ()]))
    return [[part._replace(text=next(texts)) for part in page.parts or ()] for page in pages]


def _title(document: pdfium.PdfDocument) -> str:
    try:
        return as_meant(str(document.get_metadata_value("Title"))[: 4 * LONGEST_TITLE])
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
            title = as_meant(title[: 4 * LONGEST_TITLE])
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
        return as_meant(str(document.get_page_label(index))[: 4 * LONGEST_TITLE])
    except (pdfium.PdfiumError, UnicodeError):
        return ""


def _page(document: pdfium.PdfDocument, index: int) -> _RawPage:
    parts, content, characters = None, PageContent(), 0
    with suppress(pdfium.PdfiumError):
        page = document[index]
        textpage = page.get_textpage()
        text, characters = visible_text(page, textpage), textpage.count_chars()
        content = content_of(page, textpage, text)
        parts = parts_of(page, textpage, text)
        page.close()
    return _RawPage(parts, content, characters)


def visible_text(page: pdfium.PdfPage, textpage: pdfium.PdfTextPage) -> str:
    """What is visible inside the page's crop box, in pdfium's order.

    On a page turned on its side pdfium's boxes lose the breaks between lines, so that words run
    together: there all characters are taken, whatever the crop.
    """
    count = textpage.count_chars()
    if count > MAX_PAGE_CHARACTERS or page.get_rotation() in (90, 270):
        most = min(count, MAX_PAGE_CHARACTERS)
        return str(textpage.get_text_range(0, most, errors="replace"))
    return _with_whole_words(page, textpage, _bounded(page, textpage, 2 * count + _SPARE))


def _bounded(page: pdfium.PdfPage, textpage: pdfium.PdfTextPage, most: int) -> str:
    """As pypdfium2's `get_text_bounded`, which has pdfium look twice, once to count."""
    left, bottom, right, top = page.get_bbox()
    units = (ctypes.c_ushort * most)()
    count = pdfium_c.FPDFText_GetBoundedText(textpage, left, top, right, bottom, units, most)
    if count >= most:
        return str(textpage.get_text_bounded(errors="replace"))
    text = bytes(memoryview(units)[:count]).decode("utf-16-le", "replace")
    return text.removesuffix("\0")  # at which it ends


def _with_whole_words(page: pdfium.PdfPage, textpage: pdfium.PdfTextPage, text: str) -> str:
    """The text, with what is beyond the edge of the page of a word that runs over it."""
    everything = textpage.get_text_range(errors="surrogatepass").replace("\ufffe", HYPHEN)
    if len(everything) != textpage.count_chars() or _letters(everything) <= _letters(text):
        return text
    seen = seen_on(page, textpage, everything)
    if "".join(map(everything.__getitem__, sorted(seen))) != "".join(text.split()):
        return text
    whole, parts, at = in_whole_words(everything, seen), [], 0
    for number in sorted(whole):
        if number in seen or number - 1 not in whole:
            start, at = at, _word_from(text, at) + (number in seen)
            parts.append(text[start:at])
        if number not in seen:
            parts.append(everything[number])
    return "".join(parts) + text[at:]


def _word_from(text: str, at: int) -> int:
    while text[at].isspace():
        at += 1
    return at


def _letters(text: str) -> int:
    """How many of its characters are no white space, and no hyphens at a line's end."""
    return sum(map(len, text.split())) - text.count(HYPHEN)


def _print(line: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    serve(_answer)
