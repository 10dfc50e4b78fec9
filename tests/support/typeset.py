"""Pages whose characters are drawn in odd orders and places, each by one call for a line."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.cidfonts import UnicodeCIDFont
from reportlab.pdfgen.canvas import Canvas
from support.pdfs import KOREAN_FONT, PAGE

LATIN_FONT = "Helvetica"


class Drawn(NamedTuple):
    """A line of text and where its first letter stands, in points from the page's lower left."""

    text: str
    x: float
    y: float
    font: str = ""
    size: float = 10.0
    turn: int = 0  # degrees, against the clock
    spacing: float = 0.0  # points between letters


def typeset(path: Path, lines: Iterable[Drawn], rotate: int = 0) -> Path:
    """A page with these lines, drawn in this order."""
    if KOREAN_FONT not in pdfmetrics.getRegisteredFontNames():
        pdfmetrics.registerFont(UnicodeCIDFont(KOREAN_FONT))
    canvas = Canvas(str(path), pagesize=PAGE, invariant=1)
    canvas.setPageRotation(rotate)
    for line in lines:
        canvas.saveState()
        canvas.translate(line.x, line.y)
        canvas.rotate(line.turn)
        canvas.setFont(line.font or font_of(line.text), line.size)
        canvas.drawString(0, 0, line.text, charSpace=line.spacing)
        canvas.restoreState()
    canvas.save()
    return path


def font_of(text: str) -> str:
    return LATIN_FONT if text.isascii() else KOREAN_FONT


def column(
    texts: Sequence[str], x: float = 60, top: float = 760, font: str = "", size: float = 10
) -> list[Drawn]:
    """Lines below each other."""
    return [Drawn(text, x, top - 1.4 * size * n, font, size) for n, text in enumerate(texts)]


def with_gaps(words: Sequence[str], gap: float, x: float = 60, y: float = 700) -> list[Drawn]:
    """Words beside each other without a space, `gap` em apart."""
    drawn: list[Drawn] = []
    for word in words:
        drawn.append(Drawn(word, x, y))
        x += pdfmetrics.stringWidth(word, font_of(word), 10) + 10 * gap
    return drawn
