"""What tesseract writes of a page, made into words with the right spaces.

With boxes tesseract parts a Korean word into its syllables; in its plain text the spaces are right.
So it writes both, a table (TSV) and a text, and the spaces of the text go onto the boxes. Those of
Hangul are often far too high; the ink says where a line ends.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from itertools import groupby
from statistics import median
from unicodedata import normalize

from bookbrain.ocr.engine import Word, mean_confidence
from bookbrain.ocr.page_scan import INK_STEP, Ink

_COLUMNS = "level page_num block_num par_num line_num word_num left top width height conf text"
_WORD_LEVEL = "5"
_THIN = 0.02  # of a line's width: less ink in a row of pixels is dust, or the tip of a letter
_LARGEST_LOSS = 0.1  # of all characters: what may be in one of both and not in the other


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


def clip_to_lines(words: Sequence[Word], ink: Ink) -> tuple[Word, ...]:
    """The words with boxes no higher than the ink of their line."""
    clipped: list[Word] = []
    for _, group in groupby(words, lambda word: word.line):
        line = list(group)
        highest, lowest = _rows_of(line, ink)
        for word in line:
            left, top, right, bottom = word.box
            box = (left, max(top, highest), right, min(bottom, lowest))
            clipped.append(replace(word, box=box) if box[1] < box[3] else word)
    return tuple(clipped)


def _rows_of(line: Sequence[Word], ink: Ink) -> tuple[int, int]:
    """The top and the bottom of the ink around the middle of a line, in pixels."""
    lefts, tops, rights, bottoms = zip(*(word.box for word in line), strict=True)
    columns = ink[:, min(lefts) // INK_STEP : max(rights) // INK_STEP + 1]
    full = columns.sum(1) > _THIN * columns.shape[1]
    middle = int(median((top + bottom) / 2 for top, bottom in zip(tops, bottoms, strict=True)))
    top = bottom = min(middle // INK_STEP, len(full) - 1)
    while top > 0 and full[top - 1]:
        top -= 1
    while bottom < len(full) - 1 and full[bottom + 1]:
        bottom += 1
    return top * INK_STEP, (bottom + 1) * INK_STEP
