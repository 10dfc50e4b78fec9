"""Single bytes of a library's files that change by themselves, and whether that says anything."""

import random
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

DATABASES = ("catalog.sqlite3", "embeddings.sqlite3")

Dump = dict[str, list[tuple[Any, ...]]]


def flip(path: Path, random_bits: random.Random, at: int | None = None) -> int:
    """Change one byte of the file, anywhere or `at` this place, to any other; the place."""
    size = path.stat().st_size
    place = random_bits.randrange(size) if at is None else at
    with path.open("r+b") as file:
        file.seek(place)
        (before,) = file.read(1)
        file.seek(place)
        file.write(bytes([before ^ random_bits.randrange(1, 256)]))
    return place


def dump(path: Path, *, counters: bool = True) -> Dump:
    """All rows of all tables; without `counters` what only counts changes is left out."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
        db.text_factory = bytes
        tables = db.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")
        names = [name.decode() for (name,) in tables.fetchall()]
        rows = {name: sorted(db.execute(f"SELECT * FROM {name}"), key=repr) for name in names}
    if not counters:
        rows["setting"] = [r for r in rows.get("setting", []) if r[0] != b"changes"]
        rows.pop("twin"), rows.pop("library", None)
    return rows


def says_the_same(path: Path, before: Dump) -> bool:
    """Whether the byte that was changed is in free space: SQLite finds the file in order, and
    every row is what it was."""
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
            db.text_factory = bytes
            if db.execute("PRAGMA integrity_check").fetchall() != [(b"ok",)]:
                return False
        return dump(path) == before
    except (sqlite3.Error, UnicodeDecodeError):
        return False
