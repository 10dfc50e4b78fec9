"""What was read from the pictures of pages comes back as it was, and the best of it counts."""

import json
import sqlite3
import zlib
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from bookbrain.messages import Filled, fill
from bookbrain.ocr.engine import RecognisedPage, Word, way_of
from bookbrain.paths import STORE
from bookbrain.store.copy import drop_bad_rows, take_embeddings
from bookbrain.store.embeddings import EMBEDDINGS_MIGRATIONS, EmbeddingStore
from bookbrain.store.recognised import UnreadPage, decoded, encoded

FILE, OTHER = "a" * 64, "b" * 64
NOW, BEFORE, ELSEWHERE = "tesseract 5; 1.2", "tesseract 5; 1.1", "tesseract 6; 1.2"
MATRIX = (0.24, 0.0, 0.0, -0.24, 0.0, 842.0)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[EmbeddingStore]:
    with closing(EmbeddingStore(tmp_path / STORE)) as opened:
        yield opened


def _page(*texts: str) -> RecognisedPage:
    words = [Word(t, (10 * n, 0, 10 * n + 9, 12), 90.5, 0) for n, t in enumerate(texts)]
    return RecognisedPage(tuple(words), MATRIX)


def test_pages_come_back_as_they_were_read(store: EmbeddingStore, tmp_path: Path) -> None:
    readings = {
        1: _page("잠금은", "mutex", "\u201c힣\u201d"),
        2: _page(),
        7: UnreadPage("too large"),
    }
    for number, reading in readings.items():
        store.recognised.put(FILE, number, NOW, reading)
    with closing(EmbeddingStore(tmp_path / STORE)) as again:
        assert again.recognised.of_file(FILE) == readings
        assert again.recognised.of_file(FILE, [2, 3]) == {2: _page()}
        assert again.recognised.of_file(OTHER) == {}
        assert again.recognised.get(FILE, 1) == readings[1]
        assert again.recognised.get(FILE, 3) is None
        assert again.recognised.engines(FILE) == {1: {NOW}, 2: {NOW}, 7: {NOW}}
        assert again.recognised.counts() == {FILE: 3}
        assert again.recognised.count() == 3


def test_how_sure_the_best_reading_is(store: EmbeddingStore) -> None:
    sure = _page("mutex")
    unsure = Word("잠금은", (0, 0, 9, 12), 10.5, 0)
    doubted = RecognisedPage((sure.words[0], unsure), MATRIX)
    store.recognised.put(FILE, 1, BEFORE, sure)
    assert store.recognised.confidence(FILE, 1) == 90.5
    store.recognised.put(FILE, 1, NOW, doubted)
    assert store.recognised.confidence(FILE, 1) == round(doubted.confidence, 1) == 60.5
    store.recognised.put(FILE, 1, ELSEWHERE, UnreadPage("too large"))
    assert store.recognised.confidence(FILE, 1) == 60.5
    store.recognised.put(FILE, 2, NOW, UnreadPage("too large"))
    store.recognised.put(FILE, 3, NOW, _page())
    assert [store.recognised.confidence(FILE, page) for page in (2, 3, 4)] == [None] * 3


def test_the_reason_of_a_page_that_was_not_read_can_still_be_translated(
    store: EmbeddingStore,
) -> None:
    store.recognised.put(FILE, 1, NOW, UnreadPage(fill("page {number}", number=3)))
    found = store.recognised.get(FILE, 1)
    assert isinstance(found, UnreadPage)
    assert isinstance(found.reason, Filled)
    assert found.reason == "page 3"


@pytest.mark.parametrize(
    ("readings", "best"),
    [
        ([(BEFORE, _page("old")), (NOW, _page("new"))], _page("new")),
        ([(NOW, _page("new")), (BEFORE, _page("old"))], _page("new")),
        ([(NOW, _page("one")), (ELSEWHERE, _page("two"))], _page("two")),
        ([(NOW, _page("one")), (NOW, _page("two"))], _page("two")),
        ([(BEFORE, _page("old")), (NOW, UnreadPage("no"))], _page("old")),
        ([(NOW, _page("one")), (NOW, UnreadPage("no"))], _page("one")),
        ([(NOW, UnreadPage("no")), (NOW, _page())], _page()),
        ([(BEFORE, UnreadPage("no")), (NOW, UnreadPage("nor now"))], UnreadPage("nor now")),
    ],
)
def test_the_best_reading_counts(
    store: EmbeddingStore, readings: list[tuple[str, Any]], best: Any
) -> None:
    for engine, reading in readings:
        store.recognised.put(FILE, 4, engine, reading)
    assert store.recognised.get(FILE, 4) == best
    assert store.recognised.of_file(FILE) == {4: best}
    store.recognised.drop_superseded(FILE, [4, 5])
    assert store.recognised.count() == 1
    assert store.recognised.get(FILE, 4) == best


@pytest.mark.parametrize(
    ("version", "way"),
    [("tesseract 5.3.0; eng 12ab; 1.2", (1, 2)), ("x", ()), ("1.2", (1, 2)), ("a; 1.x", ()),
     ("a; 1.-2", ()), ("a; ²", ()), ("", ()), (f"a; {'9' * 5000}", ())],
)  # fmt: skip
def test_an_engine_says_in_which_way_it_was_used(version: str, way: tuple[int, ...]) -> None:
    assert way_of(version) == way


def _packed(value: object) -> bytes:
    return zlib.compress(json.dumps(value).encode())


@pytest.mark.slow
@pytest.mark.parametrize(
    "content",
    [
        b"", b"x", "text", None, 3, encoded(_page("a"))[:-3], encoded(_page("a")) + b"x",
        zlib.compress(b"[" * 100_000), zlib.compress(b"{}"), zlib.compress(b"\xff"),
        zlib.compress(bytes(1 << 27)), _packed([]), _packed({"reason": ""}),
        _packed({"reason": 1}), _packed({"reason": "x", "words": []}),
        _packed({"matrix": [1] * 5, "words": []}), _packed({"matrix": [1] * 6}),
        _packed({"matrix": [1, 1, 1, 1, 1, float("nan")], "words": []}),
        _packed({"matrix": [1, 1, 1, 1, 1, True], "words": []}),
        _packed({"matrix": [1, 1, 1, 1, 1, 10**400], "words": []}),
        *(_packed({"matrix": MATRIX, "words": [word]}) for word in (
            None, [], ["a"], ["", 0, 0, 9, 9, 90, 0], ["a b", 0, 0, 9, 9, 90, 0],
            ["a\n", 0, 0, 9, 9, 90, 0], ["\ud800", 0, 0, 9, 9, 90, 0], [1, 0, 0, 9, 9, 90, 0],
            ["a", -1, 0, 9, 9, 90, 0], ["a", 9, 0, 9, 9, 90, 0], ["a", 0, 9, 9, 9, 90, 0],
            ["a", 0, 0, 9.5, 9, 90, 0], ["a", 0, 0, 10**20, 9, 90, 0], ["a", 0, 0, 9, 9, "x", 0],
            ["a", 0, 0, 9, 9, float("inf"), 0], ["a", 0, 0, 9, 9, 90, True],
            ["a", 0, 0, 9, 9, 90, 0, 0])),
    ],
)  # fmt: skip
def test_what_is_no_page_is_refused_whoever_wrote_it(content: Any) -> None:
    with pytest.raises(ValueError):
        decoded(content)


def test_a_row_that_cannot_be_used_is_as_if_it_were_not_there(
    store: EmbeddingStore, tmp_path: Path
) -> None:
    for number in (1, 2, 3):
        store.recognised.put(FILE, number, NOW, _page("word", str(number)))
    with closing(sqlite3.connect(tmp_path / STORE, isolation_level=None)) as db:
        db.execute("UPDATE recognised SET content = x'00' WHERE page = 2")
    assert store.recognised.of_file(FILE) == {1: _page("word", "1"), 3: _page("word", "3")}
    assert store.recognised.get(FILE, 2) is None
    drop_bad_rows(tmp_path / STORE)
    assert sorted(store.recognised.engines(FILE)) == [1, 3]


@pytest.mark.slow
def test_pages_of_another_store_are_taken_over_where_they_lack(tmp_path: Path) -> None:
    here, there = tmp_path / "here" / STORE, tmp_path / "there" / STORE
    for path, name in ((here, "here"), (there, "there")):
        path.parent.mkdir()
        with closing(EmbeddingStore(path)) as store:
            store.recognised.put(FILE, 1, NOW, _page(name))
            store.recognised.put(FILE if name == "here" else OTHER, 2, NOW, _page(name))
            for page in range(3, 1200) if name == "there" else ():
                store.recognised.put(OTHER, page, BEFORE, _page(str(page)))
    with closing(sqlite3.connect(here, isolation_level=None)) as db:
        db.execute("UPDATE recognised SET sum = x'00' WHERE page = 2")
    take_embeddings(here, there)
    with closing(EmbeddingStore(here)) as store:
        assert store.recognised.of_file(FILE) == {1: _page("here")}
        assert len(store.recognised.of_file(OTHER)) == 1198
        assert store.recognised.get(OTHER, 1199) == _page("1199")


def test_a_store_of_before_there_were_any_is_brought_up_to_date(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / STORE, isolation_level=None)) as db:
        for number, migrate in enumerate(EMBEDDINGS_MIGRATIONS[:3], start=1):
            migrate(db)
            db.execute(f"PRAGMA user_version={number}")
    with closing(EmbeddingStore(tmp_path / STORE)) as store:
        assert store.recognised.count() == 0
        store.recognised.put(FILE, 1, NOW, _page("word"))
        assert store.recognised.get(FILE, 1) == _page("word")
