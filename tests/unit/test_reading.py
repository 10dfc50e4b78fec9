"""Real PDFs, read by the real child process."""

import os
import re
import signal
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from reportlab.pdfgen.canvas import Canvas
from support import pdfs
from support.raw_pdf import CATALOG, document, page, stream
from support.readers import readers

from bookbrain.errors import InputError
from bookbrain.formats.pdf import PdfReader, read_pdf
from bookbrain.listed import copied
from bookbrain.model import BookText
from bookbrain.ocr.choice import GARBLED, NO_TEXT, UNREADABLE


def read(path: Path, timeout: float = 30, memory_mb: int = 1024) -> BookText:
    return read_pdf(path, timeout=timeout, memory_mb=memory_mb)


def reason(path: Path, **limits: Any) -> str:
    """Why it cannot be added; the reader is gone by then."""
    before = readers()
    with pytest.raises(InputError) as error:
        read(path, **limits)
    assert error.value.hint
    assert readers() <= before
    return error.value.message


class TestBooks:
    def test_labels_title_chapters(self, tmp_path: Path) -> None:
        path = pdfs.book(
            tmp_path / "b.pdf",
            ["서문", "1. Kernel\nIt begins.\n1.1 Threads\nThey run.", "More threads."],
            title="운영체제",
            labels=["xii", "1", "2"],
            outline=[(0, "Kernel", 1), (1, "1.1 Threads", 1)],
        )
        book = read(path)
        assert book.title == "운영체제"
        assert [page.number for page in book.pages] == [1, 2, 3]
        assert [page.label for page in book.pages] == ["xii", "1", "2"]
        kernel = book.pages[1]
        assert kernel.chapter_at(kernel.text.index("begins")) == "Kernel"
        assert kernel.chapter_at(kernel.text.index("They")) == "1.1 Threads"
        assert [page.chapter for page in book.pages] == ["", "", "1.1 Threads"]

    @pytest.mark.parametrize(
        "title",
        ["", "untitled", "Microsoft Word - thesis", "book.dvi", "same", "123 - 4", "제목 없음"],
    )
    def test_a_title_that_is_none(self, tmp_path: Path, title: str) -> None:
        assert read(pdfs.book(tmp_path / "same.pdf", ["x"], title=title)).title == ""

    def test_without_labels_pages_are_numbered(self, tmp_path: Path) -> None:
        book = read(pdfs.book(tmp_path / "b.pdf", ["a", "b"]))
        assert [page.label for page in book.pages] == ["1", "2"]

    def test_progress(self, tmp_path: Path) -> None:
        seen: list[tuple[int, int]] = []
        path = pdfs.book(tmp_path / "b.pdf", ["a", "b", "c"])
        read_pdf(path, timeout=30, memory_mb=1024, progress=lambda *step: seen.append(step))
        assert seen == [(1, 3), (2, 3), (3, 3)]

    @pytest.mark.slow
    @pytest.mark.parametrize("rotate", [90, 180, 270])
    def test_rotated_pages_read_the_same(self, tmp_path: Path, rotate: int) -> None:
        # In Latin letters: pdfium drops glyphs that are neither embedded nor installed when turned.
        pages = ["one line\ntwo lines here\nthe third line\nfour", "another"]
        turned = read(pdfs.book(tmp_path / "t.pdf", pages, rotate=rotate))
        upright = read(pdfs.book(tmp_path / "u.pdf", pages))
        assert turned.pages == upright.pages

    def test_what_is_outside_the_crop_box_is_not_read(self, tmp_path: Path) -> None:
        canvas = Canvas(str(tmp_path / "c.pdf"), cropBox=(0, 0, 595, 700))
        canvas.drawString(50, 600, "Inside the page")
        canvas.drawString(50, 800, "Printer's mark")
        canvas.save()
        assert read(tmp_path / "c.pdf").pages[0].text == "Inside the page"

    def test_a_word_that_runs_over_the_edge_is_whole(self, tmp_path: Path) -> None:
        """Printed is a part of it, and meant is all of it; what is wholly outside is not read."""
        canvas = Canvas(str(tmp_path / "e.pdf"), pagesize=(300, 400))
        canvas.setFont("Courier", 10)
        canvas.drawString(20, 350, "a line that ends with aptitude safe-upgrade")
        canvas.drawString(20, 330, "of a-hyphenated-name and some more to be read now outside")
        canvas.drawString(-20, 310, "aptitude begins outside")
        canvas.drawString(20, 290, "the last line" + 40 * " " + "slug")
        canvas.save()
        text = read(tmp_path / "e.pdf").pages[0].text
        assert [line.strip() for line in text.splitlines()] == [
            "a line that ends with aptitude safe-upgrade",
            "of a-hyphenated-name and some more to be read now",
            "aptitude begins outside",
            "the last line",
        ]

    def test_odd_text(self, tmp_path: Path) -> None:
        pages = read(pdfs.odd_text(tmp_path / "o.pdf")).pages
        texts = dict(zip(pdfs.ODD_LINES, (page.text for page in pages), strict=True))
        assert "efficient flow file" in texts["ligature"]
        assert "비동기" in texts["nfd_hangul"]
        assert "asynchronous" in texts["soft_hyphen"]
        assert "\x1b" not in texts["control"]
        assert "\u202e" not in texts["override"]
        assert all(text.encode() for text in texts.values()), "no half surrogates"

    @pytest.mark.parametrize("names", [b"/u1D6FC", b"/u1D6FC /u1D700 /u1F600"])
    def test_letters_that_take_two_units_cost_none_at_the_end(
        self, tmp_path: Path, names: bytes
    ) -> None:
        font = b"/Type /Font /Subtype /Type1 /BaseFont /Helvetica"
        fonts = b"/Font << /F << %s /Encoding << /Differences [1 %s] >> >> >>" % (font, names)
        drawn = bytes(range(1, names.count(b"/") + 1))
        pages = b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>"
        text = stream(b"BT /F 10 Tf 60 700 Td (%s on 1234) Tj ET" % drawn)
        path = tmp_path / "m.pdf"
        path.write_bytes(document([CATALOG, pages, page(b"4 0 R", fonts), text]))
        assert read(path).pages[0].text.endswith(" on 1234")

    def test_markup_stays_text(self, tmp_path: Path) -> None:
        assert "<script>" in read(pdfs.script(tmp_path / "s.pdf")).title


class TestLongTitles:
    @pytest.mark.slow
    @pytest.mark.parametrize(("letters", "entries"), [(2_000_000, 1), (2_000_000, 3_000)])
    def test_they_are_cut_where_they_are_read(
        self, tmp_path: Path, letters: int, entries: int
    ) -> None:
        path = pdfs.long_titles(tmp_path / "t.pdf", letters, entries)
        with PdfReader(timeout=30, memory_mb=1024) as reader:
            raw = reader.read(path)
        assert 1 <= len(raw.outline) <= entries
        assert {len(title) for _, title, _ in raw.outline} == {300}
        assert len(raw.title) == 1200
        assert [len(label) for label in raw.labels] == [300]
        (page,) = read(path).pages
        assert page.text == "chapter chapter"
        assert page.label == ("chapter " * 5).strip()
        assert {len(heading.title) for heading in page.headings} == {300}

    @pytest.mark.slow
    def test_outlines_of_everything_to_one_page_end_somewhere(self, tmp_path: Path) -> None:
        (page,) = read(pdfs.long_titles(tmp_path / "t.pdf", 90, 30_000)).pages
        assert len(page.headings) == 200


class TestOneAfterAnother:
    @pytest.fixture
    def reader(self) -> Iterator[PdfReader]:
        with PdfReader(timeout=30, memory_mb=1024) as reader:
            yield reader

    def test_by_one_child(self, reader: PdfReader, tmp_path: Path) -> None:
        texts = [f"This is book {number}" for number in range(3)]
        read = [reader.read(pdfs.book(tmp_path / f"{text}.pdf", [text])) for text in texts]
        assert [[page.lines for page in book.pages] for book in read] == [[text] for text in texts]
        assert len(readers()) == 1

    @pytest.mark.slow
    @pytest.mark.parametrize("bad", [pdfs.truncated, pdfs.crash, pdfs.balloon])
    def test_a_bad_book_is_forgotten(
        self, reader: PdfReader, tmp_path: Path, bad: Callable[[Path], Path]
    ) -> None:
        with suppress(InputError):
            reader.read(bad(tmp_path / "bad.pdf"))
        (page,) = reader.read(pdfs.book(tmp_path / "good.pdf", ["good"])).pages
        assert page.lines == "good"

    @pytest.mark.slow
    def test_after_a_hang(self, tmp_path: Path) -> None:
        with PdfReader(timeout=5, memory_mb=1024) as reader:
            with pytest.raises(InputError, match="no progress for 5 seconds"):
                reader.read(pdfs.hang(tmp_path / "hang.pdf"))
            (page,) = reader.read(pdfs.book(tmp_path / "good.pdf", ["good"])).pages
        assert page.lines == "good"

    @pytest.mark.slow
    def test_a_child_that_was_killed(self, reader: PdfReader, tmp_path: Path) -> None:
        path = pdfs.lying_count(tmp_path / "l.pdf", 30_000)  # more than fits into the pipe

        def kill(done: int, total: int) -> None:
            for child in readers():
                os.kill(int(child), signal.SIGKILL)

        with pytest.raises(InputError, match=r"crashed on it \(signal SIGKILL\)"):
            reader.read(path, kill)

    @pytest.mark.slow
    def test_a_child_that_was_killed_between_books(self, reader: PdfReader, tmp_path: Path) -> None:
        path = pdfs.book(tmp_path / "b.pdf", ["good"])
        first = reader.read(path)
        (child,) = readers()
        os.kill(int(child), signal.SIGKILL)
        os.waitid(os.P_PID, int(child), os.WEXITED | os.WNOWAIT)
        assert reader.read(path) == first


class TestPagesWithProblems:
    def test_scanned_pages_are_named_and_blank_ones_are_not(self, tmp_path: Path) -> None:
        book = read(pdfs.mixed(tmp_path / "m.pdf", ["text", "scan", "blank", "text"]))
        assert [page.problem for page in book.pages] == ["", NO_TEXT, "", ""]
        assert [bool(page.text) for page in book.pages] == [True, False, False, True]

    @pytest.mark.parametrize("kind", ["private", "control", "hangul", "kotex"])
    def test_garbled(self, tmp_path: Path, kind: Any) -> None:
        good = "A good page of ordinary words"
        book = read(pdfs.garbled(tmp_path / "g.pdf", kind, good=[good]))
        assert [(page.problem, copied(page.text)) for page in book.pages] == [
            (GARBLED, ""),
            ("", good),
        ]

    def test_pages_that_cannot_be_loaded(self, tmp_path: Path) -> None:
        book = read(pdfs.lying_count(tmp_path / "l.pdf", 3))
        assert [page.problem for page in book.pages] == ["", UNREADABLE, UNREADABLE]

    def test_a_broken_label_tree_costs_only_the_labels(self, tmp_path: Path) -> None:
        """It crashes the reader, but after all of the text was read."""
        book = read(pdfs.crash(tmp_path / "c.pdf"))
        assert [page.label for page in book.pages] == [str(page.number) for page in book.pages]
        assert any(page.text for page in book.pages)


class TestRefused:
    @pytest.mark.slow
    def test_password(self, tmp_path: Path) -> None:
        assert "password" in reason(pdfs.encrypted(tmp_path / "e.pdf"))
        assert read(pdfs.encrypted(tmp_path / "o.pdf", "")).pages[0].text

    def test_no_pages(self, tmp_path: Path) -> None:
        assert reason(pdfs.no_pages(tmp_path / "n.pdf"))

    @pytest.mark.parametrize("part", [0.1, 0.6])
    def test_truncated(self, tmp_path: Path, part: float) -> None:
        assert "cut off" in reason(pdfs.truncated(tmp_path / "t.pdf", part))

    def test_too_many_pages(self, tmp_path: Path) -> None:
        assert "too many pages" in reason(pdfs.lying_count(tmp_path / "l.pdf"))

    @pytest.mark.slow
    def test_too_much_text(self, tmp_path: Path) -> None:
        few = read(pdfs.shared_text(tmp_path / "few.pdf", 3, 300_000))
        assert [page.problem for page in few.pages] == ["", "", ""]
        assert reason(pdfs.shared_text(tmp_path / "many.pdf", 1_500)) == "it has too much text"

    @pytest.mark.slow
    def test_a_book_that_is_slow_on_every_page(self, tmp_path: Path) -> None:
        """Each page is in time, all of them are not."""
        path = pdfs.shared_text(tmp_path / "s.pdf", 60, 300_000)
        message = reason(path, timeout=1.5)
        assert re.fullmatch(r"reading it takes longer than 3\.\d+ seconds in all", message)

    @pytest.mark.slow
    def test_hang(self, tmp_path: Path) -> None:
        message = reason(pdfs.hang(tmp_path / "h.pdf"), timeout=3)
        assert message == "reading it made no progress for 3 seconds"

    @pytest.mark.slow
    @pytest.mark.parametrize("kind", ["stream", "text"])
    def test_balloon(self, tmp_path: Path, kind: Any) -> None:
        message = reason(pdfs.balloon(tmp_path / "b.pdf", kind), memory_mb=300)
        assert signal.SIGABRT.name in message or "too much memory" in message

    def test_who_stops_listening_leaves_no_reader_behind(self, tmp_path: Path) -> None:
        path = pdfs.long_book(tmp_path / "b.pdf", 5, language="mixed")

        def interrupt(done: int, total: int) -> None:
            raise KeyboardInterrupt

        before = readers()
        with pytest.raises(KeyboardInterrupt):
            read_pdf(path, timeout=30, memory_mb=1024, progress=interrupt)
        assert readers() <= before
