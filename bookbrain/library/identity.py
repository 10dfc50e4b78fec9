"""Whether the catalog is that of the library which it lies in. Asked before anything is written."""

import sqlite3
from collections.abc import Callable
from pathlib import Path

from bookbrain.errors import ConfigError
from bookbrain.index.catalog import read_stamp
from bookbrain.index.database import DAMAGE, reading_database, schema_version
from bookbrain.index.embeddings import STORE
from bookbrain.index.soundness import CATALOG
from bookbrain.index.stamps import Stamp, read_stamp_file
from bookbrain.index.twins import STORE_TABLES, torn_tables
from bookbrain.library.cards import stored_files
from bookbrain.wording import fill, message_of

_WAYS_OUT = (
    "Nothing was changed. Bring the catalog back from a backup: `bookbrain-admin restore FILE`; or "
    "make it again from the files and what is known of them: `bookbrain recover`. On a server both "
    "with sudo."
)


class LostCatalogError(ConfigError):
    """The catalog is gone, empty, older than its library, or of another one.

    Exit code 78: starting again does not help.
    """


def check_catalog(home: Path) -> Callable[[sqlite3.Connection], None]:
    """A check for `open_database` of the catalog in `home`; it raises LostCatalogError.

    Where there is no catalog it is made here and now, before a file is made for it.
    """
    copies = stamp_copies(home)
    files = len(stored_files(home / "books"))
    books = max([files, *(stamp.books for stamp in copies)])
    path = home / CATALOG
    if books and (not path.exists() or path.stat().st_size == 0):
        if path.exists():
            raise _lost(home, "The catalog is empty.", files)
        raise _lost(home, "The catalog is gone.", files)

    def check(connection: sqlite3.Connection) -> None:
        version = schema_version(connection)
        stamp = read_stamp(connection)
        of_old = stamp is None and version in (1, 2)  # before there were stamps
        if of_old and not copies:
            return
        if of_old:
            raise _lost(home, "The catalog is older than its library.", files)
        if stamp is None and books:
            raise _lost(home, "The catalog is empty.", files)
        if stamp is None:
            return
        if copies and copies[0].library != stamp.library:
            raise _lost(home, "The catalog is of another library.", files)
        if any(c.library == stamp.library and c.changes > stamp.changes for c in copies):
            raise _lost(home, "The catalog is older than its library.", files)

    return check


def stamp_copies(home: Path) -> list[Stamp]:
    """The stamps that the library in `home` keeps beside that of the catalog.

    That of the books comes first. That of the keyword index, which can be made again, counts only
    where no other one is left.
    """
    truth = [read_stamp_file(home / "books"), _embeddings_stamp(home / STORE)]
    return [s for s in truth if s] or [s for s in [read_stamp_file(home / "keywords")] if s]


def _embeddings_stamp(path: Path) -> Stamp | None:
    """None where it has none, or cannot be read: opening it says what is wrong."""
    if not path.exists() or path.stat().st_size == 0:
        return None
    try:
        with reading_database(path) as db:
            if schema_version(db) > 2 and "library" in torn_tables(db, STORE_TABLES):
                return None
            row = db.execute("SELECT id, changes, books FROM library").fetchone()
    except DAMAGE:
        return None
    return Stamp(*row) if row else None


def _lost(home: Path, what: str, files: int) -> LostCatalogError:
    return LostCatalogError(
        fill(
            "{what} PDFs in {folder}: {files}.",
            what=message_of(what),
            folder=home / "books",
            files=files,
        ),
        _WAYS_OUT,
    )
