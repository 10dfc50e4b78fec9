"""Whether a database is sound: what we write is, and nothing else."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest

from bookbrain.errors import ConfigError
from bookbrain.formats.text import make_passages
from bookbrain.model import Book, EmbeddingSpace, Heading, Page
from bookbrain.ocr.engine import RecognisedPage, Word
from bookbrain.paths import CATALOG, STORE
from bookbrain.store.catalog import Catalog, NewBook
from bookbrain.store.embeddings import EmbeddingStore
from bookbrain.store.flaws import Unsound, flaws, store_flaws
from bookbrain.store.recognised import UnreadPage

_SPACE = EmbeddingSpace("임베딩 모델", 8)
_WORDS = "the lock waits for the queue and the socket, 그리고 버퍼는 커널을 기다린다. "
ONE, TWO = (sha256(name.encode()).hexdigest() for name in ("one", "two"))


def _add(catalog: Catalog, store: EmbeddingStore, book_id: str, pages: int) -> None:
    texts = [f"{_WORDS * 40}\n{number} of {book_id}" for number in range(1, pages + 1)]
    made = [
        Page(n, str(n), "Chapter", text, (Heading(0, "1. 머리말"), Heading(9, "2. More")))
        for n, text in enumerate(texts, start=1)
    ]
    made[1] = Page(2, "ii", "", "", (), "no text")
    passages = make_passages(made)
    kept = {p.digest: np.full(8, 0.25, np.float32) for p in passages[1:]}
    store.put(_SPACE, kept)
    book = Book(book_id, "제목", "a.pdf", pages, len(passages), "2026-11-23T04:00:00.000+00:00")
    refused = {0: "too long"}
    catalog.add_book(NewBook(book, made, passages, str(_SPACE), refused), "a" * 24, 1)


@pytest.fixture(scope="module")
def _made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("sound")
    with (
        closing(Catalog(home / CATALOG)) as catalog,
        closing(EmbeddingStore(home / STORE)) as store,
    ):
        catalog.queue([Path("/inbox/coming.pdf")])
        _add(catalog, store, ONE, 30)
        _add(catalog, store, TWO, 5)
        catalog.queue([Path("/inbox/coming.pdf")])
        store.set_own_dimensions(_SPACE.model, 8)
        words = (Word("잠금", (1, 2, 30, 40), 91.5, 0), Word("waits", (40, 2, 90, 40), 88.0, 0))
        matrix = (0.24, 0.0, 0.0, -0.24, 0.0, 792.0)
        store.recognised.put(ONE, 2, "an engine; 1.1", RecognisedPage(words, matrix))
        store.recognised.put(ONE, 3, "an engine; 1.1", RecognisedPage((), matrix))
        store.recognised.put(TWO, 2, "an engine; 1.1", UnreadPage("it takes too long"))
    return home


@pytest.fixture
def home(_made: Path, tmp_path: Path) -> Path:
    for name in (CATALOG, STORE):
        (tmp_path / name).write_bytes((_made / name).read_bytes())
    return tmp_path


def _all(home: Path) -> list[Unsound]:
    found = list(flaws(home / CATALOG))
    return found or list(store_flaws(home))


def _change(path: Path, *statements: str) -> None:
    """As somebody does who wants no rule to hold."""
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("PRAGMA foreign_keys=OFF")
        db.execute("PRAGMA ignore_check_constraints=ON")
        for statement in statements:
            db.execute(statement)


def test_what_bookbrain_writes_is_sound_and_stays_as_it_is(home: Path) -> None:
    before = [(home / name).read_bytes() for name in (CATALOG, STORE)]
    assert _all(home) == []
    assert [(home / name).read_bytes() for name in (CATALOG, STORE)] == before
    assert not [path.name for path in home.iterdir() if path.name.endswith(("-wal", "-shm"))]


def test_one_that_is_open_and_written_to_is_judged_too(home: Path) -> None:
    with closing(Catalog(home / CATALOG)) as catalog:
        catalog.rename_book(ONE, "Another")
        assert _all(home) == []
        catalog.rename_book(ONE, "한 번 더")
        assert catalog.book(ONE)


def test_an_empty_library_is_sound(tmp_path: Path) -> None:
    Catalog(tmp_path / CATALOG).close()
    EmbeddingStore(tmp_path / STORE).close()
    assert _all(tmp_path) == []


_ANY = "WHERE book_id = '{one}' AND number = 3"
_PASSAGE = "WHERE book_id = '{one}' AND ordinal = 2"
_HOSTILE_ROWS = [
    *(f"UPDATE book SET title = {value} WHERE id = '{{one}}'"
      for value in ("x'00ff'", "x'6162'", "CAST(x'ff41' AS TEXT)", "hex(zeroblob(6000000))")),
    "UPDATE book SET file = x'2f'",
    "UPDATE book SET added_at = 'yesterday'",
    "UPDATE book SET added_at = '2026-11-23T04:00:00'",
    "UPDATE book SET id = '/etc/victim' WHERE id = '{one}'",
    "UPDATE book SET id = upper(id) WHERE id = '{one}'",
    "UPDATE book SET id = x'00' WHERE id = '{one}'",
    *(f"UPDATE page SET {column} = x'ff' {_ANY}"
      for column in ("label", "chapter", "headings", "problem", "text", "number")),
    *(f"UPDATE page SET text = {value} {_ANY}"
      for value in ("CAST(x'80' AS TEXT)", "zeroblob(70000000)", "''")),
    *(f"UPDATE page SET number = {value} {_ANY}" for value in ("-1", "0", "1000000000000", "1.5")),
    f"DELETE FROM page {_ANY}",
    *(f"UPDATE page SET headings = '{value}' {_ANY}"
      for value in ("not json", "{{}}", "null", "[1]", "[[1]]", '["ab"]', '[[1,"a",2]]',
                    '[["1","a"]]',
                    "[[NaN,\"a\"]]", "[[1e999,\"a\"]]", "[[true,\"a\"]]", "[[-1,\"a\"]]",
                    '[[1,"\\ud800"]]', "[[1,null]]", "[[[[]]]]")),
    f"UPDATE page SET headings = replace(hex(zeroblob(50000)), '0', '[') {_ANY}",
    *(f"UPDATE passage SET spans = '{value}' {_PASSAGE}"
      for value in ("", "[]", "{{}}", "[[1,0]]", "[[99,0,1]]", "[[0,0,1]]", "[[-1,0,1]]",
                    "[[1,5,2]]",
                    "[[1,0,999999999]]", "[[1,-5,3]]", "[[1,0,NaN]]", "[[1,0,1],[1,0,1]]",
                    "[[3,0,1],[1,0,1]]", "[[1,0,1]]")),
    "UPDATE passage SET spans = '[' || replace(hex(zeroblob(1000000)), '0', '[1,0,1],')"
    f" || '[1,0,1]]' {_PASSAGE}",
    *(f"UPDATE passage SET digest = {value} {_PASSAGE}"
      for value in ("upper(digest)", "'{two}'", "x'00'", "'../x'")),
    *(f"UPDATE passage SET ordinal = {value} {_PASSAGE}"
      for value in ("-1", "1000000", "'x'", "2.5")),
    f"DELETE FROM passage {_PASSAGE}",
    *(f"UPDATE embedded SET space = {value}"
      for value in ("'model'", "'model/0'", "'model/99999999'", "'../x/'", "x'00'",
                    "'a' || char(10) || '/8'", "'m/٨'")),
    "UPDATE refused SET reason = x'ff'", "UPDATE refused SET ordinal = 4000",
    "UPDATE refused SET space = '/'",
    "UPDATE setting SET value = '../../x'", "UPDATE setting SET value = x'00'",
    "UPDATE job SET path = x'00'",
    "INSERT INTO page (book_id, number, label, chapter, headings, problem, text)"
    " VALUES ('nobody', 1, '1', '', '[]', '', '')",
    "INSERT INTO passage (book_id, ordinal, digest, spans) VALUES ('/etc', 0, '', '')",
    "DELETE FROM book WHERE id = '{one}'",
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("statement", _HOSTILE_ROWS)
def test_a_row_of_the_catalog_that_our_code_cannot_use_is_seen(home: Path, statement: str) -> None:
    _change(home / CATALOG, statement.format(one=ONE, two=TWO))
    found = _all(home)
    assert found
    assert all(len(flaw.what) < 300 and flaw.what.isprintable() for flaw in found)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE embedding SET vector = zeroblob(31)", "UPDATE embedding SET vector = x''",
        "UPDATE embedding SET vector = 'text of thirty-two bytes, as it is'",
        "UPDATE embedding SET vector = x'0000c07f' || zeroblob(28)",  # NaN
        "UPDATE embedding SET vector = x'0000807f' || zeroblob(28)",  # infinity
        "UPDATE embedding SET digest = 'x' WHERE rowid = 1",
        "UPDATE embedding SET digest = upper(digest)",
        "UPDATE embedding SET space = '../x/1'", "UPDATE embedding SET space = 'm/99999999'",
        "UPDATE model SET dimensions = 'x'", "UPDATE model SET name = x'ff'",
        "UPDATE model SET dimensions = -1",
        "DELETE FROM embedding WHERE rowid = 2",
        "UPDATE recognised SET page = page + 10", "UPDATE recognised SET page = -page",
        "UPDATE recognised SET page = 'x' WHERE rowid = 1",
        "UPDATE recognised SET file = upper(file)", "UPDATE recognised SET engine = x'00'",
        "UPDATE recognised SET engine = 'another; 1.1'",
        "UPDATE recognised SET content = x''", "UPDATE recognised SET content = 'text'",
        "UPDATE recognised SET content = (SELECT content FROM recognised WHERE rowid = 2)",
        "UPDATE recognised SET sum = x'0011223344556677'", "UPDATE recognised SET sum = 'x'",
    ],
)  # fmt: skip
def test_a_row_of_the_store_that_our_code_cannot_use_is_seen(home: Path, statement: str) -> None:
    _change(home / STORE, statement)
    assert _all(home)


@pytest.mark.parametrize("name", [CATALOG, STORE])
@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE more (a)",
        "CREATE VIEW more AS SELECT 1",
        "CREATE INDEX more ON {table} (hex({column}))",
        "CREATE TRIGGER more AFTER INSERT ON {table} BEGIN SELECT load_extension('x'); END",
        "ALTER TABLE {table} ADD COLUMN more AS (hex({column}))",
        "ALTER TABLE {table} ADD COLUMN more",
        "CREATE VIRTUAL TABLE more USING fts5(a)",
        "PRAGMA writable_schema=ON;; UPDATE sqlite_master SET sql = replace(sql, 'NOT NULL', '')",
        "PRAGMA writable_schema=ON;; UPDATE sqlite_master SET rootpage = 2",
        "PRAGMA writable_schema=ON;; DELETE FROM sqlite_master WHERE name = '{table}'",
        "PRAGMA writable_schema=ON;; UPDATE sqlite_master SET sql = 'CREATE TABLE x(' || char(0)",
    ],
)
def test_what_is_not_our_schema_is_refused(home: Path, name: str, statement: str) -> None:
    table, column = ("page", "text") if name == CATALOG else ("embedding", "vector")
    _change(home / name, *statement.format(table=table, column=column).split(";; "))
    assert any(flaw.book == "" for flaw in flaws(home / name))
    assert any(flaws(home / name, rows=False)), "without a look at the rows"


def test_one_of_a_newer_bookbrain_is_told_as_that(home: Path) -> None:
    _change(home / CATALOG, "CREATE TABLE later (id)", "PRAGMA user_version = 99")
    with pytest.raises(ConfigError, match="newer BookBrain"):
        list(flaws(home / CATALOG))


def _pages_of(path: Path) -> Iterator[int]:
    """The offsets of the pages, but for the first one, which has the header."""
    yield from range(4096, path.stat().st_size, 4096)


@pytest.mark.slow
@pytest.mark.parametrize("name", [CATALOG, STORE])
def test_a_page_of_the_file_that_is_zeroed_is_seen_wherever_it_is(home: Path, name: str) -> None:
    path = home / name
    good = path.read_bytes()
    seen = 0
    for at in _pages_of(path):
        if good[at : at + 4096].strip(b"\0"):
            path.write_bytes(good[:at] + bytes(4096) + good[at + 4096 :])
            assert _all(home), at
            seen += 1
    assert seen >= 3


@pytest.mark.parametrize("name", [CATALOG, STORE])
def test_a_file_that_is_cut_off_or_none_is_seen(home: Path, name: str) -> None:
    path = home / name
    good = path.read_bytes()
    for bad in (
        good[: len(good) * 6 // 10], b"no database" * 1000, good[:100], b"x" + good[1:],
        good[:28] + b"\x7f\xff\xff\xff" + good[32:],  # a count of pages that are not there
    ):  # fmt: skip
        path.write_bytes(bad)
        assert list(flaws(path))


def test_the_book_that_has_the_flaw_is_named(home: Path) -> None:
    _change(home / CATALOG, f"UPDATE page SET headings = 'x' WHERE book_id = '{ONE}'")
    assert {flaw.book for flaw in flaws(home / CATALOG)} == {ONE}
