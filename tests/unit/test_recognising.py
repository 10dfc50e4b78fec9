"""Scans become text: which pages, in what order, kept at once, found soon, nothing read twice."""

import errno
import os
import shutil
import signal
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from threading import Barrier, Thread
from time import sleep

import pytest
from support import pdfs, raw_pdf
from support.readers_of_scans import FakeEngine, page_of, set_page, text_of_scan
from support.shelf import wait_for

from bookbrain.checks.condition import check_recognition
from bookbrain.errors import BusyError, ConfigError, UnavailableError
from bookbrain.files import file_lock
from bookbrain.formats.text import make_passages
from bookbrain.library import Library, recognition
from bookbrain.library.recognised_text import with_recognised
from bookbrain.library.recognition import Wish, recognise
from bookbrain.library.recognition_child import apply_readings
from bookbrain.model import Book, Heading, Page
from bookbrain.ocr.choice import GARBLED, NO_TEXT, PARTLY, UNREADABLE, UNTRUSTED
from bookbrain.ocr.engine import RecognisedPage
from bookbrain.ocr.pace import readers
from bookbrain.ocr.page_scan import UnreadPageError
from bookbrain.paths import CATALOG, STORE, LibraryPaths
from bookbrain.processes import Ended, run_program
from bookbrain.reports import State
from bookbrain.search.retrieval import ConnectedStores
from bookbrain.settings import Settings
from bookbrain.store.flaws import flaws, store_flaws
from bookbrain.store.folder import Stores
from bookbrain.store.recognised import Reading, UnreadPage

MIXED = ["text", "scan", "text", "scan", "blank", "scan"]


@pytest.fixture(scope="module")
def _made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A library with a scanned book of 20 pages, one with three scans in it, and one of text."""
    folder = tmp_path_factory.mktemp("made")
    with Library(Settings(folder / "library")) as library:
        library.add([
            pdfs.scanned(folder / "long.pdf", 20),
            pdfs.mixed(folder / "mixed.pdf", MIXED, seed=3),  # type: ignore[arg-type]
            pdfs.book(folder / "text.pdf", ["Herons fish here", "Cranes stand there"]),
        ])  # fmt: skip
    return folder


@pytest.fixture
def home(_made: Path, tmp_path: Path) -> Path:
    shutil.copytree(_made / "library", tmp_path / "library")
    return tmp_path / "library"


@pytest.fixture
def library(home: Path) -> Iterator[Library]:
    with Library(Settings(home)) as opened:
        yield opened


@pytest.fixture
def engine() -> FakeEngine:
    return FakeEngine()


def _book(library: Library, file: str) -> Book:
    return next(book for book in library.books() if book.file == file)


def _pages(library: Library, file: str) -> list[Page]:
    with closing(ConnectedStores(library.settings)) as stores:
        return stores.catalog.pages(_book(library, file).id)


def _finds(library: Library, query: str) -> set[tuple[str, int]]:
    return {(hit.file, hit.page) for hit in library.search(query, mode="keyword").hits}


def _is_sound(home: Path) -> bool:
    """To be asked last: whoever has read a database as a file has let go of the locks on it."""
    return not [*flaws(home / CATALOG), *flaws(home / STORE), *store_flaws(home)]


# What comes of it


@pytest.mark.slow
def test_what_is_read_is_found_and_nothing_is_read_twice(
    library: Library, home: Path, engine: FakeEngine
) -> None:
    assert _finds(library, "scan4x") == set()
    engine.read = lambda book, n: page_of(f"{text_of_scan(book, n)} 스캔한 쪽")
    report = library.recognise(engine=engine)
    assert (report.pages, report.unread, report.books, report.stopped) == (23, 0, 2, None)
    assert _finds(library, "scan17x") == {("long.pdf", 17)}
    assert {file for file, _ in _finds(library, "scan4x")} == {"long.pdf", "mixed.pdf"}
    mixed = _book(library, "mixed.pdf")
    assert (mixed.scans, mixed.recognised, mixed.problems) == (3, 3, ())
    pages = _pages(library, "mixed.pdf")
    assert [page.number for page in pages if "scan" in page.text] == [2, 4, 6]
    assert pages[1].text == f"{text_of_scan(mixed.id, 2)} 스캔한 쪽"
    assert _finds(library, "스캔한")
    assert pdfs.probe(3, 0) in pages[0].text, "a page with a text of its own keeps it"
    assert pages[4].text == ""
    engine.pages.clear()
    again = library.recognise(engine=engine)
    assert (again.pages, again.books, engine.pages) == (0, 0, [])
    assert _is_sound(home)


@pytest.mark.slow
def test_contents_come_first_then_small_books(library: Library, engine: FakeEngine) -> None:
    library.recognise(engine=engine)
    long, mixed = _book(library, "long.pdf").id, _book(library, "mixed.pdf").id
    assert {book for book, _ in engine.pages[:3]} == {mixed}
    assert sorted(engine.pages[3:18]) == [(long, n) for n in range(1, 16)]
    assert sorted(engine.pages[18:]) == [(long, n) for n in range(16, 21)]


@pytest.mark.slow
def test_it_says_how_far_it_is(library: Library, engine: FakeEngine) -> None:
    heard = []
    library.recognise(heard.append, engine=engine)
    assert [standing.done for standing in heard] == list(range(1, 24))
    assert {standing.total for standing in heard} == {23}
    assert heard[0].file == "mixed.pdf"
    assert all(standing.seconds >= 0 for standing in heard)


@pytest.mark.slow
def test_pages_are_found_while_later_ones_are_read(library: Library, engine: FakeEngine) -> None:
    seen: list[set[tuple[str, int]]] = []

    def read(book: str, number: int) -> RecognisedPage:
        if number == 20:
            with Library(library.settings) as other:
                seen.append(_finds(other, "scan15x"))
        return page_of(text_of_scan(book, number))

    engine.read = read
    library.recognise(engine=engine)
    assert seen == [{("long.pdf", 15)}]


@pytest.mark.slow
def test_the_plan_is_what_is_done(library: Library, engine: FakeEngine) -> None:
    plans = library.plan_recognition()
    assert [(plan.file, plan.pages) for plan in plans] == [("mixed.pdf", 3), ("long.pdf", 20)]
    assert [str(reason) for reason in plans[0].reasons] == [f"pages 2, 4, 6: {NO_TEXT}"]
    state = library.recognition()
    assert (state.pages, state.running) == (23, False)
    library.recognise(engine=engine)
    assert library.plan_recognition() == []
    assert (library.recognition().pages, library.recognition().note) == (0, "")


# What cannot be read


@pytest.mark.slow
def test_a_page_that_cannot_be_read_is_named_and_left(
    library: Library, engine: FakeEngine, home: Path
) -> None:
    def read(book: str, number: int) -> RecognisedPage:
        if number == 4:
            raise UnreadPageError("its picture is too large")
        return page_of() if number == 6 else page_of(text_of_scan(book, number))

    engine.read = read
    report = library.recognise(engine=engine)
    assert (report.pages, report.unread) == (23, 2)
    mixed = _book(library, "mixed.pdf")
    assert (mixed.scans, mixed.recognised) == (3, 3)
    assert [str(problem) for problem in mixed.problems] == [
        f"pages 4, 6: {NO_TEXT}",
        "page 4: not read by OCR: its picture is too large",
        "page 6: read by OCR, and no word was found",
    ]
    engine.pages.clear()
    library.recognise(engine=engine)
    assert engine.pages == []
    other = FakeEngine("a fake 2; 1.1")
    library.recognise(engine=other)
    assert {number for _, number in other.pages} == {4}, "another release may do better"
    assert [str(problem) for problem in _book(library, "mixed.pdf").problems] == [
        f"page 6: {NO_TEXT}", "page 6: read by OCR, and no word was found",
    ]  # fmt: skip
    assert _is_sound(home)


@pytest.mark.slow
def test_a_page_has_a_second_chance(library: Library, engine: FakeEngine) -> None:
    failed: set[tuple[str, int]] = set()

    def read(book: str, number: int) -> RecognisedPage:
        if number % 3 == 0 and (book, number) not in failed:
            failed.add((book, number))
            raise UnreadPageError("somebody ended its process")
        return page_of(text_of_scan(book, number))

    engine.read = read
    assert library.recognise(engine=engine).unread == 0
    assert len(failed) == 7


@pytest.mark.slow
def test_a_file_that_is_gone_says_nothing_of_its_pages(
    library: Library, engine: FakeEngine, home: Path
) -> None:
    long = _book(library, "long.pdf").id
    kept = LibraryPaths(home).book_file(long).rename(home / "aside.pdf")
    report = library.recognise(engine=engine)
    assert (report.pages, report.stopped) == (3, None)
    kept.rename(LibraryPaths(home).book_file(long))

    def read(book: str, number: int) -> RecognisedPage:
        if number > 2 and LibraryPaths(home).book_file(long).exists():
            LibraryPaths(home).book_file(long).rename(kept)
        if number > 2:
            raise UnreadPageError("it cannot be painted")
        return page_of(text_of_scan(book, number))

    engine.read = read
    library.recognise(engine=engine)
    kept.rename(LibraryPaths(home).book_file(long))
    engine.read = FakeEngine().read
    engine.pages.clear()
    assert library.recognise(engine=engine).unread == 0
    assert {number for _, number in engine.pages} >= set(range(3, 21))
    assert _book(library, "long.pdf").problems == ()


@pytest.mark.slow
def test_a_fault_that_is_no_pages_own_ends_the_work(library: Library, engine: FakeEngine) -> None:
    def read(book: str, number: int) -> RecognisedPage:
        if number == 10:
            raise OSError(errno.ENOSPC, "No space left on device")
        return page_of(text_of_scan(book, number))

    engine.read = read
    stopped = library.recognise(engine=engine).stopped
    assert stopped
    assert "full" in stopped.message
    before = set(engine.pages)
    engine.read = FakeEngine().read
    engine.pages.clear()
    assert library.recognise(engine=engine).stopped is None
    assert not before & set(engine.pages) - {
        (_book(library, "long.pdf").id, n) for n in range(1, 16)
    }
    assert _book(library, "long.pdf").recognised == 20


@pytest.mark.slow
def test_pages_that_are_read_beside_one_that_ends_the_work_are_kept(
    library: Library, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With several cores others are under way when an engine finds that it can read no page."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(6)))
    assert readers() == 5
    together = Barrier(5)

    def read(book: str, number: int) -> RecognisedPage:
        if number > 5:
            return page_of(text_of_scan(book, number))
        together.wait(30)
        if number == 2:
            raise UnavailableError("It is gone.")
        sleep(0.2 * (number == 5))  # it is under way when the other fails
        return page_of(text_of_scan(book, number))

    engine.read = read
    report = library.recognise(engine=engine, book=_book(library, "long.pdf").id)
    assert isinstance(report.stopped, UnavailableError)
    read_pages = {number for _, number in engine.pages} - {2}
    assert {1, 3, 4, 5} <= read_pages
    assert _book(library, "long.pdf").recognised == len(read_pages)


def test_without_an_engine_it_says_what_to_install(
    library: Library, monkeypatch: pytest.MonkeyPatch, home: Path
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(UnavailableError, match="apt-get install tesseract-ocr"):
        library.recognise()
    assert "apt-get install" in library.recognition().note
    with Library(replace(library.settings, ocr="off")) as off:
        with pytest.raises(ConfigError, match="BOOKBRAIN_OCR"):
            off.recognise()
        assert "BOOKBRAIN_OCR" in off.recognition().note
        assert [plan.pages for plan in off.plan_recognition()] == [3, 20]


@pytest.mark.slow
def test_who_asks_how_the_library_is_hears_of_it(
    library: Library, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    (check,) = check_recognition(library)
    assert check.is_ok
    assert "23" in check.seen
    monkeypatch.setenv("PATH", "/nowhere")
    (check,) = check_recognition(library)
    assert (check.state, "apt-get install" in check.remedy) == (State.WARN, True)
    library.recognise(engine=engine)
    assert list(check_recognition(library)) == []


# Ended in the middle


class _EndedError(BaseException):
    """As Ctrl-C, or SIGTERM."""


@pytest.mark.slow
@pytest.mark.parametrize("at", [1, 2, 5, 17])
def test_whatever_ends_it_what_was_read_is_kept_and_found(
    library: Library, engine: FakeEngine, home: Path, at: int
) -> None:
    def hear(standing: object) -> None:
        if standing.done == at:  # type: ignore[attr-defined]
            raise _EndedError

    with pytest.raises(_EndedError):
        library.recognise(hear, engine=engine)
    read = sum(book.recognised for book in library.books())
    assert read >= at
    with closing(ConnectedStores(library.settings)) as stores:
        for book in library.books():
            found = {p.number for p in stores.catalog.pages(book.id) if p.text.startswith("scan")}
            assert found == stores.embeddings.recognised.engines(book.id).keys()
    first = len(engine.pages)
    library.recognise(engine=engine)
    assert len(engine.pages) <= 23 + first - read
    assert _finds(library, "scan20x") == {("long.pdf", 20)}
    assert _is_sound(home)


@pytest.mark.slow
def test_what_a_kill_left_is_found_without_reading_it_again(
    library: Library, engine: FakeEngine, home: Path
) -> None:
    """Killed between the last page and the text of its book."""
    with closing(ConnectedStores(library.settings)) as stores:
        for book in library.books():
            for number in range(1, book.pages + 1):
                if any(
                    page.number == number and page.problem for page in _pages(library, book.file)
                ):
                    page = page_of(text_of_scan(book.id, number))
                    stores.embeddings.recognised.put(book.id, number, engine.version, page)
    report = library.recognise(engine=engine)
    assert (engine.pages, report.pages, report.books) == ([], 0, 2)
    assert _finds(library, "scan20x") == {("long.pdf", 20)}
    assert _book(library, "long.pdf").problems == ()


@pytest.mark.slow
def test_the_same_text_comes_of_it_in_whatever_portions(
    library: Library, engine: FakeEngine, _made: Path, tmp_path: Path
) -> None:
    shutil.copytree(_made / "library", tmp_path / "other")
    library.recognise(engine=engine)
    with Library(Settings(tmp_path / "other")) as other:
        for numbers in (range(18, 21), range(2, 5), range(1, 21)):
            other.recognise(engine=engine, pages=numbers)
        for file in ("long.pdf", "mixed.pdf"):
            assert _pages(other, file) == _pages(library, file)


@pytest.mark.slow
def test_one_reads_at_a_time(library: Library, engine: FakeEngine, home: Path) -> None:
    with file_lock(LibraryPaths(home).ocr_lock):
        assert library.recognition().running
        with pytest.raises(BusyError):
            library.recognise(engine=engine)
    assert not library.recognition().running


@pytest.mark.slow
def test_who_was_started_for_books_that_came_waits_for_it(
    library: Library, engine: FakeEngine, home: Path
) -> None:
    lock = LibraryPaths(home).ocr_lock

    def read() -> None:
        with Library(library.settings) as other:
            other.recognise(engine=engine, patient=True)

    with file_lock(lock):
        thread = Thread(target=read)
        thread.start()
        wait_for(lambda: _is_waited_for(lock) or not thread.is_alive(), "somebody who waits")
        assert thread.is_alive()
        assert engine.pages == []
    thread.join()
    assert len(engine.pages) == 23


def _is_waited_for(lock: Path) -> bool:
    """Whether somebody waits for a lock, as proc_locks(5) has it."""
    waiting = (line for line in Path("/proc/locks").read_text().splitlines() if "->" in line)
    return any(f":{lock.stat().st_ino} " in line for line in waiting)


@pytest.mark.slow
def test_who_adds_and_who_removes_does_not_wait(
    library: Library, engine: FakeEngine, tmp_path: Path
) -> None:
    done: list[str] = []

    def read(book: str, number: int) -> RecognisedPage:
        if number == 16:
            with Library(library.settings) as other:
                other.add([pdfs.scanned(tmp_path / "new.pdf", 2)])
                done.append("added")
                other.remove(_book(other, "text.pdf").id, seconds=30)
                done.append("removed")
        return page_of(text_of_scan(book, number))

    engine.read = read
    assert library.recognise(engine=engine).stopped is None
    assert done == ["added", "removed"]
    assert _finds(library, "scan2x") >= {("new.pdf", 2)}, "what came meanwhile has its turn"
    assert {book.file for book in library.books()} == {"long.pdf", "mixed.pdf", "new.pdf"}


@pytest.mark.slow
def test_who_works_on_books_is_not_waited_for(
    library: Library, engine: FakeEngine, home: Path
) -> None:
    with file_lock(LibraryPaths(home).worker_lock):
        assert library.recognise(engine=engine).pages == 23
    assert _book(library, "long.pdf").recognised == 20


@pytest.mark.slow
def test_a_book_that_is_removed_meanwhile_stays_so(library: Library, engine: FakeEngine) -> None:
    long = _book(library, "long.pdf").id

    def read(book: str, number: int) -> RecognisedPage:
        if number == 7:
            with Library(library.settings) as other:
                other.remove(long)
        return page_of(text_of_scan(book, number))

    engine.read = read
    assert library.recognise(engine=engine).stopped is None
    assert {book.file for book in library.books()} == {"mixed.pdf", "text.pdf"}


@pytest.mark.slow
def test_a_book_that_is_removed_while_it_is_read_again_ends_the_work(
    library: Library, engine: FakeEngine
) -> None:
    library.recognise(engine=engine)
    long = _book(library, "long.pdf").id
    engine.pages.clear()

    def read(book: str, number: int) -> RecognisedPage:
        if number == 7:
            with Library(library.settings) as other:
                other.remove(long)
        return page_of(text_of_scan(book, number))

    engine.read = read
    assert library.recognise(redo=long, engine=engine).stopped is None
    assert len(engine.pages) < 20
    assert {book.file for book in library.books()} == {"mixed.pdf", "text.pdf"}


@pytest.mark.slow
def test_a_book_whose_text_cannot_be_replaced_holds_up_no_other(
    library: Library, engine: FakeEngine, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mixed = _book(library, "mixed.pdf").id

    def killed(command: Sequence[str], *, timeout: float, given: str) -> Ended:
        if mixed in given:
            return Ended(-signal.SIGKILL, "", "")
        return run_program(command, timeout=timeout, given=given)

    with monkeypatch.context() as patched:
        patched.setattr(recognition, "run_program", killed)
        for _ in range(2):  # small books come first; the second time it is the first to be replaced
            report = library.recognise(engine=engine)
            assert report.stopped
            assert "SIGKILL" in report.stopped.message
            assert "mixed.pdf" in report.stopped.message
    assert _finds(library, "scan20x") == {("long.pdf", 20)}
    engine.pages.clear()
    assert library.recognise(engine=engine).stopped is None
    assert _finds(library, "scan6x") == {("long.pdf", 6), ("mixed.pdf", 6)}
    assert engine.pages == []
    assert _is_sound(home)


# Again


@pytest.mark.slow
def test_a_book_that_comes_again_is_read_at_once(
    library: Library, engine: FakeEngine, home: Path, _made: Path
) -> None:
    library.recognise(engine=engine)
    before = _pages(library, "mixed.pdf"), _pages(library, "long.pdf")
    for file in ("mixed.pdf", "long.pdf"):
        library.remove(_book(library, file).id)
    (plan,) = library.plan([_made / "long.pdf"])
    assert (plan.scans, plan.problems) == (0, ())
    assert plan.passages
    library.add([_made / "mixed.pdf", _made / "long.pdf"])
    assert (_pages(library, "mixed.pdf"), _pages(library, "long.pdf")) == before
    assert _finds(library, "scan20x") == {("long.pdf", 20)}
    engine.pages.clear()
    library.recognise(engine=engine)
    assert engine.pages == []
    assert _is_sound(home)


@pytest.mark.slow
def test_a_rebuild_keeps_it(library: Library, engine: FakeEngine, home: Path) -> None:
    library.recognise(engine=engine)
    before = _pages(library, "mixed.pdf"), _pages(library, "long.pdf")
    library.rebuild()
    assert (_pages(library, "mixed.pdf"), _pages(library, "long.pdf")) == before
    assert _finds(library, "scan20x") == {("long.pdf", 20)}
    assert _is_sound(home)


@pytest.mark.slow
def test_a_rebuild_takes_what_there_is(library: Library, engine: FakeEngine, home: Path) -> None:
    long = _book(library, "long.pdf").id
    with closing(ConnectedStores(library.settings)) as stores:
        for number in range(1, 21):
            page = page_of(text_of_scan(long, number))
            stores.embeddings.recognised.put(long, number, engine.version, page)
    library.rebuild()
    assert _finds(library, "scan20x") == {("long.pdf", 20)}
    assert _book(library, "long.pdf").problems == ()
    assert _is_sound(home)


@pytest.mark.slow
def test_a_book_is_read_again_when_that_is_wanted(library: Library, engine: FakeEngine) -> None:
    library.recognise(engine=engine)
    mixed = _book(library, "mixed.pdf").id
    engine.pages.clear()
    engine.read = lambda book, number: page_of(f"better{number}")
    report = library.recognise(redo="mixed.pdf", engine=engine)
    assert (report.pages, report.books) == (3, 1)
    assert sorted(engine.pages) == [(mixed, 2), (mixed, 4), (mixed, 6)]
    assert _finds(library, "better4") == {("mixed.pdf", 4)}
    assert _finds(library, "scan4x") == {("long.pdf", 4)}
    engine.pages.clear()
    library.recognise(redo=mixed, pages=[1, 2, 3], engine=engine)
    assert engine.pages == [(mixed, 2)]
    engine.read = _fails
    assert library.recognise(redo=mixed, engine=engine).unread == 3
    assert _finds(library, "better4") == {("mixed.pdf", 4)}, "what was read well stays"


def _fails(book: str, number: int) -> RecognisedPage:
    raise UnreadPageError("it cannot be painted")


@pytest.mark.slow
@pytest.mark.parametrize("go_on", ["redo", "all"])
def test_what_was_to_be_read_again_is_gone_on_with_after_any_end(
    library: Library, engine: FakeEngine, home: Path, go_on: str
) -> None:
    library.recognise(engine=engine)
    book = _book(library, "long.pdf").id
    engine.pages.clear()

    def read(book: str, number: int) -> RecognisedPage:
        if number == 18:
            raise SystemExit
        return page_of(f"better{number}")

    engine.read = read
    with pytest.raises(SystemExit):
        library.recognise(redo="long.pdf", engine=engine)
    again = {number for _, number in engine.pages} - {18}
    assert len(again) >= 17 - readers()
    assert _book(library, "long.pdf").recognised == len(again)
    assert library.recognition().pages == 20 - len(again)
    assert [plan.pages for plan in library.plan_recognition(redo=book)] == [20 - len(again)]
    assert _finds(library, "scan18x") == {("long.pdf", 18)}, "until then it has its text"
    assert _finds(library, "better1") == {("long.pdf", 1)}
    engine.pages.clear()
    engine.read = lambda book, number: page_of(f"better{number}")
    library.recognise(redo=book if go_on == "redo" else "", engine=engine)
    assert {number for _, number in engine.pages} == {*range(1, 21)} - again
    assert _finds(library, "better18") == {("long.pdf", 18)}
    assert library.recognition().pages == 0
    engine.pages.clear()
    library.recognise(redo=book, engine=engine)
    assert len(engine.pages) == 20, "now it begins anew"
    assert _is_sound(home)


@pytest.mark.slow
@pytest.mark.parametrize("version", ["a fake 1; 1.1", "a fake 1; 1.2"])
def test_what_fails_when_it_is_read_again_is_not_tried_for_ever(
    library: Library, engine: FakeEngine, home: Path, version: str
) -> None:
    library.recognise(engine=engine)
    mixed = _book(library, "mixed.pdf").id
    failing = FakeEngine(version, _fails)
    library.recognise(redo=mixed, engine=failing)
    failing.pages.clear()
    library.recognise(engine=FakeEngine(version))
    assert library.recognise(engine=failing).pages == 0
    assert _finds(library, "scan4x") == {("long.pdf", 4), ("mixed.pdf", 4)}
    assert _is_sound(home)


@pytest.mark.slow
def test_a_damaged_reading_stays_one_when_it_is_to_be_read_again(
    library: Library, engine: FakeEngine, home: Path
) -> None:
    library.recognise(engine=engine)
    library.close()
    with closing(sqlite3.connect(home / STORE)) as db, db:
        db.execute("UPDATE recognised SET content = x'00' WHERE page = 4")
    with closing(Stores(library.settings)) as stores:
        (file,) = (book.id for book in stores.catalog.books() if book.file == "mixed.pdf")
        stores.embeddings.recognised.read_again(file, [2, 4, 6])
        assert stores.embeddings.recognised.to_read_again(file) == {2, 6}
    assert store_flaws(home)


@pytest.mark.slow
def test_scans_that_came_leave_a_note_for_the_unit_that_reads(
    library: Library, home: Path, tmp_path: Path
) -> None:
    note = LibraryPaths(home).scans_came
    note.unlink()
    library.add([pdfs.book(tmp_path / "other.pdf", ["Storks nest here"])])
    assert not note.exists()
    library.add([pdfs.mixed(tmp_path / "scans.pdf", ["text", "scan"], seed=9)])
    assert note.exists()


@pytest.mark.slow
def test_only_the_pages_that_are_named(library: Library, engine: FakeEngine) -> None:
    assert library.recognise(pages=[4, 5, 18], engine=engine).pages == 4
    assert sorted(number for _, number in engine.pages) == [4, 4, 5, 18]


@pytest.mark.slow
def test_only_the_book_that_is_named(library: Library, engine: FakeEngine) -> None:
    mixed = _book(library, "mixed.pdf").id
    assert [plan.file for plan in library.plan_recognition(book=mixed)] == ["mixed.pdf"]
    assert library.recognise(book=mixed, pages=[1, 2, 3, 4], engine=engine).pages == 2
    assert library.recognise(book=mixed, engine=engine).pages == 1
    assert {book for book, _ in engine.pages} == {mixed}
    assert library.recognise(book="0" * 64, engine=engine).pages == 0


@pytest.mark.slow
def test_a_better_way_reads_again_and_keeps_the_old_until_then(
    library: Library, engine: FakeEngine, home: Path
) -> None:
    library.recognise(engine=engine)
    better = FakeEngine("a fake 1; 1.2", lambda book, number: page_of(f"better{number}"))
    seen = []

    def read(book: str, number: int) -> RecognisedPage:
        if number == 20:
            with Library(library.settings) as other:
                seen.append((_finds(other, "scan20x"), _finds(other, "better1")))
        return page_of(f"better{number}")

    better.read = read
    assert library.recognise(engine=better).pages == 23
    assert seen == [({("long.pdf", 20)}, {("long.pdf", 1)})]
    assert _finds(library, "better20") == {("long.pdf", 20)}
    assert _finds(library, "scan20x") == set()
    with closing(ConnectedStores(library.settings)) as stores:
        assert stores.embeddings.recognised.count() == 23, "the old ones are gone"
    assert library.recognise(engine=engine).pages == 0, "the older way is no better"
    assert library.recognise(engine=FakeEngine("a fake 9; 1.2")).pages == 0, "nor another release"
    assert _is_sound(home)


@pytest.mark.slow
def test_a_page_of_another_way_that_a_kill_left_is_taken_too(
    library: Library, engine: FakeEngine
) -> None:
    library.recognise(engine=engine)
    mixed = _book(library, "mixed.pdf").id
    better = FakeEngine("a fake 1; 1.2", lambda book, number: page_of(f"better{number}"))
    with closing(ConnectedStores(library.settings)) as stores:
        stores.embeddings.recognised.put(mixed, 2, better.version, page_of("better2"))
    library.recognise(pages=[3], engine=better)
    assert _finds(library, "better2") == {("mixed.pdf", 2)}


@pytest.mark.slow
def test_what_changed_is_embedded_only_when_somebody_says_so(
    library: Library, engine: FakeEngine
) -> None:
    with closing(ConnectedStores(library.settings)) as stores:
        for book in library.books():
            stores.catalog.set_embedded(book.id, "m/2", {})
    library.recognise(engine=engine)
    with closing(ConnectedStores(library.settings)) as stores:
        embedded = {b.file: stores.catalog.is_embedded(b.id, "m/2") for b in library.books()}
    assert embedded == {"long.pdf": False, "mixed.pdf": False, "text.pdf": True}


@pytest.mark.slow
def test_a_library_that_is_exchanged_meanwhile_is_not_written_to(
    home: Path, engine: FakeEngine
) -> None:
    def read(book: str, number: int) -> RecognisedPage:
        if number == 9:
            shutil.copy(home / STORE, home / "copy")
            (home / "copy").replace(home / STORE)
        return page_of(text_of_scan(book, number))

    engine.read = read
    with closing(ConnectedStores(Settings(home))) as stores:
        stopped = recognise(stores, engine, Wish()).stopped
    assert isinstance(stopped, BusyError)


@pytest.mark.slow
def test_a_page_that_was_readable_in_part_is_made_anew_of_its_own_text(
    library: Library, engine: FakeEngine, tmp_path: Path
) -> None:
    prose = [f"The clock of node {n} waits for the queue of node {n + 1}." for n in range(30)]
    code = "for (Account a : accounts) { a.close(clock.instant()); } return audit(accounts); "
    path = tmp_path / "partly.pdf"
    path.write_bytes(raw_pdf.two_fonts(prose, [code] * 3))
    library.add([path])
    (before,) = _pages(library, "partly.pdf")
    assert before.problem == PARTLY
    engine.read = lambda book, number: page_of(prose[3], "a.close(clock.instant());")
    library.recognise(engine=engine)
    (once,) = _pages(library, "partly.pdf")
    assert once.text == f"{before.text}\na.close(clock.instant());"
    library.recognise(redo="partly.pdf", engine=engine)
    assert _pages(library, "partly.pdf") == [once]
    engine.read = lambda book, number: page_of("b.open();")
    library.recognise(redo="partly.pdf", engine=engine)
    assert _pages(library, "partly.pdf")[0].text == f"{before.text}\nb.open();"


# The numbers on pages


_PRINTED = ["1", "2", *map(str, range(1, 19))]


def _numbered(book: str, number: int) -> RecognisedPage:
    """From page 3 on with a number in its foot, 1 and so on."""
    return set_page(text_of_scan(book, number), "and more", f"\t{number - 2}" if number > 2 else "")


def _labels(library: Library, file: str) -> list[str]:
    return [page.label for page in _pages(library, file)]


@pytest.mark.slow
def test_pages_are_called_by_the_numbers_printed_on_them(
    library: Library, engine: FakeEngine, home: Path
) -> None:
    engine.read = _numbered
    library.recognise(engine=engine, pages=range(1, 7))
    assert _labels(library, "long.pdf") == [str(n) for n in range(1, 21)], "that is too few"
    library.recognise(engine=engine, pages=range(10, 21))
    assert _labels(library, "long.pdf") == _PRINTED, "those between are counted"
    library.recognise(engine=engine)
    assert _labels(library, "long.pdf") == _PRINTED
    (hit,) = library.search("scan20x", mode="keyword").hits
    assert (hit.page, hit.page_label) == (20, "18")
    assert _labels(library, "mixed.pdf") == [str(n) for n in range(1, 7)]
    assert _is_sound(home)


@pytest.mark.slow
def test_the_numbers_stay_until_a_better_reading_says_otherwise(
    library: Library, engine: FakeEngine, home: Path, _made: Path
) -> None:
    engine.read = _numbered
    library.recognise(engine=engine)
    before = _pages(library, "long.pdf")
    assert [page.label for page in before] == _PRINTED
    library.rebuild()
    assert _pages(library, "long.pdf") == before
    library.remove(_book(library, "long.pdf").id)
    library.add([_made / "long.pdf"])
    assert _pages(library, "long.pdf") == before
    engine.read = FakeEngine().read
    library.recognise(redo="long.pdf", engine=engine)
    assert _labels(library, "long.pdf") == [str(n) for n in range(1, 21)], "they were no numbers"
    assert _is_sound(home)


def test_a_file_that_says_what_is_printed_knows_it_better() -> None:
    readings = {n: _numbered("book", n) for n in range(1, 31)}
    pages = [Page(n, str(n), "", "", (), NO_TEXT) for n in range(1, 31)]
    assert [page.label for page in with_recognised(pages, readings)[2:]] == [
        str(n) for n in range(1, 29)
    ]
    own = [replace(page, label=f"A-{page.number}") for page in pages]
    assert [page.label for page in with_recognised(own, readings)] == [page.label for page in own]


@pytest.mark.slow
def test_what_can_be_read_no_more_stays(
    library: Library, engine: FakeEngine, home: Path, caplog: pytest.LogCaptureFixture
) -> None:
    library.recognise(engine=engine, pages=[2])
    mixed = _book(library, "mixed.pdf").id
    before = _pages(library, "mixed.pdf")
    LibraryPaths(home).book_file(mixed).write_bytes(b"%PDF-1.4 cut off")
    with closing(Stores(Settings(home))) as stores:
        stores.embeddings.recognised.put(mixed, 4, engine.version, page_of("scan4x"))
        assert not apply_readings(stores, mixed, [4])
    assert _pages(library, "mixed.pdf") == before
    assert "cannot be read again" in caplog.text


# The text of a page


@pytest.mark.parametrize("problem", [NO_TEXT, GARBLED, UNTRUSTED])
def test_what_was_recognised_takes_the_place_of_what_there_was(problem: str) -> None:
    page = Page(1, "1", "Before", "rubbish", (Heading(0, "1. 스캔"),), problem)
    (made,) = with_recognised([page], {1: page_of("a first line", "1. 스캔", "of a page")})
    assert made.problem == ""
    assert "rubbish" not in made.text
    assert made.headings == (Heading(made.text.index("1. 스캔"), "1. 스캔"),)
    assert (made.label, made.chapter) == ("1", "Before")


def test_a_page_that_is_readable_in_part_gets_what_it_lacks() -> None:
    own = "The lock waits for the queue.\n\x01\x02\x03"
    page = Page(1, "1", "", own, (), PARTLY)
    reading = page_of("The lock waits for the queue.", "pthread_mutex_lock(&lock);")
    (made,) = with_recognised([page], {1: reading})
    assert made.text == f"{own}\npthread_mutex_lock(&lock);"
    assert made.problem == ""


@pytest.mark.parametrize(
    ("problem", "reading"),
    [("", page_of("read")), (UNREADABLE, page_of("read")), (NO_TEXT, page_of()),
     (NO_TEXT, UnreadPage("it takes too long")), (NO_TEXT, None)],
)  # fmt: skip
def test_a_page_stays_as_it_is(problem: str, reading: Reading | None) -> None:
    page = Page(1, "1", "", "its own", (), problem)
    assert with_recognised([page], {1: reading} if reading else {}) == (page,)
    assert make_passages([page])
