"""The library of one moment, as files in a folder, while it is searched and added to."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from bookbrain.durable import link, remove
from bookbrain.errors import BusyError
from bookbrain.index.catalog import Catalog
from bookbrain.index.copying import SCHEMAS, forget_jobs, forget_stamp, told_books
from bookbrain.index.database import copy_database, is_damage
from bookbrain.index.embeddings import STORE, EmbeddingStore
from bookbrain.index.generations import manifest_name, shards_of
from bookbrain.index.shards import DAMAGE
from bookbrain.index.soundness import CATALOG, Unsound, flaws, is_digest, store_flaws
from bookbrain.library.stores import Stores
from bookbrain.model import Book

_TRIES = 10
_MOST_NAMED = 10  # flaws
OnCopied = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What was copied: `lost` names the books whose file is not in the library, and `unsound` what
    is wrong with the databases. Then `books` are those that can still be told, and every file of a
    book that lies there is in it."""

    books: tuple[Book, ...]
    lost: tuple[Book, ...]
    spaces: tuple[str, ...]
    embeddings: int
    unsound: tuple[str, ...] = ()

    @property
    def schemas(self) -> dict[str, int]:
        """How many migrations each database has had."""
        return dict(SCHEMAS)


def take_snapshot(
    stores: Stores, folder: Path, *, books: bool = True, on_copied: OnCopied
) -> Snapshot:
    """Put the library as it is now into `folder`, which must not be there, on the same disk.

    No writer is waited for. A book is in it whole or not at all: the catalog comes first, a book in
    it has had its file and its embeddings before, and where a book was removed meanwhile all is
    done again. Files that never change are linked, not copied.
    """
    for _ in range(_TRIES):
        remove(folder)
        folder.mkdir(mode=0o700)
        before = _generation(stores)
        _link_index(stores, folder, before)
        copy_database(stores.home / CATALOG, folder / CATALOG, on_copied)
        if unsound := _first(flaws(folder / CATALOG)):
            copy_database(stores.home / STORE, folder / STORE, on_copied)
            return _rescued(stores, folder, unsound, books=books)
        forget_jobs(folder / CATALOG)
        with closing(Catalog(folder / CATALOG)) as catalog:
            taken = catalog.books()
            spaces = tuple(sorted(catalog.embedded_spaces()))
            generation = catalog.generation()
        if generation != before:
            remove(folder / "keywords")
            _link_index(stores, folder, generation)
        lost = _link_books(stores, folder, taken) if books else []
        if any(not stores.catalog.has_book(book.id) for book in lost):
            continue  # it was removed since
        copy_database(stores.home / STORE, folder / STORE, on_copied)
        if unsound := _first(store_flaws(folder)):
            return Snapshot(tuple(taken), tuple(lost), spaces, 0, unsound)
        forget_stamp(folder / STORE)
        with closing(EmbeddingStore(folder / STORE)) as store:
            return Snapshot(tuple(taken), tuple(lost), spaces, store.count())
    raise BusyError("Books are being removed all the time.", "Run the backup again later.")


def _first(found: Iterator[Unsound]) -> tuple[str, ...]:
    return tuple(flaw.what for flaw in islice(found, _MOST_NAMED))


def _generation(stores: Stores) -> str | None:
    try:
        return stores.catalog.generation()
    except sqlite3.DatabaseError as error:
        if not is_damage(error):
            raise
        return None


def _rescued(stores: Stores, folder: Path, unsound: tuple[str, ...], *, books: bool) -> Snapshot:
    """What there is beside the copy of a catalog that is not sound: all files of books."""
    remove(folder / "keywords")
    (folder / "books").mkdir()
    for path in sorted(stores.books.glob("*.pdf")) if books else ():
        if is_digest(path.stem) and path.is_file() and not path.is_symlink():
            link(path, folder / "books" / path.name)
    told = tuple(told_books(folder / CATALOG))
    lost = tuple(b for b in told if books and not (folder / "books" / f"{b.id}.pdf").exists())
    return Snapshot(told, lost, (), 0, unsound)


def _link_books(stores: Stores, folder: Path, books: list[Book]) -> list[Book]:
    """Those whose file is not there."""
    (folder / "books").mkdir()
    lost = []
    for book in books:
        source = stores.book_file(book.id)
        try:
            if source.is_file():  # and no folder or pipe
                link(source, folder / "books" / source.name)
            else:
                lost.append(book)
        except FileNotFoundError:
            lost.append(book)
    return lost


def _link_index(stores: Stores, folder: Path, generation: str | None) -> None:
    """A keyword index, whole or not at all: it is derived."""
    if generation is None:
        return
    try:
        link_index(stores.shards, folder / "keywords", generation)
    except DAMAGE:
        remove(folder / "keywords")


def link_index(source: Path, target: Path, generation: str) -> None:
    """Have a keyword index of the folder `source` in `target` too; what is there stays.

    Raises one of `DAMAGE` when it is not whole.
    """
    target.mkdir(exist_ok=True)
    for name in [*shards_of(source, generation), manifest_name(generation)]:
        if not (target / name).exists():
            link(source / name, target / name)
