"""Chroma: our own server comes and goes with the commands; one that is gone costs nothing."""

import shutil
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support import pdfs
from support.app import serving
from support.chroma_server import ChromaServer
from support.openai_process import OpenAIProcess
from support.shelf import Shelf, wait_for

from bookbrain.files import file_lock
from bookbrain.formats.text import make_passages
from bookbrain.library.buyer import Buyer
from bookbrain.library.maintenance import replace_text
from bookbrain.model import SILENT
from bookbrain.paths import LibraryPaths
from bookbrain.search.retrieval import ConnectedStores
from bookbrain.settings import load_settings
from bookbrain.store.catalog import NewBook

SERVER, KEEPER = "chroma_server", "chroma_child"
_QUERIES = ("lock queue", "the kernel waits", "probe_2_5", '"waits for the socket"')


@pytest.fixture
def local(tmp_path: Path, openai: OpenAIProcess) -> Iterator[Shelf]:
    """An empty library with a Chroma server of its own."""
    with Shelf(tmp_path / "library", openai) as shelf:
        yield shelf


@pytest.fixture
def remote(tmp_path: Path) -> Iterator[ChromaServer]:
    """A server to be killed."""
    (tmp_path / "chroma").mkdir()
    with ChromaServer(tmp_path / "chroma") as server:
        yield server


def answers(shelf: Shelf) -> list[dict[str, Any]]:
    """Hits and scores by both legs, which must both take part."""
    found = [shelf.search(query) | {"took_ms": 0} for query in _QUERIES]
    assert [answer["degraded"] for answer in found] == [None] * len(_QUERIES)
    return found


@pytest.mark.slow
class TestOurOwnServer:
    def test_two_commands_share_one_and_it_ends_after_the_last(
        self, local: Shelf, openai: OpenAIProcess, english: list[Path]
    ) -> None:
        local.add(english[0])
        openai.fail("slow", seconds=120)
        known = len(openai.requested)
        adding = local.start("add", english[1])
        wait_for(lambda: len(openai.requested) > known, "the request of the add")
        (server,) = local.processes(SERVER)
        answer = local.search("lock queue")
        assert answer["degraded"] is None
        assert answer["hits"]
        assert list(local.processes(SERVER)) == [server]
        adding.kill()
        adding.communicate()
        wait_for(lambda: not local.processes(SERVER), "the end of the server")
        wait_for(lambda: not local.processes(KEEPER), "the end of its keeper")

    def test_never_two_at_a_time(self, local: Shelf, english: list[Path]) -> None:
        running = [local.start("add", book) for book in english]
        most = 0
        while any(process.poll() is None for process in running):
            most = max(most, len(local.processes(SERVER)))
        for process in running:
            assert "1 added" in local.finish(process).out
        assert most == 1
        wait_for(lambda: not local.processes(), "the end of the server")
        assert len(local.books()) == 3
        assert not local.processes(), "listing books needs no server"

    def test_killing_the_server_or_its_keeper_heals(
        self, local: Shelf, english: list[Path]
    ) -> None:
        local.add(english[0])
        before = local.search("lock queue")
        assert before["degraded"] is None
        for victim in (SERVER, KEEPER):
            with file_lock(
                LibraryPaths(local.home).chroma_users, shared=True
            ):  # keeps the server on
                local.search("lock queue")
                (server,) = local.processes(SERVER)
                local.kill(victim)
                wait_for(lambda pid=server: pid not in local.processes(), "the server's end")
                wait_for(lambda: not local.processes(KEEPER), "the keeper's end")
                again = local.search("lock queue")
            assert again | {"took_ms": 0} == before | {"took_ms": 0}
            wait_for(lambda: not local.processes(), "the end of the server")
        assert "1 added" in local.add(english[1]).out

    def test_killed_during_an_add(
        self, local: Shelf, openai: OpenAIProcess, english: list[Path]
    ) -> None:
        openai.fail("slow", seconds=2)
        process = local.start("add", *english[:2])
        wait_for(lambda: openai.requested, "the first request")
        local.kill(SERVER)
        done = local.finish(process, code=69)
        assert "Chroma" in done.err
        assert local.books() == []
        assert "2 added" in local.add().out
        assert set(openai.requested.values()) == {1}
        assert local.search("lock queue")["degraded"] is None


@pytest.mark.slow
class TestAServerElsewhere:
    def test_gone_before_an_add(
        self, shelf: Shelf, remote: ChromaServer, openai: OpenAIProcess, english: list[Path]
    ) -> None:
        shelf.env["CHROMA_URL"] = remote.url
        remote.kill()
        done = shelf.add(*english[:2], code=69)
        assert f"Chroma at {remote.url} does not answer." in done.err
        assert "CHROMA_URL" in done.err
        assert shelf.books() == []
        assert not openai.requested, "no money is spent for what cannot be kept"
        remote.start()
        assert "2 added" in shelf.add().out
        answers(shelf)

    def test_killed_during_an_add(
        self, shelf: Shelf, remote: ChromaServer, openai: OpenAIProcess, english: list[Path]
    ) -> None:
        shelf.env["CHROMA_URL"] = remote.url
        shelf.add(english[0])
        openai.fail("slow", seconds=2)
        known = len(openai.requested)
        process = shelf.start("add", *english[1:])
        wait_for(lambda: len(openai.requested) > known, "the request of the second book")
        remote.kill()
        done = shelf.finish(process, code=69)
        assert f"Chroma at {remote.url}" in done.err
        assert [book["file"] for book in shelf.books()] == ["book1.pdf"]
        remote.start()
        assert "2 added" in shelf.add().out
        assert set(openai.requested.values()) == {1}
        answers(shelf)

    def test_gone_during_a_search(
        self, shelf: Shelf, remote: ChromaServer, english: list[Path]
    ) -> None:
        shelf.env["CHROMA_URL"] = remote.url
        shelf.add(*english)
        answers(shelf)
        remote.kill()
        keyword = shelf.search("probe_2_5", "--mode", "keyword")["hits"]
        for mode in ("hybrid", "vector"):
            answer = shelf.search("probe_2_5", "--mode", mode)
            assert f"Chroma at {remote.url} does not answer." in answer["degraded"]
            assert answer["hits"] == keyword
        screen = shelf.run("search", "probe_2_5")
        assert "Keyword search only. Chroma at" in screen.err
        assert "Manual 2" in screen.out

    def test_an_empty_server_in_its_place_is_filled_by_rebuild(
        self, shelf: Shelf, remote: ChromaServer, openai: OpenAIProcess, english: list[Path]
    ) -> None:
        shelf.add(*english)
        before = answers(shelf)
        openai.forget()
        shelf.env["CHROMA_URL"] = remote.url
        assert "run `bookbrain rebuild`" in shelf.search(_QUERIES[0])["degraded"]
        shelf.run("rebuild")
        assert answers(shelf) == before
        assert not openai.requests


@pytest.mark.slow
def test_rebuild_makes_every_derived_store_again_for_nothing(
    local: Shelf, openai: OpenAIProcess, english: list[Path]
) -> None:
    local.add(*english)
    before = answers(local)
    openai.forget()
    wait_for(lambda: not local.processes(), "the end of the server")
    shutil.rmtree(local.home / "keywords")
    shutil.rmtree(local.home / "chroma")
    assert "Indexes rebuilt. Books: 3." in local.run("rebuild").out
    assert answers(local) == before
    assert not openai.requests
    shutil.rmtree(local.home / "keywords")  # without a rebuild: the keyword index mends itself
    assert answers(local) == before


@pytest.mark.slow
def test_another_text_costs_what_is_new_in_it(
    shelf: Shelf, openai: OpenAIProcess, tmp_path: Path
) -> None:
    lines = ["\n".join(f"Word {n} of page {p} waits." for n in range(40)) for p in range(30)]
    shelf.add(pdfs.book(tmp_path / "a.pdf", [*lines, "Herons fish"]))
    openai.forget()
    with closing(ConnectedStores(load_settings(shelf.env))) as stores:
        (book,), space = stores.catalog.books(), stores.space()
        assert space
        pages = stores.catalog.pages(book.id)
        pages[-1] = replace(pages[-1], text="Otters swim")
        new = NewBook(book, pages, make_passages(pages))
        before = {p.digest for p in stores.catalog.passages(book.id)}
        bought = [p.text for p in new.passages if p.digest not in before]
        with stores.working(lambda: None), Buyer(stores, lambda: ()) as buyer:
            name, refused, _ = buyer.embed(book.id, new.passages, SILENT)
            stores.index_text(new.text, pages)
            with stores.writing(lambda: None):
                replace_text(stores, replace(new, space=name, refused=refused))
        assert 0 < len(bought) < len(new.passages)
        assert sum(served.texts for served in openai.requests) == len(bought)
        assert stores.semantics.held(space) == len(new.passages)
        vectors = stores.embeddings.get(space, [p.digest for p in new.passages])
        for passage in new.passages:
            nearest = stores.semantics.vectors(space).nearest(vectors[passage.digest], 1)
            assert nearest == [(book.id, passage.ordinal)]
    answer = shelf.search("otters swim")
    assert (answer["degraded"], answer["hits"][0]["page"]) == (None, 31)


@pytest.mark.slow
@pytest.mark.parametrize(
    "other",
    [
        {"BOOKBRAIN_EMBEDDING_MODEL": "text-embedding-3-large"},
        {"BOOKBRAIN_EMBEDDING_DIMENSIONS": "33"},
    ],
    ids=["model", "dimensions"],
)
def test_another_model_is_never_mixed(
    other: dict[str, str], shelf: Shelf, openai: OpenAIProcess, english: list[Path]
) -> None:
    shelf.add(*english[:2])
    query = "the kernel waits for the cache"
    old = shelf.search(query)
    first = {(served.model, served.dimensions) for served in openai.requests}
    openai.forget()

    changed = shelf.search(query, **other)
    assert "No book is embedded with" in changed["degraded"]
    assert "bookbrain embed" in changed["degraded"]
    assert changed["hits"] == shelf.search(query, "--mode", "keyword")["hits"]

    plan = shelf.run("embed", "--dry-run", **other).out
    assert "books 2, passages " in plan
    assert "tokens, $" in plan
    assert shelf.run("embed", code=None, **other).code != 0, "nobody said yes"
    openai.forget()
    assert not openai.requests

    shelf.add(english[2], **other)
    partly = shelf.search(query, "--mode", "vector", **other)
    assert "2 of the books are not embedded" in partly["degraded"]
    by_meaning = {h["file"] for h in partly["hits"] if h["why"]["vector"]}
    assert by_meaning == {"book3.pdf"}

    done = shelf.run("embed", "--yes", **other)
    cost, exam = plan.splitlines()
    assert cost in done.out, "it is shown first"
    assert "exam of" in exam
    assert exam not in done.out, "that came with the third book"
    assert "Books embedded: 2" in done.out
    now = shelf.search(query, "--mode", "vector", **other)
    assert now["degraded"] is None
    assert {h["file"] for h in now["hits"] if h["why"]["vector"]} >= {"book1.pdf", "book2.pdf"}
    assert "All books are embedded" in shelf.run("embed", **other).out
    second = {(served.model, served.dimensions) for served in openai.requests}
    assert len(first) == len(second) == 1
    assert first != second
    assert set(openai.requested.values()) == {1}

    openai.forget()  # and back: what was bought is still there, but for the third book
    shelf.run("remove", "book3.pdf", "--yes")
    shelf.run("embed", "--yes")
    assert not openai.requests
    assert shelf.search(query) | {"took_ms": 0} == old | {"took_ms": 0}


def test_it_is_awake_before_anybody_searches(local: Shelf, english: list[Path]) -> None:
    """Its index takes seconds to load: an app has that done when it starts."""
    local.add(english[0])
    wait_for(lambda: not local.processes(SERVER), "its end after the command")
    with serving(local):
        wait_for(lambda: local.processes(SERVER), "Chroma")
    wait_for(lambda: not local.processes(SERVER), "its end after the app")
