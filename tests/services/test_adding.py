"""What `bookbrain add` makes of good files, bad files and odd names."""

import os
import signal
import unicodedata
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from support import debian_books, pdfs
from support.openai_process import OpenAIProcess
from support.shelf import Shelf, wait_for

BOOK_KEYS = [
    "id", "title", "file", "pages", "passages", "added_at", "problems", "scans", "recognised",
    "edition",
]  # fmt: skip


def _text(path: Path) -> Path:
    path.write_text("Not a PDF at all.\n" * 100)
    return path


def _empty(path: Path) -> Path:
    path.touch()
    return path


def _folder(path: Path) -> Path:
    path.mkdir()
    (path / "notes.txt").write_text("no book")
    return path


BAD: dict[str, tuple[Callable[[Path], Path], str, str]] = {
    "missing.pdf": (lambda path: path, "there is no such file or folder", "Check the path."),
    "folder": (_folder, "there is no PDF in this folder", "Name a folder"),
    "text.pdf": (_text, "it is not a PDF", "convert it"),
    "empty.pdf": (_empty, "it is empty", "Get the file again."),
    "truncated.pdf": (pdfs.truncated, "not a readable PDF (cut off or damaged)", "Get the file"),
    "locked.pdf": (pdfs.encrypted, "protected by a password", "Save a copy without"),
    "none.pdf": (pdfs.no_pages, "it ", "Get the file again."),
}
HOSTILE: dict[str, tuple[Callable[[Path], Path], str, dict[str, str]]] = {
    "hang": (pdfs.hang, "no progress for 3 seconds", {"BOOKBRAIN_READ_TIMEOUT": "3"}),
    "stream": (pdfs.balloon, "emory", {"BOOKBRAIN_READ_MEMORY": "400"}),
    "forms": (lambda p: pdfs.balloon(p, "forms"), "emory", {"BOOKBRAIN_READ_MEMORY": "400"}),
    "text": (lambda p: pdfs.balloon(p, "text"), "emory", {"BOOKBRAIN_READ_MEMORY": "400"}),
}


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shelf]:
    """One library for what leaves no trace in it."""
    with Shelf(tmp_path_factory.mktemp("shared") / "library") as shelf:
        yield shelf


@pytest.mark.slow
@pytest.mark.parametrize("name", BAD)
def test_a_bad_file_gets_one_line(name: str, shared: Shelf, tmp_path: Path) -> None:
    make, reason, hint = BAD[name]
    path = make(tmp_path / name)
    done = shared.add(path, code=65)
    (line,) = done.err.splitlines()
    assert line.startswith(f"not added  {path}: ")
    assert reason in line
    assert hint in line
    assert "0 added, 0 already there, 1 not added." in done.out


@pytest.mark.slow
@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_pdf_costs_only_itself(
    name: str, plain: Shelf, tmp_path: Path, english: list[Path]
) -> None:
    make, reason, limits = HOSTILE[name]
    path = make(tmp_path / f"{name}.pdf")
    done = plain.add(english[0], path, english[1], code=1, **limits)
    (line,) = done.err.splitlines()
    assert line.startswith(f"not added  {path}: ")
    assert reason in line
    assert "2 added, 0 already there, 1 not added." in done.out
    assert not plain.processes()


@pytest.mark.slow
def test_a_reader_that_crashes_costs_only_its_book(
    plain: Shelf, tmp_path: Path, english: list[Path]
) -> None:
    path = pdfs.hang(tmp_path / "crash.pdf")
    digest = sha256(path.read_bytes()).hexdigest()
    process = plain.start("add", english[0], path, english[1])
    wait_for(lambda: plain.readers(f"{digest}.pdf"), "the reader")
    (reader,) = plain.readers(f"{digest}.pdf")
    os.kill(reader, signal.SIGSEGV)
    done = plain.finish(process, code=1)
    (line,) = done.err.splitlines()
    assert line.startswith(f"not added  {path}: the PDF reader crashed on it (signal SIGSEGV). ")
    assert "2 added, 0 already there, 1 not added." in done.out


@pytest.mark.slow
def test_the_good_ones_of_a_command_are_added(
    plain: Shelf, tmp_path: Path, english: list[Path]
) -> None:
    bad = [make(tmp_path / name) for name, (make, *_) in BAD.items()]
    done = plain.add(*bad[:4], english[0], *bad[4:], english[1], code=1)
    assert len(done.err.splitlines()) == len(bad)
    assert f"2 added, 0 already there, {len(bad)} not added." in done.out
    assert {book["file"] for book in plain.books()} == {"book1.pdf", "book2.pdf"}
    files = sorted(path.name for path in (plain.home / "books").glob("*.pdf"))
    assert files == sorted(f"{book['id']}.pdf" for book in plain.books())


class TestPagesThatDoNotRead:
    @pytest.mark.slow
    def test_scanned_and_garbled_pages_are_named(self, plain: Shelf, tmp_path: Path) -> None:
        part = pdfs.mixed(tmp_path / "part.pdf", ["text", "scan", "scan", "blank", "text", "scan"])
        noise = pdfs.garbled(tmp_path / "noise.pdf", pages=["", ""], good=["A good page here."])
        scan = pdfs.scanned(tmp_path / "scan.pdf", 2)
        done = plain.add(part, noise, scan)
        named = {book["file"]: book["problems"] for book in plain.books()}
        assert named == {
            "part.pdf": ["pages 2-3, 6: no text (a scan)"],
            "noise.pdf": ["pages 1-2: garbled text (a broken character map)"],
            "scan.pdf": ["pages 1-2: no text (a scan)"],
        }
        listed = plain.run("books").out
        for problems in named.values():
            assert problems[0] in done.out
            assert problems[0] in listed
        hits = plain.search(pdfs.probe(0, 4))["hits"]
        assert hits[0]["page"] == 5

    @pytest.mark.slow
    def test_a_real_book_with_a_broken_character_map(self, plain: Shelf) -> None:
        (book,) = (
            b for b in debian_books.books("texlive-lang-korean") if b.name == "kotex-doc.pdf"
        )
        assert "garbled text (a broken character map)" in plain.add(book).out
        (kept,) = plain.books()
        assert kept["passages"] > 0


class TestOneBook:
    @pytest.mark.slow
    def test_again_and_under_another_name(
        self, plain: Shelf, tmp_path: Path, english: list[Path]
    ) -> None:
        plain.add(english[0])
        renamed = tmp_path / "renamed.pdf"
        renamed.write_bytes(english[0].read_bytes())
        # A reader that may use 1 MB reads nothing: what is known is not read again.
        done = plain.add(english[0], renamed, BOOKBRAIN_READ_MEMORY="1")
        assert "0 added, 2 already there." in done.out
        assert [book["file"] for book in plain.books()] == ["book1.pdf"]

    @pytest.mark.slow
    def test_from_two_shells_at_once(
        self, shelf: Shelf, openai: OpenAIProcess, tmp_path: Path, english: list[Path]
    ) -> None:
        renamed = tmp_path / "renamed.pdf"
        renamed.write_bytes(english[0].read_bytes())
        both = [shelf.start("add", english[0], english[1]), shelf.start("add", renamed)]
        done = [shelf.finish(process) for process in both]
        assert sum(int(d.out.split(" added")[0].split()[-1]) for d in done) == 2
        assert len(shelf.books()) == 2
        assert set(openai.requested.values()) == {1}


NAMES = (
    "a name with  spaces.pdf",
    unicodedata.normalize("NFC", "한글 이름.pdf"),
    unicodedata.normalize("NFD", "자모 이름.pdf"),
    "two\nlines.pdf",
    "\x1b[31mred\x1b[0m.PDF",
    "-dash.pdf",
    "[bold]rich.pdf",
)


@pytest.mark.slow
def test_folders_are_searched_and_odd_names_kept(plain: Shelf, tmp_path: Path) -> None:
    top = tmp_path / "shelf"
    for number, name in enumerate(NAMES):
        folder = top / f"{number}" / "deeper and deeper"
        folder.mkdir(parents=True)
        pdfs.book(folder / name, [f"The page of number{number} is here."])
    (top / ".trash").mkdir()
    pdfs.book(top / ".trash" / "deleted.pdf", ["deleted"])
    pdfs.book(top / ".hidden.pdf", ["hidden"])
    done = plain.add(top)
    assert f"{len(NAMES)} added" in done.out
    assert len(done.out.splitlines()) == len(NAMES) + 2, "a line a book, the sum, the advice"
    kept = sorted(unicodedata.normalize("NFC", name) for name in NAMES)
    assert sorted(book["file"] for book in plain.books()) == kept
    for screen in (done.out, plain.run("books").out, plain.run("search", "number3").out):
        assert "\x1b[31m" not in screen
        assert "two\nlines" not in screen
    assert len(plain.run("books").out.splitlines()) == len(NAMES)
    for name in (NAMES[1], NAMES[2]):  # whichever way the keyboard spells it
        for form in ("NFC", "NFD"):
            hits = plain.search("page", "--book", unicodedata.normalize(form, name))["hits"]
            assert [hit["file"] for hit in hits] == [unicodedata.normalize("NFC", name)]


@pytest.mark.slow
def test_a_name_that_is_not_utf8_stops_nothing(
    plain: Shelf, tmp_path: Path, english: list[Path]
) -> None:
    folder = tmp_path / "old"
    folder.mkdir()
    name = os.fsdecode("책.pdf".encode("euc-kr"))
    (folder / name).write_bytes(english[1].read_bytes())
    (folder / "good.pdf").write_bytes(english[0].read_bytes())
    done = plain.add(folder, code=None)
    assert done.code in (0, 1)
    assert "good.pdf" in [book["file"] for book in plain.books()]
    assert done.code == 0 or len(done.err.splitlines()) == 1
    assert plain.run("add", "--json", folder, code=None).json()


def _everything(home: Path) -> dict[str, bytes | None]:
    return {
        str(path.relative_to(home)): path.read_bytes() if path.is_file() else None
        for path in home.rglob("*")
    }


class TestDryRun:
    @pytest.mark.slow
    def test_changes_nothing(
        self, shelf: Shelf, openai: OpenAIProcess, tmp_path: Path, english: list[Path]
    ) -> None:
        shelf.add(english[0], OPENAI_API_KEY="", OPENAI_BASE_URL="")
        before = _everything(shelf.home)
        done = shelf.add("--dry-run", *english, _text(tmp_path / "text.pdf"), code=1)
        assert "already there    book1.pdf" in done.out
        assert "would be added   book2.pdf: Manual 2 (8 pages, " in done.out
        assert "In all 16 pages, " in done.out
        assert "tokens, $0.00" in done.out
        assert "text.pdf: it is not a PDF" in done.err
        assert _everything(shelf.home) == before
        assert not openai.requests

    @pytest.mark.slow
    def test_json(self, plain: Shelf, english: list[Path]) -> None:
        (plan,) = plain.run("add", "--dry-run", "--json", english[0]).json()
        assert plan.pop("tokens") > 100
        assert plan == {
            "file": "book1.pdf", "title": "Manual 1", "pages": 8, "passages": plan["passages"],
            "known": False, "reason": "", "hint": "", "problems": [], "scans": 0,
            "scan_seconds": 0, "scan_trouble": "", "namesake": "",
        }  # fmt: skip

    @pytest.mark.slow
    def test_names_what_text_recognition_has_to_read(self, plain: Shelf, tmp_path: Path) -> None:
        scan = pdfs.mixed(tmp_path / "scan.pdf", ["text", "scan", "scan", "blank", "scan"])
        done = plain.add("--dry-run", scan)
        assert "! pages 2-3, 5: no text (a scan)" in done.out
        assert "text recognition can read: 3. That takes about a minute." in done.out
        (plan,) = plain.run("add", "--dry-run", "--json", scan).json()
        assert plan["problems"] == ["pages 2-3, 5: no text (a scan)"]
        assert plan["scans"] == 3
        assert plan["scan_seconds"] > 0

    @pytest.mark.slow
    def test_says_what_to_install_for_it(self, plain: Shelf, tmp_path: Path) -> None:
        scan = pdfs.scanned(tmp_path / "scan.pdf")
        done = plain.add("--dry-run", scan, PATH=str(tmp_path))
        assert "pages 1-3: no text (a scan)" in done.out
        assert "only text recognition can read: 3. tesseract, which reads scanned" in done.out
        assert "apt-get install tesseract-ocr tesseract-ocr-script-hang" in done.out


@pytest.mark.slow
def test_json_shapes_and_remove(plain: Shelf, tmp_path: Path, english: list[Path]) -> None:
    assert plain.run("books", "--json").json() == []
    text = _text(tmp_path / "text.pdf")
    outcomes: list[dict[str, Any]] = plain.run("add", "--json", english[0], text, code=1).json()
    assert [list(o) for o in outcomes] == [
        ["path", "status", "book", "reason", "hint", "tokens", "namesakes"] for _ in range(2)
    ]
    assert [o["status"] for o in outcomes] == ["added", "failed"]
    assert outcomes[0]["path"] == str(english[0])
    (book,) = plain.books()
    assert list(book) == BOOK_KEYS
    assert book == outcomes[0]["book"]
    assert (book["file"], book["title"], book["pages"]) == ("book1.pdf", "Manual 1", 8)
    assert len(book["id"]) == 64

    assert "There is no book 'nowhere'" in plain.run("remove", "nowhere", "--yes", code=65).err
    assert plain.run("remove", book["id"][:12], code=1).err, "nobody said yes"
    assert plain.books() == [book]
    assert "Removed Manual 1." in plain.run("remove", book["id"][:12], "--yes").out
    assert plain.books() == []
    assert not any((plain.home / "books").glob("*.pdf"))
    assert plain.search("lock")["hits"] == []
    assert "1 added" in plain.add(english[0]).out
