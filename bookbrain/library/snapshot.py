"""The library of one moment, as files in a folder, while it is searched and added to."""

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from bookbrain.durable import link, remove
from bookbrain.errors import BusyError
from bookbrain.index.catalog import Catalog
from bookbrain.index.copying import CATALOG, SCHEMAS, copy_catalog, copy_embeddings
from bookbrain.index.embeddings import STORE, EmbeddingStore
from bookbrain.index.generations import manifest_name, shards_of
from bookbrain.index.shards import DAMAGE
from bookbrain.library.stores import Stores
from bookbrain.model import Book

_TRIES = 10
OnCopied = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What was copied: `lost` names the books whose file is not in the library."""

    books: tuple[Book, ...]
    lost: tuple[Book, ...]
    spaces: tuple[str, ...]
    embeddings: int

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
        before = stores.catalog.generation()
        _link_index(stores, folder, before)
        copy_catalog(stores.home / CATALOG, folder / CATALOG, on_copied)
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
        copy_embeddings(stores.home / STORE, folder / STORE, on_copied)
        with closing(EmbeddingStore(folder / STORE)) as store:
            return Snapshot(tuple(taken), tuple(lost), spaces, store.count())
    raise BusyError("Books are being removed all the time.", "Run the backup again later.")


def _link_books(stores: Stores, folder: Path, books: list[Book]) -> list[Book]:
    """Those whose file is not there."""
    (folder / "books").mkdir()
    lost = []
    for book in books:
        source = stores.book_file(book.id)
        try:
            link(source, folder / "books" / source.name)
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
