"""The data of a server in an upgrade: kept, put back, and nothing lost that came meanwhile."""

import fcntl
import hashlib
import io
import os
import shutil
import signal
import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from support import pdfs

from bookbrain.errors import BookBrainError, BusyError
from bookbrain.library import Library
from bookbrain.library.sources import add_again, land
from bookbrain.model import Book, EmbeddingSpace, Page, Passage, Progress, Span
from bookbrain.ocr.engine import RecognisedPage
from bookbrain.paths import STORE, Layout, LibraryPaths, is_upgrading
from bookbrain.settings import Settings
from bookbrain.store import embeddings
from bookbrain.store.catalog import MIGRATIONS, Catalog, NewBook
from bookbrain.store.checksums import seal_book
from bookbrain.store.database import open_database
from bookbrain.store.embeddings import EmbeddingStore
from bookbrain.store.flaws import flaws
from bookbrain.store.recognised import RecognisedPages, UnreadPage
from bookbrain.upgrade.rollback import forget, keep, put_back, version_of

SPACE = EmbeddingSpace("m", 2)


def add_book(home: Path, text: str) -> str:
    """A book that is wholly there; its id."""
    data = text.encode()
    book_id = hashlib.sha256(data).hexdigest()
    (home / "books" / f"{book_id}.pdf").write_bytes(data)
    digest = hashlib.sha256(f"{text} passage".encode()).hexdigest()
    with closing(Catalog(home / "catalog.sqlite3")) as catalog:
        catalog.queue([Path(f"/inbox/{text}.pdf")])
        (job,) = catalog.jobs()
        new = NewBook(
            Book(book_id, f"Title of {text}", f"{text}.pdf", 1, 1, "2026-01-01T00:00:00+00:00"),
            [Page(1, "1", "", text)],
            [Passage(0, (Span(1, 0, len(text)),), f"{text} passage")],
            str(SPACE),
        )
        catalog.add_book(new, "a generation", job.id)
    with closing(EmbeddingStore(home / "embeddings.sqlite3")) as store:
        store.set_own_dimensions("m", 2)
        store.put(SPACE, {digest: np.array([1, 2], "<f4")})
    return book_id


def upgrade(home: Path) -> None:
    """What the next release does when it opens a library."""

    def colors(db: sqlite3.Connection) -> None:
        db.execute("CREATE TABLE color (book_id TEXT, color TEXT)")

    def checksums(db: sqlite3.Connection) -> None:
        db.execute("ALTER TABLE embedding ADD COLUMN checksum INTEGER NOT NULL DEFAULT 0")

    open_database(home / "catalog.sqlite3", (*MIGRATIONS, colors)).close()
    open_database(
        home / "embeddings.sqlite3", (*embeddings.EMBEDDINGS_MIGRATIONS, checksums)
    ).close()
    (home / "books/library.json").write_text('{"changes": 9}')
    (home / "keywords/library.json").write_text('{"changes": 9}')


def write(home: Path, statement: str, *values: object) -> None:
    """As the newer release, which has the catalog open in WAL."""
    with closing(sqlite3.connect(home / "catalog.sqlite3", isolation_level=None)) as db:
        db.execute("PRAGMA foreign_keys=ON")
        db.execute(statement, values)


def buy(home: Path, digest: str) -> None:
    with closing(sqlite3.connect(home / "embeddings.sqlite3", isolation_level=None)) as db:
        db.execute(
            "INSERT INTO embedding (space, digest, vector) VALUES (?, ?, ?)",
            (str(SPACE), digest, b"\0" * 8),
        )


def come(home: Path, text: str, file: str) -> str:
    """A book that the newer release adds."""
    book_id = hashlib.sha256(text.encode()).hexdigest()
    (home / "books" / f"{book_id}.pdf").write_text(text)
    write(home, "INSERT INTO book VALUES (?, ?, ?, ?, '')", book_id, text, file, "2026-02-02")
    return book_id


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A library of two books that an upgrade has kept, and the next release has opened."""
    home = tmp_path / "var/lib/bookbrain"
    for folder in ("books", "keywords", "inbox"):
        (home / folder).mkdir(parents=True)
    add_book(home, "one")
    add_book(home, "two")
    (home / "books/one.json").write_text("of before")
    keep(home)
    upgrade(home)
    return home


def dump(database: Path) -> str:
    with closing(sqlite3.connect(database)) as db:
        return "\n".join([str(version_of(database)), *db.iterdump()])


def titles(home: Path) -> dict[str, str]:
    """By file, as the older release sees them."""
    with closing(Catalog(home / "catalog.sqlite3")) as catalog:
        return {book.file: book.title for book in catalog.books()}


def test_what_was_not_changed_is_as_it_was_before(home: Path) -> None:
    before = {
        name: dump(LibraryPaths(home).before_upgrade / name)
        for name in ("catalog.sqlite3", "embeddings.sqlite3")
    }
    assert put_back(home) == []
    forget(home)
    assert {name: dump(home / name) for name in before} == before
    assert not list(home.glob("*.newer*")) and not LibraryPaths(home).before_upgrade.exists()
    assert (home / "books/one.json").read_text() == "of before"
    assert not (home / "books/library.json").exists()
    assert not (home / "keywords/library.json").exists()
    assert list((home / "inbox").iterdir()) == []


def test_what_the_release_of_before_can_read_stays(tmp_path: Path) -> None:
    home = tmp_path / "library"
    for folder in ("books", "keywords"):
        (home / folder).mkdir(parents=True)
    add_book(home, "one")
    keep(home)
    add_book(home, "two")
    buy(home, "x")
    before = {name: dump(home / name) for name in ("catalog.sqlite3", "embeddings.sqlite3")}
    assert put_back(home) == []
    assert {name: dump(home / name) for name in before} == before


@pytest.mark.slow
@pytest.mark.parametrize("damaged", [False, True])
def test_the_older_catalog_is_not_refused_for_what_came(tmp_path: Path, damaged: bool) -> None:
    """Of its library the embedding store tells, too, and stays: its schema is the same."""
    home = tmp_path / "library"
    home.mkdir()
    books = [pdfs.book(tmp_path / f"{i}.pdf", [f"walrus {i}"], title=str(i)) for i in range(4)]
    with Library(Settings(home)) as library:
        library.add(books[:1])
    keep(home)
    with Library(Settings(home)) as library:  # a command that was still running
        library.add(books[1:])
    open_database(home / "catalog.sqlite3", (*MIGRATIONS, lambda _: None)).close()
    if damaged:
        (home / "catalog.sqlite3").write_bytes(b"damaged" * 1000)
    put_back(home)
    with Library(Settings(home)) as library:
        assert [book.title for book in library.books()] == ["0"]
        library.add(sorted((home / "inbox").glob("*.pdf")))
    with Library(Settings(home)) as library:
        assert len(library.books()) == 4


def test_another_text_goes_with_the_release_that_read_it(tmp_path: Path) -> None:
    """Back to a catalog of before revisions, and of jobs of one kind."""
    home = tmp_path / "library"
    (home / "books").mkdir(parents=True)
    made = NewBook(
        Book("a" * 64, "A", "a.pdf", 1, 1, "2026-01-01T00:00:00+00:00"),
        [Page(1, "1", "", "before")], [Passage(0, (Span(1, 0, 6),), "before")],
    )  # fmt: skip
    with closing(open_database(home / "catalog.sqlite3", MIGRATIONS[:5])) as db:
        db.execute("INSERT INTO book VALUES (?, 'A', 'a.pdf', ?)", ("a" * 64, made.book.added_at))
        db.execute("INSERT INTO page VALUES (?, 1, '1', '', '[]', '', 'before')", ("a" * 64,))
        digest = made.passages[0].digest
        db.execute("INSERT INTO passage VALUES (?, 0, ?, '[[1, 0, 6]]')", ("a" * 64, digest))
        db.execute("INSERT INTO setting VALUES ('generation', 'of-before')")
        seal_book(db, "a" * 64)
    (home / "books" / f"{'a' * 64}.pdf").write_bytes(b"a")
    keep(home)
    now = [Page(1, "1", "", "now")], [Passage(0, (Span(1, 0, 3),), "now")]
    with closing(Catalog(home / "catalog.sqlite3")) as catalog:
        assert catalog.texts() == [made.text]
        catalog.replace_text(NewBook(made.book, *now, space=str(SPACE)), "of-now")
        catalog.rename_book("a" * 64, "Renamed")
        catalog.queue([Path("/inbox/b.pdf")], priority=3)
    put_back(home)
    assert version_of(home / "catalog.sqlite3") == 5
    assert list(flaws(home / "catalog.sqlite3")) == []
    with closing(Catalog(home / "catalog.sqlite3")) as catalog:  # the next upgrade
        assert catalog.texts() == [made.text]
        assert catalog.index_commit() == "of-before"
        assert [book.title for book in catalog.books()] == ["Renamed"]
        assert [job.path for job in catalog.jobs()] == ["/inbox/b.pdf"]
        assert catalog.embedded_spaces() == set(), "these vectors are of the other text"


def change_everything(home: Path) -> None:
    """A book comes, one goes, one is renamed, a vector is bought, a file waits."""
    come(home, "three", "drei.pdf")
    two = hashlib.sha256(b"two").hexdigest()
    write(home, "DELETE FROM book WHERE id = ?", two)
    (home / "books" / f"{two}.pdf").unlink()
    write(home, "UPDATE book SET title = 'Renamed' WHERE title = 'Title of one'")
    write(home, "INSERT INTO job (path, waiting) VALUES ('/inbox/four.pdf', 'key')")
    buy(home, "bought since")


def assert_nothing_is_lost(home: Path) -> None:
    assert titles(home) == {"one.pdf": "Renamed"}
    assert (home / "inbox/drei.pdf").read_text() == "three"
    with closing(Catalog(home / "catalog.sqlite3")) as catalog:
        assert [(job.path, job.waiting) for job in catalog.jobs()] == [("/inbox/four.pdf", "key")]
        assert catalog.unembedded_books(str(SPACE)) == []
    with closing(EmbeddingStore(home / "embeddings.sqlite3")) as store:
        assert store.get(SPACE, ["bought since"]).keys() == {"bought since"}
        assert store.count() == 3
    newer = home / "catalog.sqlite3.newer"
    assert version_of(newer) == len(MIGRATIONS) + 1
    with closing(sqlite3.connect(newer)) as db:
        assert db.execute("SELECT count(*) FROM book").fetchone() == (2,)


def test_what_came_meanwhile_is_not_lost(home: Path) -> None:
    change_everything(home)
    said = put_back(home)
    assert_nothing_is_lost(home)
    assert said == [
        "Embeddings that came meanwhile are kept: 1.",
        "Books that were removed meanwhile stay removed: 1.",
        "Titles that were changed meanwhile are kept: 1.",
        f"This book came meanwhile and is added again: {home}/inbox/drei.pdf",
        f"The newer catalog is kept: {home}/catalog.sqlite3.newer",
    ]


def test_pages_that_were_recognised_meanwhile_are_not_lost(home: Path) -> None:
    file = hashlib.sha256(b"one").hexdigest()
    reading = RecognisedPage((), (1.0, 0.0, 0.0, 1.0, 0.0, 0.0))
    with closing(sqlite3.connect(home / "embeddings.sqlite3", isolation_level=None)) as db:
        RecognisedPages(db).put(file, 1, "an engine; 1.1", reading)
    put_back(home)
    with closing(EmbeddingStore(home / "embeddings.sqlite3")) as store:
        assert store.recognised.of_file(file) == {1: reading}


def test_pages_that_the_release_of_before_cannot_keep_are_kept_beside_it(home: Path) -> None:
    for copy in (home / "embeddings.sqlite3", LibraryPaths(home).before_upgrade / STORE):
        with closing(sqlite3.connect(copy, isolation_level=None)) as db:
            version = len(embeddings.EMBEDDINGS_MIGRATIONS) - 1
            if copy.parent != home:
                db.execute("DROP TABLE recognised")
                db.execute(f"PRAGMA user_version={version}")
            else:
                RecognisedPages(db).put("f" * 64, 1, "an engine; 1.1", UnreadPage("too large"))
    newer = home / "embeddings.sqlite3.newer"
    assert f"Pages recognised meanwhile are kept: {newer}" in put_back(home)
    with closing(sqlite3.connect(newer)) as db:
        assert db.execute("SELECT count(*) FROM recognised").fetchone() == (1,)


@pytest.mark.slow
def test_killed_at_any_instant_the_next_call_ends_the_work(home: Path, tmp_path: Path) -> None:
    change_everything(home)
    whole = tmp_path / "whole"
    shutil.copytree(home, whole)
    number, killed = 0, True
    while killed:
        number += 1
        shutil.rmtree(home)
        shutil.copytree(whole, home)
        killed = _killed_at(number, lambda: put_back(home))
        said = put_back(home)
        assert_nothing_is_lost(home)
        assert [path.name for path in (home / "inbox").iterdir()] == ["drei.pdf"], number
        assert len(list(home.glob("*.newer*"))) == 1, number
        assert len(said) == 5, (number, said)
    assert number > 20


def _killed_at(number: int, work: Callable[[], object]) -> bool:
    """Do it in a child that is killed when it touches a file for the `number`th time."""
    child = os.fork()
    if child == 0:
        seen = 0

        def count(event: str, _: object) -> None:
            nonlocal seen
            if event in ("open", "os.rename", "os.remove", "os.link", "sqlite3.connect"):
                seen += 1
                if seen == number:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(count)
        try:
            work()
        finally:
            os._exit(0)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status)


def test_a_copy_that_was_cut_off_is_made_again(home: Path) -> None:
    (home / ".before-upgrade.part").mkdir()
    forget(home)
    keep(home)
    assert version_of(LibraryPaths(home).before_upgrade / "catalog.sqlite3") == len(MIGRATIONS) + 1
    assert not (home / ".before-upgrade.part").exists()


def test_a_damaged_newer_catalog_is_set_aside(home: Path) -> None:
    three = come(home, "three", "drei.pdf")
    for end in ("-wal", "-shm"):
        (home / f"catalog.sqlite3{end}").unlink(missing_ok=True)
    (home / "catalog.sqlite3").write_text("no database at all" * 100)
    put_back(home)
    assert titles(home).keys() == {"one.pdf", "two.pdf"}
    assert (home / f"inbox/{three}.pdf").read_text() == "three"  # its name is not known any more
    assert (home / "catalog.sqlite3.newer").exists()


def test_an_open_database_is_not_exchanged(home: Path) -> None:
    come(home, "three", "drei.pdf")
    with closing(sqlite3.connect(home / "catalog.sqlite3", timeout=0)) as other:
        other.execute("BEGIN")
        other.execute("SELECT count(*) FROM book").fetchone()
        # The other way round than in life, where nobody waits for a minute here.
        with pytest.raises(BusyError, match="open in another process"):
            put_back(home)
    assert put_back(home)
    assert "drei.pdf" in {path.name for path in (home / "inbox").iterdir()}


@pytest.mark.parametrize("name", ["../../evil.pdf", ".hidden.pdf", "x.part", "drei.pdf", "a" * 251])
def test_every_file_name_gives_one_in_the_inbox(home: Path, name: str) -> None:
    (home / "inbox/drei.pdf").write_text("somebody else's")
    come(home, "three", name)
    put_back(home)
    (found,) = [path for path in (home / "inbox").iterdir() if path.read_text() == "three"]
    assert not found.name.startswith(".") and found.name.endswith(".pdf")
    assert (home / "inbox/drei.pdf").read_text() == "somebody else's"


# Whoever may change the folders


@pytest.mark.parametrize(
    "plant", [os.mkfifo, lambda path: path.symlink_to("/etc/passwd"), Path.mkdir]
)
@pytest.mark.parametrize("name", ["catalog.sqlite3", "embeddings.sqlite3", "library.lock"])
def test_what_is_no_file_is_refused_at_once(
    home: Path, name: str, plant: Callable[[Path], object]
) -> None:
    for end in ("", "-wal", "-shm"):
        (home / f"{name}{end}").unlink(missing_ok=True)
    plant(home / name)
    for task in (put_back, keep):
        with pytest.raises((BookBrainError, OSError)):
            task(home)


@pytest.mark.parametrize("plant", [os.mkfifo, lambda path: path.symlink_to("/etc/passwd")])
def test_the_inbox_leads_nowhere_else(home: Path, plant: Callable[[Path], object]) -> None:
    plant(home / "inbox/drei.pdf")
    come(home, "three", "drei.pdf")
    put_back(home)
    assert (home / "inbox/drei (2).pdf").read_text() == "three"


# While it is judged


@pytest.fixture
def judged(tmp_path: Path) -> Iterator[Library]:
    """A server's library with a book, whose release is not judged yet."""
    layout = Layout(tmp_path)
    book = pdfs.book(tmp_path / "x.pdf", ["The walrus waits."], title="Locks")
    layout.home.mkdir(parents=True)
    with Library(Settings(layout.home)) as library:
        library.add([book])
        layout.upgrading.mkdir(parents=True)
        yield library


def test_nobody_writes_while_a_release_is_judged(judged: Library, tmp_path: Path) -> None:
    book = judged.books()[0]
    other = pdfs.book(tmp_path / "y.pdf", ["Another."], title="Other")
    for change in (
        lambda: judged.add([other]),
        lambda: judged.remove(book.id),
        lambda: judged.rename(book.id, "Another title"),
        judged.rebuild,
        judged.finish,
        lambda: land(judged, "y.pdf", io.BytesIO(other.read_bytes())),
        lambda: add_again(judged, book.id, 1.0),
    ):
        with pytest.raises(BusyError, match="upgrade is under way") as raised:
            change()
        assert raised.value.exit_code == 75
    assert judged.books() == [book]
    assert judged.search("walrus").hits
    Layout(tmp_path).upgrading.rmdir()
    judged.rename(book.id, "Another title")


def test_a_writer_that_has_waited_is_refused(judged: Library, tmp_path: Path) -> None:
    """The databases are copied under its lock; whoever waits for that comes too late."""
    upgrading = Layout(tmp_path).upgrading
    upgrading.rmdir()

    class Waiting(Progress):
        def wait(self) -> None:
            upgrading.mkdir()
            os.close(held)

    held = os.open(judged.settings.home / "library.lock", os.O_RDWR)
    fcntl.flock(held, fcntl.LOCK_EX)
    with pytest.raises(BusyError, match="upgrade is under way"):
        judged.remove(judged.books()[0].id, Waiting())
    assert len(judged.books()) == 1


def test_a_library_of_ones_own_knows_no_upgrade(tmp_path: Path) -> None:
    assert not is_upgrading(tmp_path)
    assert not is_upgrading(Path("/"))
    assert not is_upgrading(Path("relative"))
