"""What a page has beside its text, as far as it tells whether that text is all. In children only.

It looks closely only at pages that a glance makes suspicious: most have text, and time matters.
"""

import ctypes
from array import array
from collections import deque
from collections.abc import Iterator, Sequence
from itertools import islice, pairwise, repeat
from typing import NamedTuple

import pypdfium2 as pdfium
import pypdfium2.raw as pdfium_c

from bookbrain.formats.glyphs import by_numbers
from bookbrain.formats.page_text import is_garbled
from bookbrain.ocr.choice import LONGEST_STAMP, PageContent

_GLANCES = 40  # characters that are asked about, spread over the page
_UNSEEN = (pdfium_c.FPDF_TEXTRENDERMODE_INVISIBLE, pdfium_c.FPDF_TEXTRENDERMODE_CLIP)
_MOST_UNMAPPED = 4_000  # characters that are passed on
_MOST_OBJECTS = 5_000
_MOST_SEGMENTS = 12_000  # of drawn paths
_DEEPEST = 30  # forms inside forms
_FULL = 0.8  # of the page: a picture that hides what is under it
_LEAST, _TALLEST = 2.0, 40.0  # points that a letter may be high
_LEAST_SEGMENTS = 5  # of the outline of a letter; a box has four
_ROW = 8  # letters that a row has at least
_FEWEST_SIZES = 5  # of letters, to half a point
_Matrix = tuple[float, float, float, float, float, float]
_UNCHANGED: _Matrix = (1.0, 0.0, 0.0, 1.0, 0.0, 0.0)


_at, _number = ctypes.c_void_p, ctypes.c_int
_is_unmapped = by_numbers(pdfium_c.FPDFText_HasUnicodeMapError, _at, _number)
_object_of = by_numbers(pdfium_c.FPDFText_GetTextObject, _at, _number, gives=_at)
_render_mode = by_numbers(pdfium_c.FPDFTextObj_GetTextRenderMode, _at)
_object_at = by_numbers(pdfium_c.FPDFPage_GetObject, _at, _number, gives=_at)
_object_in = by_numbers(pdfium_c.FPDFFormObj_GetObject, _at, ctypes.c_ulong, gives=_at)
_count_in = by_numbers(pdfium_c.FPDFFormObj_CountObjects, _at)
_kind_of = by_numbers(pdfium_c.FPDFPageObj_GetType, _at)
_get_matrix = by_numbers(pdfium_c.FPDFPageObj_GetMatrix, _at, _at)
_get_bounds = by_numbers(pdfium_c.FPDFPageObj_GetBounds, _at, _at, _at, _at, _at)
_is_transparent = by_numbers(pdfium_c.FPDFPageObj_HasTransparency, _at)
_segments_of = by_numbers(pdfium_c.FPDFPath_CountSegments, _at)
_segment_at = by_numbers(pdfium_c.FPDFPath_GetPathSegment, _at, _number, gives=_at)
_segment_kind = by_numbers(pdfium_c.FPDFPathSegment_GetType, _at)
_get_point = by_numbers(pdfium_c.FPDFPathSegment_GetPoint, _at, _at, _at)
_corners = array("f", bytes(16))
_CORNERS_AT = [_corners.buffer_info()[0] + n for n in range(0, 16, 4)]


class _Drawn(NamedTuple):
    """An object that is no form, by its address and type, with the way from its coordinates to the
    page's."""

    raw: int
    kind: int
    matrix: _Matrix


def content_of(page: pdfium.PdfPage, textpage: pdfium.PdfTextPage, text: str) -> PageContent:
    """What is on the page, whose text is `text` as pdfium has it."""
    count = textpage.count_chars()
    glances = range(0, count, max(1, count // _GLANCES))
    address = ctypes.addressof(textpage.raw.contents)
    unmapped = [*map(_is_unmapped, repeat(address), glances)].count(1)
    hidden = _hidden_share(address, glances)
    few = len(text) < 4 * LONGEST_STAMP and sum(map(str.isalnum, text)) < LONGEST_STAMP
    pictured, outlined = 0.0, 0
    if few or hidden or _ends_in_picture(page):
        drawn = list(islice(_drawn(page), _MOST_OBJECTS))
        pictured, covered = _picture_shares(page, drawn)
        hidden = 1.0 if covered else hidden
        outlined = _letter_shapes(drawn) if few and not pictured else 0
    return PageContent(
        garbled=is_garbled(text),
        pictured=round(pictured, 3),
        hidden=round(hidden, 3),
        outlined=outlined,
        unmapped=_unmapped(textpage, address, count) if 2 * unmapped > len(glances) / 10 else "",
    )


def _hidden_share(textpage: int, glances: range) -> float:
    drawn = map(_object_of, repeat(textpage), glances[::3])
    modes = [*map(_render_mode, filter(None, drawn))]
    return sum(mode in _UNSEEN for mode in modes) / len(modes) if modes else 0.0


def _unmapped(textpage: pdfium.PdfTextPage, address: int, count: int) -> str:
    """The characters without a map, a space where others are between."""
    pieces: list[str] = []
    before = -1
    for n in range(count):
        if _is_unmapped(address, n) == 1:
            if before != n - 1 and pieces:
                pieces.append(" ")
            pieces.append(chr(pdfium_c.FPDFText_GetUnicode(textpage, n)))
            before = n
            if len(pieces) >= _MOST_UNMAPPED:
                break
    return "".join(pieces).encode(errors="replace").decode()


def _ends_in_picture(page: pdfium.PdfPage) -> bool:
    """Whether what is drawn last is a picture, or may be one: it may hide what is under it."""
    last = pdfium_c.FPDFPage_CountObjects(page) - 1
    if last < 0:
        return False
    kind = pdfium_c.FPDFPageObj_GetType(pdfium_c.FPDFPage_GetObject(page, last))
    return kind in (pdfium_c.FPDF_PAGEOBJ_IMAGE, pdfium_c.FPDF_PAGEOBJ_FORM)


def _drawn(page: pdfium.PdfPage) -> Iterator[_Drawn]:
    address = ctypes.addressof(page.raw.contents)
    for n in range(pdfium_c.FPDFPage_CountObjects(page)):
        yield from _inside(_object_at(address, n), _UNCHANGED, _DEEPEST)


def _inside(raw: int, matrix: _Matrix, deep: int) -> Iterator[_Drawn]:
    """The object, or those in it where it is a form, in the order in which they are drawn."""
    kind = _kind_of(raw)
    if kind != pdfium_c.FPDF_PAGEOBJ_FORM:
        yield _Drawn(raw, kind, matrix)
    elif deep:
        own = _times(_matrix_of(raw), matrix)
        for n in range(_count_in(raw)):
            yield from _inside(_object_in(raw, n), own, deep - 1)


def _matrix_of(raw: int) -> _Matrix:
    found = pdfium_c.FS_MATRIX()
    if not _get_matrix(raw, ctypes.addressof(found)):
        return _UNCHANGED
    return found.a, found.b, found.c, found.d, found.e, found.f


def _times(first: _Matrix, then: _Matrix) -> _Matrix:
    a, b, c, d, e, f = first
    p, q, r, s, t, u = then
    return (
        a * p + b * r,
        a * q + b * s,
        c * p + d * r,
        c * q + d * s,
        e * p + f * r + t,
        (e * q + f * s + u),
    )


def _picture_shares(page: pdfium.PdfPage, drawn: list[_Drawn]) -> tuple[float, bool]:
    """The share of the page that pictures cover; whether all text is under one that covers it."""
    shares: list[float] = []
    covering = last_text = -1
    for place, one in enumerate(drawn):
        if one.kind == pdfium_c.FPDF_PAGEOBJ_TEXT:
            last_text = place
        elif one.kind == pdfium_c.FPDF_PAGEOBJ_IMAGE:
            shares.append(_share(page, one))
            if shares[-1] >= _FULL and not _is_transparent(one.raw):
                covering = place
    return min(sum(shares), 1.0), -1 < last_text < covering


def _share(page: pdfium.PdfPage, picture: _Drawn) -> float:
    """The share of the page's visible area that the box around a picture has."""
    box = _box(picture)
    left, bottom, right, top = page.get_bbox()
    area = (right - left) * (top - bottom)
    across = min(box[2], right) - max(box[0], left)
    down = min(box[3], top) - max(box[1], bottom)
    return across * down / area if across > 0 and down > 0 and area > 0 else 0.0


def _box(one: _Drawn) -> tuple[float, float, float, float]:
    _corners[:] = array("f", bytes(16))  # what cannot be told has none
    _get_bounds(one.raw, *_CORNERS_AT)
    left, bottom, right, top = _corners
    a, b, c, d, e, f = one.matrix
    xs = [a * x + c * y + e for x in (left, right) for y in (bottom, top)]
    ys = [b * x + d * y + f for x in (left, right) for y in (bottom, top)]
    return min(xs), min(ys), max(xs), max(ys)


def _letter_shapes(drawn: list[_Drawn]) -> int:
    """How many closed outlines stand with others on a line, of a height that letters have.

    None where they are all of a few sizes, as the dots of a chart are.
    """
    rows: dict[int, list[tuple[int, int]]] = {}
    left = _MOST_SEGMENTS
    for one in drawn:
        if one.kind != pdfium_c.FPDF_PAGEOBJ_PATH or left <= 0:
            continue
        count = min(_segments_of(one.raw), left)
        left -= count
        for xs, ys in _outlines(one, count):
            across, up = max(xs) - min(xs), max(ys) - min(ys)
            if _LEAST <= up <= _TALLEST:
                rows.setdefault(round(min(ys)), []).append((round(2 * across), round(2 * up)))
    shapes = [size for row in rows.values() if len(row) >= _ROW for size in row]
    return len(shapes) if len(set(shapes)) >= _FEWEST_SIZES else 0


def _outlines(one: _Drawn, count: int) -> Iterator[tuple[list[float], list[float]]]:
    """Where on the page the points of each part of a path are that begins anew, if it has as many
    as a letter."""
    segments = [*map(_segment_at, repeat(one.raw), range(count))]
    kinds = [*map(_segment_kind, segments)]
    begun = [n for n, kind in enumerate(kinds) if kind == pdfium_c.FPDF_SEGMENT_MOVETO and n]
    parts = [(a, b) for a, b in pairwise([0, *begun, count]) if b - a >= _LEAST_SEGMENTS]
    if not parts:
        return
    points = _points(segments)
    a, b, c, d, e, f = _times(_matrix_of(one.raw), one.matrix)
    for start, stop in parts:
        xs, ys = points[2 * start : 2 * stop : 2], points[2 * start + 1 : 2 * stop : 2]
        both = [*zip(xs, ys, strict=True)]
        yield [a * x + c * y + e for x, y in both], [b * x + d * y + f for x, y in both]


def _points(segments: Sequence[int]) -> Sequence[float]:
    """The x and the y of each segment of a path, one after another."""
    points = array("f", bytes(8 * len(segments)))
    first, _ = points.buffer_info()
    stop = first + 8 * len(segments)
    deque(map(_get_point, segments, range(first, stop, 8), range(first + 4, stop, 8)), maxlen=0)
    return points
