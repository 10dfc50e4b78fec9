"""Every fault of the embedding endpoint: never half a book, and nothing bought twice."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from support import pdfs
from support.openai_api import WRONG
from support.openai_process import OpenAIProcess
from support.shelf import Done, Shelf

AT_ONCE = 0.01  # seconds that the stand-in asks to wait: retries need not last


def assert_nothing_of(shelf: Shelf, done: Done, code: int, *words: str) -> None:
    """The command failed with one clear line and left no trace of a book."""
    assert done.code == code, done
    assert all(word in done.err for word in words), done.err
    assert done.err.count("Error: ") == 1
    assert "Next:  " in done.err
    assert shelf.books() == []
    assert shelf.search("lock queue", "--mode", "keyword")["hits"] == []


def passages_of(texts: Iterable[str]) -> list[str]:
    """Queries, and the texts of a model's exam, are of one line."""
    return [text for text in texts if "\n" in text]


def assert_whole(shelf: Shelf, openai: OpenAIProcess, number: int = 1) -> None:
    """The books are complete, by both legs, and each text reached us exactly once."""
    books = shelf.books()
    assert len(books) == number
    assert all(book["problems"] == [] for book in books)
    assert sum(book["passages"] for book in books) == len(passages_of(openai.requested))
    assert set(openai.delivered.values()) == {1}
    answer = shelf.search("lock queue", "--mode", "vector")
    assert answer["degraded"] is None
    assert answer["hits"]
    assert all(hit["why"]["vector"] for hit in answer["hits"])


@pytest.mark.slow
class TestWrongKey:
    def test_stops_says_how_to_set_it_and_goes_on_later(
        self, shelf: Shelf, openai: OpenAIProcess, english: list[Path]
    ) -> None:
        done = shelf.add(*english[:2], code=None, OPENAI_API_KEY="sk-wrong")
        assert_nothing_of(shelf, done, 78, "API key", "OPENAI_API_KEY=", "bookbrain.env")
        assert not openai.requested
        waiting = shelf.run("books")
        assert "Waiting to be added: 2." in waiting.err
        assert "API key" in waiting.err
        assert "2 added" in shelf.add().out
        assert "waiting" not in shelf.run("books").err
        assert_whole(shelf, openai, 2)

    @pytest.mark.slow
    def test_revoked_between_two_books(
        self, shelf: Shelf, openai: OpenAIProcess, english: list[Path]
    ) -> None:
        shelf.add(english[0])
        openai.fail("status", status=401, times=None)
        done = shelf.add(*english, code=78)
        assert "already there" in done.out or "known" in done.out
        assert [book["file"] for book in shelf.books()] == ["book1.pdf"]
        degraded = shelf.search("thread kernel")["degraded"]
        assert "API key" in degraded
        openai.clear()
        shelf.add()
        assert_whole(shelf, openai, 3)


PASSING: list[tuple[str, dict[str, Any]]] = [
    ("status", {"status": 429, "retry_after": 0.2, "times": 2}),
    ("status", {"status": 500, "retry_after": AT_ONCE, "times": 3}),
    ("hang", {"seconds": 60}),
    ("cut", {}),
    ("malformed", {}),
    ("nan", {}),
    ("nan", {"every": True}),
    ("missing_items", {}),
    ("wrong_order", {"times": None}),
]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "options"), PASSING, ids=["429", "500", *(f"{k}{len(o)}" for k, o in PASSING[2:])]
)
def test_what_passes_is_tried_again(
    kind: Any, options: dict[str, Any], shelf: Shelf, openai: OpenAIProcess, english: list[Path]
) -> None:
    openai.fail(kind, **options)
    done = shelf.add(english[0], BOOKBRAIN_EMBEDDING_TIMEOUT="2")
    assert "1 added" in done.out
    assert done.err == ""
    assert any(served.faults == (kind,) for served in openai.requests)
    times = {1, 2} if kind == "cut" else {1}  # OpenAI bills the answer that was cut
    assert set(openai.bought.values()) == times
    if kind in ("nan", "missing_items") and not options:  # the others of that answer were kept
        assert sorted(openai.requested.values())[-2:] == [1, 2]
    assert_whole(shelf, openai)
    # The vectors went to the right texts: the nearest passage to a page's own words is its own.
    hits = shelf.search(pdfs.probe(1, 5), "-k", "1")["hits"]
    assert hits[0]["page"] == 6


LASTING: list[tuple[str, dict[str, Any], int, str]] = [
    ("status", {"status": 429, "retry_after": AT_ONCE}, 75, "rate"),
    ("status", {"status": 429, "retry_after": AT_ONCE, "code": "insufficient_quota"}, 75, "credit"),
    ("status", {"status": 500, "retry_after": AT_ONCE}, 69, "status 500"),
    ("wrong_dimensions", {}, 78, "dimensions"),
    ("nan", {"every": True}, 69, "finite"),
    ("malformed", {}, 69, "malformed"),
    ("hang", {"seconds": 60}, 69, "did not answer in 0.5 s"),
]


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "options", "code", "word"), LASTING, ids=[r[3] for r in LASTING])
def test_what_lasts_ends_the_command_and_the_next_one_goes_on(
    kind: Any,
    options: dict[str, Any],
    code: int,
    word: str,
    shelf: Shelf,
    openai: OpenAIProcess,
    english: list[Path],
) -> None:
    openai.fail(kind, times=None, **options)
    done = shelf.add(english[0], code=None, BOOKBRAIN_EMBEDDING_TIMEOUT="0.5")
    assert_nothing_of(shelf, done, code, word)
    openai.clear()
    assert "1 added" in shelf.add().out
    assert_whole(shelf, openai)
    assert set(openai.bought.values()) == {1}


@pytest.mark.slow
def test_an_unknown_model_is_a_matter_of_configuration(shelf: Shelf, english: list[Path]) -> None:
    done = shelf.add(
        english[0], code=None, BOOKBRAIN_EMBEDDING_MODEL="no-such-model",
        BOOKBRAIN_EMBEDDING_DIMENSIONS="",
    )  # fmt: skip
    assert_nothing_of(shelf, done, 78, "no-such-model", "BOOKBRAIN_EMBEDDING_MODEL")


@pytest.mark.slow
def test_a_book_stopped_at_one_of_two_requests_keeps_what_it_bought(
    shelf: Shelf, openai: OpenAIProcess, tmp_path: Path
) -> None:
    book = pdfs.long_book(tmp_path / "long.pdf", 220, language="en")
    last = pdfs.probe(0, 219)
    openai.fail("status", status=500, retry_after=AT_ONCE, times=None, text=last)
    done = shelf.add(book, code=69)
    assert len(passages_of(openai.delivered)) == 128
    assert_nothing_of(shelf, done, 69, "status 500")
    openai.clear()
    shelf.add()
    assert len(passages_of(openai.delivered)) > 128
    assert_whole(shelf, openai)
    assert set(openai.bought.values()) == {1}


@pytest.mark.slow
def test_whatever_it_answers_search_finds_by_keyword_and_says_why(
    shelf: Shelf, openai: OpenAIProcess, english: list[Path]
) -> None:
    """Each command asks once: none of them knows how it went before."""
    shelf.add(english[0])
    waiting: dict[Any, dict[str, Any]] = {
        "hang": {"seconds": 3600}, "drip_head": {"seconds": 0.2}, "drip_body": {"seconds": 0.2},
    }  # fmt: skip
    kinds = [*waiting, "endless", "bomb", "escape", "malformed", "nan", *sorted(WRONG)]
    for number, kind in enumerate(kinds):
        openai.fail(kind, **waiting.get(kind, {}))
        text = shelf.run("search", "--json", f"lock queue {number}").out
        answer = json.loads(text, parse_constant=pytest.fail)
        assert answer["hits"], kind
        assert answer["degraded"].isprintable(), kind
        assert all(hit["why"]["keyword"] for hit in answer["hits"])
    assert shelf.search("lock queue")["degraded"] is None


class TestOneText:
    @pytest.mark.slow
    def test_refused_it_is_found_by_keyword_only_and_named(
        self, shelf: Shelf, openai: OpenAIProcess, english: list[Path]
    ) -> None:
        openai.fail("refuse_text", text=pdfs.probe(1, 4), times=None)
        done = shelf.add(english[0])
        (book,) = shelf.books()
        (problem,) = book["problems"]
        assert "by keyword only" in problem
        assert problem in done.out
        assert "'$.input' is invalid" in problem
        assert problem in shelf.run("books").out
        assert len(passages_of(openai.delivered)) == book["passages"] - 1
        assert set(openai.bought.values()) == {1}
        hit = shelf.search(pdfs.probe(1, 4))["hits"][0]
        assert hit["page"] == 5
        assert hit["why"]["keyword"]["rank"] == 1

    @pytest.mark.slow
    def test_always_nan(self, shelf: Shelf, openai: OpenAIProcess, english: list[Path]) -> None:
        openai.fail("nan", times=None)  # the first text of any request
        shelf.add(english[0])
        (book,) = shelf.books()
        (problem,) = book["problems"]
        assert problem.startswith("page 1: a passage is found by keyword only")
        assert "finite" in problem
        openai.clear()
        answer = shelf.search("lock queue")
        assert answer["degraded"] is None
        assert answer["hits"]


@pytest.mark.slow
def test_a_book_that_was_removed_costs_nothing_the_second_time(
    shelf: Shelf, openai: OpenAIProcess, english: list[Path]
) -> None:
    shelf.add(english[0])
    openai.forget()
    shelf.run("remove", "book1.pdf", "--yes")
    assert shelf.books() == []
    assert "Embedding: 0 tokens" in shelf.add(english[0]).out
    assert not openai.requests
