"""An archive comes back into the library: all of it, or one book."""

import logging
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bookbrain.backup.archive import Archive
from bookbrain.backup.manifest import ListedBook, Manifest
from bookbrain.backup.trust import check_versions, compare, trusting
from bookbrain.backup.workplace import OnStep, Steps, alone, check_room, clear_words
from bookbrain.config import Settings
from bookbrain.durable import remove
from bookbrain.errors import BookBrainError
from bookbrain.events import Event
from bookbrain.library import Library
from bookbrain.library.checking import look_again
from bookbrain.library.picking import pick
from bookbrain.library.replacing import damaged_aside
from bookbrain.library.reports import Progress
from bookbrain.library.stores import RESTORING
from bookbrain.model import Book

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Differences:
    """Which books a restore brings, takes away and leaves."""

    come: tuple[ListedBook, ...]
    go: tuple[Book, ...]
    stay: int


@dataclass(frozen=True)
class Restored:
    """A library that has passed its check. `without_file` names books that the archive brought
    without their PDF, `aside` the damaged databases that were there before."""

    books: int
    without_file: tuple[str, ...]
    aside: tuple[Path, ...]


def differences(settings: Settings, manifest: Manifest, only: str | None) -> Differences:
    """A library that cannot be opened has no books."""
    now: list[Book] = []
    if (settings.home / "catalog.sqlite3").exists():
        try:
            with Library(settings) as library:
                now = library.books()
        except BookBrainError as error:
            log.debug("the library cannot be opened: %s", error.for_log)
        except sqlite3.Error as error:
            log.debug("the library cannot be read: %s", type(error).__name__)
    here = {book.id for book in now}
    new = [book for book in manifest.books if only in (None, book.id)]
    come = tuple(book for book in new if book.id not in here)
    go = () if only else tuple(book for book in now if book.id not in {b.id for b in new})
    return Differences(come, go, len(now) - len(go))


def find_listed(manifest: Manifest, reference: str) -> str:
    """The id of the book in the archive that an id, the start of one, or a file name means."""
    return pick(manifest.books, reference, "Without --book the command lists them.").id


def restore(
    settings: Settings, archive: Archive, only: str | None, on_step: OnStep, progress: Progress
) -> Restored:
    """Make the library what the archive holds, or take over the one book with the id `only`.

    The archive is read to its end and proven before anything of the library changes; searches go on
    meanwhile, and see the restored books from one moment to the next. Whatever ends this before
    that moment changes nothing. When the restored library then does not find what it has, or
    anything else fails, all is put back and the error raised. Asks no embedding endpoint.
    """
    manifest = archive.manifest
    check_versions(manifest)
    home = settings.home
    with clear_words(), alone(home), trusting():
        staging = home / RESTORING
        staging.mkdir(mode=0o700)
        try:
            wanted = _wanted(only)
            size = sum(m.size for m in manifest.members if wanted(m.name))
            bases = sum(m.size for m in manifest.members if m.name.endswith(".sqlite3"))
            check_room([(home, size + 2 * bases)])  # the copies, and what the library takes over
            archive.extract(staging, wanted, Steps(on_step, "checking", manifest.size))
            compare(staging, manifest, only)
            with damaged_aside(home, only) as aside, Library(settings) as library:
                library.take_over(staging, progress, only)
                books = library.books()
        finally:
            remove(staging)
    look_again(home)
    log.info("Restored: %d books", len(books), extra={"fields": Event(event="restore")})
    lost = [book.file for book in books if not (home / "books" / f"{book.id}.pdf").exists()]
    return Restored(len(books), tuple(lost), tuple(aside))


def _wanted(only: str | None) -> Callable[[str], bool]:
    def is_wanted(name: str) -> bool:
        if name.startswith(("settings/", "secrets/")):
            return False
        return not only or name.endswith(".sqlite3") or only in name

    return is_wanted
