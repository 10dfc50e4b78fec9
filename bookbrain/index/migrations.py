"""The catalog's schema, step by step. A step that was released never changes."""

import sqlite3
from collections.abc import Sequence
from secrets import token_hex

from bookbrain.index.database import Migration
from bookbrain.index.seals import seal_book
from bookbrain.index.twins import CATALOG_TABLES, create_twins


def m001_create_tables(connection: sqlite3.Connection) -> None:
    """Books with their pages and passages; jobs; what a later step must still do."""
    for statement in (
        "CREATE TABLE setting (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
        """CREATE TABLE book (
            id TEXT PRIMARY KEY, title TEXT NOT NULL, file TEXT NOT NULL, added_at TEXT NOT NULL
        ) WITHOUT ROWID""",
        """CREATE TABLE page (
            book_id TEXT NOT NULL REFERENCES book ON DELETE CASCADE, number INTEGER NOT NULL,
            label TEXT NOT NULL, chapter TEXT NOT NULL, headings TEXT NOT NULL,
            problem TEXT NOT NULL, text TEXT NOT NULL,
            PRIMARY KEY (book_id, number)
        )""",
        """CREATE TABLE passage (
            book_id TEXT NOT NULL REFERENCES book ON DELETE CASCADE, ordinal INTEGER NOT NULL,
            digest TEXT NOT NULL, spans TEXT NOT NULL,
            PRIMARY KEY (book_id, ordinal)
        )""",
        # The embedding spaces in which every passage of a book is embedded, but for the refused.
        """CREATE TABLE embedded (
            book_id TEXT NOT NULL REFERENCES book ON DELETE CASCADE, space TEXT NOT NULL,
            PRIMARY KEY (book_id, space)
        ) WITHOUT ROWID""",
        """CREATE TABLE refused (
            book_id TEXT NOT NULL REFERENCES book ON DELETE CASCADE, space TEXT NOT NULL,
            ordinal INTEGER NOT NULL, reason TEXT NOT NULL,
            PRIMARY KEY (book_id, space, ordinal)
        ) WITHOUT ROWID""",
        # A book on its way in: from the moment it is asked for until it is whole or given up.
        "CREATE TABLE job (id INTEGER PRIMARY KEY, path TEXT NOT NULL, waiting TEXT NOT NULL)",
    ):
        connection.execute(statement)


def m002_progress_of_jobs(connection: sqlite3.Connection) -> None:
    """How far each job is; and the pages with problems, which a long shelf asks of every book."""
    for statement in (
        "ALTER TABLE job ADD COLUMN step TEXT NOT NULL DEFAULT ''",
        "ALTER TABLE job ADD COLUMN done INTEGER NOT NULL DEFAULT 0",
        "ALTER TABLE job ADD COLUMN total INTEGER NOT NULL DEFAULT 0",
        "CREATE INDEX page_problem ON page (book_id, number) WHERE problem <> ''",
    ):
        connection.execute(statement)


def m003_identity_and_seals(connection: sqlite3.Connection) -> None:
    """Which library it is, and how many changes its books have had; what each book's rows were
    when they were written; and the books whose files are still to be deleted."""
    for statement in (
        """CREATE TABLE seal (
            book_id TEXT PRIMARY KEY REFERENCES book ON DELETE CASCADE,
            pages BLOB NOT NULL, rest BLOB NOT NULL
        ) WITHOUT ROWID""",
        "CREATE TABLE removed (book_id TEXT PRIMARY KEY) WITHOUT ROWID",
    ):
        connection.execute(statement)
    connection.execute(
        "INSERT INTO setting VALUES ('library', ?), ('changes', '0')", (token_hex(16),)
    )
    for (book_id,) in connection.execute("SELECT id FROM book").fetchall():
        seal_book(connection, book_id)


def m004_attempts_at_jobs(connection: sqlite3.Connection) -> None:
    """How often the work on a job began and was never heard of again."""
    connection.execute("ALTER TABLE job ADD COLUMN attempts INTEGER NOT NULL DEFAULT 0")


def m005_twins(connection: sqlite3.Connection) -> None:
    """The small tables that no seal covers are kept twice."""
    create_twins(connection, CATALOG_TABLES)


MIGRATIONS: Sequence[Migration] = (
    m001_create_tables,
    m002_progress_of_jobs,
    m003_identity_and_seals,
    m004_attempts_at_jobs,
    m005_twins,
)
