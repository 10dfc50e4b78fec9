"""What lies beside the files of books is believed only where it is whole; what is foreign stays."""

import json
import os
import shutil
from contextlib import closing
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from support.damaged import make_library

from bookbrain.library.findings import check_files
from bookbrain.paths import LibraryPaths
from bookbrain.settings import Settings
from bookbrain.store.checksums import read_stamp_file
from bookbrain.store.folder import Stores
from bookbrain.store.identity import read_card, stored_cards, stored_files


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("whole") / "library"
    make_library(home, books=2, pages=2)
    return home


@pytest.fixture
def home(whole: Path, tmp_path: Path) -> Path:
    return shutil.copytree(whole, tmp_path / "library")


@pytest.mark.parametrize(
    "changed",
    [
        {"title": "T" * 10_000_000}, {"title": 7}, {"file": ["a.pdf"]}, {"added_at": None},
        {"added_at": "yesterday"}, {"added_at": "2026-11-23T04:00:00"}, {"refused": []},
        {"refused": {"m/64": {"9e9": "why"}}}, {"refused": {"m/64": {"1": 2}}},
        {"refused": {"m/64": ["1"]}}, {"id": "0" * 64},
    ],
    ids=lambda changed: f"{next(iter(changed))} {str(changed)[:40]}",
)  # fmt: skip
def test_a_card_that_a_catalog_cannot_take_is_none(home: Path, changed: dict[str, Any]) -> None:
    book_id = min(stored_files(home / "books"))
    card = read_card(LibraryPaths(home), book_id)
    assert card
    _write(LibraryPaths(home).card(book_id), asdict(card))
    assert read_card(LibraryPaths(home), book_id) == card
    _write(LibraryPaths(home).card(book_id), asdict(card) | changed)
    assert read_card(LibraryPaths(home), book_id) is None


def _write(path: Path, values: dict[str, Any]) -> None:
    seal = sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()
    path.write_text(json.dumps({**values, "sha256": seal}))


def test_pipes_and_folders_with_our_names_are_not_waited_for(home: Path) -> None:
    books = home / "books"
    known = stored_files(books)
    first, second = sorted(known)
    os.mkfifo(books / f"{'a' * 64}.pdf")
    (books / f"{'b' * 64}.pdf").mkdir()
    (books / f"{'c' * 64}.pdf").symlink_to("nowhere")
    paths = LibraryPaths(books.parent)
    for path in (paths.book_file(first), paths.card(first), books / "library.json"):
        path.unlink()
        os.mkfifo(path)
    assert stored_files(books) == stored_cards(books) == {second}
    assert read_card(paths, first) is None
    assert read_stamp_file(books) is None
    with closing(Stores(Settings(home))) as stores:
        book = stores.catalog.book(first)
        assert book
        gone = f"Books whose PDF is not in the library: 1 ({book.title})."
        assert gone in [finding.seen for finding in check_files(stores)]
        assert not stores.has_file(first)


def test_what_is_not_ours_is_not_swept(home: Path) -> None:
    books = home / "books"
    ours = [books / f"{'a' * 64}.pdf.part", books / "library.json.part"]
    foreign = [books / "thesis.pdf.part", books / "a.part" / "draft.pdf", books / "notes.txt"]
    foreign[1].parent.mkdir()
    for path in (*ours, *foreign):
        path.write_bytes(b"%PDF-1.4")
    with closing(Stores(Settings(home))) as stores, stores.writing(lambda: None):
        pass
    assert not any(path.exists() for path in ours)
    assert all(path.exists() for path in foreign)
