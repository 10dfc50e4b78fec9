"""A pipe in place of one of the library's own files: nobody waits for what never comes."""

import os
import sqlite3
from contextlib import suppress
from pathlib import Path

import pytest
from support import pdfs

from bookbrain.errors import BookBrainError
from bookbrain.library import Library
from bookbrain.paths import LibraryPaths
from bookbrain.settings import Settings
from bookbrain.store.checksums import read_stamp_file
from bookbrain.store.identity import read_card
from bookbrain.upgrade.rollback import keep


@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    "name",
    [
        "catalog.sqlite3",
        "embeddings.sqlite3",
        "library.lock",
        "books/library.json",
        "books/ID.json",
        "keywords/library.json",
    ],
)
def test_is_not_waited_for(tmp_path: Path, name: str) -> None:
    home = tmp_path / "library"
    home.mkdir()
    with Library(Settings(home)) as library:
        library.add([pdfs.book(tmp_path / "x.pdf", ["The walrus waits."], title="Locks")])
        book_id = library.books()[0].id
    file = home / name.replace("ID", book_id)
    file.unlink()
    os.mkfifo(file)
    refused = suppress(BookBrainError, OSError, sqlite3.Error)
    with refused, Library(Settings(home)) as library:
        library.books()
        library.unfinished()
    if file.is_fifo():
        read_stamp_file(file.parent)
        read_card(LibraryPaths(home), book_id)
        with refused:
            keep(home)
