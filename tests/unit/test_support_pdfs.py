"""The makers of PDFs do what they say, as pypdfium2 sees it."""

import random
import signal
import subprocess
import sys
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pypdfium2
import pytest
from support import pdfs


def texts(path: Path, password: str | None = None) -> list[str]:
    document = pypdfium2.PdfDocument(path, password=password)
    found = [page.get_textpage().get_text_range() for page in document]
    document.close()
    return found


class TestBooks:
    def test_text_title_outline_labels(self, tmp_path: Path) -> None:
        entries = [(0, "서론", 0), (1, "1.1 Why", 1), (0, "본론", 2)]
        path = pdfs.book(
            tmp_path / "b.pdf",
            ["비동기 처리\nasync def", "둘째 쪽", "셋째"],
            title="한국어 책",
            outline=entries,
            labels=["i", "ii", "1"],
        )
        document = pypdfium2.PdfDocument(path)
        toc = [(b.level, b.get_title(), b.get_dest().get_index()) for b in document.get_toc()]
        assert document.get_metadata_dict()["Title"] == "한국어 책"
        assert toc == entries
        assert [document.get_page_label(i) for i in range(3)] == ["i", "ii", "1"]
        document.close()
        assert texts(path) == ["비동기 처리\r\nasync def", "둘째 쪽", "셋째"]

    @pytest.mark.parametrize("rotate", [90, 180, 270])
    def test_rotated_reads_the_same(self, tmp_path: Path, rotate: int) -> None:
        turned = pdfs.long_book(tmp_path / "t.pdf", 2, rotate=rotate)
        document = pypdfium2.PdfDocument(turned)
        assert (document[0].get_rotation(), document[0].get_size()) == (rotate, pdfs.PAGE)
        document.close()
        assert texts(turned) == texts(pdfs.long_book(tmp_path / "s.pdf", 2))

    def test_long_books_are_the_same_every_time(self, tmp_path: Path) -> None:
        one, two = (pdfs.long_book(tmp_path / name, 20, seed=7) for name in ("1.pdf", "2.pdf"))
        assert one.read_bytes() == two.read_bytes()
        pages = texts(one)
        for index in range(20):
            assert [i for i, t in enumerate(pages) if f"{pdfs.probe(7, index)}\r" in t] == [index]
        assert min(map(len, pages)) > 800

    def test_mixed_and_scanned(self, tmp_path: Path) -> None:
        pages = texts(pdfs.mixed(tmp_path / "m.pdf", ["text", "scan", "blank", "text"]))
        assert [bool(page) for page in pages] == [True, False, False, True]
        assert texts(pdfs.scanned(tmp_path / "s.pdf", 2)) == ["", ""]

    def test_encrypted(self, tmp_path: Path) -> None:
        path = pdfs.encrypted(tmp_path / "e.pdf", "key")
        with pytest.raises(pypdfium2.PdfiumError, match="password"):
            texts(path)
        assert texts(path, "key") == ["Secret"]
        assert texts(pdfs.encrypted(tmp_path / "o.pdf", "")) == ["Secret"]

    @pytest.mark.parametrize("make", [pdfs.truncated, pdfs.no_pages])
    def test_unreadable(self, tmp_path: Path, make: Callable[[Path], Path]) -> None:
        with pytest.raises(pypdfium2.PdfiumError):
            texts(make(tmp_path / "x.pdf"))

    @pytest.mark.parametrize("kind", ["private", "control", "hangul", "shifted", "kotex"])
    def test_garbled(self, tmp_path: Path, kind: Any) -> None:
        bad, good = texts(
            pdfs.garbled(tmp_path / "g.pdf", kind, ["Kernel 커널"], good=["좋은 good"])
        )
        assert good == "좋은 good"
        assert "Kernel" not in bad
        assert ("커널" in bad) == (kind == "kotex")

    def test_odd_text(self, tmp_path: Path) -> None:
        pages = texts(pdfs.odd_text(tmp_path / "o.pdf"))
        middles = dict(zip(pdfs.ODD_LINES, (page.split("\r\n")[1] for page in pages), strict=True))
        assert middles["ligature"] == "efficient flow file"  # PDFium takes U+FB01 apart
        assert middles["emoji"] == "👩‍💻 codes 🇰🇷 👍🏽"
        assert middles["right_to_left"] == "עברית וערבית العربية"
        assert middles["nfd_hangul"] == unicodedata.normalize("NFD", "한글 자모: 비동기")
        assert middles["soft_hyphen"] == "asyn\u00adchro\u00adnous"
        assert middles["nul"] == "nul \ufffe inside"  # PDFium's own mark, also for a line's hyphen
        assert middles["lone_surrogate"] == "half  pair  here"  # pypdfium2 leaves them out

    def test_script(self, tmp_path: Path) -> None:
        path = pdfs.script(tmp_path / "s.pdf")
        document = pypdfium2.PdfDocument(path)
        titles = [bookmark.get_title() for bookmark in document.get_toc()]
        assert document.get_metadata_dict()["Title"] == titles[0] == pdfs.INJECTIONS[0]
        assert "onerror" in document.get_page_label(0)
        document.close()
        assert all(injection in texts(path)[0] for injection in pdfs.INJECTIONS)


READ = """
import resource, sys
resource.setrlimit(resource.RLIMIT_AS, (int(sys.argv[2]) << 20,) * 2)
import pypdfium2
document = pypdfium2.PdfDocument(sys.argv[1])
page = document[0]
print("loaded", flush=True)
page.get_textpage().get_text_range()
print("read", flush=True)
document.get_page_label(0)
print("done", flush=True)
"""


def read_in_child(path: Path, seconds: float = 60, megabytes: int = 2048) -> tuple[int | None, str]:
    """How the child ended (a signal is negative, None: killed at the time limit), and its words."""
    command = [sys.executable, "-c", READ, str(path), str(megabytes)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=seconds, check=False)
    except subprocess.TimeoutExpired as late:
        return None, (late.stdout or b"").decode()
    return done.returncode, done.stdout


class TestHostile:
    """With small limits; the full 60 s and 2 GB were tried by hand."""

    @pytest.mark.slow
    def test_hang(self, tmp_path: Path) -> None:
        assert read_in_child(pdfs.hang(tmp_path / "h.pdf"), seconds=1) == (None, "")
        assert read_in_child(pdfs.hang(tmp_path / "h.pdf", repeats=2))[0] == 0

    @pytest.mark.slow
    @pytest.mark.parametrize("kind", ["stream", "forms", "text"])
    def test_balloon(self, tmp_path: Path, kind: Any) -> None:
        path = pdfs.balloon(tmp_path / "b.pdf", kind)
        words = "loaded\n" if kind == "text" else ""
        assert path.stat().st_size < 300_000
        assert read_in_child(path, megabytes=400) == (-signal.SIGABRT, words)

    def test_crash(self, tmp_path: Path) -> None:
        end, words = read_in_child(pdfs.crash(tmp_path / "c.pdf"))
        assert (end, words) == (-signal.SIGSEGV, "loaded\nread\n")

    def test_lying_count(self, tmp_path: Path) -> None:
        document = pypdfium2.PdfDocument(pdfs.lying_count(tmp_path / "l.pdf", 1000))
        assert len(document) == 1000
        with pytest.raises(pypdfium2.PdfiumError):
            document[1]
        document.close()


class TestMutants:
    def test_same_for_the_same_seed(self, tmp_path: Path) -> None:
        originals = [
            pdfs.long_book(tmp_path / f"{seed}.pdf", 3, seed).read_bytes() for seed in (1, 2)
        ]
        first, again = (list(pdfs.mutations(originals, 50, seed=3)) for _ in range(2))
        assert first == again
        assert len({data for _, data in first}) == 50
        assert not {data for _, data in first} & set(originals)

    def test_even_a_byte_can_be_wounded(self) -> None:
        assert all(pdfs.mutate(b"x", random.Random(seed)) for seed in range(200))
