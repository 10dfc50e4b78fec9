"""Books made for tests: real PDFs, the same bytes every time.

Text pages are written by reportlab in fonts that every reader knows: Helvetica, or for Korean
HYSMyeongJo-Medium, whose characters PDFium has tables for. Page indexes count from 0.
"""

import random
import re
import unicodedata
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

from PIL import Image
from reportlab.lib.pdfencrypt import StandardEncryption
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.cidfonts import UnicodeCIDFont
from reportlab.pdfgen.canvas import Canvas
from support.hostile_pdfs import (
    balloon,
    crash,
    hang,
    long_titles,
    lying_count,
    no_pages,
    shared_text,
)
from support.prose import Language, probe, technical_outline, technical_pages
from support.raw_pdf import glyph_pages

__all__ = [
    "ODD_LINES", "balloon", "book", "crash", "encrypted", "garbled", "hang", "long_book",
    "long_titles", "lying_count", "mixed", "mutate", "mutations", "no_pages", "odd_text", "probe",
    "scanned", "script", "shared_text", "truncated",
]  # fmt: skip

KOREAN_FONT = "HYSMyeongJo-Medium"
PAGE = (595.0, 842.0)  # A4 in points
Outline = Sequence[tuple[int, str, int]]
Sort = Literal["text", "scan", "blank"]


def book(
    path: Path,
    pages: Sequence[str],
    *,
    title: str = "",
    outline: Outline = (),
    labels: Sequence[str] = (),
    rotate: int = 0,
    **canvas_options: Any,
) -> Path:
    """A book of these pages, one line of text for each line, which is drawn as it stands.

    `outline`  (level from 0, title, page index), in reading order
    `labels`   what is printed on each page: "i", "ii", "1", …
    `rotate`   0, 90, 180 or 270: the /Rotate of every page; the text reads upright all the same
    """
    canvas = _canvas(path, title, **canvas_options)
    for index, text in enumerate(pages):
        _start_page(canvas, index, outline, labels, rotate)
        _draw_text(canvas, text)
        canvas.showPage()
    canvas.save()
    return path


def long_book(
    path: Path, number: int, seed: int = 0, language: Language = "en", **options: Any
) -> Path:
    """`number` pages of technical prose with an outline; `probe(seed, i)` is only on page i."""
    options = {"title": f"Book {seed}", "outline": technical_outline(number, language)} | options
    return book(path, technical_pages(number, seed, language), **options)


def mixed(path: Path, sorts: Sequence[Sort], title: str = "", seed: int = 0) -> Path:
    """One page of each sort: "text" (with its probe), "scan" (a picture of lines), "blank"."""
    texts = technical_pages(len(sorts), seed)
    canvas = _canvas(path, title)
    for index, sort in enumerate(sorts):
        _start_page(canvas, index)
        if sort == "text":
            _draw_text(canvas, texts[index])
        if sort == "scan":
            canvas.drawInlineImage(_scan(seed, index), 0, 0, *PAGE)
        canvas.showPage()
    canvas.save()
    return path


def scanned(path: Path, pages: int = 3, title: str = "") -> Path:
    """Pictures and no text."""
    return mixed(path, ["scan"] * pages, title)


def encrypted(path: Path, password: str = "secret", pages: Sequence[str] = ("Secret",)) -> Path:
    """Opens with `password`; with "" by everyone, though copying is not permitted."""
    lock = StandardEncryption(password, "owner", canPrint=0, canCopy=0, strength=128)
    return book(path, pages, encrypt=lock)


def truncated(path: Path, part: float = 0.6, pages: int = 10) -> Path:
    """The first `part` of the bytes of a good book: no cross-reference table, no catalog."""
    whole = long_book(path, pages).read_bytes()
    path.write_bytes(whole[: int(len(whole) * part)])
    return path


def garbled(
    path: Path,
    kind: Literal["private", "control", "hangul", "kotex", "shifted"] = "private",
    pages: Sequence[str] = ("",),
    good: Sequence[str] = (),
) -> Path:
    """Pages that look right, and whose character map is wrong; then `good` ones.

    `private`  every letter extracts as a private-use character
    `control`  as a control character
    `hangul`   as a random syllable
    `shifted`  as the letter 13 further on
    `kotex`    as in Debian's kotex-doc.pdf: Hangul is right; what is ASCII becomes U+C9xx, rare
               syllables of one block ("TeX" is 쥔쥥쥘)
    """
    texts = [text or technical_pages(index + 1)[index] for index, text in enumerate(pages)]
    wrong = [[[_garble(c, kind) for c in line] for line in text.split("\n")] for text in texts]
    right = [[list(line) for line in text.split("\n")] for text in good]
    path.write_bytes(glyph_pages([*wrong, *right]))
    return path


# What a line's glyphs extract as. PDFium itself decides what becomes of the odd ones.
ODD_LINES: dict[str, list[str]] = {
    "plain": list("plain words before and after"),
    "lone_surrogate": [*"half ", "\ud83d", *" pair ", "\udc00", *" here"],
    "nul": [*"nul ", "\x00", *" inside"],
    "control": [*"bell\x07 escape\x1b[31m tab\t vertical\x0b"],
    "right_to_left": [*reversed("עברית וערבית العربية")],  # drawn from the left
    "override": [*"\u202efdp.exe\u202c ends"],
    "emoji": ["👩‍💻", *" codes ", "🇰🇷", " ", "👍🏽"],
    "nfd_hangul": [*unicodedata.normalize("NFD", "한글 자모: 비동기")],
    "ligature": [*"e", "ffi", *"cient ", "ﬂ", *"ow ", "ﬁ", *"le"],
    "soft_hyphen": [*"asyn\u00adchro\u00adnous"],
    "zero_width": [*"zero\u200bwidth\u200dspace\ufeff"],
    "combining": [*"Z", "\u0351", "\u036b", "\u0343", *"algo"],
    "fullwidth": [*"ＡＢＣ　１２３"],
    "non_character": [*"ends\uffff\ufffe here"],
    "markup": [*"<mark>&amp;</mark> %s {0} ${HOME} `rm -rf`"],
}


def odd_text(path: Path) -> Path:
    """A page for each of ODD_LINES, in order, between two plain lines."""
    plain = ODD_LINES["plain"]
    path.write_bytes(glyph_pages([[plain, odd, plain] for odd in ODD_LINES.values()]))
    return path


INJECTIONS = (
    "<script>alert('book')</script>",
    "<img src=x onerror=alert(1)>",
    "</mark></div><iframe src=javascript:alert(2)>",
    "[click](javascript:alert(3)) ![x](//example.invalid/pixel.png) **bold** # head",
    "$$\\href{javascript:alert(4)}{x}$$ \\input{/etc/passwd} :red[text] :material/home:",
    "'; DROP TABLE books; -- \" OR 1=1",
    "\x1b[2J\x1b[31m=HYPERLINK(\"//example.invalid\")",
)  # fmt: skip


def script(path: Path) -> Path:
    """Title, outline, page labels and text full of what a page, a shell or a sheet might run."""
    outline = [(0, text, 0) for text in INJECTIONS]
    text = "\n".join(f"검색 search {text} 끝" for text in INJECTIONS)
    return book(path, [text], title=INJECTIONS[0], outline=outline, labels=[INJECTIONS[1]])


def mutations(
    originals: Sequence[bytes], number: int = 500, seed: int = 0
) -> Iterator[tuple[str, bytes]]:
    """(name, bytes) of `number` mutants of these files, the same for the same seed."""
    for index in range(number):
        rng = random.Random(f"{seed}/{index}")
        yield f"mutant-{seed}-{index:03}.pdf", mutate(rng.choice(originals), rng)


def mutate(data: bytes, rng: random.Random) -> bytes:
    """`data` after one to six wounds: bytes flipped, cut, spliced, doubled, numbers changed."""
    wounded = bytearray(data)
    for _ in range(rng.randint(1, 6)):
        rng.choice((_flip, _cut, _splice, _double, _renumber, _shorten))(wounded, rng)
    return bytes(wounded)


def _canvas(path: Path, title: str, **options: Any) -> Canvas:
    if KOREAN_FONT not in pdfmetrics.getRegisteredFontNames():
        pdfmetrics.registerFont(UnicodeCIDFont(KOREAN_FONT))
    canvas = Canvas(str(path), pagesize=PAGE, invariant=1, pageCompression=1, **options)
    if title:
        canvas.setTitle(title)
    return canvas


def _start_page(
    canvas: Canvas, index: int, outline: Outline = (), labels: Sequence[str] = (), rotate: int = 0
) -> None:
    width, height = PAGE
    if rotate:  # what is on the page is turned back: it reads upright. reportlab swaps the sides
        canvas.setPageRotation(rotate)
        canvas.translate(*{90: (height, 0), 180: PAGE, 270: (0, width)}[rotate])
        canvas.rotate(rotate)
    if index < len(labels):
        canvas.addPageLabel(index, prefix=labels[index])
    for place, (level, title, page) in enumerate(outline):
        if page == index:
            canvas.bookmarkPage(f"entry-{place}")
            canvas.addOutlineEntry(title, f"entry-{place}", level)


def _draw_text(canvas: Canvas, text: str) -> None:
    lines = text.split("\n")
    size = min(11.0, 740 / (1.3 * len(lines)))
    body = canvas.beginText(50, 790)
    for line in lines:
        body.setFont("Helvetica" if _is_latin(line) else KOREAN_FONT, size, size * 1.3)
        body.textLine(line)
    canvas.drawText(body)


def _is_latin(line: str) -> bool:
    return all(character <= "\xff" for character in line)


def _scan(seed: int, index: int, width: int = 150, height: int = 212) -> Image.Image:
    rng = random.Random(f"scan/{seed}/{index}")
    rows = [
        bytes(rng.choice(b"\x20\xf0") if y % 8 < 4 and 10 < x < 140 else 240 for x in range(width))
        for y in range(height)
    ]
    return Image.frombytes("L", (width, height), b"".join(rows))


def _garble(character: str, kind: str) -> str:
    code = ord(character)
    if character == " " and kind != "control":
        return " "
    if kind == "kotex":
        return chr(0xC900 + code) if character.isascii() else character
    if kind == "private":
        return chr(0xE000 + code % 0x1800)
    if kind == "control":
        return chr(1 + code % 31)
    if kind == "hangul":
        return chr(0xAC00 + (code * 7919) % 11172)
    return chr(code + 13)


def _flip(data: bytearray, rng: random.Random) -> None:
    for _ in range(rng.randint(1, 40)):
        data[rng.randrange(len(data))] ^= rng.randint(1, 255)


def _cut(data: bytearray, rng: random.Random) -> None:
    start = rng.randrange(len(data))
    del data[start : start + rng.randint(1, max(1, min(2000, len(data) // 4)))]
    data += b"%" * (not data)


def _splice(data: bytearray, rng: random.Random) -> None:
    source, target = rng.randrange(len(data)), rng.randrange(len(data))
    data[target:target] = data[source : source + rng.randint(1, 2000)]


def _double(data: bytearray, rng: random.Random) -> None:
    start = rng.randrange(len(data))
    piece = bytes(data[start : start + rng.randint(1, 400)])
    data[start:start] = piece * rng.randint(1, 20)


def _shorten(data: bytearray, rng: random.Random) -> None:
    if rng.random() < 0.3:
        del data[rng.randrange(1, len(data) + 1) :]


def _renumber(data: bytearray, rng: random.Random) -> None:
    numbers = list(re.finditer(rb"(?<=[ \[])\d{1,10}(?=[ \]/\r\n>])", bytes(data)))
    for found in sorted(rng.sample(numbers, min(len(numbers), 8)), key=lambda m: -m.start()):
        value = int(found[0])
        new = rng.choice((0, 1, value - 1, value + 1, -value, value * 1000, 2**31 - 1, 2**63))
        data[found.start() : found.end()] = str(new).encode()
