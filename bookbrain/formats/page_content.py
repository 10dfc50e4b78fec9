"""What a page has beside its text, as far as it tells whether that text is all. In children only.

It looks closely only at pages that a glance makes suspicious: most have text, and time matters.
"""

import ctypes
from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

import pypdfium2 as pdfium
import pypdfium2.raw as pdfium_c

from bookbrain.formats.page_text import is_garbled
from bookbrain.ocr.choice import LONGEST_STAMP, PageContent

_GLANCES = 40  # characters that are asked about, spread over the page
_UNSEEN = (pdfium_c.FPDF_TEXTRENDERMODE_INVISIBLE, pdfium_c.FPDF_TEXTRENDERMODE_CLIP)
_MOST_UNMAPPED = 4_000  # characters that are passed on
_MOST_OBJECTS = 5_000
_MOST_SEGMENTS = 30_000  # of drawn paths
_DEEPEST = 30  # forms inside forms
_FULL = 0.8  # of the page: a picture that hides what is under it
_LEAST, _TALLEST = 2.0, 40.0  # points that a letter may be high
_LEAST_SEGMENTS = 5  # of the outline of a letter; a box has four
_ROW = 8  # letters that a row has at least
_FEWEST_SIZES = 5  # of letters, to half a point
_Matrix = tuple[float, float, float, float, float, float]
_UNCHANGED: _Matrix = (1.0, 0.0, 0.0, 1.0, 0.0, 0.0)


class _Drawn(NamedTuple):
    """An object that is no form, by its type, with the way from its coordinates to the page's."""

    raw: pdfium_c.FPDF_PAGEOBJECT
    kind: int
    matrix: _Matrix


def content_of(page: pdfium.PdfPage, textpage: pdfium.PdfTextPage, text: str) -> PageContent:
    """What is on the page, whose text is `text` as pdfium has it."""
    count = textpage.count_chars()
    glances = range(0, count, max(1, count // _GLANCES))
    unmapped = sum(pdfium_c.FPDFText_HasUnicodeMapError(textpage, n) == 1 for n in glances)
    hidden = _hidden_share(textpage, glances)
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
        unmapped=_unmapped(textpage, count) if 2 * unmapped > len(glances) / 10 else "",
    )


def _hidden_share(textpage: pdfium.PdfTextPage, glances: range) -> float:
    modes = [
        pdfium_c.FPDFTextObj_GetTextRenderMode(drawn)
        for n in glances[::3]
        if (drawn := pdfium_c.FPDFText_GetTextObject(textpage, n))
    ]
    return sum(mode in _UNSEEN for mode in modes) / len(modes) if modes else 0.0


def _unmapped(textpage: pdfium.PdfTextPage, count: int) -> str:
    """The characters without a map, a space where others are between."""
    pieces: list[str] = []
    before = -1
    for n in range(count):
        if pdfium_c.FPDFText_HasUnicodeMapError(textpage, n) == 1:
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
    for n in range(pdfium_c.FPDFPage_CountObjects(page)):
        yield from _inside(pdfium_c.FPDFPage_GetObject(page, n), _UNCHANGED, _DEEPEST)


def _inside(raw: pdfium_c.FPDF_PAGEOBJECT, matrix: _Matrix, deep: int) -> Iterator[_Drawn]:
    """The object, or those in it where it is a form, in the order in which they are drawn."""
    kind = pdfium_c.FPDFPageObj_GetType(raw)
    if kind != pdfium_c.FPDF_PAGEOBJ_FORM:
        yield _Drawn(raw, kind, matrix)
    elif deep:
        own = _times(_matrix_of(raw), matrix)
        for n in range(pdfium_c.FPDFFormObj_CountObjects(raw)):
            yield from _inside(pdfium_c.FPDFFormObj_GetObject(raw, n), own, deep - 1)


def _matrix_of(raw: pdfium_c.FPDF_PAGEOBJECT) -> _Matrix:
    found = pdfium_c.FS_MATRIX()
    if not pdfium_c.FPDFPageObj_GetMatrix(raw, found):
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
            if shares[-1] >= _FULL and not pdfium_c.FPDFPageObj_HasTransparency(one.raw):
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
    left, bottom, right, top = (ctypes.c_float() for _ in range(4))
    pdfium_c.FPDFPageObj_GetBounds(one.raw, left, bottom, right, top)
    corners = [(x.value, y.value) for x in (left, right) for y in (bottom, top)]
    xs, ys = zip(*(_moved(one.matrix, *corner) for corner in corners), strict=True)
    return min(xs), min(ys), max(xs), max(ys)


def _moved(matrix: _Matrix, x: float, y: float) -> tuple[float, float]:
    a, b, c, d, e, f = matrix
    return a * x + c * y + e, b * x + d * y + f


def _letter_shapes(drawn: list[_Drawn]) -> int:
    """How many closed outlines stand with others on a line, of a height that letters have.

    None where they are all of a few sizes, as the dots of a chart are.
    """
    rows: dict[int, list[tuple[int, int]]] = {}
    left = _MOST_SEGMENTS
    for one in drawn:
        if one.kind != pdfium_c.FPDF_PAGEOBJ_PATH or left <= 0:
            continue
        matrix = _times(_matrix_of(one.raw), one.matrix)
        count = min(pdfium_c.FPDFPath_CountSegments(one.raw), left)
        left -= count
        for outline in _outlines(one, count):
            xs, ys = zip(*(_moved(matrix, x, y) for x, y in outline), strict=True)
            across, up = max(xs) - min(xs), max(ys) - min(ys)
            if len(outline) >= _LEAST_SEGMENTS and _LEAST <= up <= _TALLEST:
                rows.setdefault(round(min(ys)), []).append((round(2 * across), round(2 * up)))
    shapes = [size for row in rows.values() if len(row) >= _ROW for size in row]
    return len(shapes) if len(set(shapes)) >= _FEWEST_SIZES else 0


def _outlines(one: _Drawn, count: int) -> Iterator[list[tuple[float, float]]]:
    """The points of each part of a path that begins anew."""
    points: list[tuple[float, float]] = []
    x, y = ctypes.c_float(), ctypes.c_float()
    for n in range(count):
        segment = pdfium_c.FPDFPath_GetPathSegment(one.raw, n)
        if pdfium_c.FPDFPathSegment_GetType(segment) == pdfium_c.FPDF_SEGMENT_MOVETO and points:
            yield points
            points = []
        pdfium_c.FPDFPathSegment_GetPoint(segment, x, y)
        points.append((x.value, y.value))
    if points:
        yield points
