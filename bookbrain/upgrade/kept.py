"""Copies of the databases as they were before an upgrade, and what has changed since."""

import os
import re
import shutil
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from bookbrain.errors import BookBrainError, BusyError
from bookbrain.files import PART, file_lock, remove, sync_file, sync_folder
from bookbrain.messages import fill
from bookbrain.store.catalog import count_change
from bookbrain.store.database import copy_database, open_existing, transaction
from bookbrain.store.embeddings import STORE
from bookbrain.store.integrity import seal_rest

KEPT = ".before-upgrade"  # in the library's folder, whole or not there
CATALOG = "catalog.sqlite3"
DATABASES = (CATALOG, STORE)
_LOCK_SECONDS = 600.0


def keep(home: Path) -> None:
    """Copy both databases, and the notes beside the books, to `KEPT` in the library at `home`.

    Raises BusyError while somebody writes to the library for longer than ten minutes.
    """
    kept = home / KEPT
    part = kept.with_name(kept.name + PART)
    with library_lock(home):
        remove(kept)
        remove(part)
        part.mkdir(mode=0o700)
        for name in DATABASES:
            if is_file(home / name):
                _copy_database(home / name, part / name)
        for note in notes(home):
            target = part / note.relative_to(home)
            target.parent.mkdir(exist_ok=True)
            shutil.copyfile(note, target, follow_symlinks=False)
        _sync_tree(part)
        part.rename(kept)
        sync_folder(home)


def forget(home: Path) -> None:
    """Remove the copies."""
    remove(home / KEPT)


@contextmanager
def library_lock(home: Path) -> Iterator[None]:
    """Be the one who writes to the library."""
    try:
        with file_lock(home / "library.lock", seconds=_LOCK_SECONDS):
            yield
    except TimeoutError as error:
        raise BusyError(
            "Another bookbrain has been writing to the library for too long.",
            "Run this again when it has ended.",
        ) from error


def notes(folder: Path) -> list[Path]:
    """The JSON files beside the books, and that of the keyword index, below `folder`.

    A generation of the keyword index is none of them: it is made again from the catalog.
    """
    found = [*(folder / "books").glob("*.json"), folder / "keywords" / "library.json"]
    return sorted(path for path in found if is_file(path))


def is_file(path: Path) -> bool:
    """Whether there is something at `path`; raises BookBrainError where that is no plain file."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return False
    if not stat.S_ISREG(mode):
        raise BookBrainError(
            fill("{path} is no file.", path=path), "Move it away, then run this again."
        )
    return True


def _copy_database(source: Path, target: Path) -> None:
    try:
        copy_database(source, target)
    except sqlite3.DatabaseError:
        # It is damaged: the release of now cannot read it either, but it is not to get worse.
        for end in ("", "-wal"):
            remove(Path(f"{target}{end}"))
            if is_file(Path(f"{source}{end}")):
                shutil.copyfile(f"{source}{end}", f"{target}{end}", follow_symlinks=False)


def _sync_tree(top: Path) -> None:
    for folder, _, names in os.walk(top):
        for name in names:
            sync_file(Path(folder, name))
        sync_folder(Path(folder))


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
