"""Files on their way into the inbox, and the copies that a command makes there."""

import io
import logging
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support import pdfs

from bookbrain.config import Settings
from bookbrain.errors import BookBrainError, InputError, UnavailableError
from bookbrain.library import AddReport, Library, Outcome
from bookbrain.library.arrivals import (
    Look,
    Patience,
    Rejection,
    arrivals,
    empty_folders,
    is_whole,
    look_at,
    reason_file,
    rejections,
)
from bookbrain.library.inbox import ingest, open_inbox
from bookbrain.library.staging import Source, add_sources, copy_into, open_sources, plan_sources

QUICK = Patience(settle=0.02, stray=0.2, upload=0.5, look=0.05, folder=0.1)
WHOLE = b"%PDF-1.7\n" + b"x" * 3000 + b"\n%%EOF\n"
HEAD = b"%PDF-1.7\n" + b"x" * 3000
LINEAR = b"%PDF-1.7\n1 0 obj << /Linearized 1 /L 9000 >> endobj\n%%EOF\n" + b"x" * 3000


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "library" / "inbox").mkdir(parents=True)
    return tmp_path / "library"


@pytest.fixture
def inbox(home: Path) -> Path:
    return home / "inbox"


@pytest.fixture
def library(home: Path) -> Iterator[Library]:
    with Library(Settings(home)) as opened:
        yield opened


@pytest.fixture
def book(tmp_path: Path) -> Path:
    return pdfs.book(tmp_path / "book.pdf", ["The lock waits for the queue."] * 2, title="Locks")


def _put(path: Path, data: bytes = WHOLE, age: float = 0.0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    os.utime(path, (time.time() - age, time.time() - age))
    return path


# What has arrived


def test_what_counts_as_arrived(inbox: Path) -> None:
    for name in (
        "b.pdf",
        "A.PDF",
        "notes.txt",
        "deep/er/c.Pdf",
        "rejected.pdf",
        "a/rejected/d.pdf",
    ):
        _put(inbox / name)
    for name in (
        "x.pdf.part", "x.tmp", "x.pdf.filepart", "x.pdf.CRDOWNLOAD", ".hidden.pdf", ".d/e.pdf",
        "deep/cover.jpg", "deep/.c.pdf", "rejected/f.pdf",
    ):  # fmt: skip
        _put(inbox / name)
    (inbox / "empty" / "below").mkdir(parents=True)
    names = [path.relative_to(inbox).as_posix() for path in arrivals(inbox)]
    assert sorted(names) == [
        "A.PDF", "a/rejected/d.pdf", "b.pdf", "deep/er/c.Pdf", "notes.txt", "rejected.pdf",
    ]  # fmt: skip
    assert empty_folders(inbox) == [inbox / "empty" / "below"]
    assert arrivals(inbox / "none") == rejections(inbox / "none") == []


@pytest.mark.parametrize(
    ("data", "age", "whole"),
    [
        (WHOLE, 0, True),
        (WHOLE + b"\0" * 60_000, 0, True),
        (HEAD, 0, False),
        (HEAD, 55, False),
        (HEAD, 61, True),
        (HEAD, -30, False),
        (WHOLE + HEAD * 40, 0, False),
        (LINEAR, 0, False),
        (LINEAR.ljust(9000), 0, True),
        (LINEAR.ljust(9500), 0, True),
        (b"", 0, False),
        (b"", 9, True),
        (b"no PDF", 9, True),
        (b"\0" * 5000, 0, False),
        (b"PK\3\4" * 1000, 0, True),
    ],
)
def test_when_a_file_that_rests_is_whole(
    data: bytes, age: float, whole: bool, tmp_path: Path
) -> None:
    path = _put(tmp_path / "x.pdf", data, age)
    assert is_whole(path, _look(path, resting=3), Patience()) is whole
    assert is_whole(path, _look(path, resting=61), Patience())
    assert not is_whole(path, _look(path, resting=1.9), Patience())


def _look(path: Path, resting: float) -> Look:
    look = look_at(path)
    assert look
    return Look(look.size, look.changed_ns, look.inode, look.mode, look.since - resting)


def test_a_look_remembers_since_when(tmp_path: Path) -> None:
    path = _put(tmp_path / "x.pdf", HEAD, age=100)
    first = look_at(path)
    assert first
    assert look_at(path, first) is first
    os.utime(path)
    assert look_at(path, first) is not first
    path.unlink()
    assert look_at(path, first) is None
    path.symlink_to("nowhere")
    assert look_at(path)


# Taking it


def _ingest(library: Library, patience: Patience = QUICK) -> BookBrainError | None:
    return ingest(library, patience)


def test_odd_names_and_odd_things_are_rejected(
    library: Library, inbox: Path, book: Path, caplog: pytest.LogCaptureFixture
) -> None:
    long = "긴" * 83 + ".pdf"  # 253 bytes
    latin = os.fsdecode(b"caf\xe9.pdf")
    for name in (long, latin, "a/same.pdf", "b/same.pdf", "line\nbreak.pdf"):
        _put(inbox / name, b"no PDF" * 1000)
    (inbox / "dangling.pdf").symlink_to("nowhere")
    os.mkfifo(inbox / "pipe.pdf")
    _put(inbox / "rejected" / "a" / "same.pdf", b"older")
    with caplog.at_level(logging.INFO, "bookbrain"):
        assert _ingest(library) is None
    assert arrivals(inbox) == []
    rejected = {r.file: r for r in rejections(inbox)}
    assert rejected.keys() == {
        long, "caf?.pdf", "a/same.pdf", "b/same.pdf", "line\nbreak.pdf", "dangling.pdf", "pipe.pdf"
    }  # fmt: skip
    assert rejected["caf?.pdf"].reason == "its name is not in UTF-8"
    assert rejected[long] == Rejection(
        long, "it is not a PDF", "BookBrain reads PDF files; convert it first."
    )
    assert (inbox / "rejected" / "a" / "same.pdf").read_bytes() == b"no PDF" * 1000
    assert (inbox / "rejected" / "pipe.pdf").is_fifo()
    assert all("\n" not in record.getMessage() for record in caplog.records)
    assert not (inbox / "a").exists()


def test_a_link_goes_and_what_it_leads_to_stays(library: Library, inbox: Path, book: Path) -> None:
    (inbox / "link.pdf").symlink_to(book)
    assert _ingest(library) is None
    assert book.exists()
    assert [found.file for found in library.books()] == ["link.pdf"]
    assert arrivals(inbox) == []


def test_a_reason_stands_beside_its_file(tmp_path: Path) -> None:
    assert reason_file(tmp_path / "x.pdf") == tmp_path / "x.pdf.reason.txt"
    name = reason_file(tmp_path / ("가" * 85)).name
    assert len(name.encode()) <= 250
    _put(tmp_path / "rejected" / "x.pdf")
    assert rejections(tmp_path) == [Rejection("x.pdf", "", "")]


class FakeLibrary:
    """Says what `adds` says of each path."""

    def __init__(self, home: Path, adds: Callable[[Path], AddReport]) -> None:
        self.settings = Settings(home)
        self.added: list[Path] = []
        self._adds = adds

    def unfinished(self) -> int:
        return 0

    def waiting(self) -> tuple[int, str]:
        return 0, ""

    def add(self, paths: list[Path], progress: object) -> AddReport:
        self.added += paths
        return self._adds(paths[0])


def _outcome(path: Path, status: str = "known", reason: str = "") -> AddReport:
    return AddReport((Outcome(str(path), status, None, reason, "Hint."),))


def test_a_file_that_changes_while_it_is_taken_is_taken_again(home: Path, inbox: Path) -> None:
    path = _put(inbox / "x.pdf")

    def add(given: Path) -> AddReport:
        if len(library.added) < 3:
            given.write_bytes(WHOLE * (len(library.added) + 1))
            return _outcome(given, "failed", "it changed while it was read")
        return _outcome(given)

    library = FakeLibrary(home, add)
    assert _ingest(library) is None
    assert library.added == [path] * 3
    assert not path.exists()
    assert rejections(inbox) == []


def test_a_fault_of_no_book_ends_the_work(home: Path, inbox: Path) -> None:
    paths = [_put(inbox / "a.pdf"), _put(inbox / "b.pdf")]
    fault = UnavailableError("Chroma is gone.")
    library = FakeLibrary(home, lambda path: AddReport((), fault))
    assert _ingest(library) is fault
    assert library.added == paths[:1]
    assert arrivals(inbox) == paths


def test_what_cannot_be_moved_is_said_once(
    home: Path, inbox: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = _put(inbox / "deep" / "a.pdf", b"no PDF" * 1000)
    (inbox / "rejected").touch()  # no folder
    library = FakeLibrary(home, lambda path: _outcome(path, "failed", "it is no book"))
    assert _ingest(library) is None
    assert path.exists()
    left = [r.getMessage() for r in caplog.records if r.getMessage().startswith("left ")]
    assert len([line for line in left if "a.pdf" in line]) == 1
    assert library.added.count(path) == 1


def test_the_inbox_is_swept_of_what_a_killed_command_left(home: Path, inbox: Path) -> None:
    kept = _put(inbox / ".part"), _put(inbox / "upload.part")
    left = _put(inbox / ".bookbrain-123.part")
    with open_inbox(home) as opened:
        assert opened == inbox
    assert not left.exists()
    assert all(path.exists() for path in kept)


# Copies


def _opened(tmp_path: Path, name: str, data: bytes = WHOLE) -> Source:
    path = tmp_path / "given"
    path.write_bytes(data)
    return Source(Path("/given") / name, path.open("rb"))


def test_a_copy_keeps_its_name_and_replaces_nothing(tmp_path: Path, inbox: Path) -> None:
    copies = []
    for data in (b"one", b"two", b"one", b"three", b"two"):
        source = _opened(tmp_path, "a.b.pdf", data)
        with source.file:
            copies.append((copy_into(inbox, source).name, data))
    assert copies == [
        ("a.b.pdf", b"one"), ("a.b (2).pdf", b"two"), ("a.b.pdf", b"one"),
        ("a.b (3).pdf", b"three"), ("a.b (2).pdf", b"two"),
    ]  # fmt: skip
    assert all((inbox / name).read_bytes() == data for name, data in copies)
    assert len(list(inbox.iterdir())) == 3


def test_a_copy_with_the_longest_name(tmp_path: Path, inbox: Path) -> None:
    name = "가" * 83 + "ab.pdf"  # 255 bytes
    (inbox / name).mkdir()
    source = _opened(tmp_path, name)
    with source.file:
        copy = copy_into(inbox, source)
    assert copy.name == "가" * 82 + " (2).pdf"


def test_a_copy_that_fails_leaves_nothing(tmp_path: Path, inbox: Path) -> None:
    class Broken(io.FileIO):
        def read(self, size: int = -1) -> bytes:
            raise OSError(5, "Input/output error")

    _put(tmp_path / "x.pdf")
    with Broken(tmp_path / "x.pdf") as file, pytest.raises(InputError) as failed:
        copy_into(inbox, Source(tmp_path / "x.pdf", file))
    assert failed.value.message == "it cannot be read (Input/output error)"
    assert list(inbox.iterdir()) == []


def test_sources_are_named_as_they_were_given(
    library: Library, inbox: Path, tmp_path: Path, book: Path
) -> None:
    given = tmp_path / "given"
    twin = _put(given / "twin" / "book.pdf", book.read_bytes())
    bad = _put(given / "bad.pdf", b"no" * 1000)
    other = _put(inbox / "book.pdf", b"somebody else's")
    (given / "pipe.pdf").parent.mkdir(exist_ok=True)
    os.mkfifo(given / "pipe.pdf")
    with open_sources([book, given, "none.pdf"]) as sources:
        plans = plan_sources(library, sources, scratch=tmp_path)
        report = add_sources(library, sources)
    assert [outcome.path for outcome in report.outcomes] == [
        "none.pdf", str(bad), str(given / "pipe.pdf"), str(book),
    ]  # fmt: skip
    assert [o.status for o in report.outcomes] == ["failed", "failed", "failed", "added"]
    assert report.outcomes[-1].book
    assert report.outcomes[-1].book.file == "book (2).pdf"
    assert [plan.file for plan in plans] == [
        "none.pdf", str(bad), str(given / "pipe.pdf"), "book.pdf",
    ]  # fmt: skip
    assert list(inbox.iterdir()) == [other]
    assert twin.exists()


def test_copies_that_wait_for_a_service_stay(home: Path, inbox: Path, book: Path) -> None:
    fault = UnavailableError("Chroma is gone.")
    library = FakeLibrary(home, lambda path: AddReport((), fault))
    with open_sources([book]) as sources:
        assert add_sources(library, sources).stopped is fault
    assert arrivals(inbox) == [inbox / "book.pdf"]


def test_copies_go_when_the_person_interrupts(home: Path, inbox: Path, book: Path) -> None:
    def interrupt(path: Path) -> AddReport:
        assert path.exists()
        raise KeyboardInterrupt

    with open_sources([book]) as sources, pytest.raises(KeyboardInterrupt):
        add_sources(FakeLibrary(home, interrupt), sources)
    assert arrivals(inbox) == []
