"""What was read from the pictures of pages, which cost hours: a table of the embedding store.

A row is a page, by the SHA-256 of its file, and the version of the engine that read it: its words,
or why it could not be read. It stays when its book goes, for the book may come again.
"""

import json
import sqlite3
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from math import isfinite
from typing import Any

from bookbrain.messages import as_row, of_row
from bookbrain.ocr.engine import (
    EARLIEST,
    RecognisedPage,
    Word,
    is_bought,
    mean_confidence,
    way_of,
)
from bookbrain.store.checksums import checksum
from bookbrain.store.database import transaction

_MOST_BYTES = 1 << 26  # of what is in a row; a full page is a thousandth of that
_LONGEST_REASON = 10_000  # characters
_FARTHEST = 1 << 31


@dataclass(frozen=True, slots=True)
class UnreadPage:
    """A page that an engine could not read: `reason` is why, as the end of a sentence."""

    reason: str


Reading = RecognisedPage | UnreadPage


def create_recognised(db: sqlite3.Connection) -> None:
    """Make the table."""
    db.execute(
        """CREATE TABLE recognised (
            file TEXT NOT NULL, page INTEGER NOT NULL, engine TEXT NOT NULL,
            content BLOB NOT NULL, sum BLOB NOT NULL, PRIMARY KEY (file, page, engine)
        )"""
    )


class RecognisedPages:
    """The pages that were read, of an open embedding store. Every method is one transaction.

    Of the readings of a page the best one counts: one with words or a blank page before one that
    failed, then one that was made in a later way of ours, then the latest.
    """

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def put(self, file: str, page: int, engine: str, reading: Reading) -> None:
        """Keep what `engine` made of a page, in place of what it made of it before; a failure never
        takes the place of a page that was read."""
        row = (file, page, engine, encoded(reading))
        with transaction(self._db) as db:
            if isinstance(reading, UnreadPage) and self._has_page(file, page, engine):
                return
            db.execute("REPLACE INTO recognised VALUES (?, ?, ?, ?, ?)", (*row, checksum(*row)))

    def _has_page(self, file: str, page: int, engine: str) -> bool:
        key = (file, page, engine)
        rows = self._db.execute(f"{_ROWS} WHERE file = ? AND page = ? AND engine = ?", key)
        return any(isinstance(found, RecognisedPage) for _, _, found in _decoded(rows))

    def get(self, file: str, page: int) -> Reading | None:
        """The best reading of a page; None where it was never read."""
        rows = self._db.execute(f"{_ROWS} WHERE file = ? AND page = ? ORDER BY rowid", (file, page))
        return _best(_decoded(rows)).get(page)

    def confidence(self, file: str, page: int) -> float | None:
        """The confidence of the best reading of a page, 0 to 100; None where none has words.

        A tenth of the work of `get`, for searches: it does not judge the row.
        """
        rows = self._db.execute(f"{_ROWS} WHERE file = ? AND page = ? ORDER BY rowid", (file, page))
        found = [
            (way_of(engine), number, confidence)
            for number, (_, engine, content) in enumerate(rows)
            if (confidence := _confidence(content)) is not None
        ]
        return max(found)[2] if found else None

    def of_file(self, file: str, pages: Iterable[int] | None = None) -> dict[int, Reading]:
        """The best reading of each page of a file, or of those of its `pages`, that was read."""
        wanted = None if pages is None else json.dumps(list(pages))
        rows = self._db.execute(
            f"""{_ROWS} WHERE file = ?
                AND (? IS NULL OR page IN (SELECT value FROM json_each(?))) ORDER BY rowid""",  # noqa: S608
            (file, wanted, wanted),
        )
        return _best(_decoded(rows))

    def engines(self, file: str) -> dict[int, set[str]]:
        """Which engines' readings of each page of a file there are, by the page's number."""
        found: dict[int, set[str]] = {}
        for page, engine in self._db.execute(
            "SELECT page, engine FROM recognised WHERE file = ?", (file,)
        ):
            found.setdefault(page, set()).add(engine)
        return found

    def counts(self) -> dict[str, int]:
        """How many pages of each file were read, or were tried."""
        rows = self._db.execute("SELECT file, count(DISTINCT page) FROM recognised GROUP BY file")
        return dict(rows)

    def to_read_again(self, file: str, earliest: str = EARLIEST) -> set[int]:
        """The pages of a file that `read_again` named, and nobody has read since."""
        rows = self._db.execute(
            """SELECT page FROM recognised WHERE file = ?
               GROUP BY page HAVING min(substr(engine, ?) = ?)""",
            (file, -len(earliest), earliest),
        )
        return {page for (page,) in rows}

    def read_again(self, file: str, pages: Iterable[int], earliest: str = EARLIEST) -> None:
        """Have what was read of these pages, all of them or none, count as read in the `earliest`
        way: it stays the text of its page until somebody has read that again.

        What was not bought ranks below the earliest way that is, and stays as it is for that.
        """
        with transaction(self._db) as db:
            rows = db.execute(
                """SELECT file, page, engine, content, sum FROM recognised
                   WHERE file = ? AND page IN (SELECT value FROM json_each(?))""",
                (file, json.dumps(list(pages))),
            ).fetchall()
            for *row, own_sum in rows:
                ranks = is_bought(row[2]) or not is_bought(earliest)
                if ranks and not row[2].endswith(earliest) and own_sum == checksum(*row):
                    _exchange(db, row, f"{row[2]}{earliest}")  # a check finds those of other sums

    def files_to_read_again(self) -> set[str]:
        """The files of which there are readings in the earliest way."""
        rows = self._db.execute(
            "SELECT DISTINCT file FROM recognised WHERE engine LIKE ?", (f"%{EARLIEST}",)
        )
        return {file for (file,) in rows}

    def drop_superseded(self, file: str, pages: Iterable[int]) -> None:
        """Forget all readings of these pages but the best of each.

        Where a later way failed, that one stands for its reading too: it is not tried for ever.
        """
        for page in pages:
            with transaction(self._db) as db:
                rows = db.execute(
                    f"{_ROWS} WHERE file = ? AND page = ? ORDER BY rowid", (file, page)
                )
                ranked = sorted(_decoded(rows), key=_rank)
                for _, engine, _ in ranked[:-1]:
                    db.execute(
                        "DELETE FROM recognised WHERE file = ? AND page = ? AND engine = ?",
                        (file, page, engine),
                    )
                if ranked:
                    _, engine, best = ranked[-1]
                    latest = max((engine for _, engine, _ in ranked), key=way_of)
                    if way_of(latest) > way_of(engine):
                        _exchange(db, (file, page, engine, encoded(best)), latest)

    def count(self) -> int:
        """How many readings there are of all files."""
        return int(self._db.execute("SELECT count(*) FROM recognised").fetchone()[0])


def _exchange(db: sqlite3.Connection, row: Sequence[Any], engine: str) -> None:
    """Have a row be of another engine, or of another way."""
    file, page, before, content = row
    key = (file, page, before)
    db.execute("DELETE FROM recognised WHERE file = ? AND page = ? AND engine = ?", key)
    new = (file, page, engine, content)
    db.execute("REPLACE INTO recognised VALUES (?, ?, ?, ?, ?)", (*new, checksum(*new)))


_ROWS = "SELECT page, engine, content FROM recognised"
_Row = tuple[int, str, Reading]


def _decoded(rows: Iterable[tuple[Any, Any, Any]]) -> Iterator[_Row]:
    """The rows that can be used; damage is found and told of by a check."""
    for page, engine, content in rows:
        with suppress(ValueError):
            yield page, engine, decoded(content)


def _best(rows: Iterable[_Row]) -> dict[int, Reading]:
    best: dict[int, _Row] = {}
    for row in rows:
        if row[0] not in best or _rank(row) >= _rank(best[row[0]]):
            best[row[0]] = row
    return {page: reading for page, (_, _, reading) in best.items()}


def _rank(row: _Row) -> tuple[bool, tuple[int, ...]]:
    _, engine, reading = row
    return isinstance(reading, RecognisedPage), way_of(engine)


# What is in a row


def encoded(reading: Reading) -> bytes:
    """Compressed JSON of a reading, of which `decoded` makes it again."""
    value: dict[str, Any]
    if isinstance(reading, UnreadPage):
        value = {"reason": as_row(reading.reason)}
    else:
        words = [[word.text, *word.box, word.confidence, word.line] for word in reading.words]
        value = {"matrix": reading.matrix, "words": words}
    return zlib.compress(json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode())


def decoded(content: Any) -> Reading:
    """The reading that a row has, whoever wrote it; ValueError where it is none."""
    if type(content) is not bytes:
        raise ValueError("it is not of bytes")
    unpacker = zlib.decompressobj()
    try:
        data = unpacker.decompress(content, _MOST_BYTES)
        value = json.loads(data) if unpacker.eof and not unpacker.unused_data else None
    except (zlib.error, RecursionError) as error:
        raise ValueError("it is not what was written") from error
    count = len(value) if type(value) is dict else 0
    match value:
        case {"reason": str(reason)} if count == 1 and 0 < len(reason) <= _LONGEST_REASON:
            return UnreadPage(of_row(reason))
        case {"matrix": [*numbers], "words": [*words]} if count == 2 and len(numbers) == 6:
            a, b, c, d, e, f = map(_number, numbers)
            return RecognisedPage(tuple(map(_word, words)), (a, b, c, d, e, f))
    raise ValueError("it is no page that was read")


def _confidence(content: bytes) -> float | None:
    with suppress(zlib.error, ValueError, TypeError, LookupError, RecursionError):
        words = json.loads(zlib.decompress(content))["words"]
        confidence = mean_confidence([(word[0], word[5]) for word in words])
        return round(confidence, 1) if words else None
    return None


def _word(value: Any) -> Word:
    match value:
        case [str(text), int(left), int(top), int(right), int(bottom), confidence, int(line)]:
            text.encode()  # JSON can name half of a character; UnicodeEncodeError is a ValueError
            numbers = (left, top, right, bottom, line)
            fits = all(type(n) is int and 0 <= n < _FARTHEST for n in numbers)
            if fits and left < right and top < bottom and text and not set(text) & _BREAKS:
                return Word(text, (left, top, right, bottom), _number(confidence), line)
    raise ValueError("a word of it is none")


_BREAKS = {" ", "\n", "\r", "\0"}  # a word of which would be several


def _number(value: Any) -> float:
    if type(value) not in (int, float) or abs(value) > _FARTHEST or not isfinite(value):
        raise ValueError("a number of it is none")
    return float(value)
