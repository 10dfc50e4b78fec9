"""The library's folder and the stores in it, opened together."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from hashlib import file_digest
from pathlib import Path
from typing import TYPE_CHECKING

from bookbrain.config import Settings
from bookbrain.durable import PART, file_lock, link, remove, sync_folder
from bookbrain.errors import BookBrainError, BusyError
from bookbrain.index.catalog import Catalog
from bookbrain.index.chroma import chroma_url
from bookbrain.index.embeddings import STORE, EmbeddingStore
from bookbrain.index.generations import drop_unnamed, open_generation, write_generation
from bookbrain.index.keywords import KeywordIndex
from bookbrain.index.postings import count_pages
from bookbrain.index.shards import DAMAGE, write_shard
from bookbrain.index.soundness import CATALOG
from bookbrain.index.stamps import read_stamp_file, write_stamp_file
from bookbrain.library.cards import Card, card_file, orphans, read_card, write_cards
from bookbrain.library.identity import check_catalog
from bookbrain.model import EmbeddingSpace, Page

if TYPE_CHECKING:
    from bookbrain.index.reranker import Reranker
    from bookbrain.library.semantic import Semantics


BACKUP = ".backup"  # a snapshot on its way into an archive
RESTORING = ".restoring"  # what an archive brought, on its way into the library
VERIFYING = ".verifying"  # a library made to see whether an archive works
# Whoever has one of these folders holds its lock.
WORK_LOCK, VERIFY_LOCK = "backup.lock", "verify.lock"
_WORKPLACES = {BACKUP: WORK_LOCK, RESTORING: WORK_LOCK, VERIFYING: VERIFY_LOCK}


class Stores:
    """Everything that a library keeps, open for as long as the library is."""

    def __init__(self, settings: Settings, *, lost: bool = False) -> None:
        """Raises LostCatalogError where the catalog is not that of the library; not if `lost`."""
        self.settings = settings
        self.home = settings.home
        self.books = self.home / "books"
        self.incoming = self.home / "incoming"
        self.shards = self.home / "keywords"
        for folder in (self.home, self.books, self.incoming, self.shards):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._closing = ExitStack()
        check = [] if lost else [check_catalog(self.home)]
        self.catalog = Catalog(self.home / CATALOG, *check)
        self._closing.callback(self.catalog.close)
        self.embeddings = EmbeddingStore(self.home / STORE)
        self._inodes = self._named_files()
        self._closing.callback(self.embeddings.close)
        self._keywords: tuple[str, KeywordIndex] | None = None
        self._chroma: str | None = None
        self._chroma_use = self._closing.enter_context(ExitStack())
        self._semantics: Semantics | None = None
        self._reranker: Reranker | None = None

    def close(self) -> None:
        self._closing.close()

    @contextmanager
    def writing(self, on_wait: Callable[[], None]) -> Iterator[None]:
        """Be the one writer; waits for another one, having said so by `on_wait`."""
        with file_lock(self.home / "library.lock", on_wait=on_wait):
            self.check_catalog_in_place()
            self.sweep()
            self.keep_identity()  # where a crash came between a change and its cards
            yield
            self.sweep()  # what was refused leaves no copy of its file
            self.keep_identity()

    def is_replaced(self) -> bool:
        """Whether a database that is open is no longer the file of that name."""
        return self._named_files() != self._inodes

    def check_catalog_in_place(self) -> None:
        """Raise BusyError where what is written now would go into a file that nobody will open."""
        if self.is_replaced():
            raise BusyError(
                "The library was exchanged while it was open.",
                "Run this again; on a server, restart bookbrain.service.",
            )

    def _named_files(self) -> list[tuple[int, int] | None]:
        return [_inode(self.home / name) for name in (CATALOG, STORE)]

    # The files of the books

    def book_file(self, book_id: str) -> Path:
        """Where the file of a book is, or would be."""
        path = self.stored_file(book_id)
        incoming = self.incoming_file(book_id)  # the last step of a restore may be still to be done
        return incoming if not path.exists() and incoming.exists() else path

    def stored_file(self, book_id: str) -> Path:
        """Where the file of a book is when all is done."""
        return self.books / f"{book_id}.pdf"

    def has_file(self, book_id: str) -> bool:
        """Whether the file of a book is there and is what it was; it is read to its end."""
        try:
            with self.stored_file(book_id).open("rb") as file:
                return file_digest(file, "sha256").hexdigest() == book_id
        except OSError:
            return False

    def incoming_file(self, book_id: str) -> Path:
        """Where the copy of a file is until its book is in the catalog."""
        return self.incoming / f"{book_id}.pdf"

    def take_file(self, book_id: str) -> bool:
        """Put the copy of a file where the files of books are; False where there is no copy.

        It takes the place of one that is damaged. The copy stays until the next sweep.
        """
        copy, target = self.incoming_file(book_id), self.stored_file(book_id)
        if not copy.exists():
            return False
        part = target.with_name(target.name + PART)
        remove(part)
        link(copy, part)
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
        write_cards(self.books, self.catalog)
        for folder in (self.books, self.shards):
            write_stamp_file(folder, stamp)
        self.embeddings.set_stamp(stamp)

    def keep_identity_if_idle(self) -> None:
        """The same for whoever does not write; BlockingIOError while somebody does."""
        with file_lock(self.home / "library.lock", on_wait=_leave_it):
            self.check_catalog_in_place()
            self.keep_identity()

    def orphans(self) -> list[Card]:
        """The files that no book of the catalog names, each with what is known of it."""
        ids = orphans(self.books, self.catalog.book_ids())
        return [read_card(self.books, i) or Card(i, "", f"{i}.pdf", "") for i in ids]

    def missing_files(self) -> list[str]:
        """The books whose file is gone, by id."""
        return [i for i in self.catalog.book_ids() if not self.book_file(i).exists()]

    def space(self) -> EmbeddingSpace | None:
        """The embedding space of the settings; None while a model's dimensions are not known."""
        wanted = self.settings.embedding
        dimensions = wanted.expected_dimensions or self.embeddings.own_dimensions(wanted.model)
        return EmbeddingSpace(wanted.model, dimensions) if dimensions else None

    def chroma(self) -> str:
        """The URL of the Chroma server, started at the first call where it is ours."""
        if self._chroma is None:
            self._chroma = self._chroma_use.enter_context(
                chroma_url(self.home, self.settings.chroma_url)
            )
        return self._chroma

    def forget_chroma(self) -> None:
        """Look for the Chroma server again at the next call: ours may have gone or moved."""
        self._chroma = None
        self._chroma_use.close()

    def semantics(self) -> "Semantics":
        """The vector side; imported only here, for Chroma's and OpenAI's clients load slowly."""
        if self._semantics is None:
            from bookbrain.library.semantic import Semantics  # noqa: PLC0415

            self._semantics = Semantics(self)
            self._closing.callback(self._semantics.close)
        return self._semantics

    def reranker(self) -> "Reranker | None":
        """The reranker, where one is set up; imported only here, for its client loads slowly."""
        if self._reranker is None and self.settings.rerank.url:
            from bookbrain.index.reranker import Reranker  # noqa: PLC0415

            self._reranker = Reranker(self.settings.rerank)
            self._closing.callback(self._reranker.close)
        return self._reranker

    # The keyword index

    def keywords(self, on_book: Callable[[], object] = lambda: None) -> KeywordIndex | None:
        """The index that belongs to the books of now; None for a library without books.

        `on_book` hears of each book whose part is lost, or of another release, and is made again.
        """
        for _ in range(3):  # a writer may swap it between our two looks
            generation = self.catalog.generation()
            if generation is None:
                return None
            if self._keywords and self._keywords[0] == generation:
                return self._keywords[1]
            try:
                self._keywords = (generation, open_generation(self.shards, generation))
            except DAMAGE:
                continue
            return self._keywords[1]
        with file_lock(self.home / "library.lock"):
            self.catalog.set_generation(self.index_books(self.catalog.book_ids(), on_book))
        return self.keywords()

    def index_book(self, book_id: str, pages: list[Page]) -> None:
        """Write the shard of a book, each page a document. No search knows of it yet."""
        write_shard(self.shards, book_id, count_pages(pages))

    def index_books(self, book_ids: list[str], on_book: Callable[[], object] = lambda: None) -> str:
        """Write the keyword index of exactly these books, out of that of now; its name."""

        def index(book_id: str) -> None:
            pages = self.catalog.pages(book_id)
            if not pages:  # it is on its way, and what its preparer wrote is gone
                raise BookBrainError("The postings of a new book are lost.", "Add it again.")
            self.index_book(book_id, pages)
            on_book()

        return write_generation(self.shards, self.catalog.generation(), book_ids, index)

    def forget_keywords(self) -> None:
        """Delete every keyword index."""
        self._keywords = None
        drop_unnamed(self.shards, None)

    # What a crash may have left

    def drop_old_indexes(self) -> None:
        """Remove the keyword indexes that are no longer in use. Only for the one writer.

        The shard of a book that is not in the library yet stays: it is on its way.
        """
        drop_unnamed(self.shards, self.catalog.generation(), set(self.catalog.book_ids()))

    def sweep(self) -> None:
        """Remove what belongs to no book and to no job. Only for the one writer.

        The file of a book is deleted where somebody had the book removed, and nowhere else: one
        that the catalog does not name may be all that is left of a book.
        """
        self._delete_removed()
        for copy in self.incoming.iterdir():
            if self.catalog.has_book(copy.stem) and copy == self.incoming_file(copy.stem):
                self.take_file(copy.stem)
            remove(copy)
        for path in self.books.glob(f"*{PART}"):
            remove(path)
        drop_unnamed(self.shards, self.catalog.generation())
        for name, lock in _WORKPLACES.items():
            if (self.home / name).exists():
                with suppress(BlockingIOError), file_lock(self.home / lock, on_wait=_leave_it):
                    remove(self.home / name)

    def _delete_removed(self) -> None:
        removed = self.catalog.removed()
        for book_id in removed:
            if not self.catalog.has_book(book_id):
                remove(self.stored_file(book_id))
                remove(card_file(self.books, book_id))
        if removed:
            sync_folder(self.books)
            self.catalog.forget_removed(removed)


def _inode(path: Path) -> tuple[int, int] | None:
    with suppress(FileNotFoundError):
        found = path.stat()
        return found.st_dev, found.st_ino
    return None


def _leave_it() -> None:
    """Somebody is at work there."""
    raise BlockingIOError
