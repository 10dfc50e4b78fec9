"""The plain routes on a real library, the shelf that they share with the page, and health."""

import json
import socket
import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient
from support import pdfs
from support.openai_server import OpenAIServer

from bookbrain.errors import BookBrainError, BusyError, ConfigError, InputError, UnavailableError
from bookbrain.library import Library
from bookbrain.model import result_markdown, to_json
from bookbrain.settings import ChromaSettings, EmbeddingSettings, Settings
from bookbrain.web.api import LONGEST_QUERY, Health, make_routes
from bookbrain.web.shelf import Shelf

PAGES = (
    "The walrus & <the> lock.",
    "비동기 처리\n트랜잭션 로그는 비동기 처리로 기록한다.",
    "A lock.",
)


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A library with two books; no test changes it."""
    return _make_library(tmp_path_factory.mktemp("web"))


def _make_library(folder: Path) -> Settings:
    settings = Settings(home=folder / "library")
    with Library(settings) as library:
        library.add(
            [
                pdfs.book(folder / "locks.pdf", PAGES, title="Locks", labels=("i", "1", "2")),
                pdfs.book(folder / "other.pdf", ["Another lock."], title="Other"),
            ]
        )
        assert len(library.books()) == 2
    return settings


@contextmanager
def _client(settings: Settings, shelf: Shelf | None = None) -> Iterator[TestClient]:
    shelf, health = shelf or Shelf(settings), Health(settings)
    try:
        with TestClient(Starlette(routes=make_routes(shelf, health))) as client:
            yield client
    finally:
        shelf.close()
        health.close()


@pytest.fixture(scope="module")
def client(settings: Settings) -> Iterator[TestClient]:
    with _client(settings) as made:
        yield made


def _without_time(text: str) -> dict[str, Any]:
    return dict(json.loads(text)) | {"took_ms": 0}


# What is answered


@pytest.mark.slow
@pytest.mark.parametrize(
    "query", ["lock", "비동기", '"the walrus" -other', "nothing-of-it", "=&?#%"]
)
def test_search_answers_like_the_command(
    client: TestClient, settings: Settings, query: str
) -> None:
    answer = client.get("/api/search", params={"q": query, "k": "2"})
    with Library(settings) as library:
        expected = to_json(library.search(query, k=2))
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    assert _without_time(answer.text) == _without_time(expected)


def test_books_answers_like_the_command(client: TestClient, settings: Settings) -> None:
    with Library(settings) as library:
        assert client.get("/api/books").text == to_json(library.books())


@pytest.mark.slow
def test_the_parameters_choose(client: TestClient) -> None:
    def files(**params: str | list[str]) -> list[str]:
        answer = client.get("/api/search", params={"q": "lock"} | params)
        return [hit["file"] for hit in answer.json()["hits"]]

    assert sorted(files()) == ["locks.pdf", "locks.pdf", "other.pdf"]
    assert len(files(k="1")) == 1
    assert files(book="other.pdf") == ["other.pdf"]
    assert len(files(book=["other.pdf", "locks.pdf"])) == 3
    assert client.get("/api/search?q=lock&mode=keyword").json()["mode"] == "keyword"


def test_similar_pages_answer_like_the_library(client: TestClient, settings: Settings) -> None:
    with Library(settings) as library:
        (book,) = [book.id for book in library.books() if book.file == "locks.pdf"]
        expected = to_json(library.similar(book, 1, k=3))
    answer = client.get("/api/search", params={"similar": f"{book}:1", "k": "3"})
    assert _without_time(answer.text) == _without_time(expected)
    assert {hit["file"] for hit in answer.json()["hits"]} == {"locks.pdf", "other.pdf"}


@pytest.mark.slow
def test_citations_answer_like_the_command(client: TestClient, settings: Settings) -> None:
    with Library(settings) as library:
        result = library.search("lock", k=2)
    answer = client.get("/api/search.md", params={"q": "lock", "k": "2"})
    assert answer.headers["content-type"] == "text/markdown; charset=utf-8"
    assert answer.text == result_markdown(result, "en")
    korean = client.get("/api/search.md", params={"q": "lock", "k": "2", "language": "ko"})
    assert korean.text == result_markdown(result, "ko") != answer.text
    assert client.get("/api/search.md").json()["error"] == "The query is empty."


# What is refused


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"q": ""},
        {"q": "   "},
        {"q": "lock", "k": "0"},
        {"q": "lock", "k": "101"},
        {"q": "lock", "k": "-1"},
        {"q": "lock", "k": "1e1"},
        {"q": "lock", "k": "ten"},
        {"q": "lock", "k": "５"},
        {"q": "lock", "k": "9" * 5000},
        {"q": "lock", "k": ""},
        {"q": "lock", "mode": "all"},
        {"q": "lock", "mode": ""},
        {"q": "lock", "book": "nothing.pdf"},
        {"q": "x" * (LONGEST_QUERY + 1)},
        {"q": "lock", "weight": "1.1"},
        {"q": "lock", "weight": "-1"},
        {"q": "lock", "weight": "."},
        {"q": "lock", "weight": "nan"},
        {"similar": "x"},
        {"similar": ":1"},
        {"similar": "locks.pdf:"},
        {"similar": "locks.pdf:4"},
        {"similar": "locks.pdf:1", "k": "0"},
    ],
)
def test_what_cannot_be_used_is_400(client: TestClient, params: dict[str, str]) -> None:
    answer = client.get("/api/search", params=params)
    assert answer.status_code == 400
    assert answer.json().keys() == {"error", "hint"}
    assert answer.json()["error"]


def test_a_query_may_be_long(client: TestClient) -> None:
    answer = client.get("/api/search", params={"q": "lock " * (LONGEST_QUERY // 5)})
    assert answer.status_code == 200
    assert len(answer.json()["hits"]) == 3


def test_only_reading(client: TestClient) -> None:
    for path in ("/api/search?q=lock", "/api/books", "/healthz"):
        head = client.head(path)
        assert (head.status_code, head.content) == (200, b"")
        for method in ("POST", "PUT", "DELETE", "PATCH"):
            assert client.request(method, path).status_code == 405
    unknown = client.get("/api/nothing")
    assert unknown.status_code == 404
    assert unknown.json()["error"]


class _Failing(Shelf):
    """A shelf that only says what is wrong."""

    def __init__(self, settings: Settings, error: BookBrainError) -> None:
        super().__init__(settings)
        self.error = error

    @contextmanager
    def library(self) -> Iterator[Library]:
        raise self.error
        yield


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        (InputError, 400),
        (UnavailableError, 503),
        (BusyError, 503),
        (ConfigError, 500),
        (BookBrainError, 500),
    ],
)
def test_each_error_has_its_status(
    settings: Settings, kind: type[BookBrainError], status: int
) -> None:
    with _client(settings, _Failing(settings, kind("«So» it is.", "Do that."))) as client:
        for path in ("/api/books", "/api/search?q=lock"):
            answer = client.get(path)
            assert answer.status_code == status
            assert answer.json() == {"error": "«So» it is.", "hint": "Do that."}


@pytest.mark.slow
def test_what_nobody_foresaw_shows_nothing_from_inside(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings = _make_library(tmp_path)
    with _client(settings) as client:
        assert client.get("/api/search?q=walrus").status_code == 200
        _break(settings)
        answer = client.get("/api/search?q=walrus")
    assert answer.status_code == 500
    assert answer.json() == {"error": "BookBrain failed on this.", "hint": "Its log shows where."}
    assert "OperationalError" in caplog.text
    assert "library.py" in caplog.text
    assert "walrus" not in caplog.text


def _break(settings: Settings) -> None:
    connection = sqlite3.connect(settings.home / "catalog.sqlite3")
    connection.execute("PRAGMA foreign_keys=OFF")
    tables = [
        row[0] for row in connection.execute("SELECT name FROM sqlite_schema WHERE type='table'")
    ]
    for table in tables:
        if not table.startswith("sqlite_"):
            connection.execute(f'DROP TABLE "{table}"')
    connection.commit()
    connection.close()


# Health


def test_healthz_is_one_word(client: TestClient) -> None:
    answer = client.get("/healthz")
    assert (answer.status_code, answer.text) == (200, "ok")
    assert answer.headers["content-type"].startswith("text/plain")
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.slow
def test_a_library_that_cannot_be_searched_is_down_and_an_answer_is_kept(tmp_path: Path) -> None:
    settings = _make_library(tmp_path)
    with _client(settings) as before:
        assert before.get("/healthz").text == "ok"
        _break(settings)
        assert before.get("/healthz").text == "ok"
        with _client(settings) as after:
            answer = after.get("/healthz")
    assert (answer.status_code, answer.text) == (503, "down")


def test_an_empty_library_is_well(tmp_path: Path) -> None:
    with _client(Settings(home=tmp_path / "new")) as client:
        assert client.get("/healthz").text == "ok"
        assert client.get("/api/books").json() == []
        assert client.get("/api/search?q=lock").json()["hits"] == []


@pytest.mark.slow
@pytest.mark.parametrize("listens", [False, True], ids=["refuses", "hangs"])
def test_without_chroma_it_is_degraded_and_embeds_nothing(
    settings: Settings, listens: bool
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as endpoint, socket.socket() as chroma:
        chroma.bind(("127.0.0.1", 0))
        if listens:
            chroma.listen()  # and never answers
        embedding = EmbeddingSettings(base_url=f"http://127.0.0.1:{endpoint.getsockname()[1]}/v1")
        url = f"http://127.0.0.1:{chroma.getsockname()[1]}"
        with _client(Settings(settings.home, embedding, chroma=ChromaSettings(url))) as client:
            words = [client.get("/healthz") for _ in range(3)]
        assert [(word.status_code, word.text) for word in words] == [(200, "degraded")] * 3
        endpoint.settimeout(0.1)
        with pytest.raises(TimeoutError):
            endpoint.accept()


@contextmanager
def _meaning(settings: Settings) -> Iterator[tuple[OpenAIServer, Settings]]:
    """A stand-in for the endpoint, and the library with it; no book is embedded."""
    with OpenAIServer() as server:
        embedding = EmbeddingSettings(api_key=server.key, base_url=server.url)
        yield server, Settings(settings.home, embedding)


def test_while_the_endpoint_fails_it_is_degraded_and_search_goes_on(settings: Settings) -> None:
    with _meaning(settings) as (server, meaning), _client(meaning) as client:
        server.fail("status", status=500, times=None)
        for turn in range(5):
            answer = client.get("/api/search", params={"q": f"lock {turn}"}).json()
            assert answer["hits"]
            assert ("status 500" if turn < 3 else "left alone") in answer["degraded"]
        assert len(server.requests) == 3
        assert (client.get("/healthz").status_code, client.get("/healthz").text) == (
            200,
            "degraded",
        )
        assert client.get("/api/search?q=lock&mode=keyword").json()["degraded"] is None
        assert len(server.requests) == 3


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "options"),
    [("hang", {"seconds": 3600}), ("drip_head", {"seconds": 0.2}), ("drip_body", {"seconds": 0.2})],
)
def test_searches_that_wait_hold_up_nobody(
    settings: Settings, kind: Any, options: dict[str, Any]
) -> None:
    """The shelf has one place: a search that waited in it would be waited for by all others."""
    with _meaning(settings) as (server, meaning), ThreadPoolExecutor(40) as pool:
        server.fail(kind, times=None, **options)
        with _client(meaning, Shelf(meaning, most=1)) as client:

            def ask(turn: int) -> dict[str, Any]:
                return dict(client.get("/api/search", params={"q": f"lock {turn}"}).json())

            waiting = [pool.submit(ask, turn) for turn in range(40)]
            for _ in range(10):
                assert client.get("/api/search?q=lock&mode=keyword").json()["hits"]
                assert client.get("/api/books").status_code == 200
            answers = [search.result() for search in waiting]
            assert all(answer["hits"] and answer["degraded"] for answer in answers)
            assert len(server.requested) <= 16
            assert client.get("/healthz").text == "degraded"


# The shelf


def test_patient_searches_have_libraries_of_their_own(settings: Settings) -> None:
    shelf = Shelf(settings, most=1)
    with shelf.patient_library() as first, shelf.library() as second:
        assert first is not second
        assert second.search("lock").hits
    with shelf.patient_library() as third:
        assert third is first
    shelf.close()


def test_a_library_is_nobody_elses_and_used_again(settings: Settings) -> None:
    shelf = Shelf(settings)
    with shelf.library() as first, shelf.library() as second:
        assert first is not second
    with shelf.library() as third:
        assert third in (first, second)
    with pytest.raises(BookBrainError), shelf.library() as failing:
        raise KeyError("secret")
    with shelf.library() as fifth:
        assert fifth is not failing
    shelf.close()


@pytest.mark.slow
def test_many_threads_find_the_same(settings: Settings) -> None:
    queries = ("비동기 처리", "locks", "트랜잭션 로그", "the walrus")
    shelf = Shelf(settings, most=4)
    start = Barrier(12)

    def search(query: str) -> list[object]:
        with shelf.library() as library:
            result = library.search(query)
        return [(hit.book_id, hit.page, hit.score) for hit in result.hits]

    def hammer(turn: int) -> list[list[object]]:
        start.wait()
        return [search(queries[(turn + n) % 4]) for n in range(20)]

    expected = [search(query) for query in queries]
    assert all(expected)
    with ThreadPoolExecutor(12) as pool:
        for turn, found in enumerate(pool.map(hammer, range(12))):
            assert found == [expected[(turn + n) % 4] for n in range(20)]
    shelf.close()
