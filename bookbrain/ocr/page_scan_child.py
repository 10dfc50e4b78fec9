"""The child process that paints a page for recognition: `python -m bookbrain.ocr.page_scan_child`.

Reads one JSON object (a `page_scan.PageScan`) from its input; writes one line of JSON and a PGM. A
hostile PDF may crash, hang or fill this process; `page_scan.py` survives it.
"""

import ctypes
import json
import math
import sys
from typing import NamedTuple

import numpy as np
import pypdfium2 as pdfium
import pypdfium2.raw as pdfium_c
from numpy.typing import NDArray
from PIL import Image

from bookbrain.ocr.page_scan import (
    INK_LEVELS,
    LEAST_INK,
    MOST_PIXELS,
    Grey,
    Ink,
    Matrix,
    ink_of,
    paper_of,
    smaller,
)

_DPI = 300
_LONGEST_SIDE = 30_000  # pixels; engines count them with 16 bits
_ROUNDING = 0.01  # pdfium makes whole pixels of parts
_STEEPEST = 4.0  # degrees that a page may be askew
_LEAST = 0.08  # degrees that are worth straightening
_GAIN = 1.03  # by which rows must be clearer for it
_COARSE, _FINE = 0.25, 0.03  # degrees
_HALF = 2  # pixels a side of one in which dots are looked for
_DOT, _ALONE = 2, 4  # such pixels from its middle that a dot has at most, that are empty around it
_FEWEST_DOTS, _REACH = 5, 110  # dots of a row, within so many such pixels on either side
_MOST_DOTS = 200_000  # of ink, by which the slope is found


class _Painted(NamedTuple):
    pixels: Grey
    dpi: float
    matrix: Matrix


def main() -> None:
    request = json.load(sys.stdin)
    page = pdfium.PdfDocument(request["path"])[request["number"] - 1]
    painted = _paint(page, request["turned"])
    if slope := _slope(ink_of(painted.pixels)):
        painted = _straightened(painted, slope)
    painted = painted._replace(pixels=_without_leaders(painted.pixels))
    height, width = painted.pixels.shape
    told = {"matrix": painted.matrix, "dpi": painted.dpi}
    sys.stdout.buffer.write(json.dumps(told).encode() + b"\n")
    sys.stdout.buffer.write(b"P5\n%d %d\n255\n" % (width, height))
    sys.stdout.buffer.write(painted.pixels.tobytes())


def _paint(page: pdfium.PdfPage, turned: int) -> _Painted:
    across, down = page.get_size()
    dpi = min(
        _DPI,
        72 * (MOST_PIXELS / (across * down)) ** 0.5 - _ROUNDING,
        72 * _LONGEST_SIDE / max(across, down),
    )
    bitmap = page.render(scale=dpi / 72, grayscale=True, rotation=turned, may_draw_forms=False)
    pixels: Grey = np.ascontiguousarray(bitmap.to_numpy()).reshape(bitmap.height, bitmap.width)
    return _Painted(pixels, dpi, _matrix(page, bitmap.width, bitmap.height, turned // 90))


def _matrix(page: pdfium.PdfPage, width: int, height: int, quarters: int) -> Matrix:
    """From pixels to the page's own points, as pdfium has it after rotation and crop."""
    x, y = ctypes.c_double(), ctypes.c_double()
    places = []
    for across, down in ((0, 0), (width, 0), (0, height)):
        pdfium_c.FPDF_DeviceToPage(page, 0, 0, width, height, quarters, across, down, x, y)
        places.append((x.value, y.value))
    (e, f), (ax, bx), (cy, dy) = places
    return (ax - e) / width, (bx - f) / width, (cy - e) / height, (dy - f) / height, e, f


def _slope(ink: Ink) -> float:
    """By how many degrees the lines of a page climb to the right; 0.0 where that is not certain.

    The rows of a straight page are full or empty: the sum of squares of their ink is greatest.
    """
    rows, columns = np.nonzero(ink)
    if len(rows) < LEAST_INK:
        return 0.0
    every = -(-len(rows) // _MOST_DOTS)
    rows, columns = rows[::every].astype(np.float32), columns[::every].astype(np.float32)

    def clearness(degrees: float) -> float:
        at = rows + columns * np.float32(math.tan(math.radians(degrees)))
        counts = np.bincount((at - at.min()).astype(np.int64))
        return float((counts.astype(np.float64) ** 2).sum())

    coarse = max(np.arange(-_STEEPEST, _STEEPEST + _COARSE, _COARSE), key=clearness)
    fine = max(np.arange(coarse - _COARSE, coarse + _COARSE, _FINE), key=clearness)
    certain = abs(fine) >= _LEAST and clearness(fine) > _GAIN * clearness(0.0)
    return float(fine) if certain else 0.0


def _straightened(painted: _Painted, slope: float) -> _Painted:
    """Turn the picture clockwise by `slope` degrees around its middle; its size stays."""
    height, width = painted.pixels.shape
    paper = int(np.median(painted.pixels[::16, ::16]))
    turned = Image.fromarray(painted.pixels).rotate(
        -slope, resample=Image.Resampling.BICUBIC, fillcolor=paper
    )
    # A pixel (x, y) of the turned picture was at (u, v) = middle + R (x - middle, y - middle).
    cos, sin = math.cos(math.radians(slope)), math.sin(math.radians(slope))
    middle_x, middle_y = width / 2, height / 2
    a, b, c, d, e, f = painted.matrix
    u = (cos, sin, middle_x - cos * middle_x - sin * middle_y)
    v = (-sin, cos, middle_y + sin * middle_x - cos * middle_y)
    matrix = (
        a * u[0] + c * v[0], b * u[0] + d * v[0], a * u[1] + c * v[1], b * u[1] + d * v[1],
        a * u[2] + c * v[2] + e, b * u[2] + d * v[2] + f,
    )  # fmt: skip
    return _Painted(np.asarray(turned), painted.dpi, matrix)


def _without_leaders(pixels: Grey) -> Grey:
    """The picture without the rows of dots that lead to the page numbers of a table of contents.

    Engines take them for letters, and the words before them with them.
    """
    small = smaller(pixels, _HALF)
    paper = paper_of(small)
    dark = small < paper - INK_LEVELS
    dots = dark & (_around(dark, _DOT, _DOT) == _around(dark, _ALONE, _ALONE))
    in_row = _around(dots, _DOT, _REACH) >= _FEWEST_DOTS * _around(dots, _DOT, _DOT)
    leaders = _around(dots & in_row, _DOT + 1, _DOT + 1) > 0
    if not leaders.any():
        return pixels
    erased = np.repeat(np.repeat(leaders, _HALF, 0), _HALF, 1)
    light = np.repeat(np.repeat(paper.astype(np.uint8), _HALF, 0), _HALF, 1)
    made = pixels.copy()
    part = made[: erased.shape[0], : erased.shape[1]]
    part[erased] = light[erased]
    return made


def _around(dark: Ink, down: int, across: int) -> NDArray[np.int64]:
    """How many pixels are dark around each, so many and fewer rows and columns away."""
    sums = np.pad(dark, ((down + 1, down), (across + 1, across))).cumsum(0).cumsum(1)
    height, width = 2 * down + 1, 2 * across + 1
    return np.asarray(
        sums[height:, width:] - sums[:-height, width:] - sums[height:, :-width]
        + sums[:-height, :-width]
    )  # fmt: skip


if __name__ == "__main__":
    main()
