"""Builds bookbrain/sample/handbook.pdf from handbook.md: `python packaging/handbook/build.py`.

Its last page is a picture: scan.md, printed, and scanned askew, in dust and black dots.

Needs reportlab and markdown-it-py (both come with the `test` extra) and Debian's packages
fonts-nanum and qpdf. The same source, fonts and releases of these give the same bytes.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from hashlib import sha256
from io import BytesIO
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch
from xml.sax.saxutils import escape

import numpy as np
import PIL
import pypdfium2 as pdfium
import reportlab
import reportlab.rl_config
from markdown_it import MarkdownIt
from markdown_it.tree import SyntaxTreeNode
from PIL import Image, ImageFilter
from reportlab.lib.colors import HexColor
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfbase.pdfmetrics import registerFont, stringWidth
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import (
    BaseDocTemplate,
    Flowable,
    Frame,
    HRFlowable,
    NextPageTemplate,
    PageBreak,
    PageTemplate,
    Paragraph,
    Spacer,
    Table,
    XPreformatted,
)
from reportlab.platypus.tableofcontents import TableOfContents

SOURCE = Path(__file__).with_name("handbook.md")
SCANNED = Path(__file__).with_name("scan.md")
TARGET = Path(__file__).parents[2] / "bookbrain" / "sample" / "handbook.pdf"
TITLE = "BookBrain Handbook · 북브레인 안내서"

_FONT_FOLDER = Path("/usr/share/fonts/truetype/nanum")
FONTS = {
    "Serif": _FONT_FOLDER / "NanumMyeongjo.ttf",
    "Sans": _FONT_FOLDER / "NanumSquareB.ttf",
    "Code": _FONT_FOLDER / "NanumGothicCoding.ttf",
}

INK, ACCENT, FAINT, TINT = map(HexColor, ("#22262b", "#1f5a54", "#7b838a", "#f1f4f2"))
PAGE = (152 * mm, 225 * mm)  # 신국판, the usual size of a Korean paperback
MARGIN_X, MARGIN_TOP, MARGIN_BOTTOM = 15 * mm, 14 * mm, 16 * mm
WIDTH = PAGE[0] - 2 * MARGIN_X


def _style(name: str, font: str, size: float, leading: float, **more: Any) -> ParagraphStyle:
    looks = {"textColor": INK, "splitLongWords": 0, "bulletFontName": "Sans"} | more
    return ParagraphStyle(name, fontName=font, fontSize=size, leading=leading, **looks)


BODY = _style("body", "Serif", 9.2, 13.5, spaceAfter=5, allowWidows=0, allowOrphans=0)
ITEM = _style("item", "Serif", 9.2, 13.5, spaceAfter=2, leftIndent=11, bulletColor=ACCENT)
CELL = _style("cell", "Serif", 8.4, 11.6)
HEAD_CELL = _style("head cell", "Sans", 7.6, 11.6, textColor=FAINT)
CODE = _style(
    "code", "Code", 7.8, 11.2, backColor=TINT, borderPadding=(4, 7, 5, 7), leftIndent=7,
    rightIndent=7, spaceBefore=6, spaceAfter=11,
)  # fmt: skip
PART = _style("part", "Sans", 22, 28, textColor=ACCENT, spaceAfter=4)
CHAPTER = _style(
    "chapter", "Sans", 14.5, 20, textColor=ACCENT, spaceBefore=20, spaceAfter=5, keepWithNext=1
)
SECTION = _style("section", "Sans", 10, 15, spaceBefore=13, spaceAfter=3, keepWithNext=1)
COVER = _style("cover", "Sans", 30, 38, textColor=ACCENT)
COVER_NOTE = _style("cover note", "Serif", 11, 19)
CONTENTS = [
    _style("contents 0", "Sans", 13, 18, textColor=ACCENT, spaceBefore=8, spaceAfter=3),
    _style("contents 1", "Serif", 9.2, 10.7),
]
HEADINGS = {"h1": PART, "h2": CHAPTER, "h3": SECTION}
PRINT = _style("print", "Serif", 12, 18, spaceAfter=7, rightIndent=6)

DPI, ASKEW, BLUR, NOISE, SPECKS, PAPER = 200, 0.6, 0.6, 14, 10, 180  # of the scan; grey levels


class _Handbook(BaseDocTemplate):
    """Front matter numbered i, ii, …, then a body numbered 1, 2, …; an outline of two levels."""

    front = 0  # pages before the body, known once the body begins

    def afterFlowable(self, flowable: Flowable) -> None:
        """Put a heading into the outline and the contents."""
        level = getattr(flowable, "heading_level", None)
        if level is None:
            return
        key, text = flowable.heading_key, flowable.heading_text
        self.canv.bookmarkHorizontal(key, 0, self.frame._y + flowable.height)
        if level:
            self.canv.addOutlineEntry(text, key, level - 1, closed=level == 1)
        if level < len(CONTENTS):
            self.notify("TOCEntry", (level, escape(text), self.page - self.front, key))


def main() -> None:
    TARGET.parent.mkdir(exist_ok=True)
    TARGET.write_bytes(build())
    sys.stdout.write(f"{TARGET}: {TARGET.stat().st_size:,} bytes\n")


def missing() -> list[str]:
    """What it needs and is not installed here: files of fonts, and qpdf."""
    fonts = [str(path) for path in FONTS.values() if not path.is_file()]
    return fonts if shutil.which("qpdf") else [*fonts, "qpdf"]


def source_digest() -> str:
    """The SHA-256 of what is printed, in hex."""
    return sha256(SOURCE.read_bytes() + SCANNED.read_bytes()).hexdigest()


def provenance() -> str:
    """What the PDF names as its creator: the digest of its source, and by what it was made."""
    releases = f"reportlab {reportlab.Version}, pillow {PIL.__version__}, {_qpdf('--version')}"
    return f"build.py, source sha256 {source_digest()}, {releases}, pdfium {pdfium.PDFIUM_INFO}"


def build() -> bytes:
    """The handbook as a PDF."""
    if lacking := missing():
        sys.exit(f"Missing {lacking[0]}: apt-get install fonts-nanum qpdf")
    for name, path in FONTS.items():
        registerFont(TTFont(name, path))
    source, scanned = SOURCE.read_text(encoding="utf-8"), SCANNED.read_text(encoding="utf-8")
    _check_glyphs(source + scanned)
    title, *text = _nodes(scanned)
    with TemporaryDirectory() as name:
        book, scan, whole = (Path(name, f"{part}.pdf") for part in ("book", "scan", "whole"))
        book.write_bytes(_print([*_story(source), *_scanned_page(title)], creator=provenance()))
        with pdfium.PdfDocument(book) as document:
            last = len(document)
            number = document.get_page_label(last - 1)
        page = [flowable for node in (title, *text) for flowable in _large(node)]
        _scan(_print(page, number=number)).save(scan, resolution=DPI)
        _qpdf(
            "--object-streams=generate", "--deterministic-id", str(book),
            "--overlay", str(scan), f"--to={last}", "--", str(whole),
        )  # fmt: skip
        return whole.read_bytes()


_EPOCH = 1767225600  # the date that is written


def _qpdf(*arguments: str) -> str:
    command = [shutil.which("qpdf") or sys.exit("Missing qpdf: apt-get install qpdf"), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return done.stdout.partition("\n")[0]


def _print(story: list[Flowable], *, creator: str = "", number: str = "") -> bytes:
    """A PDF of the story; with a `number` it is a page that has this one in its foot."""
    out = BytesIO()
    document = _Handbook(
        out, pagesize=PAGE, title=TITLE, author="BookBrain contributors", creator=creator,
        subject="How to use BookBrain, in Korean and English", lang="ko", invariant=1,
        displayDocTitle=1, initialFontName="Serif",
    )  # fmt: skip
    frame = Frame(
        MARGIN_X, MARGIN_BOTTOM, WIDTH, PAGE[1] - MARGIN_TOP - MARGIN_BOTTOM,
        leftPadding=0, rightPadding=0, topPadding=0, bottomPadding=0,
    )  # fmt: skip
    single = PageTemplate("single", [frame], onPageEnd=partial(_print_in_foot, text=number))
    document.addPageTemplates(
        [single] if number else [
            PageTemplate("front", [frame], _begin_front_page, _print_number),
            PageTemplate("body", [frame], _begin_body_page, _print_number),
            PageTemplate("picture", [frame]),
        ]
    )  # fmt: skip
    with (
        patch.dict(os.environ, SOURCE_DATE_EPOCH=str(_EPOCH)),
        patch.object(reportlab.rl_config, "useA85", 0),  # a fifth smaller
    ):
        document.multiBuild(story)
    return out.getvalue()


def _scanned_page(title: SyntaxTreeNode) -> list[Flowable]:
    """An empty page, for a picture, that the outline and the contents know."""
    empty = Paragraph("\u00a0", BODY)
    empty.heading_level, empty.heading_key = 1, "scan"
    empty.heading_text = title.children[0].content
    return [NextPageTemplate("picture"), PageBreak(), empty]


def _large(node: SyntaxTreeNode) -> list[Flowable]:
    """As in a book of larger print."""
    style = CHAPTER if node.type == "heading" else PRINT
    return [Paragraph(_inline(node.children[0], 1.2), style)]


def _scan(pdf: bytes) -> Image.Image:
    """The first page of a PDF as a scanner sees it that knows only black and white."""
    with pdfium.PdfDocument(pdf) as document:
        picture = document[0].render(scale=DPI / 72, grayscale=True).to_pil().convert("L")
    picture = picture.rotate(ASKEW, Image.Resampling.BICUBIC, fillcolor=255)
    grey = np.asarray(picture.filter(ImageFilter.GaussianBlur(BLUR)), np.float32)
    chance = np.random.default_rng(2026)
    grey += chance.normal(0, NOISE, grey.shape)
    for y, x in chance.integers(0, grey.shape, (SPECKS, 2)):
        grey[y : y + 2, x : x + 2] = 0
    return Image.fromarray(grey > PAPER)


def _check_glyphs(source: str) -> None:
    for name, path in FONTS.items():
        face = TTFont(name, path).face
        if lacking := {c for c in source if c != "\n" and ord(c) not in face.charToGlyph}:
            sys.exit(f"{path.name} cannot print {' '.join(sorted(lacking))}")


def _begin_front_page(canvas: Canvas, document: _Handbook) -> None:
    document.front = document.page
    if document.page == 1:
        canvas.addPageLabel(0, "ROMAN_LOWER", 1)
        canvas.showOutline()


def _begin_body_page(canvas: Canvas, document: _Handbook) -> None:
    if document.page == document.front + 1:
        canvas.addPageLabel(document.front, "ARABIC", 1)


def _print_number(canvas: Canvas, document: _Handbook) -> None:
    """Last on the page, so that it is last in the text taken out of it; the cover has none."""
    roman = ("", "", "ii", "iii", "iv", "v", "vi")
    body_page = document.page - document.front
    _print_in_foot(canvas, document, str(body_page or roman[document.page]))


def _print_in_foot(canvas: Canvas, _document: _Handbook, text: str) -> None:
    canvas.setFont("Sans", 8)
    canvas.setFillColor(FAINT)
    canvas.drawCentredString(PAGE[0] / 2, 9 * mm, text)


def _nodes(source: str) -> list[SyntaxTreeNode]:
    return SyntaxTreeNode(MarkdownIt("commonmark").enable("table").parse(source)).children


def _story(source: str) -> Iterator[Flowable]:
    """Cover, imprint (what precedes the first heading), contents, body."""
    nodes = _nodes(source)
    start = next(index for index, node in enumerate(nodes) if node.type == "heading")
    yield from _cover()
    for node in nodes[:start]:
        yield from _block(node)
    yield PageBreak()
    yield TableOfContents(levelStyles=CONTENTS, dotsMinLevel=-1)
    yield NextPageTemplate("body")
    keys = (f"h{number}" for number in count())
    for node, following in zip(nodes[start:], [*nodes[start + 1 :], None], strict=True):
        flowables = _heading(node, next(keys)) if node.type == "heading" else _block(node)
        if following and following.type == "fence":
            flowables[-1].keepWithNext = 1
        yield from flowables


def _cover() -> list[Flowable]:
    english, korean = TITLE.split(" · ")
    name, kind = english.split()
    return [
        Spacer(0, 42 * mm),
        Paragraph(f"{name}<br/>{kind}", COVER),
        HRFlowable(width=26 * mm, thickness=1.6, color=ACCENT, hAlign="LEFT", spaceBefore=16,
                   spaceAfter=16),
        Paragraph(korean, _style("cover korean", "Sans", 18, 26)),
        Spacer(0, 10 * mm),
        Paragraph("Find the page you half remember.", COVER_NOTE),
        Paragraph("어렴풋이 기억나는 그 쪽을 찾아 드립니다.", COVER_NOTE),
        PageBreak(),
    ]  # fmt: skip


def _heading(node: SyntaxTreeNode, key: str) -> list[Flowable]:
    """A heading that the outline knows; a language starts a page."""
    text = node.children[0].content
    title = Paragraph(escape(text), HEADINGS[node.tag])
    title.heading_level = int(node.tag[1]) - 1
    title.heading_text, title.heading_key = text, key
    if node.tag == "h1":
        rule = HRFlowable(width="100%", thickness=0.8, color=ACCENT, spaceAfter=2)
        return [PageBreak(), title, rule]
    return [title]


def _block(node: SyntaxTreeNode) -> list[Flowable]:
    match node.type:
        case "paragraph":
            return [Paragraph(_inline(node.children[0]), BODY)]
        case "fence":
            return [_code(node.content.rstrip("\n"))]
        case "bullet_list":
            texts = [_inline(item.children[0].children[0]) for item in node.children]
            return [Paragraph(text, ITEM, bulletText="·") for text in texts] + [Spacer(0, 3)]
        case "table":
            return [_table(node), Spacer(0, 10)]
        case "html_block":  # a comment to whoever edits the source
            return []
    sys.exit(f"{SOURCE.name}: this builder does not know {node.type}")


def _code(text: str) -> Flowable:
    for line in text.splitlines():
        if stringWidth(line, CODE.fontName, CODE.fontSize) > WIDTH - 2 * CODE.leftIndent:
            sys.exit(f"{SOURCE.name}: too long for the page: {line}")
    return XPreformatted(escape(text), CODE)


def _table(node: SyntaxTreeNode) -> Flowable:
    """Two columns; of three the middle one, a default, stands below the first."""
    head, body = node.children
    rows = [_row(head.children[0], HEAD_CELL, 1.0)]
    rows += [_row(row, CELL, 0.9) for row in body.children]
    longest = max((row.children[0].children[0].content for row in body.children), key=len)
    first = stringWidth(longest.strip("`"), "Code", 7.6) + 16
    return Table(
        rows, colWidths=[first, WIDTH - first], repeatRows=1,
        style=[
            ("VALIGN", (0, 0), (-1, -1), "TOP"), ("LEFTPADDING", (0, 0), (0, -1), 0),
            ("TOPPADDING", (0, 0), (-1, -1), 1.5), ("BOTTOMPADDING", (0, 0), (-1, -1), 3),
            ("LINEBELOW", (0, 0), (-1, -1), 0.4, HexColor("#d5dad8")),
        ],
    )  # fmt: skip


def _row(node: SyntaxTreeNode, style: ParagraphStyle, scale: float) -> list[list[Flowable]]:
    *first, last = [Paragraph(_inline(c.children[0], scale), style) for c in node.children]
    return [[cell for cell in first if cell.text], [last]]


def _inline(node: SyntaxTreeNode, scale: float = 1.0) -> str:
    """Markdown's inline marks as reportlab's."""
    content = "".join(_inline(child, scale) for child in node.children)
    match node.type:
        case "text":
            return escape(node.content)
        case "softbreak":
            return " "
        case "code_inline":
            return f'<font face="Code" size="{8.6 * scale:.2f}">{escape(node.content)}</font>'
        case "strong":
            return f'<font face="Sans" size="{8.7 * scale:.2f}">{content}</font>'
        case "inline":
            return content
    sys.exit(f"{SOURCE.name}: this builder does not know {node.type}")


if __name__ == "__main__":
    main()
