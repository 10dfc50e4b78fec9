"""The embedding store: what was paid for, never computed twice. SQLite, one file.

Pages that were read from their pictures are in it too: all that cost money or hours.
"""

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path

import numpy as np
from numpy import linalg
from numpy.typing import NDArray

from bookbrain.model import EmbeddingSpace
from bookbrain.store.checksums import STORE_TABLES, Stamp, checksum, create_twins
from bookbrain.store.database import Migration, open_database, transaction
from bookbrain.store.recognised import RecognisedPages, create_recognised

Vector = NDArray[np.float32]
LENGTHS = (1e-9, 1e9)  # of a vector: beyond them the products of two are not of float32
_MAX_VARIABLES = 500  # well below SQLite's limit of parameters in one statement


def _m001_create_tables(connection: sqlite3.Connection) -> None:
    connection.execute(
        "CREATE TABLE model (name TEXT PRIMARY KEY, dimensions INTEGER NOT NULL) WITHOUT ROWID"
    )
    connection.execute(
        """CREATE TABLE embedding (
            space TEXT NOT NULL, digest TEXT NOT NULL, vector BLOB NOT NULL,
            PRIMARY KEY (space, digest)
        )"""
    )


def _m002_checksums_and_stamp(connection: sqlite3.Connection) -> None:
    """What each vector was when it came; whose vectors these are.

    A table of its own: the vectors are gigabytes, and stay where they are.
    """
    connection.execute(
        """CREATE TABLE checksum (
            space TEXT NOT NULL, digest TEXT NOT NULL, value BLOB NOT NULL,
            PRIMARY KEY (space, digest)
        ) WITHOUT ROWID"""
    )
    connection.execute(
        """CREATE TABLE library (
            one INTEGER PRIMARY KEY CHECK (one = 1), id TEXT NOT NULL, changes INTEGER NOT NULL,
            books INTEGER NOT NULL
        )"""
    )
    vectors = connection.execute("SELECT space, digest, vector FROM embedding")
    connection.executemany(
        "INSERT INTO checksum VALUES (?, ?, ?)",
        ((row[0], row[1], checksum(*row)) for row in vectors),
    )


def _m003_twins(connection: sqlite3.Connection) -> None:
    create_twins(connection, STORE_TABLES)


def _m004_recognised_pages(connection: sqlite3.Connection) -> None:
    create_recognised(connection)


EMBEDDINGS_MIGRATIONS: Sequence[Migration] = (
    _m001_create_tables,
    _m002_checksums_and_stamp,
    _m003_twins,
    _m004_recognised_pages,
)


class EmbeddingStore:
    """An open store: little-endian float32 vectors under (space, SHA-256 of the text)."""

    def __init__(self, path: Path, *, or_read: bool = False) -> None:
        """`or_read` as in `open_database`."""
        self._db = open_database(path, EMBEDDINGS_MIGRATIONS, or_read=or_read)
        self.recognised = RecognisedPages(self._db)

    @property
    def writable(self) -> bool:
        return self._db.writable

    def close(self) -> None:
        self._db.close()

    def stamp(self) -> Stamp | None:
        """Whose vectors these were at the last look; None before the first."""
        row = self._db.execute("SELECT id, changes, books FROM library").fetchone()
        return Stamp(*row) if row else None

    def set_stamp(self, stamp: Stamp) -> None:
        """Note whose vectors these are."""
        self._db.execute(
            "REPLACE INTO library VALUES (1, ?, ?, ?)", (stamp.library, stamp.changes, stamp.books)
        )

    def count(self) -> int:
        """How many vectors there are, in all spaces."""
        return int(self._db.execute("SELECT count(*) FROM embedding").fetchone()[0])

    def own_dimensions(self, model: str) -> int | None:
        """The dimensions that `model` was seen to have when it was left to choose."""
        row = self._db.execute("SELECT dimensions FROM model WHERE name = ?", (model,)).fetchone()
        return int(row[0]) if row else None

    def set_own_dimensions(self, model: str, dimensions: int) -> None:
        self._db.execute("INSERT OR IGNORE INTO model VALUES (?, ?)", (model, dimensions))

    def put(self, space: EmbeddingSpace, vectors: Mapping[str, Vector]) -> None:
        """Keep the vectors of texts, by digest; all or none."""
        rows = [(str(space), d, v.astype("<f4").tobytes()) for d, v in vectors.items()]
        with transaction(self._db) as db:
            for row in rows:
                if db.execute("INSERT OR IGNORE INTO embedding VALUES (?, ?, ?)", row).rowcount:
                    db.execute("REPLACE INTO checksum VALUES (?, ?, ?)", (*row[:2], checksum(*row)))

    def put_soon(self, space: EmbeddingSpace, digest: str, vector: Vector) -> None:
        """Keep one vector without waiting for the disk: a power cut soon after may undo it."""
        self._db.execute("PRAGMA synchronous=NORMAL")
        try:
            self.put(space, {digest: vector})
        finally:
            self._db.execute("PRAGMA synchronous=FULL")

    def missing(self, space: EmbeddingSpace, digests: Iterable[str]) -> list[str]:
        """Those of the digests that have no vector, in order, each once."""
        wanted = list(dict.fromkeys(digests))
        known: set[str] = set()
        for some in _batches(wanted):
            rows = self._db.execute(
                f"SELECT digest FROM embedding WHERE space = ? AND digest IN ({_marks(some)})",  # noqa: S608
                (str(space), *some),
            )
            known.update(row[0] for row in rows)
        return [digest for digest in wanted if digest not in known]

    def get(self, space: EmbeddingSpace, digests: Iterable[str]) -> dict[str, Vector]:
        """The vectors there are, by digest."""
        vectors = {}
        size = 4 * space.dimensions  # bytes; what is not so long is no vector of the space
        for some in _batches(dict.fromkeys(digests)):
            rows = self._db.execute(
                f"SELECT digest, vector FROM embedding WHERE space = ? AND digest IN ({_marks(some)})",  # noqa: S608, E501
                (str(space), *some),
            )
            vectors.update({d: np.frombuffer(v, "<f4") for d, v in rows if len(v) == size})
        return vectors


def vector_of(values: object) -> Vector | None:
    """The numbers of a flat list; None for all else."""
    if not isinstance(values, list) or not values or set(map(type, values)) - {int, float}:
        return None
    try:
        with np.errstate(over="ignore"):  # it becomes infinite, which is not sound
            return np.array(values, np.float64).astype(np.float32)
    except OverflowError:  # an int of hundreds of digits
        return None


def is_sound(vector: Vector) -> bool:
    """Whether the cosine of it and any other sound vector is a number."""
    shortest, longest = LENGTHS
    return bool(shortest < np.linalg.norm(vector.astype(np.float64)) < longest)


def cosine(query: Vector, vectors: Sequence[Vector]) -> list[float]:
    """Cosine similarity of `query` to each vector, -1 to 1, computed exactly; NaN to an unsound
    one, which an old release may have kept."""
    if not vectors:
        return []
    rows = np.stack(vectors)  # and einsum: unlike BLAS it takes each row without the others
    with np.errstate(all="ignore"):
        lengths = np.sqrt(np.einsum("ij,ij->i", rows, rows))
        scores = np.einsum("ij,j->i", rows, query) / (lengths * linalg.norm(query))
        scores[~((lengths > LENGTHS[0]) & (lengths < LENGTHS[1]))] = np.nan
    return [float(score) for score in scores]


def _batches(digests: Iterable[str]) -> Iterator[list[str]]:
    remaining = iter(digests)
    while some := list(islice(remaining, _MAX_VARIABLES)):
        yield some


def _marks(values: Sequence[str]) -> str:
    return ",".join("?" * len(values))
