"""The book that a person means, in the library and in a backup."""

from pathlib import Path
from unicodedata import normalize

import pytest

from bookbrain.backup.archive import ListedBook, Manifest
from bookbrain.backup.restoration import find_listed
from bookbrain.errors import InputError
from bookbrain.library import Library
from bookbrain.library.open_book import pick
from bookbrain.model import Book
from bookbrain.settings import Settings
from bookbrain.store.catalog import Catalog, NewBook

_MAC = normalize("NFD", "설치안내서.pdf")
_FILES = {"a1b2" + "0" * 60: _MAC, "a1b3" + "0" * 60: normalize("NFC", "사용법.pdf"),
          "ffff" + "0" * 60: "b.pdf", "fffe" + "0" * 60: "b.pdf"}  # fmt: skip
_LISTED = [ListedBook(book_id, "title", file, 1, 1) for book_id, file in _FILES.items()]
_MEANT = {
    _MAC: "a1b2", normalize("NFC", _MAC): "a1b2", "사용법.pdf": "a1b3",
    normalize("NFD", "사용법.pdf"): "a1b3", "a1b2": "a1b2", "A1B3": "a1b3",
    "a1b2" + "0" * 60: "a1b2", "ffff0": "ffff",
}  # fmt: skip
_NOT_MEANT = ("b.pdf", "a1b", "", "설치안내서", "a1b4", "B.PDF", "0" * 64)


def _manifest() -> Manifest:
    return Manifest(1, "2026-11-23T04:00:00+00:00", {}, {}, (), False, 0, tuple(_LISTED), ())


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("library")
    catalog = Catalog(home / "catalog.sqlite3")
    for book_id, file in _FILES.items():
        book = Book(book_id, "title", file, 0, 0, "2026-11-23T04:00:00+00:00")
        catalog.add_book(NewBook(book, (), ()), "a" * 24, 1)
    catalog.close()
    return home


@pytest.mark.parametrize("reference", _MEANT)
def test_every_command_means_the_same_book(reference: str, library: Path) -> None:
    assert pick(_LISTED, reference, "", str).id[:4] == _MEANT[reference]
    assert find_listed(_manifest(), reference)[:4] == _MEANT[reference]
    with Library(Settings(library)) as opened:
        assert opened.find_book(reference).id[:4] == _MEANT[reference]


@pytest.mark.parametrize("reference", _NOT_MEANT)
def test_and_refuses_the_same(reference: str, library: Path) -> None:
    with Library(Settings(library)) as opened:
        for ask in (
            lambda: find_listed(_manifest(), reference),
            lambda: opened.find_book(reference).id,
        ):
            with pytest.raises(InputError) as refused:
                ask()
            said = "Several books are" if reference == "b.pdf" else "There is no book"
            assert refused.value.message == f"{said} {reference!r}."
            assert refused.value.hint
            if reference == "b.pdf":
                assert "ffff" in refused.value.hint
                assert "fffe" in refused.value.hint
