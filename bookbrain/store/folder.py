"""The library's folder and the stores in it, opened together.

Files and not one: where a disk has no more files, that many of SQLite's can be made.
"""

import errno
import os
import sqlite3
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from hashlib import file_digest
from pathlib import Path

from bookbrain.errors import BookBrainError, BusyError
from bookbrain.files import (
    PART,
    file_lock,
    has_room,
    link,
    make_way,
    remove,
    sync_folder,
    write_file,
)
from bookbrain.index.bm25 import KeywordIndex, open_commit
from bookbrain.index.commit import drop_unnamed, texts_of, write_commit
from bookbrain.index.segment import SEGMENT_DAMAGE, count_pages, write_segment
from bookbrain.messages import fill
from bookbrain.model import EmbeddingSpace, Page, TextId
from bookbrain.paths import PDF, LibraryPaths, refuse_in_upgrade
from bookbrain.settings import ChromaSettings, Settings
from bookbrain.store.catalog import Catalog, read_stamp
from bookbrain.store.checksums import read_stamp_file, write_stamp_file
from bookbrain.store.chroma import chroma_server
from bookbrain.store.database import MEND, is_damage, lacks_room, reading_database
from bookbrain.store.embeddings import EmbeddingStore
from bookbrain.store.identity import (
    Card,
    check_catalog,
    is_of_books,
    read_card,
    stored_files,
    write_cards,
)

GO_ON = "Make room and run `bookbrain add` again: nothing is lost."
AGAIN = "Make room and run this again."
DELETE_OTHERS = "Make room by deleting other files on this disk, and run this again."
_ONLY_READ = (errno.EROFS, errno.EACCES, errno.EPERM)
_ONLY_READ_CODES = (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM)


def storage_error(error: OSError | sqlite3.Error, hint: str = AGAIN) -> BookBrainError:
    """What a person should hear when the library's own files cannot be had as they are needed.

    `hint` says what to do when the disk is full.
    """
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # the primary one
    number = getattr(error, "errno", None)
    if lacks_room(error):
        return BookBrainError("The disk is full.", hint)
    if number in _ONLY_READ or code in _ONLY_READ_CODES:
        return BookBrainError(
            fill("The library cannot be written here: {error}.", error=error),
            "Its disk must be mounted for writing, and its folder and files be this user's. "
            "What is in it can be searched meanwhile.",
        )
    if number == errno.EIO or code == sqlite3.SQLITE_IOERR:
        return BookBrainError(
            fill("The disk fails, or a quota is used up: {error}.", error=error),
            "See which: `sudo dmesg`, `quota`. Take no risk: copy what you can first.",
        )
    if is_damage(error):
        return BookBrainError(fill("The library is damaged: {error}.", error=error), MEND)
    return BookBrainError(
        fill("The library cannot be written: {error}.", error=error), "Check its folder and mode."
    )


_FILES, _SIZE = 8, 1 << 18  # bytes of each: a removal writes some hundred kB


@contextmanager
def storage_errors(hint: str = AGAIN) -> Iterator[None]:
    """What the disk or SQLite refuse in the block is told as `storage_error` does."""
    try:
        yield
    except (OSError, sqlite3.Error) as error:
        raise storage_error(error, hint) from error


def keep_reserve(home: Path, beside: int = _FILES * _SIZE) -> None:
    """Have the room kept, where `beside` it so many bytes are free.

    It is of random bytes, which no disk makes small.
    """
    folder = LibraryPaths(home).reserve
    missing = [path for n in range(_FILES) if not _is_whole(path := folder / str(n))]
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        for path in missing:
            if not has_room(home, _SIZE + beside):
                return
            write_file(path, os.urandom(_SIZE))
    except OSError as error:
        if not lacks_room(error):
            raise
        remove(folder)


def give_up_reserve(home: Path) -> None:
    """Let go of it where there is no other room. Only for the one writer, who needs it."""
    folder = LibraryPaths(home).reserve
    probe = folder.with_name(f"{folder.name}{PART}")
    try:
        write_file(probe, os.urandom(_FILES * _SIZE))
    except OSError as error:
        if not lacks_room(error):
            raise
        remove(folder)
    finally:
        remove(probe)


def _is_whole(path: Path) -> bool:
    return path.exists() and path.stat().st_blocks * 512 >= _SIZE


_ROOM = 1 << 20  # bytes without which nothing is begun


@contextmanager
def nobody_at_work(home: Path, on_wait: Callable[[], None]) -> Iterator[None]:
    """Hold both locks of a library that is not open: nobody works on it, nobody writes to it."""
    with (
        file_lock(LibraryPaths(home).worker_lock, on_wait=on_wait),
        file_lock(LibraryPaths(home).library_lock, on_wait=on_wait),
    ):
        yield


class Stores:
    """Everything that a library keeps, open for as long as the library is."""

    def __init__(self, settings: Settings, *, lost: bool = False) -> None:
        """Raises LostCatalogError where the catalog is not that of the library; not if `lost`.

        Where nothing can be written it is opened to be read.
        """
        self.settings = settings
        self.home = settings.home
        self.paths = paths = LibraryPaths(settings.home)
        self.books, self.incoming, self.segments = paths.books, paths.incoming, paths.keywords
        for folder in (self.home, self.books, self.incoming, self.segments):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._closing = ExitStack()
        self._lost = lost
        self._works = False
        self._databases = self._closing.enter_context(ExitStack())
        self._open(or_read=True)
        self._keywords: tuple[str, KeywordIndex] | None = None
        self._indexed: tuple[int, int] | None = None  # the catalog's state, when it was compared
        self._chroma: ChromaSettings | None = None
        self._chroma_use = self._closing.enter_context(ExitStack())

    def _open(self, *, or_read: bool) -> None:
        self._databases.close()
        path = self.paths.catalog
        self._seen = _look(path)
        check = [] if self._lost else [check_catalog(self.home)]
        self.catalog = Catalog(path, *check, or_read=or_read)
        self._databases.callback(self.catalog.close)
        if self.writable:
            self._seen = _look(path)
        self.embeddings = EmbeddingStore(self.paths.embeddings, or_read=or_read)
        self._store = _file(self.paths.embeddings)
        self._databases.callback(self.embeddings.close)

    def close(self) -> None:
        self._closing.close()

    @property
    def writable(self) -> bool:
        """Whether the catalog was not opened to be read only."""
        return self.catalog.writable

    def open_to_write(self) -> None:
        """Open anew what was opened to be read; OSError or sqlite3.Error where that fails."""
        if self.writable and self.embeddings.writable:
            return
        if not has_room(self.home, _ROOM):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        try:
            self._open(or_read=False)
        except (OSError, sqlite3.Error):
            self._open(or_read=True)
            raise

    @contextmanager
    def working(self, on_wait: Callable[[], None]) -> Iterator[None]:
        """Be the one who works through books, and is the writer for each change, not in between.

        So whoever only removes a book waits for such a change, and not for a book to be read or
        embedded. Waits for another one at work, having said so by `on_wait`; raises as `writing`.
        """
        refuse_in_upgrade(self.home)
        with file_lock(self.paths.worker_lock, on_wait=on_wait):
            with self.writing(on_wait):
                self.sweep_leftovers()
            self._works = True
            try:
                yield
            finally:
                self._works = False
            with self.writing(on_wait):
                self.sweep_leftovers()  # what was refused leaves no copy of its file

    @contextmanager
    def writing(
        self, on_wait: Callable[[], None], *, freeing: bool = False, seconds: float | None = None
    ) -> Iterator[None]:
        """Be the one writer; waits for another one, having said so by `on_wait`.

        What is `freeing` room gets that which is kept for it, where there is no other. Raises
        BusyError while a server's release is being exchanged, and after so many `seconds`.
        """
        refuse_in_upgrade(self.home)
        with ExitStack() as lock:
            try:
                lock.enter_context(
                    file_lock(self.paths.library_lock, on_wait=on_wait, seconds=seconds)
                )
            except TimeoutError as error:
                raise BusyError(
                    "Another book is being added just now.", "Try again when that is done."
                ) from error
            refuse_in_upgrade(self.home)  # it may have begun meanwhile, and waited for this lock
            if freeing:
                give_up_reserve(self.home)
            self.open_to_write()
            self.check_catalog_in_place()
            if self._works:  # it is swept, and copied beside the books, when the work is done
                yield
                return
            self.sweep()
            self.keep_identity()  # where a crash came between a change and its cards
            yield
            self.sweep()
            self.keep_identity()
            keep_reserve(self.home, 0 if freeing else _FILES * _SIZE)  # the next removal needs it

    def is_replaced(self) -> bool:
        """Whether a database that is open is no longer the file of that name, or was cut.

        Of a catalog that was opened to be read: whether anything of it has changed.
        """
        if _file(self.paths.embeddings) != self._store:
            return True
        now, before = _look(self.paths.catalog), self._seen
        if now is None or before is None or not self.writable:
            return now != before
        if now.size >= before.size:
            self._seen = replace(before, size=now.size)
        return now.file != before.file or now.size < before.size

    def check_catalog_in_place(self) -> None:
        """Raise BusyError where what is written now would go into a file that nobody will open."""
        path = self.paths.catalog
        replaced = self.is_replaced()
        if not replaced:
            try:
                with reading_database(path) as db:
                    there = read_stamp(db)
            except sqlite3.DatabaseError:
                there = None
            replaced = not there or there.library != self.catalog.stamp().library
        if replaced:
            raise BusyError("The library was exchanged while it was open.", "Run this again.")

    # The files of the books

    def book_file(self, book_id: str) -> Path:
        """Where the file of a book is, or would be: `incoming` until the last step of a restore."""
        path, incoming = self.paths.book_file(book_id), self.paths.incoming_file(book_id)
        return incoming if not path.is_file() and incoming.is_file() else path

    def has_file(self, book_id: str) -> bool:
        """Whether the file of a book is there and is what it was; it is read to its end."""
        path = self.paths.book_file(book_id)
        if not path.is_file():  # a pipe would be waited for
            return False
        try:
            with path.open("rb") as file:
                return file_digest(file, "sha256").hexdigest() == book_id
        except OSError:
            return False

    def take_file(self, book_id: str) -> bool:
        """Put the copy of a file where those of books are, in place of a damaged one; False where
        there is no copy. It stays until the next sweep."""
        copy, target = self.paths.incoming_file(book_id), self.paths.book_file(book_id)
        if not copy.exists():
            return False
        part = target.with_name(target.name + PART)
        remove(part)
        link(copy, part)
        make_way(target)
        part.replace(target)
        sync_folder(self.books)
        return True

    def keep_identity(self) -> None:
        """Have a card of each book beside its file, and the catalog's stamp where it is kept.

        Only for the one writer.
        """
        stamp = self.catalog.stamp()
        if self.embeddings.stamp() == stamp == read_stamp_file(self.books):
            return
        write_cards(self.paths, self.catalog)
        for folder in (self.books, self.segments):
            write_stamp_file(folder, stamp)
        self.embeddings.set_stamp(stamp)

    def keep_identity_if_idle(self) -> None:
        """The same for whoever does not write; BlockingIOError or BusyError while somebody does."""
        refuse_in_upgrade(self.home)
        with file_lock(self.paths.library_lock, on_wait=_leave_it):
            self.check_catalog_in_place()
            self.keep_identity()
            keep_reserve(self.home)

    def orphans(self) -> list[Card]:
        """The files that no book of the catalog names, each with what is known of it."""
        ids = sorted(stored_files(self.books).difference(self.catalog.book_ids()))
        return [read_card(self.paths, i) or Card(i, "", f"{i[:12]}{PDF}", "") for i in ids]

    def space(self) -> EmbeddingSpace | None:
        """The embedding space of the settings; None while a model's dimensions are not known."""
        wanted = self.settings.embedding
        dimensions = wanted.expected_dimensions or self.embeddings.own_dimensions(wanted.model)
        return EmbeddingSpace(wanted.model, dimensions) if dimensions else None

    def chroma(self) -> ChromaSettings:
        """How the Chroma server is reached, which starts at the first call where it is ours."""
        if self._chroma is None:
            self._chroma = self._chroma_use.enter_context(
                chroma_server(self.home, self.settings.chroma)
            )
        return self._chroma

    def forget_chroma(self) -> None:
        """Look for the Chroma server again at the next call: ours may have gone or moved."""
        self._chroma = None
        self._chroma_use.close()

    # The keyword index

    def keywords(self, on_book: Callable[[], object] = lambda: None) -> KeywordIndex | None:
        """The index that belongs to the books of now; None for a library without books.

        `on_book` hears of each book whose part is lost, or of another release, and is made again.
        """
        for _ in range(3):  # a writer may swap it between our two looks
            state = self.catalog.state()
            if self._keywords and self._indexed == state:
                return self._keywords[1]
            commit, texts = self.catalog.index_commit(), self.catalog.texts()
            if not texts:
                return None
            with suppress(*SEGMENT_DAMAGE):
                if commit and (self._keywords is None or self._keywords[0] != commit):
                    self._keywords = (commit, open_commit(self.segments, commit))
                if commit and self._keywords and self._keywords[1].texts.issuperset(texts):
                    self._indexed = state
                    return self._keywords[1]
        try:
            with file_lock(self.paths.library_lock):
                self.open_to_write()
                self.index_all(on_book)
        except (OSError, sqlite3.Error) as error:
            why = storage_error(error, "Make room, and search again.")
            said = "The keyword index must be made anew, and cannot be. {reason}"
            raise BookBrainError(fill(said, reason=why.message), why.hint) from error
        return self.keywords()

    def index_text(self, text: TextId, pages: Sequence[Page]) -> None:
        """Write the segment of a book, each page a document. No search knows of it yet."""
        write_segment(self.segments, text, count_pages(pages))

    def index_texts(
        self, texts: Sequence[TextId], on_book: Callable[[], object] = lambda: None
    ) -> str:
        """Write the keyword index of exactly these texts, out of that of now; its name."""

        def index(text: TextId) -> None:
            if text not in self.catalog.texts():  # it is on its way: its preparer's file is gone
                raise BookBrainError("The postings of a new book are lost.", "Add it again.")
            self.index_text(text, self.catalog.pages(text.book))
            on_book()

        return write_commit(self.segments, self.catalog.index_commit(), texts, index)

    def index_all(self, on_book: Callable[[], object] = lambda: None) -> None:
        """Have a keyword index of all books, and search it. Only for the one writer."""
        self.catalog.set_index_commit(self.index_texts(self.catalog.texts(), on_book))

    def forget_keywords(self) -> None:
        """Delete every keyword index."""
        self._keywords = self._indexed = None
        drop_unnamed(self.segments, None)

    # What a crash may have left

    def drop_old_indexes(self) -> None:
        """Remove the keyword indexes that are no longer in use. Only for the one writer.

        The segment of a text that is not in the library yet stays: it is on its way.
        """
        drop_unnamed(self.segments, self.catalog.index_commit(), set(self.catalog.texts()))

    def sweep(self) -> None:
        """Remove what belongs to no book and to no job. Only for the one writer.

        The file of a book is deleted where somebody had the book removed, and nowhere else: one
        that the catalog does not name may be all that is left of a book. What may be on its way in
        stays while somebody works.
        """
        self._delete_removed()
        with suppress(BlockingIOError), file_lock(self.paths.worker_lock, on_wait=_leave_it):
            self.sweep_leftovers()

    def sweep_leftovers(self) -> None:
        """Remove what was to become a book. Only for the one writer who is also the one at work."""
        for copy in self.incoming.iterdir():
            if self.catalog.has_book(copy.stem) and copy == self.paths.incoming_file(copy.stem):
                self.take_file(copy.stem)
            remove(copy)
        for path in self.books.glob(f"*{PART}"):
            if is_of_books(path.name.removesuffix(PART)) and path.is_file():
                remove(path)
        drop_unnamed(self.segments, self.catalog.index_commit())
        paths = self.paths
        for folder, lock in (
            (paths.snapshot, paths.backup_lock), (paths.restoring, paths.backup_lock),
            (paths.verifying, paths.verify_lock),
        ):  # fmt: skip
            if folder.exists():  # whoever has it holds its lock
                with suppress(BlockingIOError), file_lock(lock, on_wait=_leave_it):
                    remove(folder)

    def _delete_removed(self) -> None:
        removed = self.catalog.removed()
        for book_id in removed:
            if not self.catalog.has_book(book_id):
                remove(self.paths.book_file(book_id))
                remove(self.paths.card(book_id))
        if removed:
            sync_folder(self.books)
            if self._drop_postings(removed):
                self.catalog.forget_removed(removed)

    def _drop_postings(self, removed: Collection[str]) -> bool:
        """Have a keyword index without these books; False where there is no room for one yet."""
        commit = self.catalog.index_commit()
        with suppress(*SEGMENT_DAMAGE):
            held = texts_of(self.segments, commit) if commit else set()
            if {text.book for text in held.difference(self.catalog.texts())} & set(removed):
                try:
                    self.index_all()
                except (OSError, sqlite3.Error) as error:
                    if not lacks_room(error):
                        raise
                    return False
        return True


@dataclass(frozen=True, slots=True)
class _Look:
    """Which file a catalog is, how large, and what else tells that it was written."""

    file: tuple[int, int]
    size: int
    written: tuple[int, ...]


def _file(path: Path) -> tuple[int, int] | None:
    """Device and inode; None where there is none."""
    found = _look(path)
    return found.file if found else None


def _look(path: Path) -> _Look | None:
    """None where there is none."""
    wal = Path(f"{path}-wal")
    with suppress(FileNotFoundError):
        found = path.stat()
        beside = (wal.stat().st_size, wal.stat().st_mtime_ns) if wal.exists() else ()
        written = (found.st_mtime_ns, *beside)
        return _Look((found.st_dev, found.st_ino), found.st_size, written)
    return None


def _leave_it() -> None:
    """Somebody is at work there."""
    raise BlockingIOError
