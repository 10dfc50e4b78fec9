"""Files on their way into the inbox, and the copies that a command makes there."""

import io
import logging
import os
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from support import pdfs
from support.exchange import exchanging

from bookbrain.errors import InputError, UnavailableError
from bookbrain.library import Library
from bookbrain.library.inbox import (
    Look,
    Patience,
    Rejection,
    arrivals,
    dismiss,
    empty_folders,
    is_whole,
    look_at,
    reason_file,
    rejections,
)
from bookbrain.library.inbox_worker import ingest, open_inbox
from bookbrain.library.sources import (
    Source,
    add_sources,
    copy_into,
    open_sources,
    plan_sources,
    sweep_uploads,
)
from bookbrain.model import AddReport, Outcome
from bookbrain.settings import Settings

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
    arrived = [
        "A.PDF", "a/rejected/d.pdf", "b.pdf", "deep/er/c.Pdf", "notes.txt", "rejected.pdf",
    ]  # fmt: skip
    for name in (
        *arrived, "x.pdf.part", "x.tmp", "x.pdf.filepart", "x.pdf.CRDOWNLOAD", ".hidden.pdf",
        ".d/e.pdf", "deep/cover.jpg", "deep/.c.pdf", "rejected/f.pdf",
    ):  # fmt: skip
        _put(inbox / name)
    (inbox / "empty" / "below").mkdir(parents=True)
    assert sorted(path.relative_to(inbox).as_posix() for path in arrivals(inbox)) == arrived
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
    assert is_whole(tmp_path, path, _look(path, resting=3), Patience()) is whole
    assert is_whole(tmp_path, path, _look(path, resting=61), Patience())
    assert not is_whole(tmp_path, path, _look(path, resting=1.9), Patience())


def _look(path: Path, resting: float) -> Look:
    look = look_at(path.parent, path)
    assert look
    return Look(look.size, look.changed_ns, look.inode, look.mode, look.since - resting)


def test_a_look_remembers_since_when(tmp_path: Path) -> None:
    path = _put(tmp_path / "x.pdf", HEAD, age=100)
    first = look_at(tmp_path, path)
    assert first
    assert look_at(tmp_path, path, first) is first
    os.utime(path)
    assert look_at(tmp_path, path, first) is not first
    path.unlink()
    assert look_at(tmp_path, path, first) is None
    path.symlink_to("nowhere")
    assert look_at(tmp_path, path)


# Taking it


@pytest.fixture
def stored(library: Library, home: Path, book: Path) -> Path:
    """The file of the one book of the library."""
    library.add([book])
    (path,) = (home / "books").glob("*.pdf")
    return path


@pytest.mark.slow
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
        assert ingest(library, QUICK) is None
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


@pytest.mark.slow
def test_a_link_is_refused_and_what_it_leads_to_stays(
    library: Library, home: Path, inbox: Path, book: Path, stored: Path
) -> None:
    before = stored.read_bytes()
    links = {
        "link.pdf": book, "stored.pdf": stored, "deep/env.pdf": Path("/etc/passwd"),
        "folder.pdf": home / "books",
    }  # fmt: skip
    for name, target in links.items():
        (inbox / name).parent.mkdir(exist_ok=True)
        (inbox / name).symlink_to(target)
    assert ingest(library, QUICK) is None
    assert [found.file for found in library.books()] == ["book.pdf"]
    assert arrivals(inbox) == []
    rejected = rejections(inbox)
    assert {r.file for r in rejected} == {"link.pdf", "stored.pdf", "deep/env.pdf", "folder.pdf"}
    assert {r.reason for r in rejected} == {"it is a link"}
    for rejection in rejected:
        dismiss(inbox, rejection)
    assert rejections(inbox) == []
    assert book.exists()
    assert stored.read_bytes() == before


@pytest.mark.slow
def test_rejected_may_be_a_link_to_the_books_and_they_stay(
    library: Library, home: Path, inbox: Path, stored: Path
) -> None:
    before = stored.read_bytes()
    (inbox / "rejected").symlink_to(home / "books")
    assert rejections(inbox) == []
    dismiss(inbox, Rejection(stored.name, "", ""))
    _put(inbox / stored.name, b"no PDF" * 1000)
    _put(inbox / f"sub/{stored.name}", b"no PDF" * 1000)
    assert ingest(library, QUICK) is None
    assert stored.read_bytes() == before
    assert [path.name for path in (home / "books").glob("*.pdf")] == [stored.name]
    assert not (inbox / "rejected").is_symlink()
    assert [r.file for r in rejections(inbox)] == [stored.name, f"sub/{stored.name}"]


@pytest.mark.slow
def test_a_folder_below_rejected_may_be_a_link_too(
    library: Library, home: Path, inbox: Path, book: Path, stored: Path
) -> None:
    (inbox / "rejected").mkdir()
    (inbox / "rejected" / "sub").symlink_to(home / "books")
    assert rejections(inbox) == [Rejection("sub", "", "")]
    _put(inbox / f"sub/{stored.name}", b"no PDF" * 1000)
    assert ingest(library, QUICK) is None
    assert stored.read_bytes() == book.read_bytes()
    assert [r.file for r in rejections(inbox)] == [f"sub/{stored.name}"]


def test_a_reason_that_is_a_link_is_not_shown_and_not_written_through(
    library: Library, home: Path, inbox: Path
) -> None:
    secret = _put(home / "bookbrain.env", b"OPENAI_API_KEY=sk-secret\n")
    _put(inbox / "rejected" / "a.pdf")
    (inbox / "rejected" / "a.pdf.reason.txt").symlink_to(secret)
    os.mkfifo(inbox / "rejected" / "b.pdf.reason.txt")
    _put(inbox / "rejected" / "b.pdf")
    assert rejections(inbox) == [Rejection("a.pdf", "", ""), Rejection("b.pdf", "", "")]
    (inbox / "rejected" / "c.pdf.reason.txt.part").symlink_to(secret)
    (inbox / "rejected" / "c.pdf.reason.txt").symlink_to(secret)
    _put(inbox / "c.pdf", b"no PDF" * 1000)
    assert ingest(library, QUICK) is None
    assert rejections(inbox)[-1].reason == "it is not a PDF"
    assert secret.read_bytes() == b"OPENAI_API_KEY=sk-secret\n"


@pytest.mark.slow
def test_what_is_exchanged_for_a_link_while_we_look_leads_nowhere(
    library: Library, home: Path, inbox: Path, stored: Path
) -> None:
    """A folder of the inbox and a link to the library's books change places without pause."""
    before = stored.read_bytes()
    folder = _put(inbox / "sub" / stored.name, b"no PDF" * 1000).parent
    (inbox / ".link").symlink_to(home / "books")
    with exchanging(folder, inbox / ".link"):
        for number in range(20):
            _put(inbox / f"{number}.pdf", b"no PDF" * 1000)
            assert ingest(library, QUICK) is None
            for rejection in rejections(inbox):
                with suppress(OSError):
                    dismiss(inbox, rejection)
    assert stored.read_bytes() == before
    assert [path.name for path in (home / "books").glob("*.pdf")] == [stored.name]
    assert len(library.books()) == 1


def test_hidden_names_that_somebody_else_made_stop_nobody(
    library: Library, home: Path, inbox: Path, book: Path
) -> None:
    for name in (".bookbrain-1.part", ".upload-1.part"):
        (inbox / name).mkdir()
    for name in (".bookbrain-2.part", ".upload-2.part"):
        (inbox / name).symlink_to(book)
    with open_inbox(home):
        pass
    sweep_uploads(home)
    assert book.exists()
    assert not (inbox / ".bookbrain-2.part").is_symlink()
    assert not (inbox / ".upload-2.part").is_symlink()


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

    def doubtful(self) -> list[Path]:
        return []

    def add(self, paths: list[Path], progress: object, *, doubtful: bool = True) -> AddReport:
        self.added += paths
        return self._adds(paths[0])


def _outcome(path: Path, status: str = "known", reason: str = "") -> AddReport:
    return AddReport((Outcome(str(path), status, None, reason, "Hint."),))


@pytest.mark.slow
def test_a_file_that_changes_while_it_is_taken_is_taken_again(home: Path, inbox: Path) -> None:
    path = _put(inbox / "x.pdf")

    def add(given: Path) -> AddReport:
        if len(library.added) < 3:
            given.write_bytes(WHOLE * (len(library.added) + 1))
            return _outcome(given, "failed", "it changed while it was read")
        return _outcome(given)

    library = FakeLibrary(home, add)
    assert ingest(library, QUICK) is None
    assert library.added == [path] * 3
    assert not path.exists()
    assert rejections(inbox) == []


def test_a_fault_of_no_book_ends_the_work(home: Path, inbox: Path) -> None:
    paths = [_put(inbox / "a.pdf"), _put(inbox / "b.pdf")]
    fault = UnavailableError("Chroma is gone.")
    library = FakeLibrary(home, lambda path: AddReport((), fault))
    assert ingest(library, QUICK) is fault
    assert library.added == paths[:1]
    assert arrivals(inbox) == paths


@pytest.mark.slow
def test_what_cannot_be_moved_is_said_once(
    home: Path, inbox: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = _put(inbox / "deep" / "a.pdf", b"no PDF" * 1000)
    (inbox / "rejected").touch()  # no folder
    library = FakeLibrary(home, lambda path: _outcome(path, "failed", "it is no book"))
    assert ingest(library, QUICK) is None
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


# Root's walk


def test_root_opens_nothing_outside_of_a_folder_where_others_exchange_things(
    tmp_path: Path, book: Path
) -> None:
    """A file and a link, and a folder and a link to one, change places without pause."""
    given, outside = tmp_path / "given", tmp_path / "outside"
    secret = _put(outside / "a.pdf", WHOLE + b"shadow")
    _put(given / "a.pdf", book.read_bytes())
    (given / ".a").symlink_to(secret)
    _put(given / "sub" / "a.pdf", book.read_bytes())
    (given / ".sub").symlink_to(outside)
    read = []
    with (
        exchanging(given / "a.pdf", given / ".a"),
        exchanging(given / "sub", given / ".sub"),
    ):
        for _ in range(300):
            with open_sources([given]) as sources:
                read += [source.file.read() for source in sources.files]
    assert read
    assert set(read) == {book.read_bytes()}


def test_what_root_passes_by_is_named(tmp_path: Path, book: Path) -> None:
    given = tmp_path / "given"
    _put(given / "a.pdf", book.read_bytes())
    (given / "link.pdf").symlink_to(book)
    (given / "more").symlink_to(tmp_path)
    os.mkfifo(given / "pipe.pdf")
    with open_sources([given]) as sources:
        assert [source.path.name for source in sources.files] == ["a.pdf"]
        assert {Path(o.path).name: o.reason for o in sources.refused} == {
            "link.pdf": "it is a link",
            "more": "it is a link to a folder",
            "pipe.pdf": "it is not a file",
        }
    with open_sources([given / "link.pdf", given / "more"]) as sources:  # which root named
        assert [source.path for source in sources.files][:2] == [
            given / "link.pdf", given / "more" / "book.pdf",
        ]  # fmt: skip


@pytest.mark.parametrize(
    ("mode", "shared", "opened"),
    [(0o600, 0o777, False), (0o644, 0o777, True), (0o600, 0o755, True)],
)
def test_a_hard_link_to_what_others_may_not_read(
    tmp_path: Path, book: Path, mode: int, shared: int, opened: bool
) -> None:
    given = tmp_path / "given"
    given.mkdir()
    (given / "a.pdf").hardlink_to(book)
    book.chmod(mode)
    given.chmod(shared)
    with open_sources([given]) as sources:
        assert bool(sources.files) is opened
        assert [o.reason for o in sources.refused] == ([] if opened else [
            "it has another name elsewhere, and not everybody may read it"
        ])  # fmt: skip


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


@pytest.mark.slow
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
