"""Pages that must be read from their pictures are told from those that need not be."""

from collections.abc import Callable, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from reportlab.lib.utils import ImageReader
from reportlab.pdfgen.canvas import Canvas
from support import debian_books, pdfs, raw_pdf
from support.prose import technical_pages
from support.scans import needs_korean_font

from bookbrain.formats.pdf import read_pdf
from bookbrain.model import Page
from bookbrain.ocr.choice import (
    GARBLED,
    NO_TEXT,
    OUTLINED,
    PARTLY,
    UNREADABLE,
    UNTRUSTED,
    PageContent,
    choose_pages,
    is_nonsense,
)

WIDTH, HEIGHT = 595.0, 842.0
PROSE = technical_pages(1, 0, "mixed")[0]
PICTURED = PageContent(pictured=1.0)
LAYER = PageContent(pictured=1.0, hidden=1.0)
BAD_ENGLISH = "Al 5 a. AA] AAW Bs] El E4 zlOI Oi|A-1 oUI -a £H T- !t} zH 0| EJ Hi1 t3 9.1 7d Fr} "
SPLIT_KOREAN = (
    "이 옵 션 은 밑 줄 긋 기 를 허 용 한 다 그 리 고 글 자 크 기 도 바 꾼 다 한 번 더 읽 자"
)

SIZES = (0.6, 0.8, 1.0, 1.2, 1.5, 2.0)
Draw = Callable[[Canvas], None]


def problems(path: Path, *pages: Draw) -> list[str]:
    """The problem of each page of a book that is drawn so."""
    canvas = Canvas(str(path / "b.pdf"), pagesize=(WIDTH, HEIGHT), invariant=1)
    for draw in pages:
        canvas.saveState()
        draw(canvas)
        canvas.restoreState()
        canvas.showPage()
    canvas.save()
    return [page.problem for page in read(path / "b.pdf")]


def read(path: Path) -> Sequence[Page]:
    return read_pdf(path, timeout=120, memory_mb=2048).pages


def picture(seed: int = 0) -> ImageReader:
    noise = np.random.default_rng(seed).integers(0, 255, (80, 60), dtype=np.uint8)
    file = BytesIO()
    Image.fromarray(noise).save(file, "PNG")
    return ImageReader(file)


def whole(canvas: Canvas) -> None:
    canvas.drawImage(picture(), 0, 0, WIDTH, HEIGHT)


def strips(canvas: Canvas) -> None:
    for number in range(20):
        canvas.drawImage(picture(number), 0, number * HEIGHT / 20, WIDTH, HEIGHT / 20)


def halves(canvas: Canvas) -> None:
    canvas.drawImage(picture(1), 20, 100, WIDTH / 2 - 20, HEIGHT / 2)
    canvas.drawImage(picture(2), WIDTH / 2, 100, WIDTH / 2 - 20, HEIGHT / 2)


def part(canvas: Canvas) -> None:
    """Half of a scan lies beside the page; the page is longer than what was scanned."""
    canvas.drawImage(picture(), -WIDTH / 2, 300, WIDTH, HEIGHT / 4)


def snippet(canvas: Canvas) -> None:
    canvas.drawImage(picture(), 200, 300, WIDTH / 6, HEIGHT / 9)


def inline(canvas: Canvas) -> None:
    canvas.drawInlineImage(Image.new("L", (30, 40), 200), 0, 0, WIDTH, HEIGHT)


def nested(canvas: Canvas) -> None:
    """Eleven forms deep; the picture is a point wide and high in the innermost one."""
    name = f"f{canvas.getPageNumber()}-"
    canvas.beginForm(f"{name}0", 0, 0, 1, 1)
    canvas.drawImage(picture(), 0, 0, 1, 1)
    canvas.endForm()
    for deep in range(1, 11):
        canvas.beginForm(f"{name}{deep}", 0, 0, 1, 1)
        canvas.doForm(f"{name}{deep - 1}")
        canvas.endForm()
    canvas.scale(WIDTH, HEIGHT)
    canvas.doForm(f"{name}10")


def small_in_a_form(canvas: Canvas) -> None:
    """The picture is large by its own measure, and small on the page."""
    canvas.beginForm("icon", 0, 0, WIDTH, HEIGHT)
    canvas.drawImage(picture(), 0, 0, WIDTH, HEIGHT)
    canvas.endForm()
    canvas.scale(0.1, 0.1)
    canvas.doForm("icon")


def outlines(canvas: Canvas) -> None:
    """Letters as one path for each, in rows."""
    for row in range(20):
        for column in range(50):
            letter(canvas, 50 + column * 10, 750 - row * 20, None, SIZES[column % 6])


def outlines_of_a_page(canvas: Canvas) -> None:
    """All letters are one path."""
    path = canvas.beginPath()
    for row in range(20):
        for column in range(50):
            letter(canvas, 50 + column * 10, 750 - row * 20, path, SIZES[column % 6])
    canvas.drawPath(path, stroke=0, fill=1)


def letter(canvas: Canvas, x: float, y: float, path: Any = None, size: float = 1.0) -> None:
    made = path or canvas.beginPath()
    made.moveTo(x, y)
    for across, up in ((2, 7), (4, 0), (3, 0), (2.6, 2), (1.4, 2), (1, 0)):
        made.lineTo(x + size * across, y + size * up)
    made.close()
    if path is None:
        canvas.drawPath(made, stroke=0, fill=1)


def text(words: str, *, mode: int = 0, at: float = 800) -> Draw:
    def draw(canvas: Canvas) -> None:
        if pdfs.KOREAN_FONT not in canvas.getAvailableFonts():
            pdfs.book(Path("/dev/null"), ["글"])  # registers the font
        lines = canvas.beginText(40, at)
        lines.setTextRenderMode(mode)
        for line in words.split("\n"):
            lines.setFont("Helvetica" if line.isascii() else pdfs.KOREAN_FONT, 9)
            lines.textLine(line)
        canvas.drawText(lines)

    return draw


def both(*draws: Draw) -> Draw:
    def draw(canvas: Canvas) -> None:
        for one in draws:
            canvas.saveState()
            one(canvas)
            canvas.restoreState()

    return draw


class TestPagesWithoutText:
    @pytest.mark.parametrize("draw", [whole, strips, halves, part, snippet, inline, nested])
    def test_pictures(self, tmp_path: Path, draw: Draw) -> None:
        assert problems(tmp_path, draw) == [NO_TEXT]

    @pytest.mark.slow
    @pytest.mark.parametrize("draw", [outlines, outlines_of_a_page])
    def test_letters_drawn_as_curves(self, tmp_path: Path, draw: Draw) -> None:
        assert problems(tmp_path, draw, both(draw, text("12"))) == [OUTLINED, OUTLINED]

    @pytest.mark.slow
    @pytest.mark.parametrize("draw", [whole, strips, nested, outlines])
    @pytest.mark.parametrize(
        "stamp",
        [
            "Licensed to a reader, order {n}. Copying is forbidden.",
            "이 책은 아무개 님이 구입하신 전자책이며 무단 복제를 금합니다.",
            "Scanned 2026-11-{n} 10:3{n}:22\npage {n} of 312",
        ],
    )
    def test_stamps_are_no_text(self, tmp_path: Path, draw: Draw, stamp: str) -> None:
        pages = [both(draw, text(stamp.format(n=n))) for n in range(1, 5)]
        assert all(problems(tmp_path, *pages))

    def test_some_scans_in_a_book_whose_pages_are_all_stamped(self, tmp_path: Path) -> None:
        stamp = text("Licensed to a reader, order 20314412. Copying is forbidden.", at=30)
        pages = [both(text(page), stamp) for page in technical_pages(6, 0, "mixed")]
        assert problems(tmp_path, *pages, both(whole, stamp)) == [""] * 6 + [NO_TEXT]

    @pytest.mark.slow
    def test_what_has_text_or_is_blank(self, tmp_path: Path) -> None:
        def ruled(canvas: Canvas) -> None:
            for number in range(60):
                canvas.line(50, 12 * number, 500, 12 * number)
                canvas.rect(50 + 8 * number, 400, 6, 6)

        def drawing(canvas: Canvas) -> None:
            chance = np.random.default_rng(0)
            for x, y in chance.uniform(50, 550, (200, 2)):
                letter(canvas, x, y, None, chance.choice(SIZES))

        def dots(canvas: Canvas) -> None:
            for n in range(900):
                canvas.circle(50 + 15 * (n % 30), 100 + 15 * (n // 30), 2, fill=1)

        pages = [
            lambda canvas: None,
            text(PROSE),
            both(whole, text(PROSE)),
            both(whole, text("Chapter 7\nHow schedulers are measured")),
            both(text("Figure 1"), small_in_a_form),
            ruled,
            drawing,
            both(dots, text("0 5 10 15 20 25 30")),
            both(dots, text("0 5 10 15 20 25 30")),
            both(outlines, text(PROSE)),
        ]
        assert problems(tmp_path, *pages) == [""] * len(pages)


class TestLayers:
    @pytest.mark.parametrize("hide", ["without ink", "under the picture"])
    @pytest.mark.parametrize(
        "words", [BAD_ENGLISH, pytest.param(SPLIT_KOREAN, marks=needs_korean_font)]
    )
    def test_rubbish(self, tmp_path: Path, hide: str, words: str) -> None:
        lines = "\n".join([words] * 8)
        page = (
            both(whole, text(lines, mode=3)) if hide == "without ink" else both(text(lines), whole)
        )
        assert problems(tmp_path, page) == [UNTRUSTED]

    @pytest.mark.slow
    def test_the_text_of_a_layer_is_searched_until_there_is_a_better_one(
        self, tmp_path: Path
    ) -> None:
        problems(tmp_path, both(whole, text("\n".join([SPLIT_KOREAN] * 4), mode=3)))
        (page,) = read(tmp_path / "b.pdf")
        assert "밑 줄" in page.text

    @pytest.mark.parametrize("language", ["english", "korean"])
    def test_a_good_one(self, tmp_path: Path, language: str) -> None:
        pages = technical_pages(3, 0, "en" if language == "english" else "ko")
        drawn = [both(whole, text(page, mode=3)) for page in pages]
        assert problems(tmp_path, *drawn) == ["", "", ""]

    def test_a_page_with_few_words_is_judged_with_the_others(self) -> None:
        few = "zlOI Oi|A-1 oUI £H !t} Fr} " * 2
        assert choose_pages([(few, LAYER)]) == [""]
        assert choose_pages([(few, LAYER), (BAD_ENGLISH * 4, LAYER)]) == [UNTRUSTED] * 2
        good = (PROSE, LAYER)
        assert choose_pages([(few, LAYER), good, good]) == ["", "", ""]

    def test_visible_text_is_never_judged_so(self) -> None:
        assert choose_pages([(BAD_ENGLISH * 4, PICTURED)]) == [""]
        assert choose_pages([(SPLIT_KOREAN * 4, PageContent(hidden=1.0))]) == [""]


class TestFonts:
    def test_what_bitmap_fonts_of_tex_give(self) -> None:
        assert not is_nonsense(
            "This page was set by TeX and reads well but for the con\x0cguration " * 4
        )
        assert not is_nonsense("hi" * 200)
        assert not is_nonsense(" ".join("\x01\x02\x03\x04\x05\x06\x07\x08\x0e\x0f\x10\x11\x12" * 9))
        assert not is_nonsense(
            r"\NewSseqGroup\mygroup{}{\class(0,0)\class(0,1)\draw[xscale=7/3]" * 4
        )

    def test_codes_instead_of_letters(self) -> None:
        assert is_nonsense("$PNQMFUBCMF'VUVSF\x0fTVQQMZ\"TZOD\t\t\n\x01\x0e\x1f\x01MPBE\tJE" * 3)
        english = technical_pages(1, 0, "en")[0]
        shifted = "".join(chr(ord(c) + 1) if c.isalpha() else c for c in english)
        assert is_nonsense(shifted)

    @pytest.mark.slow
    def test_code_in_a_font_without_a_map(self, tmp_path: Path) -> None:
        """Its glyphs are numbered as they are met; the prose above it reads well."""
        code = "for (Account a : accounts) { a.close(clock.instant()); } return audit(accounts); "
        path = tmp_path / "b.pdf"
        path.write_bytes(raw_pdf.two_fonts(PROSE.split("\n"), [code] * 3))
        (page,) = read(path)
        assert page.problem == PARTLY
        assert PROSE.split("\n")[0].split()[0] in page.text
        path.write_bytes(raw_pdf.two_fonts(["Listing 7"], [code] * 20))
        assert [page.problem for page in read(path)] == [GARBLED]


def test_reasons_in_their_order() -> None:
    pages = [(None, PICTURED), ("", PageContent(garbled=True, pictured=1.0)), ("7", PICTURED)]
    assert choose_pages(pages) == [UNREADABLE, GARBLED, NO_TEXT]
    assert choose_pages([]) == []


@pytest.mark.slow
@pytest.mark.parametrize("package", debian_books.PACKAGES)
def test_manuals_need_none(package: str) -> None:
    """But for pages that are pictures, and for those whose maps are known to be broken."""
    broken = {"kotex-doc.pdf", "allowbreak-dhucs.pdf", "testdhucsallowbreak.pdf"}
    for path in debian_books.books(package):
        if path.name not in broken:
            pages = read(path)
            chosen = [page.number for page in pages if page.problem]
            assert len(chosen) <= max(1, len(pages) / 200), (path.name, chosen)
