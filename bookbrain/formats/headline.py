"""The largest line of a book's first pages, where it plainly is the title. In children only."""

import re
import unicodedata
from collections.abc import Iterator
from contextlib import suppress
from itertools import groupby
from statistics import median_low
from typing import NamedTuple

import pypdfium2 as pdfium
import pypdfium2.raw as pdfium_c

from bookbrain.formats.titles import is_title, tidy

_PAGES = 3
_MOST_CHARACTERS = 4_000  # of a page
_LARGER, _LEAST = 1.4, 13.0  # than most of the text; points, ascenders and descenders in
_SAME = 0.06  # the share by which lines of one title differ in height
_MOST_LINES, _LONGEST = 4, 150
_PLAIN = 0.8  # of its characters are letters, digits or spaces
_NOTE = re.compile(r"[∗*†‡]+(?=\s|$)")  # that leads to a footnote
_HEADING = re.compile(r"(?:\d+(?:\.\d+)*\.?|chapter \w+|part \w+|제\s*\d+\s*[장부])(?:\s|$)", re.I)


class _Line(NamedTuple):
    page: int
    text: str
    height: float


def headline(document: pdfium.PdfDocument) -> str:
    """The title that is printed large on one of the first pages, "" where none plainly is."""
    lines = [line for n in range(min(len(document), _PAGES)) for line in _lines(document, n)]
    if len(lines) < 2:
        return ""
    body = median_low([line.height for line in lines for _ in line.text])
    largest = max(line.height for line in lines)
    if largest < max(_LEAST, _LARGER * body):
        return ""
    runs = groupby(lines, key=lambda one: (one.page, one.height >= (1 - _SAME) * largest))
    titles = [[line.text for line in run] for (_, large), run in runs if large]
    text = _NOTE.sub("", tidy(" ".join(titles[0])))
    same = {tidy(" ".join(title)) for title in titles}  # a half title says it twice
    plain = len(same) == 1 and len(titles[0]) <= _MOST_LINES and len(text) <= _LONGEST
    return text if plain and _is_readable(text) and is_title(text) else ""


def _lines(document: pdfium.PdfDocument, number: int) -> Iterator[_Line]:
    """The lines of a page that have letters, each with the height of most of its characters."""
    with suppress(pdfium.PdfiumError):
        page = document[number]
        textpage = page.get_textpage()
        count = min(textpage.count_chars(), _MOST_CHARACTERS)
        box = pdfium_c.FS_RECTF()
        letters: list[str] = []
        heights: list[float] = []
        for n in range(count + 1):
            character = chr(pdfium_c.FPDFText_GetUnicode(textpage, n)) if n < count else "\n"
            if character not in "\r\n":
                letters.append(character)
                if character.isalnum() and pdfium_c.FPDFText_GetLooseCharBox(textpage, n, box):
                    heights.append(abs(box.top - box.bottom))
            elif letters:
                if heights:
                    yield _Line(number, "".join(letters), median_low(heights))
                letters, heights = [], []
        page.close()


def _is_readable(text: str) -> bool:
    """Whether it is mostly letters, and neither a numbered heading nor the end of a sentence."""
    odd = any(unicodedata.category(character) in ("Cc", "Co", "Cn", "Cs") for character in text)
    letters = sum(map(str.isalpha, text))
    plain = sum(character.isalnum() or character.isspace() for character in text)
    mostly = letters >= 2 and plain >= _PLAIN * len(text)
    return mostly and not (odd or _HEADING.match(text) or text[:1].islower())
