"""The library's folder and the stores in it, opened together."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from bookbrain.config import Settings
from bookbrain.durable import PART, file_lock, remove
from bookbrain.errors import BookBrainError
from bookbrain.index.catalog import Catalog
from bookbrain.index.chroma import chroma_url
from bookbrain.index.embeddings import STORE, EmbeddingStore
from bookbrain.index.generations import drop_unnamed, open_generation, write_generation
from bookbrain.index.keywords import KeywordIndex
from bookbrain.index.postings import count_pages
from bookbrain.index.shards import DAMAGE, write_shard
from bookbrain.model import EmbeddingSpace, Page
from bookbrain.server import refuse_in_upgrade

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

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.home = settings.home
        self.books = self.home / "books"
        self.shards = self.home / "keywords"
        for folder in (self.home, self.books, self.shards):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._closing = ExitStack()
        self.catalog = Catalog(self.home / "catalog.sqlite3")
        self._closing.callback(self.catalog.close)
        self.embeddings = EmbeddingStore(self.home / STORE)
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
        """Be the one writer; waits for another one, having said so by `on_wait`.

        Raises BusyError while a server's release is being exchanged.
        """
        refuse_in_upgrade(self.home)
        with file_lock(self.home / "library.lock", on_wait=on_wait):
            refuse_in_upgrade(self.home)  # it may have begun meanwhile, and waited for this lock
            self.sweep()
            yield
            self.sweep()  # what was refused leaves no copy of its file

    def book_file(self, book_id: str) -> Path:
        return self.books / f"{book_id}.pdf"

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
        """Remove what belongs to no book and to no job. Only for the one writer."""
        known = set(self.catalog.book_ids())
        busy = bool(self.catalog.jobs())
        for path in self.books.iterdir():
            if path.name.endswith(PART) or (path.stem not in known and not busy):
                remove(path)
        drop_unnamed(self.shards, self.catalog.generation())
        for name, lock in _WORKPLACES.items():
            if (self.home / name).exists():
                with suppress(BlockingIOError), file_lock(self.home / lock, on_wait=_leave_it):
                    remove(self.home / name)


def _leave_it() -> None:
    """Somebody is at work there."""
    raise BlockingIOError
