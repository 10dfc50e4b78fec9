"""An embedding store that is damaged is mended: from a sound one, and else what is bad goes."""

from collections.abc import Iterator
from contextlib import closing
from itertools import chain
from pathlib import Path
from typing import Any

from bookbrain.index.copying import take_embeddings
from bookbrain.index.database import open_database, open_untrusted, suppress_damage, transaction
from bookbrain.index.embeddings import MIGRATIONS, STORE
from bookbrain.index.seals import checksum
from bookbrain.index.soundness import bad_vectors, can_be_vector, dimensions_of, flaws, has_table
from bookbrain.index.twins import STORE_TABLES, told_rows, torn_tables
from bookbrain.library.exchange import exchanged

_BATCH = 500
_ROWS = """SELECT embedding.rowid, space, digest, vector, value
           FROM embedding JOIN checksum USING (space, digest) WHERE embedding.rowid"""
_UNSEALED = "SELECT rowid, space, digest, vector, NULL FROM embedding WHERE embedding.rowid"


def mend_store(home: Path, backup: Path | None) -> list[Path]:
    """Have every vector right or gone, with those of the library in `backup` where they are bad.

    Returns where the old file is kept, if it had to be made anew.
    """
    path = home / STORE
    if not path.exists() or not path.stat().st_size:
        with closing(open_database(path, MIGRATIONS)):
            pass  # what the backup has goes into a new one
    if not any(flaws(path, rows=False)) and not _is_torn(path):
        _mend_in_place(path, backup)
        return []
    with exchanged(path) as (part, aside):
        _salvage(path, part)
        if backup:
            take_embeddings(part, backup / STORE)
    return [aside] if aside.exists() else []


def _is_torn(path: Path) -> bool:
    with closing(open_untrusted(path)) as db:
        return has_table(db, "twin") and any(torn_tables(db, STORE_TABLES))


def _mend_in_place(path: Path, backup: Path | None) -> None:
    if backup:
        take_embeddings(path, backup / STORE)
    with closing(open_untrusted(path)) as db:
        bad = [row for row in bad_vectors(db) if row]
    with closing(open_database(path, MIGRATIONS)) as db:
        for first in range(0, len(bad), _BATCH):
            with transaction(db):
                rows = [(row,) for row in bad[first : first + _BATCH]]
                db.executemany("DELETE FROM embedding WHERE rowid = ?", rows)
        db.execute(
            """DELETE FROM checksum WHERE NOT EXISTS (
                   SELECT 1 FROM embedding WHERE embedding.space = checksum.space
                   AND embedding.digest = checksum.digest)"""
        )


def _salvage(path: Path, part: Path) -> None:
    """Put all that can be read of the store at `path`, and is right, into a new one, `part`."""
    with closing(open_database(part, MIGRATIONS)) as new, transaction(new):
        for space, digest, vector, kept in _readable(path):
            found = checksum(space, digest, vector)
            if can_be_vector(4 * dimensions_of(space), digest, vector) and kept in (None, found):
                row = (space, digest)
                new.execute("INSERT OR IGNORE INTO embedding VALUES (?, ?, ?)", (*row, vector))
                new.execute("INSERT OR IGNORE INTO checksum VALUES (?, ?, ?)", (*row, found))
        spaces = {space for (space,) in new.execute("SELECT DISTINCT space FROM embedding")}
        with suppress_damage(), closing(open_untrusted(path)) as old:
            for name, dimensions in chain(*told_rows(old, "model", STORE_TABLES["model"])):
                if f"{name}/{dimensions}" in spaces:
                    new.execute("INSERT OR IGNORE INTO model VALUES (?, ?)", (name, dimensions))


def _readable(path: Path) -> Iterator[tuple[Any, ...]]:
    """Space, digest, vector and its checksum, None in a store of before there were any; from the
    first row up to where the file is damaged, then from the last one down."""
    last, whole = 0, False
    with suppress_damage(), closing(open_untrusted(path)) as db:
        rows = _ROWS if has_table(db, "checksum") else _UNSEALED
        with suppress_damage():
            for row in db.execute(f"{rows} > 0 ORDER BY embedding.rowid"):
                last = row[0]
                yield row[1:]
            whole = True
        if not whole:
            with suppress_damage():
                for row in db.execute(f"{rows} > ? ORDER BY embedding.rowid DESC", (last,)):
                    yield row[1:]
