"""Scans of real books: pages as a scanner would have made them, the same every time, and words.

A page is painted, shines through the paper of the page before it, lies askew, is out of focus,
unevenly lit, printed in grey ink on grey paper, full of noise and dust, and squeezed by JPEG.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
import pypdfium2 as pdfium
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter, ImageFont
from support import debian_books

from bookbrain.ocr.engine import RecognisedPage, letters_of

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


def easy_scan(path: Path, *words: str) -> Path:
    """A page for each of the words, which is on no other: pictures, read in a second or so."""
    font = ImageFont.load_default(42)
    pages = []
    for word in words:
        page = Image.new("L", (1654, 1000), 240)
        for number, line in enumerate(_LINES):
            ImageDraw.Draw(page).text((120, 200 + 90 * number), line.format(word=word), 20, font)
        pages.append(page)
    pages[0].save(path, "PDF", resolution=200, save_all=True, append_images=pages[1:])
    return path


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


Box = tuple[float, float, float, float]  # left, bottom, right, top in points
_VISIBLE = re.compile(r"\S+")


def typed_words(
    document: pdfium.PdfDocument, number: int, askew: float = 0
) -> list[tuple[str, Box]]:
    """The words of page `number`, and where their ink is once the page is turned by `askew`."""
    page = document[number - 1]
    textpage = page.get_textpage()
    text = textpage.get_text_range(errors="replace").replace("\ufffe", "\x02")
    left, bottom, right, top = page.get_bbox()
    middle = (left + right) / 2, (bottom + top) / 2
    words = []
    for found in _VISIBLE.finditer(text):
        boxes = [textpage.get_charbox(index) for index in range(*found.span())]
        moved = [_turned(box, middle, askew) for box in boxes if box[2] > box[0]]
        if moved:
            words.append((found[0], around(moved)))
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


def marks_of(page: RecognisedPage) -> list[tuple[str, Box]]:
    """Each recognised word with the box around its letters, as a mark would stand."""
    letters = letters_of(page)
    return [
        (word.text, around([box for _, (_, box) in zip(word.text, letters, strict=False)]))
        for word in page.words
    ]


def overlaps(page: RecognisedPage, typed: Sequence[tuple[str, Box]]) -> list[float]:
    """For each recognised word that is typed on the page too, how well its mark covers one."""
    places: dict[str, list[Box]] = {}
    for word, box in typed:
        places.setdefault(word, []).append(box)
    return [
        max(overlap(box, place) for place in places[word])
        for word, box in marks_of(page)
        if word in places
    ]
