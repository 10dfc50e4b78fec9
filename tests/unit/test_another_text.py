"""A book whose file is read otherwise than before: it is found by the text that it has."""

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from support import pdfs

from bookbrain.errors import BookBrainError
from bookbrain.formats.text import make_passages
from bookbrain.library import Library
from bookbrain.library.maintenance import replace_text
from bookbrain.model import Page
from bookbrain.paths import CATALOG
from bookbrain.search.retrieval import ConnectedStores
from bookbrain.settings import Settings
from bookbrain.store.catalog import NewBook
from bookbrain.store.copy import take_books
from bookbrain.store.flaws import flaws

_WRITTEN = ["Herons fish here", "Cranes stand there"]


@pytest.fixture(scope="module")
def shelved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A library of two books."""
    folder = tmp_path_factory.mktemp("shelved")
    with Library(Settings(folder / "library")) as library:
        library.add([pdfs.book(folder / "a.pdf", _WRITTEN), pdfs.book(folder / "b.pdf", ["Newts"])])
    return folder / "library"


@pytest.fixture
def stores(shelved: Path, tmp_path: Path) -> Iterator[ConnectedStores]:
    shutil.copytree(shelved, tmp_path / "library")
    with closing(ConnectedStores(Settings(tmp_path / "library"))) as opened:
        yield opened


def _otherwise(stores: ConnectedStores, change: Callable[[Page], Page]) -> NewBook:
    """The book a.pdf as another reader would read it, with its segment."""
    book = next(book for book in stores.catalog.books() if book.file == "a.pdf")
    pages = [change(page) for page in stores.catalog.pages(book.id)]
    new = NewBook(book, pages, make_passages(pages))
    stores.index_text(new.text, pages)
    return new


def _otters(page: Page) -> Page:
    return replace(page, text=page.text.replace("Herons", "Otters"), chapter="1. Otters")


def _scanned(page: Page) -> Page:
    return replace(page, text="", problem="is scanned")


def _replace(stores: ConnectedStores, change: Callable[[Page], Page]) -> NewBook:
    with stores.writing(lambda: None):
        new = _otherwise(stores, change)
        replace_text(stores, new)
    return new


def _found(library: Library) -> set[str]:
    words = ("herons", "otters", "cranes", "newts")
    return {word for word in words if library.search(word, mode="keyword").hits}


def test_only_the_text_that_it_has_is_found(stores: ConnectedStores) -> None:
    with Library(stores.settings) as open_before:
        assert _found(open_before) == {"herons", "cranes", "newts"}
        _replace(stores, _scanned)
        assert _found(open_before) == {"newts"}
        new = _replace(stores, lambda page: Page(page.number, page.label, "", "Otters swim here"))
        assert _found(open_before) == {"otters", "newts"}
    assert stores.catalog.pages(new.book.id) == list(new.pages)
    assert [p.digest for p in stores.catalog.passages(new.book.id)] == [
        passage.digest for passage in new.passages
    ]
    assert list(flaws(stores.home / CATALOG)) == []


def test_only_the_segments_of_now_are_kept(stores: ConnectedStores) -> None:
    def segments() -> set[str]:
        return {path.name for path in stores.segments.iterdir() if path.suffix != ".json"}

    before = segments()
    _replace(stores, _otters)
    assert len(segments()) == len(before)
    _replace(stores, lambda page: Page(page.number, page.label, "", _WRITTEN[page.number - 1]))
    assert segments() == before, "the same texts, the same names"


def test_what_is_embedded_of_the_old_text_is_not_of_the_new_one(stores: ConnectedStores) -> None:
    book_id = next(b.id for b in stores.catalog.books() if b.file == "a.pdf")
    stores.catalog.set_embedded(book_id, "m/2", {0: "too long"})
    _replace(stores, _otters)
    assert not stores.catalog.is_embedded(book_id, "m/2")
    assert stores.catalog.refused() == {}


def test_the_title_that_somebody_gave_it_stays(stores: ConnectedStores) -> None:
    with stores.writing(lambda: None):
        new = _otherwise(stores, _otters)
        stores.catalog.rename_book(new.book.id, "Mine")
        replace_text(stores, new)
    book = stores.catalog.book(new.book.id)
    assert book
    assert (book.title, book.file) == ("Mine", "a.pdf")


def test_a_book_that_was_removed_meanwhile_stays_so(stores: ConnectedStores) -> None:
    with stores.writing(lambda: None):
        new = _otherwise(stores, _otters)
        stores.catalog.remove_book(new.book.id, stores.catalog.index_commit())
        assert not replace_text(stores, new)
    assert [book.file for book in stores.catalog.books()] == ["b.pdf"]


def test_an_index_of_another_text_does_not_answer_whoever_named_it(
    stores: ConnectedStores, shelved: Path, tmp_path: Path
) -> None:
    """Rows that come from elsewhere, with the index of before them."""
    _replace(stores, _otters)
    other = shutil.copytree(shelved, tmp_path / "other")
    new = _otherwise(stores, _otters)
    with Library(stores.settings) as library:
        assert "otters" in _found(library)
        commit = stores.catalog.index_commit()
        take_books(stores.home / CATALOG, other / CATALOG, commit, only=new.book.id)
        assert _found(library) == {"herons", "cranes", "newts"}


def test_a_segment_that_was_lost_is_not_made_of_the_old_text(stores: ConnectedStores) -> None:
    with stores.writing(lambda: None):
        before, there = stores.catalog.texts(), {*stores.segments.iterdir()}
        new = _otherwise(stores, _otters)
        (written,) = {*stores.segments.iterdir()} - there
        written.unlink()
        with pytest.raises(BookBrainError, match="postings of a new book"):
            replace_text(stores, new)
        assert stores.catalog.texts() == before


class TestRebuild:
    @pytest.mark.slow
    def test_reads_every_book_again(self, stores: ConnectedStores) -> None:
        new = _replace(stores, _otters)
        with Library(stores.settings) as library:
            library.rebuild()
            assert _found(library) == {"herons", "cranes", "newts"}
        assert [p.text for p in stores.catalog.pages(new.book.id)] == _WRITTEN

    @pytest.mark.slow
    def test_mends_pages_that_were_changed_behind_its_back(self, stores: ConnectedStores) -> None:
        with closing(sqlite3.connect(stores.home / CATALOG)) as db:
            db.execute("UPDATE page SET text = 'Otters' WHERE text LIKE 'Herons%'")
            db.commit()
        assert list(flaws(stores.home / CATALOG)) != []
        with Library(stores.settings) as library:
            library.rebuild()
            assert _found(library) == {"herons", "cranes", "newts"}
        assert list(flaws(stores.home / CATALOG)) == []

    @pytest.mark.slow
    @pytest.mark.parametrize("harm", [pdfs.scanned, pdfs.truncated, Path.unlink])
    def test_keeps_what_cannot_be_read_any_more(
        self, stores: ConnectedStores, harm: Callable[[Path], object]
    ) -> None:
        new = _replace(stores, _otters)
        harm(stores.paths.book_file(new.book.id))
        with Library(stores.settings) as library:
            library.rebuild()
            assert _found(library) == {"otters", "cranes", "newts"}
        assert stores.catalog.pages(new.book.id) == list(new.pages)

    @pytest.mark.slow
    def test_keeps_a_page_that_was_recognised(self, tmp_path: Path) -> None:
        with Library(Settings(tmp_path / "library")) as library:
            library.add([pdfs.scanned(tmp_path / "a.pdf")])
        with closing(ConnectedStores(Settings(tmp_path / "library"))) as stores:
            _replace(stores, lambda page: replace(page, text="Otters swim", problem=""))
            with Library(stores.settings) as library:
                library.rebuild()
                assert _found(library) == {"otters"}
