"""The card of each book, and whether the catalog is that of the library which it lies in.

Where the catalog is lost the files and their cards are what the library is made of again.
"""

import json
import re
import sqlite3
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import datetime
from hashlib import sha256
from pathlib import Path

from bookbrain.errors import ConfigError
from bookbrain.files import open_file, write_file
from bookbrain.messages import fill, message_of
from bookbrain.paths import STAMP_FILE as STAMP
from bookbrain.paths import LibraryPaths
from bookbrain.store.catalog import Catalog, read_stamp
from bookbrain.store.checksums import STORE_TABLES, Stamp, read_stamp_file, torn_tables
from bookbrain.store.database import DAMAGE, reading_database, schema_version
from bookbrain.store.flaws import LONGEST_NAME

_NAME = re.compile(r"([0-9a-f]{64})\.(pdf|json)", re.ASCII)
_MOST_BYTES = 1 << 26


@dataclass(frozen=True, slots=True)
class Card:
    """Of the book `id`; the other fields as in `Book`. `refused` has the passages that a space
    refused to embed: reasons by ordinal, by space."""

    id: str
    title: str
    file: str
    added_at: str
    refused: dict[str, dict[str, str]] = field(default_factory=dict)


def read_card(paths: LibraryPaths, book_id: str) -> Card | None:
    """The card of a book of a library; None where there is none that is whole."""
    path = paths.card(book_id)
    try:
        if path.stat().st_size > _MOST_BYTES:
            return None
        with open_file(path) as file:
            values = json.loads(file.read())
        seal = values.pop("sha256")
        card = Card(**values)
        whole = seal == _seal(card) and card.id == book_id and _is_sound(card)
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None
    return card if whole else None


def write_cards(paths: LibraryPaths, catalog: Catalog, book_id: str | None = None) -> None:
    """Have the cards of all books of the catalog, or of one, in the library as they are."""
    refused = catalog.refused()
    for row in catalog.card_rows(book_id):
        of_book = {
            space: {str(ordinal): reason for ordinal, reason in reasons.items()}
            for space, reasons in refused.get(row[0], {}).items()
        }
        card = Card(*row, of_book)
        if read_card(paths, card.id) != card:
            text = json.dumps({**asdict(card), "sha256": _seal(card)}, indent=1)
            write_file(paths.card(card.id), text.encode())


def stored_files(books: Path) -> set[str]:
    """The ids of the books whose file is in the folder `books`."""
    return _ids(books, "pdf")


def stored_cards(books: Path) -> set[str]:
    """The ids of the books whose card is in the folder `books`."""
    return _ids(books, "json")


def is_of_books(name: str) -> bool:
    """Whether a file of this name in `books` is ours: a book, a card or the stamp."""
    return name == STAMP or bool(_NAME.fullmatch(name))


def _ids(books: Path, kind: str) -> set[str]:
    try:
        names = [path.name for path in books.iterdir() if path.is_file()]
    except FileNotFoundError:
        return set()
    return {m[1] for name in names if (m := _NAME.fullmatch(name)) and m[2] == kind}


def _is_sound(card: Card) -> bool:
    """Whether it has what a catalog can take; raises as a wrong type does."""
    names = (card.title, card.file, card.added_at)
    reasons = [r for of_space in card.refused.values() for r in of_space.items()]
    return (
        all(type(name) is str and len(name) <= LONGEST_NAME for name in names)
        and datetime.fromisoformat(card.added_at).tzinfo is not None
        and all(ordinal.isdecimal() and type(reason) is str for ordinal, reason in reasons)
    )


def _seal(card: Card) -> str:
    return sha256(json.dumps(asdict(card), sort_keys=True).encode()).hexdigest()


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
    files = len(stored_files(LibraryPaths(home).books))
    books = max([files, *(stamp.books for stamp in copies)])
    path = LibraryPaths(home).catalog
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
    paths = LibraryPaths(home)
    truth = [read_stamp_file(paths.books), _embeddings_stamp(paths.embeddings)]
    return [s for s in truth if s] or [s for s in [read_stamp_file(paths.keywords)] if s]


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
            folder=LibraryPaths(home).books,
            files=files,
        ),
        _WAYS_OUT,
    )
