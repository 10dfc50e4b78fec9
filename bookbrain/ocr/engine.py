"""What reads the picture of a page, and what comes of it: words, and where on the page they stand.

An engine is whatever has a name, a version and `recognise`. What it reads is kept under its
version: a result of another version is another result.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, groupby
from statistics import median
from typing import Protocol
from unicodedata import east_asian_width

from bookbrain.ocr.page_scan import Matrix, PageScan

Box = tuple[float, float, float, float]  # left, bottom, right, top in points, as pdfium has them
_LONGEST_COUNT = 10  # digits
EARLIEST = "; 0"  # at the end of a version: there is no earlier way
_BOUGHT = 100  # the first number of the ways that cost money: they rank above all others
_EARLIEST_BOUGHT = f"; {_BOUGHT}.0"
_SAME_ROW = 0.5  # of a line's height, by which the middles of its words differ at most
_WIDE = 2.0  # a Hangul syllable or an ideograph is as wide as two Latin letters


@dataclass(frozen=True, slots=True)
class Word:
    """A word on the picture that was read.

    `box` is its left, top, right and bottom in pixels; `confidence` is from 0 to 100; words with
    the same `line` stand in one line.
    """

    text: str
    box: tuple[int, int, int, int]
    confidence: float
    line: int


@dataclass(frozen=True, slots=True)
class RecognisedPage:
    """The words of a page in reading order, none where it is blank; `matrix` is its picture's."""

    words: tuple[Word, ...]
    matrix: Matrix

    @property
    def text(self) -> str:
        """A line of text for each line of the page."""
        lines = groupby(self.words, lambda word: word.line)
        return "\n".join(" ".join(word.text for word in words) for _, words in lines)

    @property
    def confidence(self) -> float:
        """The mean of the words' confidence, each by its length; 0 for a page without words."""
        return mean_confidence([(word.text, word.confidence) for word in self.words])

    def last_of(self, text: str) -> "RecognisedPage":
        """The page with those of its lines only in which `text` ends, however they are joined, also
        where that has no hyphen at a line's end any more.

        That is all of it where it is the text.
        """
        left, last = "".join(text.split()), []
        for _, group in groupby(reversed(self.words), lambda word: word.line):
            line = list(group)[::-1]
            read = "".join(word.text for word in line)
            for end in (read, read.removesuffix("-")):
                if end and left.endswith(end):
                    left = left.removesuffix(end)
                    last.append(line)
                    break
        return RecognisedPage(tuple(chain.from_iterable(reversed(last))), self.matrix)


def mean_confidence(read: Sequence[tuple[str, float]]) -> float:
    """The mean of confidences of texts, each by its length; 0 for none."""
    length = sum(len(text) for text, _ in read)
    return sum(len(text) * confidence for text, confidence in read) / length if length else 0.0


def way_of(version: str) -> tuple[int, ...]:
    """The last part of an engine's version, which counts our own ways of using it: "…; 1.2".

    Empty where there is none. What was read in an earlier way is read again; not so where only the
    program is another release, as it is on another machine.
    """
    counted = version.rpartition("; ")[2].split(".")
    return tuple(map(int, counted)) if all(map(_is_count, counted)) else ()


def bought_way(number: int) -> str:
    """The last part of the version of an engine that costs money, in its way of this number."""
    return f"{_BOUGHT}.{number}"


def is_bought(version: str) -> bool:
    """Whether a reading, or its engine, costs money."""
    return way_of(version) >= (_BOUGHT,)


def earliest_way(version: str) -> str:
    """What is put at the end of a version so that what it read is read again by this engine: what
    was bought is not left to an engine that ranks below."""
    return _EARLIEST_BOUGHT if is_bought(version) else EARLIEST


def _is_count(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) < _LONGEST_COUNT


@dataclass(frozen=True, slots=True)
class Substitute:
    """What another engine, of `version`, read of a page where the one that was asked failed:
    `reason`, the end of a sentence."""

    page: RecognisedPage
    version: str
    reason: str


class OcrEngine(Protocol):
    """What reads pages from their pictures."""

    @property
    def name(self) -> str:
        """The name under which it can be chosen."""

    @property
    def version(self) -> str:
        """What its results depend on: of its program, its models, and the way that we use them, as
        `way_of` has it."""

    def recognise(self, scan: PageScan) -> RecognisedPage | Substitute:
        """Read a page; UnreadPageError where that cannot be done, another BookBrainError where it
        can be done for no page."""


def rows_of(page: RecognisedPage) -> list[list[Word]]:
    """The words of a page by rows from top to bottom, each from left to right.

    What stands at one height is a row, whatever columns and blocks it is in.
    """
    lines = [list(words) for _, words in groupby(page.words, lambda word: word.line)]
    rows: list[tuple[float, float, list[Word]]] = []
    for line in sorted(lines, key=_level):
        middle, height = _level(line)
        if rows and middle - rows[-1][0] < _SAME_ROW * max(height, rows[-1][1]):
            rows[-1][2].extend(line)
        else:
            rows.append((middle, height, line))
    return [sorted(row, key=lambda word: word.box[0]) for _, _, row in rows]


def _level(line: Sequence[Word]) -> tuple[float, float]:
    """The middle of a line and its height, in pixels from the top."""
    middle = median((word.box[1] + word.box[3]) / 2 for word in line)
    return middle, median(word.box[3] - word.box[1] for word in line)


def letters_of(page: RecognisedPage) -> Iterator[tuple[tuple[str, Box], ...]]:
    """For each word its characters with their places on the page, in the order of the text.

    A word's box is divided among its letters. On a page that was turned or straightened each
    letter has the box around its place in the PDF.
    """
    for word in page.words:
        left, top, right, bottom = map(float, word.box)
        widths = widths_of(word.text)
        step = (right - left) / sum(widths)
        letters = []
        for character, width in zip(word.text, widths, strict=True):
            box = _on_page(page.matrix, (left, top, left + step * width, bottom))
            letters.append((character, box))
            left += step * width
        yield tuple(letters)


def widths_of(text: str) -> list[float]:
    """How wide its letters are beside each other."""
    return [_WIDE if east_asian_width(letter) in "WF" else 1.0 for letter in text]


def _on_page(matrix: Matrix, box: tuple[float, float, float, float]) -> Box:
    """The box of a small thing: turned by a little, it keeps its size around its middle."""
    a, b, c, d, e, f = matrix
    left, top, right, bottom = box
    x, y = (left + right) / 2, (top + bottom) / 2
    middle = a * x + c * y + e, b * x + d * y + f
    sideways = abs(b) > abs(a)
    across, down = (right - left, bottom - top) if not sideways else (bottom - top, right - left)
    scale = (a * a + b * b) ** 0.5
    half_width, half_height = across * scale / 2, down * scale / 2
    return (
        middle[0] - half_width,
        middle[1] - half_height,
        middle[0] + half_width,
        middle[1] + half_height,
    )
