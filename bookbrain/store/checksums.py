"""What databases keep so that damage shows: stamps, checksums, copies of rows.

The catalog has the stamp that counts. Copies of it are beside the books, beside the keyword index
and in the embedding store: a catalog that is lost, of another library, or older than they are,
shows.

SQLite notices a broken structure, but not another letter in a text or another bit in a vector.

Where row and copy differ one of them is damaged, and both are at hand to choose from.

Source: https://www.sqlite.org/fileformat.html, 1.3. Two fields say nothing that anybody needs, and
can be judged by their bounds only: the schema cookie, and the version of the last writer.
"""

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from hashlib import blake2b, sha256
from pathlib import Path
from typing import Any

from bookbrain.files import open_file, write_file
from bookbrain.paths import STAMP_FILE
from bookbrain.store.database import columns_of, suppress_damage


@dataclass(frozen=True, slots=True)
class Stamp:
    """`library` is its identity, in hex; `changes` counts those of its books, `books` them."""

    library: str
    changes: int
    books: int


def read_stamp_file(folder: Path) -> Stamp | None:
    """The stamp in `folder`; None where there is none that is whole."""
    try:
        with open_file(folder / STAMP_FILE) as file:
            values = json.loads(file.read())
        stamp = Stamp(values["library"], values["changes"], values["books"])
        whole = values["sha256"] == _seal(stamp)
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return None
    return stamp if whole else None


def write_stamp_file(folder: Path, stamp: Stamp) -> None:
    """Put the stamp into `folder`, whole or not at all."""
    text = json.dumps({**asdict(stamp), "sha256": _seal(stamp)})
    write_file(folder / STAMP_FILE, text.encode())


def _seal(stamp: Stamp) -> str:
    return sha256(json.dumps(asdict(stamp), sort_keys=True).encode()).hexdigest()


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


def text_revision(pages: bytes) -> str:
    """What tells one text of a book from another, of the checksums of its pages: 24 hex digits."""
    return sha256(pages).hexdigest()[:24]


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


Row = tuple[str | int, ...]
CATALOG_TABLES: Mapping[str, Sequence[str]] = {
    "setting": ("name", "value"),
    "removed": ("book_id",),
    "job": ("id", "path", "waiting", "step", "done", "total", "attempts", "kind", "priority"),
}
_BETWEEN = "\x1f"
STORE_TABLES: Mapping[str, Sequence[str]] = {
    "model": ("name", "dimensions"),
    "library": ("one", "id", "changes", "books"),
}


def create_twins(db: sqlite3.Connection, tables: Mapping[str, Sequence[str]]) -> None:
    """Keep these tables, each with its columns, the key first, twice from now on."""
    db.execute(
        """CREATE TABLE twin (
            name TEXT NOT NULL, key NOT NULL, row TEXT NOT NULL, PRIMARY KEY (name, key)
        ) WITHOUT ROWID"""
    )
    for table, columns in tables.items():
        _copy_changes(db, table, columns)
        db.execute(
            f"INSERT INTO twin SELECT '{table}', {columns[0]}, {_row(columns)} FROM {table}"  # noqa: S608
        )


def widen_twin(db: sqlite3.Connection, table: str, columns: Sequence[str], added: int) -> None:
    """Keep the last so many of a table's `columns` twice, too; they are new, and as they began."""
    for event in ("insert", "delete", "update"):
        db.execute(f"DROP TRIGGER {table}_{event}")
    _copy_changes(db, table, columns)
    # Added to the copies, not copied anew: they stay witnesses of the columns of before.
    defaults = {row[1]: row[4] for row in db.execute(f"PRAGMA table_info({table})")}
    new = "".join(f" || char(31) || quote({defaults[name]})" for name in columns[-added:])
    db.execute(f"UPDATE twin SET row = row{new} WHERE name = ?", (table,))  # noqa: S608


def _copy_changes(db: sqlite3.Connection, table: str, columns: Sequence[str]) -> None:
    new = f"REPLACE INTO twin VALUES ('{table}', NEW.{columns[0]}, {_row(columns, 'NEW.')})"  # noqa: S608
    old = f"DELETE FROM twin WHERE name = '{table}' AND key = OLD.{columns[0]}"  # noqa: S608
    for event, does in (("INSERT", new), ("DELETE", old), ("UPDATE", f"{old}; {new}")):
        db.execute(
            f"CREATE TRIGGER {table}_{event.lower()} AFTER {event} ON {table} BEGIN {does}; END"
        )


def torn_tables(db: sqlite3.Connection, tables: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """Those of the tables whose rows and copies are not the same. A database of an older schema
    lacks some of the last columns."""
    for table, newest in tables.items():
        there = columns_of(db, table)
        columns = [column for column in newest if column in there] or newest
        rows = f"SELECT {columns[0]}, {_row(columns)} FROM {table}"  # noqa: S608
        copies = f"SELECT key, row FROM twin WHERE name = '{table}'"  # noqa: S608
        for one, other in ((rows, copies), (copies, rows)):
            if db.execute(f"SELECT * FROM ({one}) EXCEPT SELECT * FROM ({other})").fetchone():  # noqa: S608
                yield table
                break
    names = ", ".join(f"'{table}'" for table in tables)
    if db.execute(f"SELECT 1 FROM twin WHERE name NOT IN ({names})").fetchone():  # noqa: S608
        yield "twin"


def told_rows(
    db: sqlite3.Connection, table: str, columns: Sequence[str]
) -> tuple[list[Row], list[Row]]:
    """What a damaged database says of a table: the rows, and their copies, without what cannot be
    right. A catalog of before there were copies may lack some of the last columns."""
    rows: list[Row] = []
    copies: list[Row] = []
    with suppress_damage():
        there = columns_of(db, table)
        columns = [column for column in columns if column in there] or columns
        _tell(rows, db.execute(f"SELECT {_row(columns)} FROM {table}"), len(columns))  # noqa: S608
    with suppress_damage():
        said = db.execute("SELECT row FROM twin WHERE name = ?", (table,))
        _tell(copies, said, len(columns))
    return rows, copies


def _tell(found: list[Row], said: Iterable[tuple[Any]], size: int) -> None:
    for (text,) in said:
        values = [_value(part) for part in text.split(_BETWEEN)] if type(text) is str else []
        row = tuple(value for value in values if value is not None)
        if len(row) == size > 0:
            found.append(row)


def _value(literal: str) -> str | int | None:
    """What SQLite quoted: a text or a whole number; None for anything else."""
    if len(literal) > 1 and literal[0] == literal[-1] == "'":
        return literal[1:-1].replace("''", "'")
    return int(literal) if literal.isdecimal() and literal.isascii() else None


def _row(columns: Sequence[str], prefix: str = "") -> str:
    """SQL that says all of a row in one text: quoted, so that bytes are no obstacle."""
    return " || char(31) || ".join(f"quote({prefix}{column})" for column in columns)


_SIZE = 100
_MOST_CHANGES = 1000  # of the schema: its cookie grows by one, and begins anew in a copy
_TRIES = 3


def is_header_right(path: Path, db: sqlite3.Connection) -> bool:
    """Whether the header of the database at `path` is as we write it; `db` has it open."""
    header = _settled(path)
    if len(header) < _SIZE:
        return True  # it is empty, or SQLite says more
    (page_size,) = db.execute("PRAGMA page_size").fetchone()
    pages = _number(header, 28)
    wal = Path(f"{path}-wal")
    alone = not wal.exists() or wal.stat().st_size == 0
    return (
        header[:16] == b"SQLite format 3\0"
        and int.from_bytes(header[16:18], "big") == page_size & 0xFFFF | page_size >> 16
        and header[18:24] in (bytes([2, 2, 0, 64, 32, 32]), bytes([1, 1, 0, 64, 32, 32]))
        and _number(header, 24) == _number(header, 92)
        and (not alone or pages * page_size == path.stat().st_size)
        and 0 < _number(header, 40) < _MOST_CHANGES
        and _number(header, 44) == 4
        and not any(header[48:56])
        and _number(header, 56) == 1
        and not any(header[64:92])
        and 3_000_000 <= _number(header, 96) < 4_000_000
    )


def _settled(path: Path) -> bytes:
    """The header; read again where a writer was just at it."""
    header = b""
    for _ in range(_TRIES):
        with path.open("rb") as file:
            header = file.read(_SIZE)
        if header[24:28] == header[92:96]:
            break
    return header


def _number(header: bytes, at: int) -> int:
    return int.from_bytes(header[at : at + 4], "big")
