"""Small tables that every change touches are kept twice: a copy of each row, made by the database.

Where row and copy differ one of them is damaged, and both are at hand to choose from.
"""

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from bookbrain.index.database import suppress_damage

Row = tuple[str | int, ...]

CATALOG_TABLES: Mapping[str, Sequence[str]] = {
    "setting": ("name", "value"),
    "removed": ("book_id",),
    "job": ("id", "path", "waiting", "step", "done", "total", "attempts"),
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
        new = f"REPLACE INTO twin VALUES ('{table}', NEW.{columns[0]}, {_row(columns, 'NEW.')})"  # noqa: S608
        old = f"DELETE FROM twin WHERE name = '{table}' AND key = OLD.{columns[0]}"  # noqa: S608
        for event, does in (("INSERT", new), ("DELETE", old), ("UPDATE", f"{old}; {new}")):
            db.execute(
                f"CREATE TRIGGER {table}_{event.lower()} AFTER {event} ON {table} BEGIN {does}; END"
            )
        db.execute(
            f"INSERT INTO twin SELECT '{table}', {columns[0]}, {_row(columns)} FROM {table}"  # noqa: S608
        )


def torn_tables(db: sqlite3.Connection, tables: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """Those of the tables whose rows and copies are not the same."""
    for table, columns in tables.items():
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
        there = {row[1] for row in db.execute(f"PRAGMA table_info({table})")}
        known = [column for column in columns if column in there]
        _tell(rows, db.execute(f"SELECT {_row(known)} FROM {table}"), len(known))  # noqa: S608
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
