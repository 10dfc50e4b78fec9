"""`kill -9` at any instant: no half book, no lost book, nothing bought twice.

Twelve kills, spread over the run; in the long run of `test_kills` six times as many as it asks for.
"""

import gc
import json
import os
import random
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pytest
from support import pdfs
from support.openai_process import OpenAIProcess
from support.shelf import Shelf, wait_for

from bookbrain.library import Library
from bookbrain.settings import load_settings

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
    # The library is asked in this process, and Chroma's client leaves its connections to the
    # collector, as the keeper of the server is left to itself.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

_PARTS = 6  # several tests, so that two processes can share them
_EVERYTHING = _PARTS * int(os.environ.get("BOOKBRAIN_KILLS", "2"))
_QUERIES = (
    "비동기 처리", "트랜잭션 로그 수집", "가비지 컬렉션 성능", "교착 상태를 막기 위해",
    "벡터 검색", "암호화 통신 인증서 갱신", "요청이 한꺼번에 몰리면", '"메모리 관리"',
    "형태소 분석 -kernel", "probe_1_7", "probe_2_3", "probe_3_11", "CompletableFuture.thenCompose",
    "@Transactional timeout", "SELECT COUNT GROUP BY", "kubectl scale replicas",
    "what releases the lock", '"after a restart"', "the scheduler evicts the cache", "zzz",
)  # fmt: skip


@dataclass(frozen=True)
class Undisturbed:
    """A library that nobody killed, and how long adding to it took."""

    books: list[Path]
    seconds: float
    state: dict[str, Any]
    texts: int


@pytest.fixture(scope="module")
def undisturbed(
    tmp_path_factory: pytest.TempPathFactory, _stand_in: OpenAIProcess
) -> Iterator[Undisturbed]:
    folder = tmp_path_factory.mktemp("undisturbed")
    books = [
        pdfs.long_book(folder / "korean.pdf", 24, seed=1, language="ko"),
        pdfs.long_book(folder / "english.pdf", 30, seed=2, language="en"),
        pdfs.long_book(folder / "mixed.pdf", 20, seed=3, language="mixed"),
    ]
    _stand_in.forget()
    with Shelf(folder / "library", _stand_in) as shelf:
        started = time.monotonic()
        shelf.add(*books)
        seconds = time.monotonic() - started
        texts = len(_stand_in.bought)
        yield Undisturbed(books, seconds, _state(shelf), texts)


@pytest.mark.parametrize("part", range(_PARTS))
def test_the_same_command_again_finishes(
    part: int, tmp_path: Path, openai: OpenAIProcess, undisturbed: Undisturbed
) -> None:
    for number in range(part, _EVERYTHING, _PARTS):
        openai.forget()
        with _killed(tmp_path / str(number), number, openai, undisturbed) as shelf:
            _assert_no_half_book(shelf)
            shelf.add(*undisturbed.books)
            assert set(openai.requested.values()) == {1}, (number, openai.requests)
            assert len(openai.bought) == undisturbed.texts
            _assert_same(_state(shelf), undisturbed.state)


def test_other_commands_only_say_how_to_go_on(
    tmp_path: Path, openai: OpenAIProcess, undisturbed: Undisturbed
) -> None:
    finished = 0
    for number in (_EVERYTHING * share // 30 for share in (4, 13, 22)):
        openai.forget()
        with _killed(tmp_path / str(number), number, openai, undisturbed) as shelf:
            jobs = _rows(shelf.home / "catalog.sqlite3", "job")
            for command in (["books", "--json"], ["search", "lock"], ["embed", "--dry-run"]):
                done = shelf.run(*command)
                told = "Interrupted before they were added: " in done.err
                assert told is bool(jobs), command
            assert _rows(shelf.home / "catalog.sqlite3", "job") == jobs
            if jobs:
                shelf.add()
                finished += 1
            else:
                shelf.add(*undisturbed.books)
            assert set(openai.requested.values()) == {1}
            _assert_same(_state(shelf), undisturbed.state)
    assert finished


def test_killed_after_it_had_waited(
    shelf: Shelf, openai: OpenAIProcess, english: list[Path]
) -> None:
    shelf.add(english[0], code=78, OPENAI_API_KEY="sk-wrong")
    assert shelf.books() == [], "it waits for the key"
    openai.fail("slow", seconds=1)
    process = shelf.start("add")
    wait_for(lambda: openai.requested, "the request")
    process.kill()
    process.communicate()
    assert "Interrupted before they were added: 1" in shelf.run("books").err, "nobody waits"
    shelf.add()
    assert len(shelf.books()) == 1
    assert set(openai.requested.values()) == {1}


def _killed(home: Path, number: int, openai: OpenAIProcess, undisturbed: Undisturbed) -> Shelf:
    """A library whose `add` was killed at the instant of this number, on its way for certain."""
    instant = (number + random.Random(number).random()) / _EVERYTHING * undisturbed.seconds
    for attempt in range(10):
        shelf = Shelf(home.with_name(f"{home.name}-{attempt}"), openai)
        try:
            if _is_killed(shelf.start("add", *undisturbed.books), instant):
                return shelf
        except BaseException:
            shelf.close()
            raise
        shelf.close()
        openai.forget()
        instant *= 0.8  # a quicker run than the first: it was done already
    raise AssertionError("the run was always over before it could be killed")


def _is_killed(process: "subprocess.Popen[str]", instant: float) -> bool:
    """Let the process run for so many seconds; False when it was over before."""
    try:
        process.wait(instant)
    except subprocess.TimeoutExpired:
        process.kill()
    process.communicate()
    return process.returncode < 0


def _assert_no_half_book(shelf: Shelf) -> None:
    """What a reader sees just after the kill, before anybody mends anything."""
    catalog = shelf.home / "catalog.sqlite3"
    if not catalog.exists() or not _rows(catalog, "sqlite_master"):
        return
    books = {row[0] for row in _rows(catalog, "book")}
    for table in ("page", "passage", "embedded"):
        assert {row[0] for row in _rows(catalog, table)} == books, table
    assert all((shelf.home / "books" / f"{book}.pdf").is_file() for book in books)


def _state(shelf: Shelf) -> dict[str, Any]:
    """Everything that must be the same after a kill."""
    catalog = shelf.home / "catalog.sqlite3"
    tables = [row[1] for row in _rows(catalog, "sqlite_master") if row[0] == "table"]
    with Library(load_settings(shelf.env)) as library:
        hits = [_answer(library, query) for query in _QUERIES]
    del library
    gc.collect()  # here, where its warnings are expected, and not in a later test
    return {
        "rows": {table: _rows(catalog, table) for table in tables},
        "files": {path.name: path.read_bytes() for path in (shelf.home / "books").glob("*.pdf")},
        "keywords": sorted(path.name for path in (shelf.home / "keywords").rglob("*")),
        "hits": hits,
    }


def _assert_same(state: dict[str, Any], expected: dict[str, Any]) -> None:
    """Name what differs, and not all that does not."""
    assert state.keys() == expected.keys()
    for query, answer, other in zip(_QUERIES, state["hits"], expected["hits"], strict=True):
        assert _short(answer) == _short(other), query
    for key, value in state.items():
        assert value == expected[key], key


def _short(answer: str) -> list[tuple[Any, ...]]:
    return [(hit["file"], hit["page"], hit["why"]) for hit in json.loads(answer)["hits"]]


def _answer(library: Library, query: str) -> str:
    answer = asdict(library.search(query, mode="hybrid"))
    assert answer["degraded"] is None
    return json.dumps(answer | {"took_ms": 0}, ensure_ascii=False)


def _rows(catalog: Path, table: str) -> list[tuple[Any, ...]]:
    """All rows, in order, but for the time at which a book was added and the library's identity."""
    connection = sqlite3.connect(f"file:{catalog}?mode=ro", uri=True)
    try:
        names = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
        # Of the date come "rest", the checksum of a book's rows; of the run, what names it.
        kept = ", ".join(name for name in names if name not in ("added_at", "rootpage", "rest"))
        rows = sorted(connection.execute(f"SELECT {kept or '*'} FROM {table}"))
        return [row for row in rows if not {"library", "changes"} & set(row[:2])]
    finally:
        connection.close()
