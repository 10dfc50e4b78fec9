"""Pages with known words, read by the real engine: the words, and where they stand."""

from pathlib import Path

import pypdfium2 as pdfium
import pytest
from golden import scanned_books
from golden.scans import COVERED, read_pages
from support import debian_books, golden_set, pdfs, scans
from support.prose import technical_pages

from bookbrain.errors import UnavailableError
from bookbrain.ocr.page_scan import PageScan
from bookbrain.ocr.tesseract import Tesseract, find_tesseract

pytestmark = pytest.mark.slow
LINES = "\n".join(technical_pages(1, 0, "en")[0].split("\n")[:12])


@pytest.fixture(scope="module")
def engine() -> Tesseract:
    try:
        return find_tesseract()
    except UnavailableError as reason:
        pytest.skip(str(reason))


def test_scans_of_real_books(engine: Tesseract, tmp_path: Path) -> None:
    """A page of each book; the whole sample has better shares, see README.md."""
    try:
        pages = scans.sample_pages(0.01)
    except debian_books.NoBooks as reason:
        pytest.skip(str(reason))
    readings = list(read_pages(pages, "typical", engine, tmp_path))
    assert {reading.language for reading in readings} == {"ko", "en"}
    for kind, least in (("hangul", 0.90), ("latin", 0.85)):
        typed = sum(len(reading.typed[kind]) for reading in readings)
        back = sum(len(reading.typed[kind] & reading.read[kind]) for reading in readings)
        assert back >= least * typed, kind
    marks = [mark for reading in readings for mark in reading.marks]
    assert len(marks) > 500
    assert sum(mark.overlap >= COVERED for mark in marks) > 0.98 * len(marks)


def test_search_finds_scans_as_it_finds_their_books(engine: Tesseract, tmp_path: Path) -> None:
    """A few questions of both sets; all of them are in README.md."""
    try:
        books = golden_set.fetch_editions(scanned_books.BOOKS)
    except debian_books.NoBooks as reason:
        pytest.skip(str(reason))
    short = [q for q in scanned_books.own_questions() if len(q.golden.places) == 1]
    asked = [q for q in short if q.of.startswith("tuning")][::4]
    pages = scanned_books.places_of(asked)
    judged = scanned_books.judge(asked, books, pages, "typical", tmp_path)
    assert judged.keys() == {"tuning ko", "tuning en"}
    for before, after in judged.values():
        assert len(before.ids) >= 3
        assert after.hit_at_k.value >= 0.92 * before.hit_at_k.value, (before.ranks, after.ranks)


@pytest.mark.parametrize("turned", [0, 90, 180, 270])
@pytest.mark.parametrize("upright", [True, False])
def test_marks_on_pages_that_are_turned(
    engine: Tesseract, tmp_path: Path, turned: int, upright: bool
) -> None:
    """By the PDF so that they read upright, or so that they stand on a side or on their head."""
    rotate = turned if upright else 0
    crop = (20, 30, 830, 560) if rotate in (90, 270) else (20, 30, 560, 830)
    path = pdfs.book(tmp_path / "b.pdf", [LINES], rotate=rotate, cropBox=crop)
    if not upright:
        document = pdfium.PdfDocument(path.read_bytes())
        document[0].set_rotation(turned)
        document.save(path)
    check_marks(engine, path)


@pytest.mark.parametrize("askew", [-2.0, 1.5])
def test_marks_on_pages_that_are_askew(engine: Tesseract, tmp_path: Path, askew: float) -> None:
    path = pdfs.book(tmp_path / "b.pdf", [LINES])
    document = pdfium.PdfDocument(path)
    picture = document[0].render(scale=300 / 72, grayscale=True).to_pil().convert("L")
    scan = scans.Scan(picture.rotate(askew, fillcolor=255), askew)
    scanned = scans.save_book(tmp_path / "s.pdf", [scan], scans.TYPICAL)
    check_marks(engine, scanned, scans.typed_words(document, 1, askew))


def check_marks(engine: Tesseract, path: Path, typed: list[scans.TypedWord] | None = None) -> None:
    """Most words are read, and their marks stand on them."""
    typed = typed or scans.typed_words(pdfium.PdfDocument(path), 1)
    page = engine.recognise(PageScan(str(path), 1))
    marks = scans.drawn_marks(path, page, typed)
    whole = [mark for mark in marks if mark.part == mark.word]
    assert len(whole) > 0.8 * len(typed), page.text
    assert sum(mark.overlap >= COVERED for mark in marks) >= 0.99 * len(marks)
