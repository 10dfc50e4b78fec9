"""A model takes its exam when it is met: once, whatever happens meanwhile."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from support import pdfs
from support.openai_process import OpenAIProcess
from support.shelf import Shelf, wait_for

from bookbrain.search.exam import exam, exam_digests

TEXTS = set(exam().texts)
QUERY = "the kernel waits for the cache"

pytestmark = pytest.mark.slow


def forget_exam(shelf: Shelf) -> None:
    """As a library of before: nothing of the exam is in the store."""
    digests = [(digest,) for digest in exam_digests()]
    with closing(sqlite3.connect(shelf.home / "embeddings.sqlite3")) as store, store:
        store.executemany("DELETE FROM embedding WHERE digest = ?", digests)
        store.executemany("DELETE FROM checksum WHERE digest = ?", digests)


def test_it_is_bought_with_the_first_book_and_never_again(
    shelf: Shelf, openai: OpenAIProcess, english: list[Path]
) -> None:
    plan = shelf.run("add", "--dry-run", english[0])
    assert "an exam of text-embedding-3-small, which tells how far to trust it: about" in plan.out
    assert "tokens, $0.0002" in plan.out
    shelf.add(english[0])
    assert {*openai.requested} > TEXTS
    assert "exam" not in shelf.run("add", "--dry-run", english[1]).out
    shelf.add(english[1])
    assert set(openai.requested.values()) == {1}
    said = shelf.run("embed").out
    assert "All books are embedded" in said
    assert "text-embedding-3-small understands English" in said


def test_a_library_of_before_is_searched_and_takes_it_when_asked(
    shelf: Shelf, openai: OpenAIProcess, english: list[Path]
) -> None:
    shelf.add(english[0])
    forget_exam(shelf)
    openai.forget()
    answer = shelf.search(QUERY)
    assert answer["degraded"] is None
    assert any(hit["why"]["vector"] for hit in answer["hits"])
    assert not TEXTS & {*openai.requested}
    plan = shelf.run("embed", "--dry-run").out
    assert "an exam of" in plan
    assert "To embed" not in plan
    assert shelf.run("embed", code=None).code != 0, "nobody said yes"
    assert not TEXTS & {*openai.requested}
    done = shelf.run("embed", "--yes").out
    assert "Exam of text-embedding-3-small: " in done
    assert "understands English" in done
    assert {*openai.requested} >= TEXTS
    openai.forget()
    assert "exam" not in shelf.run("embed", "--dry-run").out.lower()
    assert not openai.requests


def test_another_model_takes_its_own_and_the_first_ones_is_kept(
    shelf: Shelf, openai: OpenAIProcess, english: list[Path]
) -> None:
    shelf.add(english[0])
    other = {"BOOKBRAIN_EMBEDDING_MODEL": "text-embedding-3-large"}
    assert "an exam of text-embedding-3-large" in shelf.run("embed", "--dry-run", **other).out
    openai.forget()
    shelf.run("embed", "--yes", **other)
    assert {*openai.requested} > TEXTS
    assert set(openai.requested.values()) == {1}
    openai.forget()
    shelf.run("embed", "--yes")
    assert not openai.requests


def kept(shelf: Shelf) -> int:
    """How many vectors the library has."""
    store = f"file:{shelf.home}/embeddings.sqlite3?mode=ro"
    try:
        with closing(sqlite3.connect(store, uri=True)) as db:
            return int(db.execute("SELECT count(*) FROM embedding").fetchone()[0])
    except sqlite3.OperationalError:  # it is not made yet
        return 0


def test_killed_within_it_buys_the_rest(
    shelf: Shelf, openai: OpenAIProcess, english: list[Path]
) -> None:
    """What was received is kept: at most the requests under way are asked for again."""
    last = exam().texts[-1]
    openai.fail("slow", seconds=30, times=None, text=last)
    process = shelf.start("add", english[0])
    wait_for(lambda: kept(shelf) >= 128 and last in openai.requested, "the other requests")
    shelf.kill("")
    process.communicate()
    openai.clear()
    there = kept(shelf)
    asked = len(openai.requested)
    openai.forget()
    shelf.add()
    assert len(shelf.books()) == 1
    assert len(openai.requested) == asked - there
    assert set(openai.requested.values()) == {1}
    openai.forget()
    assert "All books are embedded" in shelf.run("embed").out
    assert not openai.requests


@pytest.mark.parametrize(("language", "refused"), [("english", 20), ("korean", 60)])
def test_what_is_refused_of_it_holds_up_no_book(
    language: str, refused: int, shelf: Shelf, openai: OpenAIProcess, english: list[Path]
) -> None:
    """With few refused there are marks; with too many none, and meaning counts as before them."""
    task = getattr(exam(), language)
    for text in task.questions[:refused][:: 1 if refused == 60 else 4]:
        openai.fail("refuse_text", text=text, times=None)
    done = shelf.add(*english[:2])
    assert "2 added" in done.out
    assert [book["problems"] for book in shelf.books()] == [[], []]
    asked = openai.requested
    assert max(asked[text] for text in task.questions) < 12, "not once more for each book"
    openai.clear()
    openai.forget()
    answer = shelf.search(QUERY)
    assert answer["degraded"] is None
    assert answer["hits"]
    assert ("an exam of" in shelf.run("embed", "--dry-run").out) == (refused == 60)


def test_who_evaluates_sees_the_marks_and_may_take_a_weight_of_its_own(
    shelf: Shelf, openai: OpenAIProcess, tmp_path: Path, english: list[Path]
) -> None:
    shelf.add(*english)
    golden = tmp_path / "golden.jsonl"
    queries = [(pdfs.probe(seed, page), seed, page) for seed in (1, 2, 3) for page in (0, 3, 6)]
    golden.write_text(
        "".join(
            json.dumps({"id": q, "query": q, "book": f"book{seed}.pdf", "pages": [page + 1]}) + "\n"
            for q, seed, page in queries
        )
    )
    found = shelf.run("eval", "--json", golden).json()["exam"]
    assert {*found} == {"english", "korean", "across"}
    assert all({*mark} == {"first", "margin", "weight"} for mark in found.values())
    assert "understands English" in shelf.run("eval", golden).out
    assert "이해도: 영어" in shelf.run("eval", golden, LC_ALL="ko_KR.UTF-8").out
    tuned = shelf.run("eval", "--tune", "--json", golden).json()
    assert tuned["weight"] in [tried["weight"] for tried in tuned["tried"]]
    assert tuned["gain"]["ci95"][0] <= tuned["gain"]["value"] <= tuned["gain"]["ci95"][1]
    assert max(tried["mrr@10"] for tried in tuned["tried"]) == next(
        tried["mrr@10"] for tried in tuned["tried"] if tried["weight"] == tuned["weight"]
    )
    said = shelf.run("eval", "--tune", golden).out
    assert f"BOOKBRAIN_VECTOR_WEIGHT={tuned['weight']:.1f} into bookbrain.env" in said


def test_the_owners_weight_wins(shelf: Shelf, english: list[Path]) -> None:
    shelf.add(*english)

    def hits(*options: str, **settings: str) -> list[tuple[str, int]]:
        answer = shelf.search(QUERY, *options, **settings)
        return [(hit["file"], hit["page"]) for hit in answer["hits"]]

    assert hits(BOOKBRAIN_VECTOR_WEIGHT="0") == hits("--mode", "keyword")
    assert hits(BOOKBRAIN_VECTOR_WEIGHT="1") == hits("--mode", "vector")
