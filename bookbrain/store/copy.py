"""Databases and files of a library, copied out of it and taken over into it, while it is used."""

import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from bookbrain.errors import BookBrainError, BusyError, ConfigError
from bookbrain.files import PART, free_name, link, remove, sync_file, sync_folder
from bookbrain.index.segment import SEGMENT_DAMAGE, manifest_name, segments_of
from bookbrain.messages import fill
from bookbrain.model import Book
from bookbrain.paths import PDF, STORE, LibraryPaths
from bookbrain.store import catalog, embeddings
from bookbrain.store.catalog import Catalog, count_change, note_revisions
from bookbrain.store.checksums import seal_book
from bookbrain.store.database import (
    Migration,
    columns_of,
    copy_database,
    locked_database,
    open_database,
    open_untrusted,
    remove_database,
    suppress_damage,
    transaction,
)
from bookbrain.store.embeddings import EmbeddingStore
from bookbrain.store.flaws import (
    READING,
    STEPS,
    Unsound,
    bad_readings,
    bad_vectors,
    flaws,
    is_digest,
    store_flaws,
)
from bookbrain.store.folder import Stores

# How many migrations each database has had.
SCHEMAS = {name: len(steps) for name, steps in STEPS.items()}
# Children last: what refers to a book comes after it and goes before it.
_TABLES = (
    ("book", "id"), ("page", "book_id"), ("passage", "book_id"), ("embedded", "book_id"),
    ("refused", "book_id"), ("seal", "book_id"),
)  # fmt: skip
_BATCH = 500  # embeddings in one transaction: a purchase never waits long


def _forget(copy: Path, *tables: str) -> None:
    """Leave these tables out of the copy of a sound database, whose name says which one it is."""
    with closing(open_database(copy, STEPS[copy.name])) as db:
        for table in tables:
            db.execute(f"DELETE FROM {table}")  # noqa: S608


def told_books(path: Path) -> list[Book]:
    """The books of a damaged catalog that can still be told."""
    found = []
    with closing(open_untrusted(path)) as db, suppress(sqlite3.Error):
        for row in db.execute(
            """SELECT id, title, file, (SELECT count(*) FROM page WHERE book_id = id),
                      (SELECT count(*) FROM passage WHERE book_id = id), added_at FROM book"""
        ):
            if is_digest(row[0]) and all(type(value) in (str, int) for value in row):
                found.append(Book(*row))
    return found


def take_books(live: Path, other: Path, commit: str | None, only: str | None = None) -> None:
    """Make the books of the catalog `other` those of the catalog `live`, in one transaction.

    With `only` that one book is taken over and the others stay. From then on `commit` names the
    keyword index. What is on its way in stays so. The files of the books that go are to be
    deleted: the catalog says so.
    """
    of_book, values = (" WHERE {} = ?", (only,)) if only else ("", ())
    with _beside(live, other, catalog.MIGRATIONS) as connection, transaction(connection) as db:
        if not only:
            db.execute("INSERT OR IGNORE INTO main.removed SELECT id FROM main.book")
        for table, key in reversed(_TABLES):
            db.execute(f"DELETE FROM main.{table}{of_book.format(key)}", values)  # noqa: S608
        for table, key in _TABLES:  # which one of an earlier schema may lack, or a column of it
            if columns := ", ".join(columns_of(db, table, "other")):
                db.execute(
                    f"INSERT INTO main.{table} ({columns}) SELECT {columns} FROM other.{table}"  # noqa: S608
                    + of_book.format(key),
                    values,
                )
        if not columns_of(db, "seal", "other"):  # of before there were any, and judged without
            for (book_id,) in db.execute(
                f"SELECT id FROM other.book{of_book.format('id')}",  # noqa: S608
                values,
            ):
                seal_book(db, book_id)
        note_revisions(db)
        db.execute("DELETE FROM main.removed WHERE book_id IN (SELECT id FROM main.book)")
        count_change(db)
        db.execute("DELETE FROM main.setting WHERE name = 'generation'")
        if commit:
            db.execute("INSERT INTO main.setting VALUES ('generation', ?)", (commit,))


def drop_bad_rows(path: Path) -> None:
    """Remove from a store every vector and every recognised page that cannot be used, or is not
    what it was."""
    with closing(open_untrusted(path)) as db:
        bad = [(row,) for row in bad_vectors(db)]
        unread = [(row,) for row in bad_readings(db)]
    with closing(open_database(path, STEPS[STORE])) as new, transaction(new) as db:
        db.executemany("DELETE FROM embedding WHERE rowid = ?", bad)
        db.executemany("DELETE FROM recognised WHERE rowid = ?", unread)
        db.execute(
            """DELETE FROM checksum WHERE NOT EXISTS (
                   SELECT 1 FROM embedding WHERE embedding.space = checksum.space
                   AND embedding.digest = checksum.digest)"""
        )


def take_embeddings(live: Path, other: Path) -> None:
    """Put what the store `other` holds into `live`, vectors and recognised pages, but for those
    that are there; what is there and cannot be used goes."""
    drop_bad_rows(live)
    with _beside(live, other, embeddings.EMBEDDINGS_MIGRATIONS) as connection:
        connection.execute("INSERT OR IGNORE INTO main.model SELECT * FROM other.model")
        (last,) = connection.execute("SELECT max(rowid) FROM other.embedding").fetchone()
        for first in range(1, (last or 0) + 1, _BATCH):
            with transaction(connection) as db:
                db.execute(
                    """REPLACE INTO main.embedding SELECT * FROM other.embedding AS bought
                       WHERE rowid BETWEEN ? AND ? AND NOT EXISTS (
                           SELECT 1 FROM main.embedding AS here WHERE here.space = bought.space
                           AND here.digest = bought.digest AND here.vector = bought.vector)""",
                    (first, first + _BATCH - 1),
                )
                db.execute(
                    """REPLACE INTO main.checksum SELECT sum.* FROM other.checksum AS sum
                       JOIN other.embedding AS bought USING (space, digest)
                       WHERE bought.rowid BETWEEN ? AND ? AND NOT EXISTS (
                           SELECT 1 FROM main.checksum AS here WHERE here.space = sum.space
                           AND here.digest = sum.digest AND here.value = sum.value)""",
                    (first, first + _BATCH - 1),
                )
        _take_readings(connection)


def _take_readings(connection: sqlite3.Connection) -> None:
    """Take over the recognised pages of the attached store that are not here."""
    if not columns_of(connection, "recognised", "other"):  # it is of before there were any
        return
    (last,) = connection.execute("SELECT max(rowid) FROM other.recognised").fetchone()
    for first in range(1, (last or 0) + 1, _BATCH):
        with transaction(connection) as db:
            db.execute(
                f"""INSERT OR IGNORE INTO main.recognised ({READING})
                    SELECT {READING} FROM other.recognised WHERE rowid BETWEEN ? AND ?
                    ORDER BY rowid""",  # noqa: S608
                (first, first + _BATCH - 1),
            )


def move_damaged(home: Path) -> list[Path]:
    """Rename the databases whose files are damaged to `….damaged`; their new paths."""
    aside = []
    for name in damaged_databases(home):
        aside.append(free_name(home / name, ".damaged"))
        _rename(home / name, aside[-1])
    return aside


def move_back(aside: Path) -> None:
    """Take back a renaming to `….sqlite3.<anything>`; what was made in its place goes."""
    path = aside.with_name("".join(aside.name.partition(".sqlite3")[:2]))
    remove_database(path)
    _rename(aside, path)


def damaged_databases(home: Path) -> list[str]:
    """The names of the databases in `home` whose files are damaged."""
    return [name for name in STEPS if (home / name).exists() and _is_damaged(home / name)]


def _is_damaged(path: Path) -> bool:
    try:
        open_database(path, STEPS[path.name]).close()
    except ConfigError:
        raise
    except BookBrainError:
        return True
    return any(flaws(path, rows=False))


def _rename(path: Path, target: Path) -> None:
    """A database, with what is beside it."""
    for end in ("-wal", "-shm"):
        with suppress(FileNotFoundError):
            path.with_name(path.name + end).replace(target.with_name(target.name + end))
    path.replace(target)


@contextmanager
def _beside(live: Path, other: Path, steps: Sequence[Migration]) -> Iterator[sqlite3.Connection]:
    """The database `live`, with `other` beside it, which may be locked: it is only read."""
    with closing(open_database(live, steps)) as db:
        db.execute("ATTACH ? AS other", (f"{other.absolute().as_uri()}?mode=ro",))
        yield db


_PATIENCE = 10.0  # seconds for whoever reads or writes


@contextmanager
def exchanged(path: Path) -> Iterator[tuple[Path, Path]]:
    """Where to make the new database, and where the old one will be kept. When the block ends well
    the new one has the name `path`; killed at any instant it is the old one or the new one.

    Nobody else writes to the old one meanwhile. Raises BusyError where somebody does all the time.
    """
    part, aside = path.with_name(path.name + PART), free_name(path, ".damaged")
    remove_database(part)
    with _nobody_writing(path):
        yield part, aside
        sync_file(part)
        if path.exists():
            os.link(path, aside)
        wal = Path(f"{path}-wal")
        if path.exists() and wal.exists() and wal.stat().st_size:  # SQLite could not open the file
            wal.replace(f"{aside}-wal")
        for end in ("-wal", "-shm"):  # what was in them is in the old file
            remove(Path(f"{path}{end}"))
        part.replace(path)
        sync_folder(path.parent)


@contextmanager
def _nobody_writing(path: Path) -> Iterator[None]:
    """With all that was written in the file itself. One that SQLite cannot open has no writers."""
    if not path.exists():
        yield
        return
    with locked_database(path, _PATIENCE) as settled:
        if not settled:
            raise BusyError(fill("{file} is being used.", file=path.name), "Run this again later.")
        yield


_TRIES = 10
_MOST_NAMED = 10  # flaws
OnCopied = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What was copied: `lost` names the books whose file is not in the library, and `unsound` what
    is wrong with the databases. Then `books` are those that can still be told, and every file of a
    book that lies there is in it."""

    books: tuple[Book, ...]
    lost: tuple[Book, ...]
    spaces: tuple[str, ...]
    embeddings: int
    unsound: tuple[str, ...] = ()


def take_snapshot(
    stores: Stores, folder: Path, *, books: bool = True, on_copied: OnCopied
) -> Snapshot:
    """Put the library as it is now into `folder`, which must not be there, on the same disk.

    No writer is waited for. A book is in it whole or not at all: the catalog comes first, a book in
    it has had its file and its embeddings before, and where a book was removed meanwhile all is
    done again. Files that never change are linked, not copied.
    """
    copy = LibraryPaths(folder)
    for _ in range(_TRIES):
        remove(folder)
        folder.mkdir(mode=0o700)
        before = None
        with suppress_damage():
            before = stores.catalog.index_commit()
        _link_index(stores, folder, before)
        copy_database(stores.paths.catalog, copy.catalog, on_copied)
        if unsound := _first(flaws(copy.catalog)):
            copy_database(stores.paths.embeddings, copy.embeddings, on_copied)
            return _rescued(stores, folder, unsound, books=books)
        _forget(copy.catalog, "job", "removed")  # what is on its way in, and out
        with closing(Catalog(copy.catalog)) as catalog:
            taken = catalog.books()
            spaces = tuple(sorted(catalog.embedded_spaces()))
            commit = catalog.index_commit()
        if commit != before:
            remove(copy.keywords)
            _link_index(stores, folder, commit)
        lost = _link_books(stores, folder, taken) if books else []
        if any(not stores.catalog.has_book(book.id) for book in lost):
            continue  # it was removed since
        copy_database(stores.paths.embeddings, copy.embeddings, on_copied)
        if unsound := _first(store_flaws(folder)):
            return Snapshot(tuple(taken), tuple(lost), spaces, 0, unsound)
        _forget(copy.embeddings, "library")  # a stamp, maybe of a later moment than the catalog
        with closing(EmbeddingStore(copy.embeddings)) as store:
            return Snapshot(tuple(taken), tuple(lost), spaces, store.count())
    raise BusyError("Books are being removed all the time.", "Run the backup again later.")


def _first(found: Iterator[Unsound]) -> tuple[str, ...]:
    return tuple(flaw.what for flaw in islice(found, _MOST_NAMED))


def _rescued(stores: Stores, folder: Path, unsound: tuple[str, ...], *, books: bool) -> Snapshot:
    """What there is beside the copy of a catalog that is not sound: all files of books."""
    paths = LibraryPaths(folder)
    remove(paths.keywords)
    paths.books.mkdir()
    for path in sorted(stores.books.glob(f"*{PDF}")) if books else ():
        if is_digest(path.stem) and path.is_file() and not path.is_symlink():
            link(path, paths.books / path.name)
    told = tuple(told_books(paths.catalog))
    lost = tuple(b for b in told if books and not paths.book_file(b.id).exists())
    return Snapshot(told, lost, (), 0, unsound)


def _link_books(stores: Stores, folder: Path, books: list[Book]) -> list[Book]:
    """Those whose file is not there."""
    LibraryPaths(folder).books.mkdir()
    lost = []
    for book in books:
        source = stores.book_file(book.id)
        try:
            if source.is_file():  # and no folder or pipe
                link(source, LibraryPaths(folder).books / source.name)
            else:
                lost.append(book)
        except FileNotFoundError:
            lost.append(book)
    return lost


def _link_index(stores: Stores, folder: Path, commit: str | None) -> None:
    """A keyword index, whole or not at all: it is derived."""
    if commit is None:
        return
    try:
        link_index(stores.segments, LibraryPaths(folder).keywords, commit)
    except SEGMENT_DAMAGE:
        remove(LibraryPaths(folder).keywords)


def link_index(source: Path, target: Path, commit: str) -> None:
    """Have a keyword index of the folder `source` in `target` too; what is there stays.

    Raises one of `SEGMENT_DAMAGE` when it is not whole.
    """
    target.mkdir(exist_ok=True)
    for name in [*segments_of(source, commit), manifest_name(commit)]:
        if not (target / name).exists():
            link(source / name, target / name)
