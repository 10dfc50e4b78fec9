"""The first 100 bytes of a database: fields that SQLite reads, or keeps, without comparing them.

Source: https://www.sqlite.org/fileformat.html, 1.3. Two fields say nothing that anybody needs, and
can be judged by their bounds only: the schema cookie, and the version of the last writer.
"""

import sqlite3
from pathlib import Path

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
