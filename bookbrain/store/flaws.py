"""Whether the databases of a library are sound: whole, ours, and each row as our code needs it.

Nothing that they say is believed, for an archive may be from anywhere. Rows are streamed: in memory
are a few pages at a time. A backup asks this of its snapshot, `verify` and `restore` of what an
archive brought, so that they cannot disagree.
"""

import json
import re
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from bookbrain.messages import fill
from bookbrain.paths import CATALOG, STORE, LibraryPaths
from bookbrain.store import catalog, embeddings
from bookbrain.store.checksums import (
    CATALOG_TABLES,
    SIZE,
    STORE_TABLES,
    checksum,
    is_header_right,
    rest_checksum,
    text_revision,
    torn_tables,
)
from bookbrain.store.database import (
    DAMAGE,
    columns_of,
    fresh_schema,
    is_damage,
    open_untrusted,
    refuse_newer,
    schema_of,
    schema_version,
    suppress_damage,
)
from bookbrain.store.recognised import decoded

READING = "file, page, engine, content, sum"  # the columns of a recognised page
STEPS = {CATALOG: catalog.MIGRATIONS, STORE: embeddings.EMBEDDINGS_MIGRATIONS}
_DIGEST = re.compile(r"[0-9a-f]{64}", re.ASCII)
_SPACE = re.compile(r"(.{1,1000})/([1-9][0-9]{0,5})", re.ASCII)
_COMMIT = re.compile(r"[\w-]{1,64}", re.ASCII)
LONGEST_NAME = 10_000  # characters of what is a name: a title, a label, a problem
_LONGEST_JSON = 1 << 22  # bytes
_PAGES_AT_HAND = 16
_BOOK = "SELECT id, title, file, added_at FROM book"


@dataclass(frozen=True, slots=True)
class Unsound:
    """What is wrong, as the end of a sentence; `book` is the id of the one that has it, "" where
    all of the file is to be doubted."""

    what: str
    book: str = ""


def flaws(path: Path, *, rows: bool = True) -> Iterator[Unsound]:
    """Everything that is wrong with the catalog or the store at `path`; its name says which it is.

    It may be of an earlier BookBrain. Without `rows` only the file is looked at. Raises ConfigError
    when a newer BookBrain made it, and sqlite3.Error when it is only not to be had now.
    """
    try:
        with closing(open_untrusted(path)) as db:
            db.execute("BEGIN")  # of one moment, while others write
            of_file = list(_of_file(db, path))
            yield from of_file
            if rows and not of_file and db.execute("PRAGMA user_version").fetchone() != (0,):
                yield from catalog_flaws(db) if path.name == CATALOG else _of_store(db)
    except DAMAGE as error:
        if not is_damage(error):
            raise
        yield Unsound(fill("{file} is damaged: {reason}", file=path.name, reason=_plain(error)))


def store_flaws(home: Path) -> Iterator[Unsound]:
    """Everything that is wrong with the store in `home`, beside the catalog there.

    One that is gone or empty lacks all vectors.
    """
    whole = True
    if LibraryPaths(home).embeddings.exists():
        for flaw in flaws(LibraryPaths(home).embeddings):
            whole = False
            yield flaw
    if not whole:
        return
    with suppress_damage():  # the catalog's, of which `flaws` tells
        yield from _without_vector(home)


def _of_file(db: sqlite3.Connection, path: Path) -> Iterator[Unsound]:
    steps = STEPS[path.name]
    version = schema_version(db)
    refuse_newer(path, db, steps)
    if version > len(steps) and schema_of(db) == fresh_schema(steps):
        yield Unsound(fill("{file} is damaged: its header cannot be right", file=path.name))
        return
    if schema_of(db) != fresh_schema(steps[:version]):
        yield Unsound(fill("{file} has tables that are not BookBrain's", file=path.name))
        return  # no statement of another's is to be run
    if version and not is_header_right(path, db):
        yield Unsound(fill("{file} is damaged: its header cannot be right", file=path.name))
        return
    for (found,) in db.execute("PRAGMA integrity_check(1)"):
        if found != "ok":
            yield Unsound(fill("{file} is damaged: {reason}", file=path.name, reason=_plain(found)))
            return
    if db.execute("PRAGMA encoding").fetchone() != ("UTF-8",):
        yield Unsound(fill("{file} has tables that are not BookBrain's", file=path.name))
    for table in {row[0] for row in db.execute("PRAGMA foreign_key_check")}:
        yield _row(table)


# The catalog


def catalog_flaws(db: sqlite3.Connection, only: str | None = None) -> Iterator[Unsound]:
    """What the rows of an open catalog, or those of the one book, have that cannot be right.

    Raises sqlite3.DatabaseError where the file is damaged.
    """
    if only:
        yield from _of_row(db, *db.execute(f"{_BOOK} WHERE id = ?", (only,)).fetchone())
        return
    if columns_of(db, "twin"):
        for table in torn_tables(db, CATALOG_TABLES):
            yield _row(table)
    for name, value in db.execute("SELECT name, value FROM setting"):
        fits = _is_name(name) and _is_name(value)
        if not fits or (name == "generation" and not _COMMIT.fullmatch(value)):
            yield _row("setting")
    for row in db.execute("SELECT * FROM job"):
        if not all(type(value) in (str, int) for value in row):
            yield _row("job")
    for row in db.execute(_BOOK):
        yield from _of_row(db, *row)


def _of_row(db: sqlite3.Connection, book_id: Any, *names: Any) -> Iterator[Unsound]:
    if not is_digest(book_id):
        yield _row("book")
        return
    if not all(map(_is_name, names)) or not _is_moment(names[-1]):
        yield _row("book", book_id)
    yield from _of_book(db, book_id)


def _of_book(db: sqlite3.Connection, book_id: str) -> Iterator[Unsound]:
    lengths: list[int] = []  # of the texts, page by page
    sums = _sealed_pages(db, book_id)
    for row in db.execute(
        """SELECT number, label, chapter, headings, problem, text FROM page WHERE book_id = ?
           ORDER BY number""",
        (book_id,),
    ):
        lengths.append(len(row[-1]) if type(row[-1]) is str else 0)
        sealed = sums is None or next(sums, None) == checksum(*row)
        if not sealed or not _is_page(len(lengths), row):
            yield Unsound(fill("page {number} cannot be right", number=len(lengths)), book_id)
    if sums is not None and next(sums, None) is not None:
        yield Unsound(fill("page {number} cannot be right", number=len(lengths) + 1), book_id)
    yield from _of_rest(db, book_id)
    passages = 0
    for passages, bad in enumerate(_bad_passages(db, book_id, lengths), start=1):
        if bad:
            yield Unsound(fill("passage {number} cannot be right", number=passages - 1), book_id)
    yield from _of_spaces(db, book_id, passages)


def _is_page(expected: int, row: Sequence[Any]) -> bool:
    number, label, chapter, headings, problem, text = row
    return (
        type(number) is int
        and number == expected
        and _is_name(label)
        and _is_name(problem)
        and type(chapter) is type(text) is str
        and _are_headings(headings)
    )


def _of_spaces(db: sqlite3.Connection, book_id: str, passages: int) -> Iterator[Unsound]:
    """Where a book of so many passages is embedded, and which of them are not."""
    for table, column in (("embedded", "0"), ("refused", "ordinal")):
        for space, ordinal in db.execute(
            f"SELECT space, {column} FROM {table} WHERE book_id = ?",  # noqa: S608
            (book_id,),
        ):
            if (
                not dimensions_of(space)
                or type(ordinal) is not int
                or not 0 <= ordinal < max(passages, 1)
            ):
                yield _row(table, book_id)
    for (reason,) in db.execute("SELECT reason FROM refused WHERE book_id = ?", (book_id,)):
        if not _is_name(reason):
            yield _row("refused", book_id)


def _sealed_pages(db: sqlite3.Connection, book_id: str) -> Iterator[bytes] | None:
    """What the checksums of a book's pages were; None in a catalog of before there were any."""
    if not columns_of(db, "seal"):
        return None
    row = db.execute("SELECT pages FROM seal WHERE book_id = ?", (book_id,)).fetchone()
    sums = row[0] if row and type(row[0]) is bytes else b""
    return (sums[at : at + SIZE] for at in range(0, len(sums), SIZE))


def _of_rest(db: sqlite3.Connection, book_id: str) -> Iterator[Unsound]:
    """Whether all rows of a book but its pages are what they were."""
    if not columns_of(db, "seal"):
        return
    row = db.execute("SELECT rest, pages FROM seal WHERE book_id = ?", (book_id,)).fetchone()
    sound = row and row[0] == rest_checksum(db, book_id)
    if sound and "revision" in columns_of(db, "book"):
        said = db.execute("SELECT revision FROM book WHERE id = ?", (book_id,)).fetchone()
        sound = type(row[1]) is bytes and said == (text_revision(row[1]),)
    if not sound:
        yield Unsound("its title, its passages or what is embedded cannot be right", book_id)


def _bad_passages(db: sqlite3.Connection, book_id: str, lengths: Sequence[int]) -> Iterator[bool]:
    """Of each passage of a book whether it is not what its pages say."""

    @lru_cache(_PAGES_AT_HAND)
    def text_of(page: int) -> str:
        row = db.execute(
            "SELECT text FROM page WHERE book_id = ? AND number = ?", (book_id, page)
        ).fetchone()
        return row[0] if row and type(row[0]) is str else ""

    rows = db.execute(
        "SELECT ordinal, digest, spans FROM passage WHERE book_id = ? ORDER BY ordinal", (book_id,)
    )
    for expected, (ordinal, digest, said) in enumerate(rows):
        spans = _spans(said, lengths)
        if type(ordinal) is not int or ordinal != expected or not spans or not is_digest(digest):
            yield True
            continue
        found = sha256()
        for place, (page, start, end) in enumerate(spans):
            found.update(b"\n" * bool(place) + text_of(page)[start:end].encode())
        yield found.hexdigest() != digest


def _spans(said: Any, lengths: Sequence[int]) -> list[tuple[int, int, int]]:
    """The spans, each on a later page than the one before; none where one cannot be right."""
    spans = []
    last = 0
    for span in _json_list(said):
        if not _is_list_of(span, int, int, int):
            return []
        page, start, end = span
        if not last < page <= len(lengths) or not 0 <= start <= end <= lengths[page - 1]:
            return []
        spans.append((page, start, end))
        last = page
    return spans


def _are_headings(said: Any) -> bool:
    if said == "[]":
        return True
    found = _json_list(said)
    return bool(found) and all(
        _is_list_of(heading, int, str) and heading[0] >= 0 and _can_be_written(heading[1])
        for heading in found
    )


# The store


def _of_store(db: sqlite3.Connection) -> Iterator[Unsound]:
    for name, dimensions in db.execute("SELECT name, dimensions FROM model"):
        if not _is_name(name) or type(dimensions) is not int or dimensions < 1:
            yield _row("model")
    if columns_of(db, "twin"):
        for table in torn_tables(db, STORE_TABLES):
            yield _row(table)
    if bad := sum(1 for _ in bad_vectors(db)):
        yield Unsound(fill("vectors that cannot be right: {count}", count=bad))
    if bad := sum(1 for _ in bad_readings(db)):
        yield Unsound(fill("recognised pages that cannot be right: {count}", count=bad))


def bad_vectors(db: sqlite3.Connection) -> Iterator[int]:
    """The rowids of the vectors of a store that are not what they were, or can be none; and a 0
    for each checksum without a vector."""
    sealed = columns_of(db, "checksum")
    known: dict[Any, int] = {}  # bytes of a vector, by space
    of_row = "value FROM embedding LEFT JOIN checksum USING (space, digest)"
    for row, space, digest, vector, found in db.execute(
        f"SELECT embedding.rowid, space, digest, vector, {of_row if sealed else 'NULL FROM embedding'}"  # noqa: S608, E501
    ):
        if space not in known:
            known[space] = 4 * dimensions_of(space)
        if not (
            can_be_vector(known[space], digest, vector)
            and (not sealed or found == checksum(space, digest, vector))
        ):
            yield row
    if sealed:
        for _ in db.execute(
            """SELECT 1 FROM checksum AS sum WHERE NOT EXISTS (SELECT 1 FROM embedding
               WHERE embedding.space = sum.space AND embedding.digest = sum.digest)"""
        ):
            yield 0


def bad_readings(db: sqlite3.Connection) -> Iterator[int]:
    """The rowids of the recognised pages of a store that are not what they were, or can be none."""
    if columns_of(db, "recognised"):
        for row, *values in db.execute(f"SELECT rowid, {READING} FROM recognised"):  # noqa: S608
            if not is_reading(values):
                yield row


def is_reading(row: Sequence[Any]) -> bool:
    """Whether the columns `READING` of a row are a page that was read, as it was kept."""
    file, page, engine, content, found = row
    if not (is_digest(file) and type(page) is int and page > 0 and _is_name(engine)):
        return False
    try:
        decoded(content)
    except ValueError:
        return False
    return bool(found == checksum(file, page, engine, content))


def can_be_vector(size: int, digest: Any, vector: Any) -> bool:
    """Whether a row has a vector of so many bytes, and the digest of a text."""
    return (
        is_digest(digest)
        and type(vector) is bytes
        and 0 < len(vector) == size
        and bool(np.isfinite(np.frombuffer(vector, "<f4")).all())
    )


def _without_vector(home: Path) -> Iterator[Unsound]:
    """Books that are said to be embedded, with passages that have no vector."""
    store = LibraryPaths(home).embeddings
    if not LibraryPaths(home).catalog.exists():
        return
    with closing(open_untrusted(LibraryPaths(home).catalog)) as db:
        bought = ""
        if store.exists() and store.stat().st_size:
            db.execute("ATTACH ? AS store", (str(store),))
            bought = """AND NOT EXISTS (SELECT 1 FROM store.embedding AS bought
                                        WHERE bought.space = embedded.space
                                        AND bought.digest = passage.digest)"""
        for book_id, count in db.execute(
            f"""SELECT book_id, count(*) FROM passage JOIN embedded USING (book_id)
               WHERE NOT EXISTS (SELECT 1 FROM refused WHERE refused.book_id = passage.book_id
                                 AND refused.space = embedded.space
                                 AND refused.ordinal = passage.ordinal) {bought}
               GROUP BY book_id"""  # noqa: S608
        ):
            yield Unsound(fill("passages without their vector: {count}", count=count), book_id)


def dimensions_of(space: Any) -> int:
    """Of the vectors in a space of this name; 0 where it is no such name."""
    found = _SPACE.fullmatch(space) if type(space) is str and space.isprintable() else None
    return int(found[2]) if found else 0


# Values


def _row(table: Any, book: str = "") -> Unsound:
    return Unsound(fill("a row of the table {table} cannot be right", table=_plain(table)), book)


def _plain(said: Any) -> str:
    """What SQLite says, on one line."""
    return " ".join(str(said).split())[:200]


def is_digest(value: Any) -> bool:
    """Whether it is a SHA-256 in hex, as the id of a book is."""
    return type(value) is str and bool(_DIGEST.fullmatch(value))


def _is_name(value: Any) -> bool:
    return type(value) is str and len(value) <= LONGEST_NAME


def _is_moment(said: str) -> bool:
    try:
        return datetime.fromisoformat(said).tzinfo is not None
    except ValueError:
        return False


def _json_list(said: Any) -> list[Any]:
    """What is in a list that is written as JSON; nothing where it is none, or far too long."""
    if type(said) is not str or len(said) > _LONGEST_JSON:
        return []
    try:
        found = json.loads(said)
    except (ValueError, RecursionError):
        return []
    return found if type(found) is list else []


def _is_list_of(value: Any, *kinds: type) -> bool:
    return type(value) is list and [type(item) for item in value] == [*kinds]


def _can_be_written(text: str) -> bool:
    """JSON can name half of a character."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
