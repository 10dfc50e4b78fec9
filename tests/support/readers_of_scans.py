"""An engine that reads scans without looking at them, for tests of what is done with what it reads.

It says of page 3 of a file "scan3x", which is on no other page of it.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock

from bookbrain.ocr.engine import RecognisedPage, Word
from bookbrain.ocr.page_scan import PageScan

MATRIX = (0.24, 0.0, 0.0, -0.24, 0.0, 842.0)


def page_of(*lines: str) -> RecognisedPage:
    """A page with these lines."""
    words = [
        Word(word, (100 * n, 50 * line, 100 * n + 90, 50 * line + 30), 91.0, line)
        for line, text in enumerate(lines)
        for n, word in enumerate(text.split())
    ]
    return RecognisedPage(tuple(words), MATRIX)


def text_of_scan(book: str, number: int) -> str:
    """What is read of a page by default."""
    return f"scan{number}x of {book[:8]}, a page"


@dataclass
class FakeEngine:
    """`read` says what comes of a page, or raises; it may be exchanged at any time. `pages` are
    those that were read, by the book's id and in order, from several threads."""

    version: str = "a fake 1; 1.1"
    read: Callable[[str, int], RecognisedPage] = lambda book, n: page_of(text_of_scan(book, n))
    name: str = "fake"
    pages: list[tuple[str, int]] = field(default_factory=list)
    lock: Lock = field(default_factory=Lock)

    def recognise(self, scan: PageScan) -> RecognisedPage:
        book = Path(scan.path).stem
        with self.lock:
            self.pages.append((book, scan.number))
        return self.read(book, scan.number)


_WIDTH, _TOP, _ROW, _HIGH = 2000, 150, 60, 36  # pixels; of a page, and of its rows


def set_page(*rows: str) -> RecognisedPage:
    """A page with these rows; in each, what a tab parts stands left and right, or left, middle and
    right. A row with a tab before it only is centred: "\\t12"."""
    words = []
    for line, row in enumerate(rows):
        parts = row.split("\t")
        middle = len(parts) == 2 and not parts[0]
        for n, part in enumerate(parts):
            wide = sum(22 * len(word) + 12 for word in part.split())
            share = 0.5 if middle else n / max(len(parts) - 1, 1)
            left = round(200 + (_WIDTH - wide) * share)
            for word in part.split():
                top = _TOP + _ROW * line
                box = (left, top, left + 22 * len(word), top + _HIGH)
                words.append(Word(word, box, 91.0, 10 * line + n))
                left += 22 * len(word) + 12
    return RecognisedPage(tuple(words), MATRIX)
