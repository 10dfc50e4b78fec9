"""Many books are embedded together: in few requests, several at once, and each text once."""

import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from support import pdfs
from support.openai_process import OpenAIProcess
from support.shelf import Shelf, wait_for

pytestmark = pytest.mark.slow

BOOKS, PAGES = 24, 20
REQUEST = 128  # texts


@pytest.fixture(scope="module")
def books(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("books")
    for seed in range(BOOKS):
        pdfs.long_book(folder / f"{seed:02}.pdf", PAGES, seed=seed)
    return folder


@pytest.fixture
def unembedded(shelf: Shelf, books: Path) -> Iterator[Shelf]:
    """A library whose books have no vectors yet."""
    shelf.add(books, OPENAI_BASE_URL="", OPENAI_API_KEY="")
    yield shelf


def passages(shelf: Shelf) -> int:
    return sum(book["passages"] for book in shelf.books())


def asked(openai: OpenAIProcess) -> list[int]:
    """How many texts the requests for passages had, of which there are several in one."""
    return [served.texts for served in openai.requests if served.texts > 1]


def test_books_share_requests_and_their_tokens_add_up(
    unembedded: Shelf, openai: OpenAIProcess
) -> None:
    done = unembedded.run("embed", "--yes")
    of_all = passages(unembedded)
    assert of_all > 2 * REQUEST
    assert len(asked(openai)) <= of_all / REQUEST + 1 + 4  # and those of the exam
    assert set(openai.bought.values()) == {1}
    told = re.findall(r"([\d,]+) tokens", done.out.split("Books embedded")[1])
    exam = re.findall(r"Exam of .*: ([\d,]+) tokens", done.out)
    counted = sum(int(number.replace(",", "")) for number in (*told, *exam))
    assert counted == sum(served.tokens for served in openai.requests)
    assert unembedded.search("lock queue")["degraded"] is None


def test_books_that_are_added_share_requests_too(
    shelf: Shelf, openai: OpenAIProcess, books: Path
) -> None:
    openai.fail("slow", seconds=1, times=None)  # while the next ones are prepared
    done = shelf.add(books)
    assert f"{BOOKS} added" in done.out
    assert len(asked(openai)) < BOOKS
    assert set(openai.bought.values()) == {1}


def test_a_refused_text_is_that_of_its_book(unembedded: Shelf, openai: OpenAIProcess) -> None:
    openai.fail("refuse_text", text=pdfs.probe(7, 4), times=None)
    unembedded.run("embed", "--yes")
    problems = {book["file"]: book["problems"] for book in unembedded.books()}
    (problem,) = problems.pop("07.pdf")
    assert "by keyword only" in problem
    assert not any(problems.values())
    openai.forget()
    assert "All books are embedded" in unembedded.run("embed", "--yes").out
    assert openai.requests == []


@pytest.mark.parametrize("whom", ["bookbrain.cli", "both"])
def test_a_kill_with_several_requests_under_way(
    unembedded: Shelf, openai: OpenAIProcess, whom: str
) -> None:
    openai.fail("slow", seconds=2, times=None)
    process = unembedded.start("embed", "--yes")
    wait_for(lambda: len(openai.requested) > 2 * REQUEST, "several requests")
    process.kill()
    if whom == "both":
        for pid in unembedded.processes("purchase_child"):
            os.kill(pid, signal.SIGKILL)
    process.communicate()
    wait_for(lambda: not unembedded.processes("purchase_child"), "what was under way")
    openai.clear()
    unembedded.run("embed", "--yes")
    most = 1 if whom == "bookbrain.cli" else 2  # what nobody can receive any more is lost
    assert max(openai.bought.values()) <= most
    assert unembedded.search("lock queue")["degraded"] is None
    unembedded.admin("check")


def test_an_endpoint_that_fails_midway_leaves_whole_books(
    unembedded: Shelf, openai: OpenAIProcess
) -> None:
    openai.fail("status", status=500, retry_after=0.001, times=None, text=pdfs.probe(20, 4))
    unembedded.run("embed", "--yes", code=69)
    openai.clear()
    done = unembedded.run("embed", "--yes")
    assert "Books embedded: " in done.out
    assert set(openai.bought.values()) == {1}
    assert unembedded.search("lock queue")["degraded"] is None
