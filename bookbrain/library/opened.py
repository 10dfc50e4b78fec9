"""A book that somebody reads: its pages, its chapters, and what of it a query matches."""

from dataclasses import dataclass, field
from pathlib import Path

from bookbrain.errors import NotFoundError
from bookbrain.ingest.painting import Picture
from bookbrain.library.matching import marks_on, matching_pages
from bookbrain.library.stores import Stores
from bookbrain.model import Book, Page
from bookbrain.wording import fill

__all__ = ["Chapter", "OpenBook", "Picture", "open_book"]

_PATIENCE = 20.0  # seconds that somebody waits for a picture


@dataclass(frozen=True, slots=True)
class Chapter:
    """An entry of the outline: it begins at character `start` of the text of physical `page`."""

    title: str
    page: int
    start: int


@dataclass(frozen=True, slots=True)
class OpenBook:
    """A book of the library, for as long as the library is open."""

    book: Book
    path: Path
    _stores: Stores = field(repr=False)

    def page(self, number: int) -> Page:
        """A physical page; NotFoundError where the book has no such page."""
        known = 1 <= number <= self.book.pages
        page = self._stores.catalog.find_page(self.book.id, number) if known else None
        if page is None:
            raise NotFoundError(
                fill("This book has no page {number}.", number=number),
                fill("Its pages are 1 to {last}.", last=self.book.pages),
            )
        return page

    def chapters(self) -> tuple[Chapter, ...]:
        """The outline, in page order."""
        pages = self._stores.catalog.pages(self.book.id)
        return tuple(
            Chapter(h.title, page.number, h.start) for page in pages for h in page.headings
        )

    def matches(self, query: str) -> tuple[int, ...]:
        """The pages that match the query, in page order; none for a query that says nothing."""
        return matching_pages(self._stores, query, self.book.id)

    def marks(self, page: Page, query: str) -> tuple[tuple[int, int], ...]:
        """Start and end of what search would mark in the text of `page`, in order."""
        return marks_on(self._stores, query, page.text)

    def picture(self, number: int, query: str, width: int) -> Picture:
        """A page with what search would mark on it; NotFoundError where there is no such page."""
        page = self.page(number)
        settings = self._stores.settings
        return Picture(
            path=str(self.path),
            number=number,
            width=width,
            text=page.text,
            marks=self.marks(page, query),
            timeout=min(settings.read_timeout, _PATIENCE),
            memory_mb=settings.read_memory,
        )


def open_book(stores: Stores, book_id: str) -> OpenBook:
    """The book with this whole id; NotFoundError for another."""
    book = stores.catalog.book(book_id)
    if book is None:
        raise NotFoundError("There is no such book.", "It may have been removed: search again.")
    return OpenBook(book, stores.book_file(book_id), stores)
