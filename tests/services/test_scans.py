"""Scans are read by tesseract itself: from the command line, by `serve`, and back from a backup."""

import signal
from pathlib import Path

import pytest
from support.app import serving
from support.scans import easy_scan
from support.shelf import Shelf, wait_for

from bookbrain.errors import UnavailableError
from bookbrain.ocr.tesseract import find_tesseract

pytestmark = [pytest.mark.slow]


@pytest.fixture(scope="module", autouse=True)
def _tesseract() -> None:
    try:
        find_tesseract()
    except UnavailableError as error:
        pytest.skip(str(error))


def test_from_the_command_line(plain: Shelf, tmp_path: Path) -> None:
    path = easy_scan(tmp_path / "scan.pdf", "scheduler", "semaphore", "coroutine")
    added = plain.add(path)
    assert "Pages that text recognition is still to read: 3." in added.out
    assert plain.search("semaphore")["hits"] == []
    (plan,) = plain.run("ocr", "--dry-run", "--json").json()
    assert (plan["file"], plan["pages"]) == ("scan.pdf", 3)
    assert plain.run("ocr", "--pages", "2", "--json").json() == {
        "pages": 1, "unread": 0, "books": 1,
    }  # fmt: skip
    assert [hit["page"] for hit in plain.search("semaphore")["hits"]] == [2]
    (book,) = plain.books()
    assert (book["scans"], book["recognised"]) == (3, 1)
    assert "Pages read: 2." in plain.run("ocr").out
    assert "read by OCR 3 of 3 pages" in plain.run("books").out
    assert "No page has to be read" in plain.run("ocr").out
    assert "Pages read: 3." in plain.run("ocr", "--redo", "scan.pdf").out
    assert [hit["page"] for hit in plain.search("coroutine")["hits"]] == [3]
    assert plain.admin("check").code == 0


def test_the_handbook_has_a_scan_to_try_it_on(plain: Shelf, tmp_path: Path) -> None:
    """What the installer does, and the first search of the README."""
    plain.add(easy_scan(tmp_path / "scan.pdf", "scheduler"), "--sample")
    assert plain.run("ocr", "--sample", "--json").json() == {"pages": 1, "unread": 0, "books": 1}
    assert plain.run("ocr", "--sample", "--json").json()["pages"] == 0
    for query in ("chain asynchronous steps", "how do I leave out a word"):
        hits = plain.search(query)["hits"][:3]
        (scan,) = [hit for hit in hits if hit["chapter"].startswith("A page from a scanner")]
        assert "<mark>" in scan["snippet"]
        assert scan["recognised"] > 80
        assert (scan["file"], scan["page_label"]) == ("handbook.pdf", str(scan["page"] - 3))
    read = {book["file"]: book["recognised"] for book in plain.books()}
    assert read == {"handbook.pdf": 1, "scan.pdf": 0}, "nothing else was read"


def test_without_tesseract_it_says_what_to_install(plain: Shelf, tmp_path: Path) -> None:
    plain.add(easy_scan(tmp_path / "scan.pdf", "scheduler"))
    refused = plain.run("ocr", code=69, PATH="/nowhere")
    assert "apt-get install tesseract-ocr tesseract-ocr-script-hang" in refused.err
    plain.run("ocr", code=78, BOOKBRAIN_OCR="off")
    assert plain.run("read-scans", BOOKBRAIN_OCR="off").code == 0
    assert plain.run("ocr", "--pages", "0", code=2).err
    assert plain.run("ocr", "--redo", "none.pdf", code=65).err


def test_stopped_by_sigterm_it_goes_on_where_it_was(plain: Shelf, tmp_path: Path) -> None:
    words = [f"worker{chr(97 + n)}" for n in range(6)]
    plain.add(easy_scan(tmp_path / "scan.pdf", *words))
    process = plain.start("ocr")
    wait_for(lambda: plain.books()[0]["recognised"] > 0, "the first page")
    process.send_signal(signal.SIGTERM)
    plain.finish(process, -signal.SIGTERM)
    read = plain.books()[0]["recognised"]
    assert plain.run("ocr", "--json").json()["pages"] == 6 - read
    assert plain.books()[0]["recognised"] == 6


def test_serve_reads_them_by_itself(plain: Shelf, tmp_path: Path) -> None:
    plain.add(easy_scan(tmp_path / "scan.pdf", "scheduler"))
    with serving(plain) as app:
        wait_for(lambda: app.search("scheduler")["hits"], "the page")
        plain.add(easy_scan(tmp_path / "other.pdf", "semaphore"))
        wait_for(lambda: app.search("semaphore")["hits"], "the page of the other one")
        assert app.end().err == ""
    assert not plain.processes("read-scans")


def test_a_backup_comes_back_with_what_was_read(plain: Shelf, tmp_path: Path) -> None:
    plain.add(easy_scan(tmp_path / "scan.pdf", "scheduler", "semaphore"))
    plain.run("ocr")
    plain.admin("backup", "--to", str(tmp_path / "kept"))
    (archive,) = (tmp_path / "kept").glob("*.zst")
    with Shelf(tmp_path / "elsewhere") as other:
        other.admin("restore", str(archive), "--yes")
        assert [hit["page"] for hit in other.search("semaphore")["hits"]] == [2]
        assert other.run("ocr", "--dry-run", "--json").json() == []
        assert other.run("ocr", "--json").json()["pages"] == 0
        (book,) = other.books()
        other.run("remove", book["id"], "--yes")
        other.add(tmp_path / "scan.pdf")
        assert [hit["page"] for hit in other.search("semaphore")["hits"]] == [2]
        assert other.run("ocr", "--dry-run", "--json").json() == []
