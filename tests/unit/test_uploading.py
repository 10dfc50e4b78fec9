"""Files that come from a browser, on their way into the inbox."""

import io
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Thread

import pytest
from support import pdfs

from bookbrain.errors import BookBrainError
from bookbrain.library import Library
from bookbrain.library.inbox import arrivals
from bookbrain.library.inbox_worker import open_inbox
from bookbrain.library.sources import add_again, land, land_upload, plan_upload, sweep_uploads
from bookbrain.settings import Settings


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Library]:
    with Library(Settings(tmp_path / "library")) as opened:
        yield opened


@pytest.fixture
def inbox(library: Library) -> Path:
    return library.settings.home / "inbox"


@pytest.fixture
def book(tmp_path: Path) -> bytes:
    return pdfs.book(tmp_path / "x.pdf", ["The walrus waits."], title="Locks").read_bytes()


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("책 1.pdf", "책 1.pdf"),
        ("Book.PDF", "Book.pdf"),
        ("../../etc/cron.d/x.pdf", "x.pdf"),
        ("/etc/passwd.pdf", "passwd.pdf"),
        (".hidden.pdf", "hidden.pdf"),
        ("..", "book.pdf"),
        (".pdf", "book.pdf"),
        ("", "book.pdf"),
        ("a\0b\nc\x1b[2J.pdf", "abc[2J.pdf"),
        ("책.pdf", "책.pdf"),
        ("가" * 200 + ".pdf", "가" * 66 + ".pdf"),
        ("rejected", "rejected.pdf"),
        ("x.pdf.part", "x.pdf.part.pdf"),
    ],
)
def test_it_lands_whole_under_a_name_that_counts(
    library: Library, inbox: Path, given: str, name: str
) -> None:
    land(library, given, io.BytesIO(b"%PDF- whole"))
    assert arrivals(inbox) == [inbox / name]
    assert (inbox / name).read_bytes() == b"%PDF- whole"
    assert [path.name for path in inbox.iterdir()] == [name]


def test_an_upload_lands_without_being_copied(
    library: Library, inbox: Path, sent: Callable[[bytes], Path]
) -> None:
    path = sent(b"%PDF- whole")
    for name in ("../책.pdf", "책.pdf"):
        land_upload(library.settings.home, name, path)
    land_upload(library.settings.home, "책.pdf", sent(b"another"))
    assert {p.name: p.read_bytes() for p in inbox.iterdir()} == {
        "책.pdf": b"%PDF- whole", "책 (2).pdf": b"another"
    }  # fmt: skip
    assert (inbox / "책.pdf").samefile(path)
    assert (inbox / "책.pdf").stat().st_mode & 0o777 == 0o640


def test_an_upload_lands_in_an_inbox_on_another_disk(
    library: Library, inbox: Path, sent: Callable[[bytes], Path]
) -> None:
    path = sent(b"%PDF- whole")
    with TemporaryDirectory(dir="/dev/shm") as other:
        if Path(other).stat().st_dev == path.stat().st_dev:
            pytest.skip("no other disk here: /dev/shm is not one of its own")
        inbox.symlink_to(other)
        land_upload(library.settings.home, "a.pdf", path)
        assert [p.read_bytes() for p in inbox.iterdir()] == [b"%PDF- whole"]


def test_the_same_twice_is_one_and_another_is_not_touched(library: Library, inbox: Path) -> None:
    for data in (b"one", b"one", b"two"):
        land(library, "a.pdf", io.BytesIO(data))
    assert {path.name: path.read_bytes() for path in inbox.iterdir()} == {
        "a.pdf": b"one", "a (2).pdf": b"two"
    }  # fmt: skip


def test_it_does_not_wait_for_who_works_on_the_inbox(library: Library, inbox: Path) -> None:
    with open_inbox(library.settings.home):
        landing = Thread(target=land, args=[library, "a.pdf", io.BytesIO(b"one")], daemon=True)
        landing.start()
        landing.join(60)
        assert (inbox / "a.pdf").read_bytes() == b"one"


def test_who_works_on_the_inbox_leaves_what_is_on_its_way_and_the_next_app_does_not(
    library: Library, inbox: Path
) -> None:
    inbox.mkdir()
    begun = inbox / ".upload-1234.part"
    begun.write_bytes(b"%PDF-")
    (inbox / "book.pdf").write_bytes(b"%PDF-")
    with open_inbox(library.settings.home):
        assert begun.exists()
    sweep_uploads(library.settings.home)
    assert [path.name for path in inbox.iterdir()] == ["book.pdf"]


def test_an_inbox_that_takes_nothing_is_named(library: Library, inbox: Path) -> None:
    inbox.write_text("a file where the folder should be")
    with pytest.raises(BookBrainError, match="cannot be written"):
        land(library, "a.pdf", io.BytesIO(b"%PDF-"))


@pytest.fixture
def sent(tmp_path: Path) -> Callable[[bytes], Path]:
    """A file as an upload leaves it."""

    def write(data: bytes) -> Path:
        path = tmp_path / sha256(data).hexdigest()
        path.write_bytes(data)
        return path

    return write


@pytest.mark.slow
def test_what_it_would_take_is_known_before(
    library: Library, inbox: Path, book: bytes, sent: Callable[[bytes], Path]
) -> None:
    plan = plan_upload(library, "../locks.pdf", sent(book))
    assert (plan.file, plan.title, plan.pages, plan.known) == ("locks.pdf", "Locks", 1, False)
    assert plan.tokens > 0
    broken = plan_upload(library, "broken.pdf", sent(book[:300]))
    assert (broken.file, broken.reason) == (
        "broken.pdf", "it is not a readable PDF (cut off or damaged)"
    )  # fmt: skip
    assert plan_upload(library, "no.pdf", sent(b"text")).reason == "it is not a PDF"
    assert plan_upload(library, "no.pdf", sent(b"")).reason == "it is empty"
    assert not inbox.exists()
    assert library.books() == []


@pytest.mark.slow
def test_a_book_that_is_there_is_known_under_any_name(
    library: Library, tmp_path: Path, book: bytes, sent: Callable[[bytes], Path]
) -> None:
    library.add([tmp_path / "x.pdf"])
    plan = plan_upload(library, "other.pdf", sent(book))
    assert (plan.file, plan.title, plan.known, plan.tokens) == ("other.pdf", "Locks", True, 0)


@pytest.mark.slow
def test_a_book_that_is_added_again_is_in_the_inbox_before_it_is_gone(
    library: Library, inbox: Path, tmp_path: Path, book: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    library.add([tmp_path / "x.pdf"])
    (added,) = library.books()

    def crash(*_: object) -> None:
        raise RuntimeError

    with monkeypatch.context() as patched, pytest.raises(RuntimeError):
        patched.setattr("bookbrain.library.maintenance.remove_book", crash)
        add_again(library, added.id, 1.0)
    assert library.books() == [added]
    assert (inbox / "x.pdf").read_bytes() == book
    (inbox / "x.pdf").unlink()

    add_again(library, added.id, 1.0)
    assert library.books() == []
    assert (inbox / "x.pdf").read_bytes() == book
    assert library.add([inbox / "x.pdf"]).outcomes[0].status == "added"
