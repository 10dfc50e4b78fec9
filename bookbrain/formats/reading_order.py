"""The order in which the pieces of a page's lines are read: rows, and columns of prose.

A column is told from a table by what is on both sides of the gutter: several lines that fill their
column, next to each other, and nothing that crosses.
"""

from collections.abc import Sequence
from itertools import accumulate
from typing import NamedTuple
from unicodedata import east_asian_width

from bookbrain.formats.glyphs import Box

_SAME_ROW = 0.35  # of a line's height, that baselines of one row may differ
_GUTTER = 0.7  # of a line's height, at least
_FEWEST_LINES = 3  # of a column
_FEWEST_CHARACTERS = 14  # of its lines, on average; wide ones count twice
_FULL, _MOSTLY = 0.7, 0.5  # of a column's width: a full line; of its lines: those that are
_BESIDE = 0.5  # of the lower column: what both have beside each other
_MOST_GUTTERS = 60  # that are looked at
_DEEPEST = 6  # columns in columns


class Piece(NamedTuple):
    """Characters that stand beside each other on one baseline, by their numbers; -1 is a space."""

    places: list[int]
    box: Box
    text: str


Row = list[Piece]
_Spans = list[tuple[float, float]]  # of a row: from where to where each piece keeps others off


class _Columns(NamedTuple):
    """Rows above, those to the left and to the right of a gutter, and rows below."""

    above: list[Row]
    left: list[Piece]
    right: list[Piece]
    below: list[Row]


def rows_of(pieces: Sequence[Piece]) -> list[Row]:
    """The pieces that stand on one baseline together, from the top; each row from the left."""
    rows: list[Row] = []
    first, height = None, 0.0
    for piece in sorted(pieces, key=lambda piece: -piece.box.bottom):
        box = piece.box
        least = min(height, box.top - box.bottom)
        if first and first.bottom - box.bottom <= _SAME_ROW * least:
            rows[-1].append(piece)
        else:
            rows.append([piece])
            first, height = box, box.top - box.bottom
    return [sorted(row, key=lambda piece: piece.box.left) for row in rows]


def read_rows(pieces: Sequence[Piece], deep: int = _DEEPEST) -> list[Row]:
    """The rows of all pieces in reading order: those of a column before those of the next."""
    rows = rows_of(pieces)
    found = _columns(rows) if deep else None
    if not found:
        return rows
    above, below = ([piece for row in part for piece in row] for part in (found.above, found.below))
    parts = (above, found.left, found.right, below)
    return [row for part in parts if part for row in read_rows(part, deep - 1)]


def _columns(rows: Sequence[Row]) -> _Columns | None:
    """The columns with the most lines among the rows; None where there are none."""
    spans = [
        [(piece.box.left, piece.box.right + _GUTTER * piece.box.height) for piece in row]
        for row in rows
    ]
    before = [0, *accumulate(map(len, rows))]
    found = [
        (before[stop] - before[start], gutter, start, stop)
        for gutter in _gutters(rows)
        for start, stop in _uncrossed(spans, gutter)
    ]
    for _, gutter, start, stop in sorted(found, key=lambda one: -one[0]):
        pieces = [piece for row in rows[start:stop] for piece in row]
        left = [piece for piece in pieces if piece.box.left < gutter]
        right = [piece for piece in pieces if piece.box.left >= gutter]
        if _are_columns(left, right):
            return _Columns([*rows[:start]], left, right, [*rows[stop:]])
    return None


def _gutters(rows: Sequence[Row]) -> list[float]:
    """Where a column may begin: several pieces do, and others do further to the left."""
    edges: dict[int, list[float]] = {}
    for row in rows:
        for piece in row:
            edges.setdefault(round(piece.box.left / 3), []).append(piece.box.left)
    counts = {
        edge: sum(len(edges.get(edge + step, ())) for step in (-1, 0, 1)) for edge in sorted(edges)
    }
    frequent = [edge for edge, count in counts.items() if count >= _FEWEST_LINES]
    return [min(edges[edge]) - 0.5 for edge in frequent][1 : _MOST_GUTTERS + 1]


def _uncrossed(rows: Sequence[_Spans], gutter: float) -> list[tuple[int, int]]:
    """The longest stretches of rows (start, stop) of which nothing reaches into the gutter."""
    stretches, start = [], 0
    for number, row in enumerate(rows):
        for left, right in row:
            if left < gutter < right:
                stretches.append((start, number))
                start = number + 1
                break
    stretches.append((start, len(rows)))
    return [(start, stop) for start, stop in stretches if stop - start >= _FEWEST_LINES]


def _are_columns(left: Sequence[Piece], right: Sequence[Piece]) -> bool:
    if not (_is_prose(left) and _is_prose(right)):
        return False
    (top, bottom), (other_top, other_bottom) = map(_extent, (left, right))
    shared = min(top, other_top) - max(bottom, other_bottom)
    return shared > _BESIDE * min(top - bottom, other_top - other_bottom)


def _extent(pieces: Sequence[Piece]) -> tuple[float, float]:
    return max(p.box.top for p in pieces), min(p.box.bottom for p in pieces)


def _is_prose(pieces: Sequence[Piece]) -> bool:
    """Whether they are lines of a column: as long as the column is wide, most of them."""
    letters = sum(map(_width, (p.text for p in pieces)))
    if len(pieces) < _FEWEST_LINES or letters < _FEWEST_CHARACTERS * _FEWEST_LINES:
        return False
    rows = rows_of(pieces)
    widths = [row[-1].box.right - row[0].box.left for row in rows]
    width = max(p.box.right for p in pieces) - min(p.box.left for p in pieces)
    full = sum(one >= _FULL * width for one in widths)
    return (
        len(rows) >= _FEWEST_LINES
        and full >= _MOSTLY * len(rows)
        and letters >= _FEWEST_CHARACTERS * len(rows)
    )


def _width(text: str) -> int:
    """How many characters there are; wide ones count twice."""
    if text.isascii():
        return len(text)
    return sum(1 + (east_asian_width(c) in "WF") for c in text)
