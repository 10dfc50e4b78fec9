"""The databases of a library, copied out of it and taken over into it, while others use them."""

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from bookbrain.errors import BookBrainError, ConfigError, InputError
from bookbrain.index import embeddings, migrations
from bookbrain.index.catalog import count_change
from bookbrain.index.database import (
    Migration,
    copy_database,
    fresh_schema,
    open_database,
    schema_of,
    transaction,
)

CATALOG = "catalog.sqlite3"  # in the library's folder
SCHEMAS = {CATALOG: len(migrations.MIGRATIONS), embeddings.STORE: len(embeddings.MIGRATIONS)}

# Children last: what refers to a book comes after it and goes before it.
_TABLES = (
    ("book", "id"), ("page", "book_id"), ("passage", "book_id"), ("embedded", "book_id"),
    ("refused", "book_id"), ("seal", "book_id"),
)  # fmt: skip
_BATCH = 500  # embeddings in one transaction: a purchase never waits long
_STEPS = {CATALOG: migrations.MIGRATIONS, embeddings.STORE: embeddings.MIGRATIONS}


def copy_catalog(source: Path, target: Path, on_pages: Callable[[int, int], None]) -> None:
    """Copy a catalog as it is at this moment, without what is on its way in."""
    copy_database(source, target, on_pages)
    with closing(open_database(target, migrations.MIGRATIONS)) as copy:
        copy.execute("DELETE FROM job")
        copy.execute("DELETE FROM removed")


def copy_embeddings(source: Path, target: Path, on_pages: Callable[[int, int], None]) -> None:
    """Copy an embedding store as it is at this moment.

    Without its stamp: it may be of a later moment than that of a catalog copied before.
    """
    copy_database(source, target, on_pages)
    with closing(open_database(target, embeddings.MIGRATIONS)) as copy:
        copy.execute("DELETE FROM library")


def check_database(path: Path) -> None:
    """Bring the copy of a database up to date; its name says which one it is.

    Raises InputError when it is damaged or has what no version of BookBrain has put there, and
    ConfigError when a newer one made it.
    """
    try:
        with closing(open_database(path, _STEPS[path.name])) as db:
            (found,) = db.execute("PRAGMA quick_check").fetchone()
            if found != "ok":
                raise InputError(f"{path.name} is damaged: {found}.", "Take another backup.")
            if schema_of(db) != fresh_schema(_STEPS[path.name]):
                raise InputError(
                    f"{path.name} has tables that are not BookBrain's.", "Take another backup."
                )
    except sqlite3.DatabaseError as error:
        raise InputError(f"{path.name} is damaged: {error}.", "Take another backup.") from error


def take_books(live: Path, other: Path, generation: str | None, only: str | None = None) -> None:
    """Make the books of the catalog `other` those of the catalog `live`, in one transaction.

    With `only` that one book is taken over and the others stay. From then on `generation` names
    the keyword index. What is on its way in stays so. The files of the books that go are to be
    deleted: the catalog says so.
    """
    of_book, values = (" WHERE {} = ?", (only,)) if only else ("", ())
    with _beside(live, other, migrations.MIGRATIONS) as connection, transaction(connection) as db:
        if not only:
            db.execute("INSERT OR IGNORE INTO main.removed SELECT id FROM main.book")
        for table, key in reversed(_TABLES):
            db.execute(f"DELETE FROM main.{table}{of_book.format(key)}", values)  # noqa: S608
        for table, key in _TABLES:
            db.execute(
                f"INSERT INTO main.{table} SELECT * FROM other.{table}{of_book.format(key)}",  # noqa: S608
                values,
            )
        db.execute("DELETE FROM main.removed WHERE book_id IN (SELECT id FROM main.book)")
        count_change(db)
        db.execute("DELETE FROM main.setting WHERE name = 'generation'")
        if generation:
            db.execute("INSERT INTO main.setting VALUES ('generation', ?)", (generation,))


def take_embeddings(live: Path, other: Path) -> None:
    """Put the vectors of the store `other` into `live`, but for those that are there."""
    with _beside(live, other, embeddings.MIGRATIONS) as connection:
        with transaction(connection) as db:
            db.execute("INSERT OR IGNORE INTO main.model SELECT * FROM other.model")
            db.execute("INSERT OR IGNORE INTO main.checksum SELECT * FROM other.checksum")
        (last,) = connection.execute("SELECT max(rowid) FROM other.embedding").fetchone()
        for first in range(1, (last or 0) + 1, _BATCH):
            with transaction(connection) as db:
                db.execute(
                    """INSERT OR IGNORE INTO main.embedding SELECT * FROM other.embedding
                       WHERE rowid BETWEEN ? AND ?""",
                    (first, first + _BATCH - 1),
                )


def move_damaged(home: Path) -> list[Path]:
    """Rename the databases that cannot be opened to `….damaged`; their new paths."""
    aside = []
    for name, steps in _STEPS.items():
        try:
            open_database(home / name, steps).close()
        except ConfigError:
            raise
        except BookBrainError:
            for end in ("-wal", "-shm"):
                with suppress(FileNotFoundError):
                    (home / f"{name}{end}").replace(home / f"{name}.damaged{end}")
            aside.append((home / name).replace(home / f"{name}.damaged"))
    return aside


@contextmanager
def _beside(live: Path, other: Path, steps: Sequence[Migration]) -> Iterator[sqlite3.Connection]:
    """The database `live`, with `other` beside it."""
    with closing(open_database(live, steps)) as db:
        db.execute("ATTACH ? AS other", (str(other),))
        yield db
