"""What a newer release has changed in the library since the databases were kept."""

import re
import sqlite3
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from bookbrain.index.catalog import count_change
from bookbrain.index.database import open_existing, transaction
from bookbrain.index.seals import seal_rest
from bookbrain.upgrade.keeping import is_file

_PDF = re.compile(r"([0-9a-f]{64})\.pdf")
_JOBS = "SELECT path, waiting FROM job ORDER BY id"
_EMBEDDED = "SELECT book_id, space FROM embedded"
_REFUSED = "SELECT book_id, space, ordinal, reason FROM refused"

Row = tuple[object, ...]


@dataclass(frozen=True, slots=True)
class Changes:
    """`came` are the PDFs that the older catalog does not know, by id, with their file names;
    `went` the books that were removed, `titles` those that were renamed, by id.

    `jobs` are the files on their way in, None where they are as they were.
    """

    came: tuple[tuple[str, str], ...] = ()
    went: tuple[str, ...] = ()
    titles: tuple[tuple[str, str], ...] = ()
    jobs: tuple[Row, ...] | None = None
    embedded: tuple[Row, ...] = ()
    refused: tuple[Row, ...] = ()

    def __bool__(self) -> bool:
        return self != Changes()


def version_of(database: Path) -> int | None:
    """The schema's; None where there is no database, or one that cannot be read."""
    if not is_file(database):
        return None
    try:
        with closing(open_existing(database)) as db:
            db.execute("SELECT count(*) FROM sqlite_master").fetchone()
            return int(db.execute("PRAGMA user_version").fetchone()[0])
    except sqlite3.DatabaseError:
        return None


def changes_between(older: Path | None, newer: Path | None, books: Path) -> Changes:
    """Of two catalogs, by their contents, and the PDFs in `books`.

    Without `older` the library was empty; without `newer` only the PDFs say what is there.
    """
    before = _Contents.of(older) if older else _Contents()
    now = _Contents.of(newer) if newer else before
    files = _pdfs(books)
    went = () if newer is None else before.books.keys() - now.books.keys() - files
    return Changes(
        came=tuple(
            (book_id, now.books[book_id][1] if book_id in now.books else f"{book_id}.pdf")
            for book_id in sorted(files - before.books.keys())
        ),
        went=tuple(sorted(went)),
        titles=tuple(
            (book_id, now.books[book_id][0])
            for book_id in sorted(before.books.keys() & now.books.keys())
            if now.books[book_id][0] != before.books[book_id][0]
        ),
        jobs=now.jobs if now.jobs != before.jobs else None,
        embedded=_new_of(now.embedded, before.embedded, before),
        refused=_new_of(now.refused, before.refused, before),
    )


def apply_changes(catalog: Path, changes: Changes) -> None:
    """Make them in the older catalog, but for the books that came: these are to be added again."""
    with closing(open_existing(catalog)) as db:
        db.execute("PRAGMA foreign_keys=ON")
        with transaction(db):
            db.executemany(
                "DELETE FROM book WHERE id = ?", ((book_id,) for book_id in changes.went)
            )
            db.executemany(
                "UPDATE book SET title = ? WHERE id = ?",
                ((title, book_id) for book_id, title in changes.titles),
            )
            if changes.jobs is not None:
                db.execute("DELETE FROM job")
                db.executemany("INSERT INTO job (path, waiting) VALUES (?, ?)", changes.jobs)
            db.executemany("REPLACE INTO embedded (book_id, space) VALUES (?, ?)", changes.embedded)
            db.executemany(
                "REPLACE INTO refused (book_id, space, ordinal, reason) VALUES (?, ?, ?, ?)",
                changes.refused,
            )
            if _has_table(db, "seal"):
                seal_rest(db, [row[0] for row in db.execute("SELECT id FROM book")])
                count_change(db)


def take_vectors(older: Path, newer: Path) -> int:
    """Copy what was bought since from one embedding store into another; how many vectors."""
    with closing(open_existing(older)) as db:
        db.execute("ATTACH DATABASE ? AS newer", (str(newer),))
        with transaction(db):
            db.execute(
                "INSERT OR IGNORE INTO model (name, dimensions) "
                "SELECT name, dimensions FROM newer.model"
            )
            taken = db.execute(
                "INSERT OR IGNORE INTO embedding (space, digest, vector) "
                "SELECT space, digest, vector FROM newer.embedding"
            ).rowcount
            if _has_table(db, "checksum"):
                db.execute("INSERT OR IGNORE INTO checksum SELECT * FROM newer.checksum")
            return taken


def take_stamp_back(newer: Path, older: Path) -> None:
    """Have an embedding store say of its library what one of the same version said before."""
    with closing(open_existing(newer)) as db:
        if not _has_table(db, "library"):
            return
        db.execute("ATTACH DATABASE ? AS older", (str(older),))
        with transaction(db):
            db.execute("DELETE FROM main.library")
            db.execute("INSERT INTO main.library SELECT * FROM older.library")


def _has_table(db: sqlite3.Connection, name: str) -> bool:
    """Whether it is there: an older release may not have it."""
    found = db.execute(
        "SELECT 1 FROM main.sqlite_master WHERE type = 'table' AND name = ?", (name,)
    )
    return found.fetchone() is not None


@dataclass(frozen=True, slots=True)
class _Contents:
    """Title and file of each book by id, and what else of a catalog is compared."""

    books: dict[str, tuple[str, str]] = field(default_factory=dict)
    jobs: tuple[Row, ...] = ()
    embedded: frozenset[Row] = frozenset()
    refused: frozenset[Row] = frozenset()

    @staticmethod
    def of(catalog: Path) -> "_Contents":
        with closing(open_existing(catalog)) as db:
            rows = db.execute("SELECT id, title, file FROM book")
            return _Contents(
                {book_id: (title, file) for book_id, title, file in rows},
                tuple(db.execute(_JOBS)),
                frozenset(db.execute(_EMBEDDED)),
                frozenset(db.execute(_REFUSED)),
            )


def _new_of(now: frozenset[Row], before: frozenset[Row], known: _Contents) -> tuple[Row, ...]:
    """Rows of books that both catalogs have."""
    return tuple(sorted(row for row in now - before if row[0] in known.books))


def _pdfs(books: Path) -> set[str]:
    """The ids of the PDFs in the library's folder of books."""
    found = books.iterdir() if books.is_dir() else ()
    return {name[1] for path in found if (name := _PDF.fullmatch(path.name)) and is_file(path)}
