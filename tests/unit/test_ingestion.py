"""The app's own work on the inbox, by the real command."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from support import pdfs
from support.shelf import wait_for

from bookbrain.library import Library
from bookbrain.library.inbox import rejections
from bookbrain.library.sources import land
from bookbrain.settings import Settings, load_settings
from bookbrain.store.catalog import Catalog
from bookbrain.web.shelf import Ingestion, Shelf


@pytest.fixture
def settings() -> Settings:
    return load_settings()  # as the command reads them, from the environment of the test


@pytest.fixture
def shelf(settings: Settings) -> Iterator[Shelf]:
    opened = Shelf(settings)
    yield opened
    opened.close()


@pytest.fixture
def ingestion(shelf: Shelf) -> Iterator[Ingestion]:
    started = Ingestion(shelf)
    yield started
    started.close()


def _titles(shelf: Shelf) -> list[str]:
    with shelf.library() as library:
        return sorted(book.title for book in library.books())


def _land(shelf: Shelf, path: Path) -> None:
    with shelf.library() as library, path.open("rb") as file:
        land(library, path.name, file)


@pytest.mark.slow
def test_what_lands_is_added_whenever_it_is_woken(
    shelf: Shelf, ingestion: Ingestion, tmp_path: Path
) -> None:
    for title in ("First", "Second"):
        _land(shelf, pdfs.book(tmp_path / f"{title}.pdf", [f"{title} walrus"], title=title))
        shelf.wake_ingestion = ingestion.wake
        shelf.wake_ingestion()
        wait_for(lambda title=title: title in _titles(shelf), title)
    Shelf(shelf.settings).wake_ingestion()  # nobody to wake


@pytest.mark.slow
def test_what_was_left_is_finished_without_being_asked(settings: Settings, tmp_path: Path) -> None:
    inbox = settings.home / "inbox"
    inbox.mkdir(parents=True)
    pdfs.book(inbox / "waiting.pdf", ["One walrus."], title="Waiting")
    (inbox / "notes.pdf").write_bytes(b"no book " * 200)
    elsewhere = pdfs.book(tmp_path / "queued.pdf", ["Two walruses."], title="Queued")
    with Library(settings):
        catalog = Catalog(settings.home / "catalog.sqlite3")
        catalog.queue([elsewhere])  # as a command that was killed leaves it
        catalog.close()
    shelf = Shelf(settings)
    ingestion = Ingestion(shelf)
    try:
        wait_for(lambda: _titles(shelf) == ["Queued", "Waiting"], "both books")
        wait_for(lambda: rejections(inbox), "the reason")
    finally:
        ingestion.close()
        shelf.close()
    assert rejections(inbox)[0].reason == "it is not a PDF"


@pytest.mark.slow
def test_the_end_of_the_app_ends_it_and_loses_nothing(
    settings: Settings, shelf: Shelf, tmp_path: Path
) -> None:
    first = Ingestion(shelf)
    _land(shelf, pdfs.long_book(tmp_path / "long.pdf", 60))
    first.wake()
    first.close()
    first.wake()  # it does no more
    assert _titles(shelf) == []
    second = Ingestion(shelf)
    wait_for(lambda: _titles(shelf), "the book")
    second.close()
