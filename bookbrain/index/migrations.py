"""The catalog's schema, step by step. A step that was released never changes."""

import sqlite3
from collections.abc import Sequence

from bookbrain.index.database import Migration


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


def m003_attempts_at_jobs(connection: sqlite3.Connection) -> None:
    """How often the work on a job began and was never heard of again."""
    connection.execute("ALTER TABLE job ADD COLUMN attempts INTEGER NOT NULL DEFAULT 0")


MIGRATIONS: Sequence[Migration] = (
    m001_create_tables,
    m002_progress_of_jobs,
    m003_attempts_at_jobs,
)
