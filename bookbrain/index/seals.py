"""Checksums over what the databases hold, written with it, so that damage shows.

SQLite notices a broken structure, but not another letter in a text or another bit in a vector.
"""

import sqlite3
from collections.abc import Iterable, Sequence
from hashlib import blake2b
from typing import Any

SIZE = 8  # bytes of a checksum

_PAGES = """SELECT number, label, chapter, headings, problem, text FROM page
            WHERE book_id = ? ORDER BY number"""
_REST = (
    "SELECT id, title, file, added_at FROM book WHERE id = ?",
    "SELECT ordinal, digest, spans FROM passage WHERE book_id = ? ORDER BY ordinal",
    "SELECT space FROM embedded WHERE book_id = ? ORDER BY space",
    "SELECT space, ordinal, reason FROM refused WHERE book_id = ? ORDER BY space, ordinal",
)


def checksum(*values: object) -> bytes:
    """8 bytes that stand for these values of a row: texts, numbers, bytes or None, in order."""
    digest = blake2b(digest_size=SIZE)
    _feed(digest, values)
    return digest.digest()


def page_checksums(db: sqlite3.Connection, book_id: str) -> bytes:
    """The checksums of a book's pages as they are now, one after another in page order."""
    return b"".join(checksum(*row) for row in db.execute(_PAGES, (book_id,)))


def rest_checksum(db: sqlite3.Connection, book_id: str) -> bytes:
    """The checksum of all other rows of a book as they are now."""
    digest = blake2b(digest_size=SIZE)
    for query in _REST:
        _feed(digest, [query])
        for row in db.execute(query, (book_id,)):
            _feed(digest, row)
    return digest.digest()


def seal_book(db: sqlite3.Connection, book_id: str) -> None:
    """Take the rows of a book for right, in the transaction that wrote them."""
    db.execute(
        "REPLACE INTO seal VALUES (?, ?, ?)",
        (book_id, page_checksums(db, book_id), rest_checksum(db, book_id)),
    )


def seal_rest(db: sqlite3.Connection, book_ids: Iterable[str]) -> None:
    """The same where their pages were not touched."""
    db.executemany(
        "UPDATE seal SET rest = ? WHERE book_id = ?",
        ((rest_checksum(db, book_id), book_id) for book_id in list(book_ids)),
    )


def _feed(digest: "blake2b", values: Sequence[Any]) -> None:
    """Each value with its type and length: no two rows are the same bytes."""
    for value in values:
        data = value if isinstance(value, bytes) else str(value).encode("utf-8", "surrogatepass")
        digest.update(f"{type(value).__name__}{len(data)}:".encode())
        digest.update(data)
