"""What tesseract writes of a page, made into words with the right spaces.

With boxes tesseract parts a Korean word into its syllables; in its plain text the spaces are right.
So it writes both, a table (TSV) and a text, and the spaces of the text go onto the boxes. Some of
these are far too high, too narrow or too wide; the ink says where a word ends.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from itertools import groupby, pairwise
from statistics import median
from unicodedata import normalize

import numpy as np
from numpy.typing import NDArray

from bookbrain.ocr.engine import Word, mean_confidence
from bookbrain.ocr.page_scan import INK_STEP, Ink

_COLUMNS = "level page_num block_num par_num line_num word_num left top width height conf text"
_WORD_LEVEL = "5"
_THIN = 0.02  # of a line's width: less ink in a row of pixels is dust, or the tip of a letter
_LARGEST_LOSS = 0.1  # of all characters: what may be in one of both and not in the other
_RULE = 3  # times a line's height: ink as wide as that is no letter's
_TELLING = 4  # letters of a word that is wider than high
_GAP = 2  # columns or rows of ink: what is nearer than that touches
_LONGEST_TAIL = 0.4  # of a word's height


@dataclass(frozen=True, slots=True)
class _Piece:
    """A row of the table: some characters of a line; `line` is its block, paragraph and line."""

    text: str
    box: tuple[int, int, int, int]
    confidence: float
    line: tuple[str, str, str]


def words_of_output(table: bytes, plain: bytes) -> tuple[Word, ...]:
    """The words of a page, in reading order; ValueError for what tesseract does not write."""
    head, _, rows = table.decode("utf-8").partition("\n")
    text = plain.decode("utf-8")
    if head.split("\t") != _COLUMNS.split():
        raise ValueError("the head of its table is missing")
    pieces = [piece for row in rows.split("\n") if (piece := _piece(row))]
    return tuple(_joined(pieces, _begins_word(pieces, text)))


def _piece(row: str) -> _Piece | None:
    if not row:
        return None
    level, _, block, paragraph, line, _, left, top, width, height, confidence, text = row.split(
        "\t"
    )
    text = normalize("NFC", "".join(text.split()))
    if level != _WORD_LEVEL or not text:
        return None
    x, y = int(left), int(top)
    box = (x, y, x + int(width), y + int(height))
    if int(width) <= 0 or int(height) <= 0:
        raise ValueError("a box without an area")
    return _Piece(text, box, min(max(float(confidence), 0.0), 100.0), (block, paragraph, line))


def _begins_word(pieces: Sequence[_Piece], text: str) -> list[bool]:
    """Of each piece whether white space stands before it in `text`.

    Where both differ, nothing is known: there each piece is a word, and the rest is unharmed.
    """
    words = normalize("NFC", text).split()
    written, drawn = "".join(words), "".join(piece.text for piece in pieces)
    starts, place = set(), 0
    for word in words:
        starts.add(place)
        place += len(word)
    same = _same_places(drawn, written)
    if len(same) < (1 - _LARGEST_LOSS) * max(len(drawn), len(written)):
        raise ValueError("its text and its boxes are of different words")
    begins, place = [], 0
    for piece in pieces:
        at = same.get(place)
        begins.append(at is None or at in starts)
        place += len(piece.text)
    return begins


def _same_places(drawn: str, written: str) -> dict[int, int]:
    """The place in `written` of each character of `drawn` that is there too, in this order."""
    if drawn == written:
        return {place: place for place in range(len(drawn))}
    blocks = SequenceMatcher(None, drawn, written, autojunk=False).get_matching_blocks()
    return {a + step: b + step for a, b, size in blocks for step in range(size)}


def _joined(pieces: Sequence[_Piece], begins: Sequence[bool]) -> list[Word]:
    """The pieces of a word become one, their boxes united, their confidence by their length."""
    groups: list[list[_Piece]] = []
    for piece, begin in zip(pieces, begins, strict=True):
        if begin or groups[-1][-1].line != piece.line:
            groups.append([])
        groups[-1].append(piece)
    words, line = [], 0
    for number, group in enumerate(groups):
        line += bool(number) and group[0].line != groups[number - 1][0].line
        lefts, tops, rights, bottoms = zip(*(piece.box for piece in group), strict=True)
        words.append(
            Word(
                "".join(piece.text for piece in group),
                (min(lefts), min(tops), max(rights), max(bottoms)),
                round(mean_confidence([(piece.text, piece.confidence) for piece in group]), 1),
                line,
            )
        )
    return words


def fit_to_ink(words: Sequence[Word], ink: Ink) -> tuple[Word, ...]:
    """The words in boxes that end where their ink does, as far as that is clear.

    tesseract's are often too high by a line, and those of short words begin or end in one.
    """
    fitted: list[Word] = []
    if words and (longest := _RULE * _height(words)) < min(ink.shape):
        ink = _without_rules(_without_rules(ink, longest).T, longest).T
    for _, group in groupby(words, lambda word: word.line):
        line = list(group)
        if lie(line):
            fitted += line
            continue
        rows = _rows_of(line, ink)
        sides = _sides([word.box for word in line], _columns(line, ink, rows), 3 * _height(line))
        fitted += (_fitted(word, side, rows, ink) for word, side in zip(line, sides, strict=True))
    return tuple(fitted)


def lie(words: Iterable[Word]) -> bool:
    """Whether lines run up or down: tesseract reads some of these, too, but not as well."""
    shapes = [word.box for word in words if len(word.text) >= _TELLING]
    lying = sum(bottom - top > right - left for left, top, right, bottom in shapes)
    return lying > len(shapes) / 2


def _rows_of(line: Sequence[Word], ink: Ink) -> range:
    """The rows of ink around the middle of a line."""
    _, tops, _, bottoms = zip(*(word.box for word in line), strict=True)
    columns = ink[:, _extent(line)]
    full = columns.sum(1) > _THIN * columns.shape[1]
    middle = int(median((top + bottom) / 2 for top, bottom in zip(tops, bottoms, strict=True)))
    middle = min(middle // INK_STEP, len(full) - 1)
    return range(middle - _run(full[:middle][::-1]), middle + 1 + _run(full[middle + 1 :]))


def _height(line: Sequence[Word]) -> int:
    """That of its words, in rows of ink."""
    return 1 + int(median(word.box[3] - word.box[1] for word in line)) // INK_STEP


def _extent(line: Sequence[Word]) -> slice:
    lefts, _, rights, _ = zip(*(word.box for word in line), strict=True)
    return slice(min(lefts) // INK_STEP, max(rights) // INK_STEP + 1)


def _run(inked: Ink) -> int:
    """How many of the first have ink."""
    return int(np.argmin(np.append(inked, False)))


def _columns(line: Sequence[Word], ink: Ink, rows: range) -> NDArray[np.int64]:
    """How much ink each column of a picture has in a line, whose middle is in the `rows`.

    What stands above and below most words, beside a figure, is none of it.
    """
    top, bottom = (int(median(word.box[side] for word in line)) // INK_STEP for side in (1, 3))
    return np.asarray(ink[max(rows.start, top) : min(rows.stop, bottom + 1)].sum(0))


def _without_rules(ink: Ink, length: int) -> Ink:
    """The ink without that in rows that are longer than letters are."""
    sums = np.pad(ink, ((0, 0), (1, 0))).cumsum(1)
    full = sums[:, length:] - sums[:, :-length] == length
    sums = np.pad(full, ((0, 0), (length, length - 1))).cumsum(1)
    return np.asarray(ink & (sums[:, length:] == sums[:, :-length]))


def _sides(
    boxes: Sequence[tuple[int, int, int, int]], columns: NDArray[np.int64], most: int
) -> list[tuple[int, int]]:
    """The columns in which the words of a line begin and end.

    Ink that no word has, but a word nearly touches, is of that word, up to `most` columns. Words
    that overlap end in the widest gap between their middles.
    """
    inked, strong = columns > 0, columns > 1
    sides = [[left // INK_STEP, -(-right // INK_STEP)] for left, _, right, _ in boxes]
    for one, other in pairwise(sides):
        start, stop = sum(one) // 2, sum(other) // 2
        if one[1] > other[0] and start < stop:
            gap = _widest_gap(inked[start:stop])
            one[1], other[0] = start + gap.start, start + gap.stop
    befores = [0, *(right for _, right in sides)]
    afters = [*(left for left, _ in sides[1:]), len(inked)]
    fitted = []
    for (left, right), before, after in zip(sides, befores, afters, strict=False):
        first = left - _touching(strong[min(before, left) : left][::-1], most)
        last = right + _touching(strong[right:after], most)
        inside = np.flatnonzero(inked[first:last])
        fitted.append(
            (first + int(inside[0]), first + int(inside[-1]) + 1) if len(inside) else (left, right)
        )
    return fitted


def _widest_gap(inked: Ink) -> range:
    """The first of the widest runs of columns without ink."""
    ends = [-1, *np.flatnonzero(inked).tolist(), len(inked)]
    before, after = max(pairwise(ends), key=lambda pair: pair[1] - pair[0])
    return range(before + 1, after)


def _touching(inked: Ink, most: int) -> int:
    """How many of the columns beside a word have its ink; 0 for more than `most`: that is not."""
    count = 0
    while inked[count : count + _GAP].any():
        count += 1
    return count if count <= most else 0


def _fitted(word: Word, sides: tuple[int, int], rows: range, ink: Ink) -> Word:
    """The word in the box of its ink. A side of its own that is nearly there is finer."""
    left, top, right, bottom = word.box
    top, bottom = max(top, rows.start * INK_STEP), min(bottom, rows.stop * INK_STEP)
    first, last = top // INK_STEP, -(-bottom // INK_STEP)
    full: Ink = np.asarray(ink[:, sides[0] : sides[1]].any(1))
    inked = np.flatnonzero(full[first:last])
    if not len(inked):
        return word
    above, below = _tail(full[:first][::-1], last - first), _tail(full[last:], last - first)
    highest = first - above if above else first + int(inked[0])
    lowest = last + below if below else first + int(inked[-1]) + 1
    found = (sides[0], highest, sides[1], lowest)
    own = (left, top, right, bottom)
    left, top, right, bottom = (
        side if abs(side - INK_STEP * place) <= INK_STEP else INK_STEP * place
        for side, place in zip(own, found, strict=True)
    )
    return replace(word, box=(left, top, right, bottom)) if left < right and top < bottom else word


def _tail(full: Ink, height: int) -> int:
    """The rows that a tail, as that of a y, reaches out of its line; 0 for another line's ink."""
    count = _run(full)
    return count if _GAP <= count < _LONGEST_TAIL * height else 0
