"""The databases of a library, copied out of it and taken over into it, while others use them."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from bookbrain.durable import free_name
from bookbrain.errors import BookBrainError, ConfigError
from bookbrain.index import embeddings, migrations
from bookbrain.index.catalog import count_change
from bookbrain.index.database import (
    Migration,
    open_database,
    open_untrusted,
    remove_database,
    transaction,
)
from bookbrain.index.seals import seal_book
from bookbrain.index.soundness import STEPS, bad_vectors, flaws, is_digest
from bookbrain.model import Book

SCHEMAS = {name: len(steps) for name, steps in STEPS.items()}

# Children last: what refers to a book comes after it and goes before it.
_TABLES = (
    ("book", "id"), ("page", "book_id"), ("passage", "book_id"), ("embedded", "book_id"),
    ("refused", "book_id"), ("seal", "book_id"),
)  # fmt: skip
_BATCH = 500  # embeddings in one transaction: a purchase never waits long


def forget_jobs(copy: Path) -> None:
    """Leave out of the copy of a sound catalog what is on its way in, and out."""
    with closing(open_database(copy, migrations.MIGRATIONS)) as db:
        db.execute("DELETE FROM job")
        db.execute("DELETE FROM removed")


def forget_stamp(copy: Path) -> None:
    """Leave the stamp out of the copy of a sound store: it may be of a later moment than that of
    a catalog copied before."""
    with closing(open_database(copy, embeddings.MIGRATIONS)) as db:
        db.execute("DELETE FROM library")


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


def bring_up_to_date(path: Path) -> None:
    """Give the sound copy of a database, whose name says which one it is, the schema of today."""
    open_database(path, STEPS[path.name]).close()


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
        there = {row[0] for row in db.execute("SELECT name FROM other.sqlite_master")}
        for table, key in _TABLES:
            if table in there:
                db.execute(
                    f"INSERT INTO main.{table} SELECT * FROM other.{table}{of_book.format(key)}",  # noqa: S608
                    values,
                )
        if "seal" not in there:  # of before there were any, and judged without
            for (book_id,) in db.execute(
                f"SELECT id FROM other.book{of_book.format('id')}",  # noqa: S608
                values,
            ):
                seal_book(db, book_id)
        db.execute("DELETE FROM main.removed WHERE book_id IN (SELECT id FROM main.book)")
        count_change(db)
        db.execute("DELETE FROM main.setting WHERE name = 'generation'")
        if generation:
            db.execute("INSERT INTO main.setting VALUES ('generation', ?)", (generation,))


def take_embeddings(live: Path, other: Path) -> None:
    """Put the vectors of the store `other` into `live`, but for those that are there; what is there
    and cannot be used goes."""
    with closing(open_untrusted(live)) as db:
        unsound = list(bad_vectors(db))
    with _beside(live, other, embeddings.MIGRATIONS) as connection:
        with transaction(connection) as db:
            db.executemany("DELETE FROM main.embedding WHERE rowid = ?", ((u,) for u in unsound))
            db.execute(
                """DELETE FROM main.checksum WHERE NOT EXISTS (
                       SELECT 1 FROM main.embedding AS here
                       WHERE here.space = checksum.space AND here.digest = checksum.digest)"""
            )
            db.execute("INSERT OR IGNORE INTO main.model SELECT * FROM other.model")
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
