"""`bookbrain embed --local`, as a person without a key meets it; real weights, no network.

Three kills run here. Twenty, as often as wanted: BOOKBRAIN_KILLS=20 tests/run tests/services/…
"""

import os
import random
import shutil
import signal
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest
from support import pdfs
from support.namespace import Namespace
from support.open_models import write_minilm, write_tiny
from support.openai_process import OpenAIProcess
from support.shelf import Shelf, wait_for

from bookbrain.models.local_model import state
from bookbrain.search.exam import exam_digests

MINILM = ("--local", "--yes", "--model", "all-MiniLM-L6-v2")
BOOKS = {
    "daemon.pdf": "Ending a daemon\nA graceful shutdown lets the process finish its current work.",
    "cat.pdf": "Mammals\nThe cat was sleeping on the warm windowsill all afternoon.",
    "bank.pdf": "Money\nThe bank raised the interest rate on savings accounts last month.",
    "pasta.pdf": "Cooking\nBoil the pasta for nine minutes and add some salt to the water.",
    "rain.pdf": "Weather\nHeavy rain and strong wind are expected along the coast tonight.",
}
# Of each question no word is in any book, and the one that answers it.
QUESTIONS = {
    "feline napping": "cat.pdf", "quitting servers politely": "daemon.pdf",
    "preparing Italian noodles": "pasta.pdf",
}  # fmt: skip
_KILLS = int(os.environ.get("BOOKBRAIN_KILLS", "3"))
_UNAVAILABLE, _PATIENCE = 69, 5
_TRIED = (0, 5)  # passages with which a model is tried, if it was not yet


@pytest.fixture(scope="module")
def minilm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_minilm(tmp_path_factory.mktemp("models") / "minilm")


@pytest.fixture(scope="module")
def books(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("books")
    for name, text in BOOKS.items():
        pdfs.book(folder / name, [text])
    return folder


@pytest.fixture
def alone() -> Iterator[Namespace]:
    """Where there is no network but this machine's own."""
    with Namespace("net") as namespace:
        yield namespace


@pytest.mark.slow
def test_from_an_empty_home_without_key_and_network(
    tmp_path: Path, alone: Namespace, minilm: Path, books: Path
) -> None:
    with pytest.raises(subprocess.CalledProcessError):
        alone.run("ip", "route", "get", "192.0.2.1")
    with Shelf(tmp_path / "library", None, alone.inside) as shelf:
        assert "Without a key: bookbrain embed --local" in shelf.add(books).out
        before = shelf.search("feline napping")
        assert before["hits"] == []
        assert "`bookbrain embed --local` needs none." in before["degraded"]
        done = shelf.run("embed", *MINILM, "--from", minilm)
        assert "on this machine, at no cost: books 5, passages 5, " in done.out
        for question, file in QUESTIONS.items():
            assert shelf.search(question, "--mode", "keyword")["hits"] == []
            answer = shelf.search(question)
            assert answer["degraded"] is None
            assert answer["hits"][0]["file"] == file
        assert len(shelf.processes("local_model_child")) == 1
        assert "All books are embedded" in shelf.run("embed").out
        other = shelf.add(pdfs.long_book(tmp_path / "en.pdf", 4, seed=2, language="en"))
        assert "1 added" in other.out
        assert "All books are embedded" in shelf.run("embed").out


@pytest.mark.slow
def test_without_the_model_it_says_where_to_get_it(tmp_path: Path, plain: Shelf) -> None:
    done = plain.run("embed", *MINILM, code=69, BOOKBRAIN_HUB_URL="http://127.0.0.1:9")
    assert "127.0.0.1:9 cannot be reached." in done.err
    assert "`bookbrain embed --local --from …`" in done.err
    done = plain.run("embed", *MINILM, "--from", tmp_path, code=65)
    assert "There is no model in" in done.err
    done = plain.run("embed", "--local", "--model", "gpt-2", code=78)
    assert "Choose one of these: multilingual-e5-small, " in done.err
    plain.run("embed", "--from", tmp_path, code=2)
    assert not (plain.home / "models").exists()


@pytest.mark.slow
def test_a_model_that_is_gone_is_said_and_keywords_answer(
    tmp_path: Path, plain: Shelf, english: list[Path]
) -> None:
    plain.add(english[0])
    tiny = write_tiny(tmp_path / "tiny", [["lock"], ["queue"]])
    plain.run("embed", *MINILM, "--from", tiny)
    shutil.rmtree(plain.home / "models")
    plain.kill("local_model_child")
    answer = plain.search("lock socket")
    assert answer["hits"]
    assert "is not installed. Run `bookbrain embed --local` again" in answer["degraded"]
    assert "is not installed" in plain.admin("health", code=None).out
    plain.run("embed", *MINILM, "--from", tiny)
    assert plain.search("lock socket")["degraded"] is None


@pytest.mark.slow
def test_what_was_paid_for_stays_through_every_change(
    tmp_path: Path, shelf: Shelf, openai: OpenAIProcess, english: list[Path]
) -> None:
    shelf.add(english[0])
    paid = len(_vectors(shelf))
    tiny = write_tiny(tmp_path / "tiny", [["lock"], ["queue"]])
    done = shelf.run("embed", *MINILM, "--from", tiny)
    assert "at no cost" in done.out
    assert shelf.search("queue")["degraded"] is None
    both = len(_vectors(shelf))
    assert both >= 2 * paid
    assert "from now on" in shelf.run("embed", "--no-local").out
    openai.forget()
    assert "0 tokens" in shelf.run("embed", "--yes").out
    assert openai.requests == []
    assert "at no cost" in shelf.run("embed", *MINILM).out
    assert len(_vectors(shelf)) == both


def _vectors(shelf: Shelf) -> list[tuple[str, str, bytes]]:
    with closing(sqlite3.connect(shelf.home / "embeddings.sqlite3")) as store:
        return sorted(store.execute("SELECT space, digest, vector FROM embedding"))


def _of_books(vectors: list[tuple[str, str, bytes]]) -> list[tuple[str, str, bytes]]:
    """Without those of the exam, which is not gone on with where it tells enough already."""
    return [vector for vector in vectors if vector[1] not in exam_digests()]


@pytest.fixture(scope="module")
def shelved(tmp_path_factory: pytest.TempPathFactory, minilm: Path) -> tuple[Path, int, float]:
    """A library without vectors, the number of its passages, the seconds that embedding takes."""
    folder = tmp_path_factory.mktemp("shelved")
    books = [
        pdfs.long_book(folder / f"{seed}.pdf", 20, seed=seed, language="en") for seed in (3, 4)
    ]
    with Shelf(folder / "library") as shelf:
        shelf.add(*books)
    home = folder / "timed"
    shutil.copytree(folder / "library", home)
    with Shelf(home) as shelf:
        begun = time.monotonic()
        shelf.run("embed", *MINILM, "--from", minilm)
        seconds = time.monotonic() - begun
        return folder / "library", len(_of_books(_vectors(shelf))), seconds


def _quiet(home: Path) -> int:
    """How many texts the process has embedded when it has done what it was asked; 0 of none."""
    before = -1
    while (now := state(home)) and now.made != before:
        before = now.made
        time.sleep(5)
    return now.made if now else 0


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("number", range(_KILLS))
def test_a_kill_costs_no_vector_that_was_made(
    number: int, tmp_path: Path, minilm: Path, shelved: tuple[Path, int, float]
) -> None:
    library, passages, seconds = shelved
    chance = random.Random(number)
    whom = ("bookbrain.cli", "purchase_child", "local_model_child", "")[number % 4]
    home = tmp_path / "library"
    shutil.copytree(library, home)
    with Shelf(home) as shelf:
        command = shelf.start("embed", *MINILM, "--from", minilm)
        time.sleep((number + chance.random()) / _KILLS * seconds)
        for pid in shelf.processes(whom):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        command.communicate()
        wait_for(lambda: not shelf.processes("purchase_child"), "the end of what it bought")
        before = _vectors(shelf)
        assert len(_of_books(before)) <= passages
        assert shelf.run("books", "--json").json()[0]["file"]
        known = _quiet(home)
        for _ in range(_PATIENCE):  # Chroma has two seconds to show that it lives
            done = shelf.run("embed", *MINILM, "--from", minilm, code=None)
            if done.code != _UNAVAILABLE or "Chroma" not in done.err:
                break
        assert done.code == 0, done.err
        after = _vectors(shelf)
        assert set(before) <= set(after)
        assert len(_of_books(after)) == passages
        now = state(home)  # none where nothing was left to embed
        made = now.made - known if now else 0
        assert made - (len(after) - len(before)) in _TRIED
        assert not list((home / "models").glob("*.part"))
        shelf.admin("check")
        assert shelf.search("lock")["degraded"] is None
