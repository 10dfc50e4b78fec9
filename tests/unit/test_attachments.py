"""A PDF whose pages are only a cover says so: its content is in attachments or in a form."""

from pathlib import Path

import pytest
from support.raw_pdf import ONE_PAGE, document, page, stream

from bookbrain.formats.pdf import read_pdf
from bookbrain.ocr.choice import ATTACHED, FORM

COVER = "For the best experience, open this portfolio in another program."
PROSE = "\n".join(f"The thread number {n} waits for the lock of its neighbour." for n in range(60))


def problems(path: Path, data: bytes) -> list[str]:
    path.write_bytes(data)
    return [page.problem for page in read_pdf(path, timeout=30, memory_mb=1024).pages]


def made(entries: bytes, *more: bytes, text: str = COVER, pages: int = 1) -> bytes:
    """A book of pages with this text; `entries` of its catalog; `more` objects from 6 on."""
    kids = b"3 0 R " * pages
    lines = b"".join(b"(%s) Tj T* " % line.encode() for line in text.split("\n"))
    return document(
        [
            b"<< /Type /Catalog /Pages 2 0 R %s >>" % entries,
            ONE_PAGE if pages == 1 else b"<< /Type /Pages /Kids [%s] /Count %d >>" % (kids, pages),
            page(b"4 0 R", b"/Font << /F 5 0 R >>"),
            stream(b"BT /F 9 Tf 10 TL 20 750 Td %s ET" % lines, deflated=1),
            b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
            *more,
        ]
    )


def attached(name: str) -> tuple[bytes, bytes, bytes]:
    return (
        b"<< /Names [(%s) 7 0 R] >>" % name.encode(),
        b"<< /Type /Filespec /F (%s) /UF (%s) /EF << /F 8 0 R >> >>" % (2 * (name.encode(),)),
        stream(b"something", b"/Type /EmbeddedFile"),
    )


FILES = b"/Names << /EmbeddedFiles 6 0 R >>"
COLLECTION = b"/Collection << /Type /Collection /View /D >>"


@pytest.mark.parametrize("name", ["1장.pdf", "Chapter.PDF", "원고.hwp", "notes.docx"])
@pytest.mark.parametrize("entries", [FILES, FILES + COLLECTION])
def test_a_cover_over_attached_books(tmp_path: Path, entries: bytes, name: str) -> None:
    assert problems(tmp_path / "b.pdf", made(entries, *attached(name))) == [ATTACHED]


@pytest.mark.slow
def test_a_portfolio_says_so_itself(tmp_path: Path) -> None:
    entries, files = FILES + COLLECTION, attached("data.bin")
    assert problems(tmp_path / "b.pdf", made(entries, *files, text=PROSE)) == [ATTACHED]
    assert problems(tmp_path / "c.pdf", made(entries, *files, text="")) == [ATTACHED]


@pytest.mark.parametrize("name", ["example.py", "factur-x.xml", "data.csv"])
def test_what_a_short_text_brings_along_is_no_book(tmp_path: Path, name: str) -> None:
    assert problems(tmp_path / "b.pdf", made(FILES, *attached(name))) == [""]


@pytest.mark.slow
def test_a_book_with_attachments_is_one(tmp_path: Path) -> None:
    files = attached("examples.zip")
    assert problems(tmp_path / "b.pdf", made(FILES, *files, text=PROSE)) == [""]
    assert problems(tmp_path / "c.pdf", made(FILES, *files, pages=5)) == [""] * 5
    assert problems(tmp_path / "d.pdf", made(b"")) == [""]


XFA = b"/AcroForm << /Fields [] /XFA 6 0 R >>"
DATA = stream(b"<xdp:xdp xmlns:xdp='x'/>")


@pytest.mark.slow
def test_a_form_that_is_drawn_by_a_program(tmp_path: Path) -> None:
    waiting = "Please wait... If this message is not replaced, your viewer cannot show it."
    dynamic = XFA + b" /NeedsRendering true"
    for entries in (XFA, dynamic):
        assert problems(tmp_path / "b.pdf", made(entries, DATA, text=waiting)) == [FORM]
    assert problems(tmp_path / "c.pdf", made(dynamic, DATA, text=PROSE)) == [FORM]


@pytest.mark.slow
def test_a_form_on_ordinary_pages_is_text(tmp_path: Path) -> None:
    assert problems(tmp_path / "b.pdf", made(XFA, DATA, text=PROSE)) == [""]
    assert problems(tmp_path / "c.pdf", made(b"/AcroForm << /Fields [] >>")) == [""]
