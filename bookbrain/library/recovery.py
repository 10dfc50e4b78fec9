"""A library whose catalog is lost is made again from its files, their cards and the embeddings."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from secrets import token_hex

from bookbrain.config import Settings
from bookbrain.durable import PART, file_lock, free_name, sync_folder
from bookbrain.errors import BookBrainError, ConfigError
from bookbrain.index.catalog import Catalog, read_stamp
from bookbrain.index.database import reading_database, remove_database, schema_version
from bookbrain.index.soundness import CATALOG
from bookbrain.library.adding import finish_jobs
from bookbrain.library.cards import read_card, stored_cards, stored_files
from bookbrain.library.checking import look_again
from bookbrain.library.identity import LostCatalogError, check_catalog, stamp_copies
from bookbrain.library.reports import AddReport, Progress
from bookbrain.library.storage import storage_error
from bookbrain.library.stores import Stores
from bookbrain.server import refuse_in_upgrade


@dataclass(frozen=True, slots=True)
class Recovered:
    """What became of the files; the databases that were set `aside`; how many books the catalog
    had that were removed since (`gone`), and how many got the title back that they had. `strange`
    are files that could not be taken in and, as far as is known, never were books."""

    report: AddReport = field(default_factory=lambda: AddReport(()))
    aside: tuple[Path, ...] = ()
    gone: int = 0
    renamed: int = 0
    strange: tuple[Path, ...] = ()

    @property
    def lost(self) -> int:
        """How many books could not be brought back."""
        return self.report.count("failed") - len(self.strange)


def recover(settings: Settings, progress: Progress) -> Recovered:
    """Take every file in `books` that the catalog does not name back into the library.

    A catalog that is not this library's, or is damaged, is set aside first, and a new one made; one
    that is older than its library catches up. Nothing is bought: texts are read again, vectors are
    found by the digests of their texts. Can be run again after a crash at any instant.
    """
    refuse_in_upgrade(settings.home)
    try:
        with file_lock(settings.home / "library.lock", on_wait=progress.wait):
            again = begin_again(settings)
        with closing(Stores(settings)) as stores, stores.writing(progress.wait):
            orphans = [stores.stored_file(card.id) for card in stores.orphans()]
            cards = stored_cards(stores.books)
            stores.catalog.queue(orphans)
            report = finish_jobs(stores, progress)
            failed = {outcome.path for outcome in report.outcomes if outcome.status == "failed"}
            strange = [f for f in orphans if str(f) in failed and cards and f.stem not in cards]
            recovered = replace(again, report=report, strange=tuple(strange))
    except (OSError, sqlite3.Error) as error:
        raise storage_error(error) from error
    look_again(settings.home)
    return recovered


def begin_again(settings: Settings) -> Recovered:
    """Have a catalog of this library where it belongs: the one that is there, or a new one.

    Only for the one writer. Nothing is done where the catalog is in order, or there is no library.
    """
    home = settings.home
    if (
        not (home / CATALOG).exists()
        and not stamp_copies(home)
        and not stored_files(home / "books")
    ):
        return Recovered()
    try:
        with closing(Catalog(home / CATALOG, check_catalog(home))) as catalog:
            catalog.check_structure()
    except LostCatalogError:
        if _is_of_library(home):
            return _catch_up(settings)
    except ConfigError:  # made by a newer BookBrain
        raise
    except BookBrainError:
        pass
    else:
        return Recovered()
    aside = tuple(_set_aside(home))
    _make_catalog(home)
    return Recovered(aside=aside)


def _is_of_library(home: Path) -> bool:
    """Whether the catalog is this library's, of another time."""
    path, copies = home / CATALOG, stamp_copies(home)
    if not path.exists() or not path.stat().st_size or not copies:
        return False
    try:
        with reading_database(path) as connection:
            stamp = read_stamp(connection)
            version = schema_version(connection)
    except sqlite3.DatabaseError:
        return False
    return stamp.library == copies[0].library if stamp else version in (1, 2)


def _next_stamp(home: Path) -> tuple[str, int]:
    copies = stamp_copies(home)
    library = copies[0].library if copies else token_hex(16)
    return library, max((copy.changes for copy in copies), default=0) + 1


def _set_aside(home: Path) -> Iterator[Path]:
    """The catalog under another name, with what SQLite keeps beside it."""
    path = home / CATALOG
    free = free_name(path, ".aside")
    for end in ("-wal", "-shm"):
        beside = home / f"{CATALOG}{end}"
        if beside.exists():
            beside.replace(f"{free}{end}")
    if path.exists():
        yield path.replace(free)
    sync_folder(home)


def _make_catalog(home: Path) -> None:
    """An empty catalog of this library, at once."""
    part = home / f"{CATALOG}{PART}"
    remove_database(part)
    with closing(Catalog(part)) as catalog:
        catalog.set_stamp(*_next_stamp(home))
    part.replace(home / CATALOG)
    sync_folder(home)


def _catch_up(settings: Settings) -> Recovered:
    """Bring the library's own catalog of another time to what the files and their cards say.

    A book that was removed since has neither a file nor a card left. It counts as the catalog of
    now when all is done.
    """
    with closing(Stores(settings, lost=True)) as stores:
        catalog, books = stores.catalog, stores.books
        catalog.end_all_jobs()
        catalog.forget_removed(catalog.removed())  # what was wanted then is past
        left = stored_files(books) | stored_cards(books)
        gone = [book_id for book_id in catalog.book_ids() if book_id not in left]
        generation = stores.index_books([i for i in catalog.book_ids() if i in left])
        for book_id in gone:
            catalog.remove_book(book_id, generation)
        renamed = 0
        for book_id, title, *_ in catalog.card_rows():
            card = read_card(books, book_id)
            if card and card.title != title:
                catalog.rename_book(book_id, card.title)
                renamed += 1
        library, changes = _next_stamp(settings.home)
        catalog.set_stamp(library, max(changes, catalog.stamp().changes))
    return Recovered(gone=len(gone), renamed=renamed)
