"""Scans of real books: pages as a scanner would have made them, the same every time, and words.

A page is painted, shines through the paper of the page before it, lies askew, is out of focus,
unevenly lit, printed in grey ink on grey paper, full of noise and dust, and squeezed by JPEG.
"""

import ctypes
import re
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
import pypdfium2 as pdfium
import pypdfium2.raw as pdfium_c
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter, ImageFont
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.pdfgen.canvas import Canvas
from support import debian_books

from bookbrain.formats.page_image_child import find_boxes
from bookbrain.ocr.engine import RecognisedPage, letters_of

Box = tuple[float, float, float, float]  # left, bottom, right, top in points
Place = tuple[str, int]  # a file's name in one of Debian's packages, and a page from 1


@dataclass(frozen=True, slots=True)
class Scanner:
    """How good a scan is: dots an inch, most degrees askew, pixels of blur at 300 dpi, grey levels
    of noise, JPEG's quality, shares of light lost over the page and at the gutter, of the next page
    that shines through."""

    dpi: int
    askew: float
    blur: float
    noise: float
    quality: int
    shade: float
    gutter: float
    through: float


TYPICAL = Scanner(300, 0.8, 0.9, 6, 70, 0.10, 0.35, 0.06)
POOR = Scanner(200, 1.5, 1.0, 9, 60, 0.18, 0.50, 0.12)
SCANNERS = {"typical": TYPICAL, "poor": POOR}
_DUST = 40  # specks on a page
_PAPER, _INK = 234, 24  # grey levels


@dataclass(frozen=True, slots=True)
class Scan:
    """A scanned page and by how many degrees it was turned, against the clock."""

    picture: Image.Image
    askew: float


def scan_page(document: pdfium.PdfDocument, number: int, scanner: Scanner, seed: int = 0) -> Scan:
    """Page `number` of a book, from 1, as the scanner sees it."""
    chance = np.random.default_rng([seed, number, scanner.dpi])
    pixels = _painted(document, number, scanner.dpi)
    if number < len(document):
        behind = _painted(document, number + 1, scanner.dpi)[:, ::-1]
        if behind.shape == pixels.shape:
            pixels = pixels - scanner.through * (255 - behind)
    askew = float(chance.uniform(0.3, 1.0) * scanner.askew * chance.choice([-1, 1]))
    picture = Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))
    picture = picture.rotate(askew, Image.Resampling.BICUBIC, fillcolor=255)
    picture = picture.filter(ImageFilter.GaussianBlur(scanner.blur * scanner.dpi / 300))
    grey = np.asarray(picture, np.float32) * ((_PAPER - _INK) / 255) + _INK
    grey *= _light(grey.shape, scanner, chance)
    grey += chance.normal(0, scanner.noise, grey.shape)
    for y, x in chance.integers(0, grey.shape, (_DUST, 2)):
        grey[y : y + 3, x : x + 3] -= 90
    made = Image.fromarray(np.clip(grey, 0, 255).astype(np.uint8))
    squeezed = BytesIO()
    made.save(squeezed, "JPEG", quality=scanner.quality)
    return Scan(Image.open(squeezed), askew)


def _painted(document: pdfium.PdfDocument, number: int, dpi: int) -> NDArray[np.float32]:
    picture = document[number - 1].render(scale=dpi / 72, grayscale=True).to_pil()
    return np.asarray(picture.convert("L"), np.float32)


def _light(
    shape: tuple[int, ...], scanner: Scanner, chance: np.random.Generator
) -> NDArray[np.float32]:
    """The share of the light that each pixel gets."""
    down, across = shape
    x, y = np.linspace(0, 1, across, dtype=np.float32), np.linspace(0, 1, down, dtype=np.float32)
    angle = chance.uniform(0, 2 * np.pi)
    slope = np.cos(angle) * (x[None, :] - 0.5) + np.sin(angle) * (y[:, None] - 0.5)
    at_gutter = np.exp(-x / 0.03) if chance.random() < 0.5 else np.exp(-(1 - x) / 0.03)
    return (1 - scanner.shade * (slope + 0.5)) * (1 - scanner.gutter * at_gutter)[None, :]


def save_book(path: Path, scans: Sequence[Scan], scanner: Scanner) -> Path:
    """A PDF with nothing but these pictures, a page each."""
    first, *others = (scan.picture for scan in scans)
    first.save(
        path, "PDF", resolution=scanner.dpi, quality=scanner.quality, save_all=True,
        append_images=others,
    )  # fmt: skip
    return path


_LINES = (
    "The {word} waits until all of the worker threads have stopped.",
    "Nobody releases the lock before the queue is empty again.",
    "After a restart the journal is read from its first entry.",
)


_EASY, _FIRST = (1654, 1000), (120, 200)  # pixels of the page, and where its first line begins


def easy_scan(path: Path, *words: str) -> Path:
    """A page for each of the words, which is on no other: pictures, read in a second or so."""
    first, *others = map(easy_page, words)
    first.save(path, "PDF", resolution=200, save_all=True, append_images=others)
    return path


def easy_page(word: str) -> Image.Image:
    """The picture of such a page."""
    font = ImageFont.load_default(42)
    page = Image.new("L", _EASY, 240)
    for number, line in enumerate(_LINES):
        at = _FIRST[0], _FIRST[1] + 90 * number
        ImageDraw.Draw(page).text(at, line.format(word=word), 20, font)
    return page


def text_of_easy_scan(word: str) -> str:
    """The lines of such a page."""
    return "\n".join(line.format(word=word) for line in _LINES)


def place_on_easy_scan(word: str) -> Box:
    """Where the word of a page is: left, top, right and bottom, in shares of the page's sides."""
    font = ImageFont.load_default(42)
    across = _FIRST[0] + font.getlength(_LINES[0].partition("{word}")[0])
    left, top, right, bottom = font.getbbox(word)
    return (
        (across + left) / _EASY[0],
        (_FIRST[1] + top) / _EASY[1],
        (across + right) / _EASY[0],
        (_FIRST[1] + bottom) / _EASY[1],
    )


_A5, _MARGIN, _SIZE = (420, 595), 45, 10  # points
NANUM = Path("/usr/share/fonts/truetype/nanum/NanumMyeongjo.ttf")
# Of Korean whose font is not in the PDF, the boxes are those of a font of the machine.
needs_korean_font = pytest.mark.skipif(not NANUM.is_file(), reason="fonts-nanum is not installed")


def typeset(path: Path, pages: Sequence[Sequence[str]]) -> Path:
    """A book of small pages, each of rows; the last one is its foot. What a tab parts stands left
    and right, with dots between, or in the middle where nothing is before the tab."""
    pdfmetrics.registerFont(TTFont("Nanum", NANUM))
    canvas = Canvas(str(path), pagesize=_A5, invariant=1)
    for *rows, foot in pages:
        heights = [_A5[1] - 60 - 20 * n for n in range(len(rows))]
        for row, height in zip([*rows, foot], [*heights, 40], strict=True):
            canvas.setFont("Nanum", _SIZE)
            left, tab, right = row.partition("\t")
            if tab and not left:
                canvas.drawCentredString(_A5[0] / 2, height, right)
                continue
            canvas.drawString(_MARGIN, height, left)
            canvas.drawRightString(_A5[0] - _MARGIN, height, right)
            if tab:
                room = _A5[0] - 2 * _MARGIN - sum(map(_width, (left, right)))
                dots = int(room / _width(" .")) - 2
                canvas.drawString(_MARGIN + _width(left) + _width(" "), height, dots * " .")
        canvas.showPage()
    canvas.save()
    return path


def _width(text: str) -> float:
    return float(pdfmetrics.stringWidth(text, "Nanum", _SIZE))


# Books whose text layer is right, and how many of their pages are looked at: 28 Korean, 20 English.
_BOOKS = {
    "installation-guide-amd64/install.ko.pdf": 12,
    "texlive-lang-korean/oblivoir-simpledoc.pdf": 6,
    "texlive-lang-korean/lshort-ko.pdf": 10,
    "installation-guide-amd64/install.en.pdf": 8,
    "developers-reference/developers-reference.pdf": 6,
    "debian-reference-en/debian-reference.en.pdf": 6,
}
_FULL = 900  # characters of a page that has something to say


def sample_pages(share: float = 1.0) -> list[tuple[Path, int]]:
    """Pages full of text, spread evenly over each book; raises NoBooks where there is none."""
    chosen = []
    for name, count in _BOOKS.items():
        package, file = name.split("/")
        path = next(path for path in debian_books.fetch(package) if path.name == file)
        document = pdfium.PdfDocument(path)
        full = [n for n in range(1, len(document)) if len(text_of(document, n)) >= _FULL]
        wanted = max(1, round(count * share))
        chosen += [(path, full[len(full) * (2 * k + 1) // (2 * wanted)]) for k in range(wanted)]
    return chosen


def text_of(document: pdfium.PdfDocument, number: int) -> str:
    """The text layer of page `number`, from 1; what a hyphen parted is one word."""
    text = document[number - 1].get_textpage().get_text_bounded(errors="replace")
    return re.sub(r"[\x02\ufffe]\s*", "", text)


KINDS = ("hangul", "latin", "identifiers")
_HANGUL = re.compile(r"(?<![가-힣])[가-힣]{2,}(?![가-힣])")
_LATIN = re.compile(r"(?<![A-Za-z0-9_])[A-Za-z]{3,}(?![A-Za-z0-9_])")
_CODE = re.compile(r"[A-Za-z0-9_./:@\\=#$+-]{4,}")
_CODE_SIGN = re.compile(r"(?<=\w)[_./:@\\=#$-](?=\w)|[A-Za-z]\d|\d[A-Za-z]|[a-z][A-Z]|^[\\@/$]")


def words_in(text: str) -> dict[str, set[str]]:
    """The distinct words of a page, by kind: runs of syllables, of letters, and code tokens."""
    tokens = {token.strip(".:/=-+") for token in _CODE.findall(text)}
    return {
        "hangul": set(_HANGUL.findall(text)),
        "latin": set(_LATIN.findall(text)),
        "identifiers": {
            token
            for token in tokens
            if len(token) >= 4 and re.search("[A-Za-z]", token) and _CODE_SIGN.search(token)
        },
    }


_VISIBLE = re.compile(r"\S+")
_SHOWN = 1200  # pixels that the reader's picture is wide
_GRID = 1_000_000


@dataclass(frozen=True, slots=True)
class TypedWord:
    """A word of a page, and where the ink of each of its characters is."""

    text: str
    boxes: tuple[Box, ...]

    @property
    def box(self) -> Box:
        return around(self.boxes)

    def places(self, part: str) -> list[Box]:
        """Where a part of it stands."""
        starts = (found.start() for found in re.finditer(re.escape(part), self.text))
        return [around(self.boxes[start : start + len(part)]) for start in starts]


def typed_words(document: pdfium.PdfDocument, number: int, askew: float = 0) -> list[TypedWord]:
    """The words of page `number`, where they are once the page is turned by `askew`."""
    page = document[number - 1]
    textpage = page.get_textpage()
    indexes = range(textpage.count_chars())
    text = "".join(chr(pdfium_c.FPDFText_GetUnicode(textpage, n)) for n in indexes)
    left, bottom, right, top = page.get_bbox()
    middle = (left + right) / 2, (bottom + top) / 2
    words = []
    for found in _VISIBLE.finditer(text):
        boxes = [_turned(textpage.get_charbox(n), middle, askew) for n in range(*found.span())]
        if all(box[2] > box[0] and box[3] > box[1] for box in boxes):
            words.append(TypedWord(found[0], tuple(boxes)))
    return words


def _turned(box: Box, middle: tuple[float, float], degrees: float) -> Box:
    """A small box that keeps its size while its middle goes around that of the page."""
    cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    x, y = (box[0] + box[2]) / 2 - middle[0], (box[1] + box[3]) / 2 - middle[1]
    across, up = (
        middle[0] + x * cos - y * sin - (box[0] + box[2]) / 2,
        middle[1] + x * sin + y * cos,
    )
    up -= (box[1] + box[3]) / 2
    return box[0] + across, box[1] + up, box[2] + across, box[3] + up


def around(boxes: Sequence[Box]) -> Box:
    lefts, bottoms, rights, tops = zip(*boxes, strict=True)
    return min(lefts), min(bottoms), max(rights), max(tops)


def overlap(one: Box, other: Box) -> float:
    """Intersection over union."""
    across = min(one[2], other[2]) - max(one[0], other[0])
    up = min(one[3], other[3]) - max(one[1], other[1])
    shared = max(across, 0) * max(up, 0)
    areas = ((box[2] - box[0]) * (box[3] - box[1]) for box in (one, other))
    return shared / (sum(areas) - shared) if shared else 0.0


_PARTS = re.compile(r"[가-힣]{2,}|[A-Za-z]{3,}|\d{2,}")


def parts_of(word: str) -> list[str]:
    """What a query may mark of a word: all of it, its letters, its stem."""
    runs = _PARTS.findall(word)
    stems = [run[:-1] for run in runs if len(run) > 2 and run[0] >= "가"]
    return [part for part in dict.fromkeys([word, *runs, *stems]) if any(map(str.isalnum, part))]


@dataclass(frozen=True, slots=True)
class DrawnMark:
    """A mark on a word, or a part of one, and how well it covers that: 0 where it is elsewhere."""

    word: str
    part: str
    overlap: float


def drawn_marks(file: Path, found: RecognisedPage, typed: Sequence[TypedWord]) -> list[DrawnMark]:
    """All marks that queries may have on the first page of `file`, as they are painted.

    Left out are those on words that were read as others, and on what was taken for words.
    """
    page, text = pdfium.PdfDocument(file)[0], found.text
    parts = [
        (word[0], part, word.start() + word[0].index(part))
        for word in _VISIBLE.finditer(text)
        for part in parts_of(word[0])
    ]
    spans = [(start, start + len(part)) for _, part, start in parts]
    picture = page.render(scale=_SHOWN / page.get_width()).to_pil().convert("RGB")
    boxes = find_boxes(page, text, spans, list(letters_of(found)), picture)
    marks = []
    for (word, part, _), box in zip(parts, boxes, strict=True):
        place = _in_points(page, box)
        alike = [overlap(place, other) for word in typed for other in word.places(part)]
        is_other = not any(alike) and any(overlap(place, word.box) for word in typed)
        if alike and not is_other:
            marks.append(DrawnMark(word, part, max(alike)))
    return marks


def _in_points(page: pdfium.PdfPage, box: Box) -> Box:
    """A box on the picture of a page, in shares of its sides, in the page's own points."""
    x, y = ctypes.c_double(), ctypes.c_double()
    places = []
    for across, down in (box[:2], box[2:]):
        pdfium_c.FPDF_DeviceToPage(
            page, 0, 0, _GRID, _GRID, 0, round(across * _GRID), round(down * _GRID), x, y
        )
        places.append((x.value, y.value, x.value, y.value))
    return around(places)
