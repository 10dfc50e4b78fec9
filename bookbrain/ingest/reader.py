"""The child process that opens a PDF: `python -m bookbrain.ingest.reader FILE MEMORY_MB`.

Prints one JSON object a line: first the book (`pages`, `title`), then each page (`number`, `text`,
`scanned`), then what a damaged book can do without: `outline`, `labels`. A line with `error` is the
last one. A hostile PDF may crash, hang or fill this process; `reading.py` survives it.
"""

import json
import sys
from contextlib import suppress
from typing import Any

import pypdfium2 as pdfium
import pypdfium2.raw as pdfium_c

from bookbrain.children import die_with_parent, limit_this_process

MAX_PAGES = 50_000
MAX_PAGE_CHARACTERS = 400_000
MAX_OUTLINE = 20_000
_SCAN_COVER = 0.4  # an image over this share of a page with hardly any letters is a scan
_FEW_LETTERS = 20


def main() -> None:
    path, memory_mb = sys.argv[1], int(sys.argv[2])
    die_with_parent()
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
    pages = len(document)
    if pages > MAX_PAGES:
        _print({"error": "too many pages"})
        return
    _print({"pages": pages, "title": _title(document)})
    for index in range(pages):
        _print(_page(document, index))
    _print({"outline": _outline(document)})
    _print({"labels": [_label(document, index) for index in range(pages)]})


def _title(document: pdfium.PdfDocument) -> str:
    try:
        return str(document.get_metadata_value("Title"))
    except (pdfium.PdfiumError, UnicodeError):
        return ""


def _outline(document: pdfium.PdfDocument) -> list[tuple[int, str, int]]:
    """(level from 0, title, page index) of each entry that leads to a page."""
    entries: list[tuple[int, str, int]] = []
    with suppress(pdfium.PdfiumError, UnicodeError, RecursionError):
        for bookmark in document.get_toc(max_depth=15):
            target = bookmark.get_dest()
            index = target.get_index() if target else None
            if index is not None:
                entries.append((bookmark.level, bookmark.get_title(), index))
            if len(entries) >= MAX_OUTLINE:
                break
    return entries


def _label(document: pdfium.PdfDocument, index: int) -> str:
    try:
        return str(document.get_page_label(index))
    except (pdfium.PdfiumError, UnicodeError):
        return ""


def _page(document: pdfium.PdfDocument, index: int) -> dict[str, Any]:
    """A page's text; `text` is None when pdfium cannot load the page."""
    text, scanned = None, False
    with suppress(pdfium.PdfiumError):
        page = document[index]
        text = _text(page)
        if sum(map(str.isalpha, text[:2000])) < _FEW_LETTERS:
            scanned = _is_scan(page)
        page.close()
    return {"number": index + 1, "text": text, "scanned": scanned}


def _text(page: pdfium.PdfPage) -> str:
    """What is visible inside the page's crop box, in pdfium's order.

    On a page turned on its side pdfium's boxes lose the breaks between lines, so that words run
    together: there all characters are taken, whatever the crop.
    """
    textpage = page.get_textpage()
    count = textpage.count_chars()
    if count > MAX_PAGE_CHARACTERS or page.get_rotation() in (90, 270):
        return str(textpage.get_text_range(0, min(count, MAX_PAGE_CHARACTERS), errors="replace"))
    return str(textpage.get_text_bounded(errors="replace"))


def _is_scan(page: pdfium.PdfPage) -> bool:
    width, height = page.get_size()
    area = width * height
    for picture in page.get_objects(filter=[pdfium_c.FPDF_PAGEOBJ_IMAGE], max_depth=3):
        left, bottom, right, top = picture.get_bounds()
        if (right - left) * (top - bottom) >= _SCAN_COVER * area:
            return True
    return False


def _print(line: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
