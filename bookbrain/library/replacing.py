"""A library takes over the books of another one: before and after, and never between."""

from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

from bookbrain.durable import PART, file_lock, remove, sync_folder
from bookbrain.errors import BookBrainError
from bookbrain.index.catalog import Catalog
from bookbrain.index.chroma import wait_until_ended
from bookbrain.index.copying import (
    CATALOG,
    SCHEMAS,
    check_database,
    move_damaged,
    take_books,
    take_embeddings,
)
from bookbrain.index.database import copy_database
from bookbrain.index.embeddings import STORE, EmbeddingStore
from bookbrain.library.maintaining import drop_vectors
from bookbrain.library.proof import Expected, prove
from bookbrain.library.reports import Progress
from bookbrain.library.snapshot import link, link_index
from bookbrain.library.stores import Stores
from bookbrain.server import refuse_in_upgrade

_BEFORE = "before.sqlite3"


def check_copies(home: Path) -> tuple[Expected, int]:
    """Bring the databases that an archive brought to `home` up to date, and look into them.

    Returns what they hold, with the number of embeddings. Raises InputError when one is damaged.
    """
    for name in (CATALOG, STORE):
        check_database(home / name)
    with (
        closing(Catalog(home / CATALOG)) as catalog,
        closing(EmbeddingStore(home / STORE)) as store,
    ):
        return Expected.of(catalog.books()), store.count()


def newest_schemas() -> dict[str, int]:
    """How many migrations this BookBrain knows for each database."""
    return dict(SCHEMAS)


def wait_until_closed(home: Path) -> None:
    """Wait until the Chroma server of a library that nobody uses any more has ended."""
    wait_until_ended(home)


def set_damaged_aside(home: Path) -> list[Path]:
    """Rename the databases of a library that cannot be opened to `….damaged`; their new paths."""
    refuse_in_upgrade(home)
    with file_lock(home / "library.lock"):
        return move_damaged(home)


def index_copies(other: Stores) -> None:
    """Have a keyword index of all books of the library `other`: its own, where it is of today."""
    if ids := other.catalog.book_ids():
        other.catalog.set_generation(other.index_books(ids))


def replace_books(stores: Stores, other: Stores, only: str | None, progress: Progress) -> None:
    """Make the books of `other` those of `stores`, or take over the one `only`. For the one writer.

    All that can be prepared is: book files, embeddings, vectors and a keyword index that no search
    uses yet. One transaction then changes the catalog, and with it what is seen. What is killed
    before it leaves the old books, after it the new ones; what is left over the next writer sweeps.
    When the library does not work afterwards the old catalog is put back, and the error is raised.
    """
    old = stores.catalog.book_ids()
    new = [only] if only else other.catalog.book_ids()
    others = [book for book in stores.catalog.books() if book.id != only] if only else []
    expected = Expected.of([*others, *(b for b in other.catalog.books() if b.id in new)])
    _bring_files(stores, other, new)
    take_embeddings(stores.home / STORE, other.home / STORE)
    _publish(stores, other, new, progress)
    generation = _bring_index(stores, other, only)
    before = other.home / _BEFORE
    copy_database(stores.home / CATALOG, before)
    with closing(Catalog(before)) as catalog:
        old_generation = catalog.generation()
    take_books(stores.home / CATALOG, other.home / CATALOG, generation, only)
    try:
        prove(stores, expected)
    except BookBrainError:
        take_books(stores.home / CATALOG, before, old_generation)
        _forget(stores, set(new) - set(old), other.catalog.embedded_spaces())
        raise
    with closing(Catalog(before)) as catalog:
        spaces = catalog.embedded_spaces()
    _forget(stores, set() if only else set(old) - set(new), spaces)


def _bring_files(stores: Stores, other: Stores, books: Iterable[str]) -> None:
    """An archive may have been made without books: then those that are here stay."""
    for book_id in books:
        target = stores.book_file(book_id)
        if other.book_file(book_id).exists():
            part = target.with_name(target.name + PART)
            remove(part)
            link(other.book_file(book_id), part)
            part.replace(target)
    sync_folder(stores.books)


def _bring_index(stores: Stores, other: Stores, only: str | None) -> str | None:
    """A keyword index of the books to be; its name, None for no books."""
    if only:
        if not stores.catalog.has_book(only):
            stores.index_book(only, other.catalog.pages(only))
        return stores.index_books(sorted({*stores.catalog.book_ids(), only}))
    generation = other.catalog.generation()
    if generation:
        link_index(other.shards, stores.shards, generation)
    return generation


def _publish(stores: Stores, other: Stores, books: list[str], progress: Progress) -> None:
    """Give Chroma the vectors that it lacks. No search knows of them until the catalog does."""
    spaces = sorted(other.catalog.embedded_spaces())
    if not spaces:
        return
    from bookbrain.library.semantic import parse_space  # noqa: PLC0415  (loads slowly)

    titles = {book.id: book.title for book in other.catalog.books()}
    for name in spaces:
        embedded = [book for book in books if other.catalog.is_embedded(book, name)]
        for number, book_id in enumerate(embedded, start=1):
            progress.begin(titles[book_id], number, len(embedded))
            digests = {p.ordinal: p.digest for p in other.catalog.passages(book_id)}
            stores.semantics().publish(parse_space(name), book_id, digests)
            progress.step("indexing", len(digests), len(digests))


def _forget(stores: Stores, books: Iterable[str], spaces: Iterable[str]) -> None:
    for book_id in sorted(books):
        drop_vectors(stores, book_id, spaces)
