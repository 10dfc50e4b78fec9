"""An archive comes back into the library, or is tried in one that is thrown away."""

import logging
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from bookbrain.backup.archive import GOLDEN, Archive, Flaw, ListedBook, Manifest, listed
from bookbrain.backup.archives import OnStep, Steps, alone, check_room, clear_words
from bookbrain.errors import OLDER_BACKUP, BookBrainError, BusyError, InputError
from bookbrain.files import file_lock, remove, write_file
from bookbrain.library import Library, damaged_aside, look_into, pick
from bookbrain.log import Event
from bookbrain.messages import fill, message_of
from bookbrain.model import Book, Progress
from bookbrain.paths import BOOKS, DATABASES, LibraryPaths
from bookbrain.settings import ChromaSettings, Settings
from bookbrain.store.chroma import wait_until_ended
from bookbrain.store.copy import SCHEMAS
from bookbrain.store.damage import look_again

_RESCUE = (
    "Choose an older backup. Of this one `--book ID` may still bring a book, and tar unpacks its "
    "PDFs."
)


@contextmanager
def trusting() -> Iterator[None]:
    """A flaw that shows in the block refuses the archive."""
    try:
        yield
    except Flaw as flaw:
        raise InputError(
            fill("This backup cannot be used: {flaw}.", flaw=flaw.what), OLDER_BACKUP
        ) from flaw


def check_versions(manifest: Manifest) -> None:
    """Raise InputError when a newer BookBrain made the databases."""
    if any(number > SCHEMAS.get(name, 0) for name, number in manifest.schemas.items()):
        raise InputError(
            "This backup cannot be used: a newer BookBrain made it.", "Upgrade BookBrain."
        )


def compare(home: Path, manifest: Manifest, only: str | None = None) -> None:
    """Raise Flaw or InputError unless the databases in `home` are sound, and as the manifest says.

    With `only` that one book is looked for, and what is wrong with others does not matter.
    """
    held = look_into(home, only)
    if held.unsound and manifest.unsound:
        raise InputError(
            fill("This backup is of a damaged library: {what}.", what=message_of(held.unsound)),
            _RESCUE,
        )
    if held.unsound:
        raise Flaw(held.unsound)
    if {*map(listed, held.books)} != {book for book in manifest.books if only in (None, book.id)}:
        raise Flaw("its books are not those of its manifest")
    if not only and (
        held.embeddings != manifest.embeddings or {*held.spaces} != {*manifest.spaces}
    ):
        raise Flaw("its counts are not those of its manifest")


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
    if LibraryPaths(settings.home).catalog.exists():
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
    hint = "Without --book the command lists them."
    return pick(manifest.books, reference, hint, lambda book: book.id[:12]).id


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
    home, paths = settings.home, LibraryPaths(settings.home)
    with clear_words(), alone(home), trusting():
        staging = paths.restoring
        staging.mkdir(mode=0o700)
        try:
            wanted = partial(_is_wanted, only)
            size = sum(m.size for m in manifest.members if wanted(m.name))
            bases = sum(m.size for m in manifest.members if m.name in DATABASES)
            check_room([(home, size + 2 * bases)])  # the copies, and what the library takes over
            archive.extract(staging, wanted, Steps(on_step, "checking", manifest.size))
            compare(staging, manifest, only)
            with damaged_aside(home, only) as aside, Library(settings) as library:
                library.take_over(staging, progress, only)
                books = library.books()
            if not only:
                _bring_golden(staging / GOLDEN, paths)
        finally:
            remove(staging)
    look_again(home)
    log.info("Restored: %d books", len(books), extra={"fields": Event(event="restore")})
    lost = [book.file for book in books if not paths.book_file(book.id).exists()]
    return Restored(len(books), tuple(lost), tuple(aside))


def _bring_golden(brought: Path, paths: LibraryPaths) -> None:
    """The questions that somebody judged, where the library has none. A restore that has come so
    far counts without them."""
    try:
        with file_lock(paths.golden_lock):
            if brought.is_file() and not paths.golden.exists():
                write_file(paths.golden, brought.read_bytes())
    except OSError as error:
        log.warning("not restored: %s (%s)", paths.golden.name, error.strerror)


def _is_wanted(only: str | None, name: str) -> bool:
    if name.startswith(("settings/", "secrets/")):
        return False
    return not only or name in DATABASES or only in name


def verify(settings: Settings, archive: Archive, on_step: OnStep, progress: Progress) -> int:
    """Read all of the archive, and restore what is needed to search; the scratch library goes.

    Returns how many queries were asked of it. Raises InputError at the first byte, count or query
    that is not right. Asks no embedding endpoint, and touches neither the library nor its Chroma.
    """
    manifest = archive.manifest
    check_versions(manifest)
    with trusting():
        if manifest.unsound:
            raise Flaw(
                fill("it is of a damaged library: {what}", what=message_of(manifest.unsound[0]))
            )
        if not manifest.is_sound:
            raise Flaw("not all files of its books are in it")
    files = sum(m.size for m in manifest.members if _is_needed(m.name))
    with clear_words(), _scratch(settings.home) as home, trusting():
        check_room([(settings.home, 4 * files)])  # with the vectors, and what is made of them
        archive.extract(home, _is_needed, Steps(on_step, "checking", manifest.size))
        compare(home, manifest)
        offline = replace(settings.embedding, offline=True)
        scratch = replace(settings, home=home, embedding=offline, chroma=ChromaSettings())
        with Library(scratch) as library:
            return library.try_out(manifest.expected, progress)


def _is_needed(name: str) -> bool:
    """The files of the books are only read and compared with their checksums."""
    return not name.startswith((f"{BOOKS}/", "settings/", "secrets/"))


@contextmanager
def _scratch(home: Path) -> Iterator[Path]:
    """An empty folder for one at a time, gone afterwards; what was killed is swept here too."""

    def refuse() -> None:
        raise BusyError("Another verification is under way.", "Wait for it to end.")

    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    folder = LibraryPaths(home).verifying
    with file_lock(LibraryPaths(home).verify_lock, on_wait=refuse):
        wait_until_ended(folder)
        remove(folder)
        folder.mkdir(mode=0o700)
        try:
            yield folder
        finally:
            wait_until_ended(folder)
            remove(folder)
