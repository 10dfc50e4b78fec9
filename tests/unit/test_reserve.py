"""Room that is kept for a removal, and a removal that had no room for another keyword index."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner
from support import pdfs

from bookbrain import cli
from bookbrain.library import Library
from bookbrain.model import Book, Page, Passage, Span
from bookbrain.paths import LibraryPaths
from bookbrain.settings import Settings
from bookbrain.store import folder
from bookbrain.store.catalog import Catalog, NewBook

pytestmark = pytest.mark.slow


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Library]:
    with Library(Settings(home=tmp_path / "library")) as library:
        seas = pdfs.book(tmp_path / "seas.pdf", ["A seal in the cold sea."], title="Seas")
        library.add([seas, pdfs.book(tmp_path / "land.pdf", ["A seal on dry land."], title="Land")])
        yield library


def kept(home: Path) -> list[int]:
    return [path.stat().st_size for path in sorted(LibraryPaths(home).reserve.iterdir())]


def test_a_writer_keeps_room_and_makes_it_whole_again(library: Library) -> None:
    home = library.settings.home
    whole = kept(home)
    assert sum(whole) >= 1 << 21
    (LibraryPaths(home).reserve / "3").unlink()
    with (LibraryPaths(home).reserve / "4").open("wb") as file:
        file.truncate(whole[4])  # a copy that takes no room
    library.remove("land.pdf")
    assert kept(home) == whole
    assert (LibraryPaths(home).reserve / "4").stat().st_blocks * 512 >= whole[4]


def test_a_disk_without_that_room_is_left_alone(tmp_path: Path) -> None:
    folder.keep_reserve(tmp_path, beside=1 << 62)
    assert not list(LibraryPaths(tmp_path).reserve.iterdir())


def test_there_is_no_need_to_give_it_up_where_there_is_room(library: Library) -> None:
    home = library.settings.home
    before = kept(home)
    folder.give_up_reserve(home)
    assert kept(home) == before


def test_a_removed_book_whose_postings_remain_is_not_found_and_they_go(library: Library) -> None:
    """As it is after a removal without room, or one that was killed."""
    home = library.settings.home
    gone = library.find_book("seas.pdf").id
    with closing(Catalog(home / "catalog.sqlite3")) as catalog:
        catalog.remove_book(gone, catalog.index_commit())
        before = catalog.index_commit()
    assert [hit.file for hit in library.search("seal", k=1).hits] == ["land.pdf"]
    library.finish()
    with closing(Catalog(home / "catalog.sqlite3")) as catalog:
        assert catalog.removed() == []
        assert catalog.index_commit() != before
    assert not (home / "books" / f"{gone}.pdf").exists()
    assert [hit.file for hit in library.search("seal", k=1).hits] == ["land.pdf"]


def test_the_same_command_finishes_a_removal_that_was_cut_short(library: Library) -> None:
    home = library.settings.home
    gone = library.find_book("seas.pdf").id
    with closing(Catalog(home / "catalog.sqlite3")) as catalog:
        catalog.remove_book(gone, catalog.index_commit())
    again = CliRunner(env={"BOOKBRAIN_HOME": str(home)}).invoke(
        cli.main, ["remove", "seas.pdf", "--yes"]
    )
    assert again.exit_code == 65, again.output
    assert "There is no book 'seas.pdf'" in again.output
    assert not (home / "books" / f"{gone}.pdf").exists()


def test_the_room_is_enough_for_a_long_book(tmp_path: Path) -> None:
    """What a removal writes is in the WAL until the end."""
    file, pages = tmp_path / "catalog.sqlite3", range(1, 2001)
    text = "".join(chr(97 + n * n % 26) for n in range(2600))
    with closing(Catalog(file)) as catalog:
        for name in ("one", "two", "three"):
            read = [Page(n, str(n), "", f"{n}{text}") for n in pages]
            cut = [Passage(n, (Span(n, 0, 1000),), f"{name}{n}{text}") for n in pages]
            book = Book(name, name, f"{name}.pdf", len(read), len(cut), "2026")
            catalog.add_book(NewBook(book, read, cut), "g", 0)
    with closing(Catalog(file)) as catalog:
        catalog.remove_book("two", "g")
        assert (tmp_path / "catalog.sqlite3-wal").stat().st_size < 3 << 19  # beside -shm files


def test_a_library_that_is_open_knows_when_its_catalog_is_another(library: Library) -> None:
    catalog = library.settings.home / "catalog.sqlite3"
    assert not library.is_replaced()
    library.rename("seas.pdf", "Other")
    assert not library.is_replaced()
    catalog.rename(catalog.with_name("aside"))
    assert library.is_replaced()
    with closing(sqlite3.connect(catalog)) as other:
        other.execute("CREATE TABLE t (x)")
    assert library.is_replaced()
