"""A library takes over the books of another one: before and after, never between."""

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from bookbrain.errors import OLDER_BACKUP, BookBrainError
from bookbrain.files import PART, file_lock, link, remove, sync_folder
from bookbrain.index.commit import drop_unsound
from bookbrain.library.findings import Expected, prove
from bookbrain.library.maintenance import drop_vectors, publish_books
from bookbrain.library.recovery import begin_again
from bookbrain.messages import Filled, fill, message_of
from bookbrain.model import SILENT, Book, Progress
from bookbrain.paths import LibraryPaths, refuse_in_upgrade
from bookbrain.search.retrieval import ConnectedStores
from bookbrain.settings import Settings
from bookbrain.store.catalog import Catalog
from bookbrain.store.copy import (
    damaged_databases,
    link_index,
    move_back,
    move_damaged,
    take_books,
    take_embeddings,
)
from bookbrain.store.database import copy_database, remove_database
from bookbrain.store.embeddings import EmbeddingStore
from bookbrain.store.flaws import flaws, store_flaws
from bookbrain.store.folder import Stores, storage_error
from bookbrain.store.identity import stored_files


@dataclass(frozen=True, slots=True)
class Held:
    """What the databases that an archive brought hold. With `unsound` it is nothing."""

    books: tuple[Book, ...] = ()
    spaces: tuple[str, ...] = ()
    embeddings: int = 0
    unsound: str = ""


def look_into(home: Path, only: str | None = None) -> Held:
    """Judge the databases that an archive brought to `home`, and bring sound ones up to date.

    With `only` that one book alone is looked for, and what is wrong with others does not matter.
    Raises ConfigError when a newer BookBrain made them.
    """
    for judge in (flaws(LibraryPaths(home).catalog), store_flaws(home)):
        for flaw in judge:
            if not only or flaw.book in ("", only):
                return Held(unsound=flaw.what)
    with (
        closing(Catalog(LibraryPaths(home).catalog)) as catalog,
        closing(EmbeddingStore(LibraryPaths(home).embeddings)) as store,
    ):
        found = catalog.book(only) if only else None
        books = catalog.books() if not only else [found] if found else []
        return Held(tuple(books), tuple(catalog.embedded_spaces()), store.count())


@contextmanager
def damaged_aside(home: Path, only: str | None) -> Iterator[list[Path]]:
    """The new paths of the databases of a library that are damaged, or no catalog of this library.

    They come back when the block fails. Raises BookBrainError where `only` one book is to come.
    """
    refuse_in_upgrade(home)
    with file_lock(LibraryPaths(home).library_lock):
        if only and (damaged := damaged_databases(home)):
            raise BookBrainError(
                fill("{path} is damaged: one book cannot be put into it.", path=home / damaged[0]),
                "Restore the whole backup, without --book.",
            )
        was_there = LibraryPaths(home).catalog.exists()
        aside = move_damaged(home)
        aside += begin_again(Settings(home)).aside
    with ExitStack() as failed:
        for path in reversed(aside):
            failed.callback(move_back, path)
        if not was_there:  # what was made for the restored books is no catalog of those here
            failed.callback(remove_database, LibraryPaths(home).catalog)
        yield aside
        failed.pop_all()


def index_copies(other: Stores) -> None:
    """Have a keyword index of all books of the library `other`: its own, where it is of today and
    every number in it is in its bounds."""
    drop_unsound(other.segments, {book.id: book.pages for book in other.catalog.books()})
    other.index_all()


def replace_books(
    stores: ConnectedStores, other: Stores, only: str | None, progress: Progress
) -> None:
    """Make the books of `other` those of `stores`, or take over the one `only`. For the one writer.

    All that can be prepared is: book files, embeddings, vectors and a keyword index that no search
    uses yet. One transaction then changes the catalog, and with it what is seen. What is killed
    before it leaves the old books, after it the new ones; what is left over the next writer sweeps.
    Whatever fails, the old catalog stays or is put back, and the error says so.
    """
    old = stores.catalog.book_ids()
    taken = other.catalog.books() if not only else [b for b in [other.catalog.book(only)] if b]
    new = [book.id for book in taken]
    there = stored_files(stores.books)
    before, state = other.paths.before_restore, None
    try:
        _bring_files(stores, other, new)
        take_embeddings(stores.paths.embeddings, other.paths.embeddings)
        publish_books(stores, other.catalog, taken, progress)  # no search knows of them yet
        commit = _bring_index(stores, other, only)
        others = [book for book in stores.catalog.books() if book.id != only] if only else []
        copy_database(stores.paths.catalog, before)
        old_spaces, state = stores.catalog.embedded_spaces(), stores.catalog.state()
        take_books(stores.paths.catalog, other.paths.catalog, commit, only)
        for book_id in new:
            stores.take_file(book_id)
        prove(stores, Expected.of([*others, *taken]))
    except BaseException as error:
        if state and stores.catalog.state() != state:
            _put_back(stores, before)
            stores.catalog.forget_removed(there)
            _forget(stores, set(new) - set(old), other.catalog.embedded_spaces())
        with suppress(BookBrainError):  # where they brought another text of a book that is here
            publish_books(stores, stores.catalog, [b for b in taken if b.id in old], SILENT)
        if isinstance(error, Exception):
            raise _undone(error) from error
        raise
    _forget(stores, set() if only else set(old) - set(new), old_spaces)


def _put_back(stores: Stores, before: Path) -> None:
    try:
        with closing(Catalog(before)) as catalog:
            commit = catalog.index_commit()
        take_books(stores.paths.catalog, before, commit)
    except (OSError, sqlite3.Error) as error:
        raise BookBrainError(
            fill(
                "The restored library does not work, nor can the one of before be put back: "
                "{reason}.",
                reason=error,
            ),
            "Make room and restore again, from this backup or an older one.",
        ) from error


def _undone(error: Exception) -> BookBrainError:
    """What a person hears when the library of before is back."""
    if isinstance(error, OSError | sqlite3.Error):
        error = storage_error(error, "Make room and run this again.")
    if isinstance(error, BookBrainError):
        return type(error)(error.message, _as_before(error.hint))
    return BookBrainError(
        fill("The restored library does not work ({reason}).", reason=type(error).__name__),
        _as_before(OLDER_BACKUP),
    )


def _as_before(hint: str) -> Filled:
    as_before = message_of("The library is as it was before.")
    return (
        fill("{as_before} {hint}", as_before=as_before, hint=message_of(hint))
        if hint
        else as_before
    )


def _bring_files(stores: Stores, other: Stores, books: Iterable[str]) -> None:
    """An archive may have been made without books: then those that are here stay."""
    for book_id in books:
        target = stores.paths.incoming_file(book_id)
        if other.book_file(book_id).exists():
            part = target.with_name(target.name + PART)
            remove(part)
            link(other.book_file(book_id), part)
            part.replace(target)
    sync_folder(stores.incoming)


def _bring_index(stores: Stores, other: Stores, only: str | None) -> str | None:
    """A keyword index of the books to be; its name, None for no books."""
    texts = other.catalog.texts()
    if only:
        here = stores.catalog.texts()
        brought = [text for text in texts if text.book == only]
        for text in {*brought}.difference(here):
            stores.index_text(text, other.catalog.pages(only))
        return stores.index_texts(sorted([t for t in here if t.book != only] + brought))
    commit = other.catalog.index_commit() if texts else None
    if commit:
        link_index(other.segments, stores.segments, commit)
    return commit


def _forget(stores: ConnectedStores, books: Iterable[str], spaces: Iterable[str]) -> None:
    """What stays of them no search sees."""
    for book_id in sorted(books):
        with suppress(BookBrainError):
            drop_vectors(stores, book_id, spaces)
