"""A book that somebody reads: its pages, its chapters, and what of it a query matches."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, TypeVar
from unicodedata import normalize

from bookbrain.errors import InputError, NotFoundError
from bookbrain.formats.format import FORMAT
from bookbrain.formats.page_image import Picture
from bookbrain.index import analyzer
from bookbrain.index.analyzer import is_word
from bookbrain.messages import fill
from bookbrain.model import Book, Page
from bookbrain.search.query import Filter, Query, mask_of, parse_query
from bookbrain.search.ranking import asked_for, best_pages
from bookbrain.search.retrieval import mark_weights
from bookbrain.search.snippet import Mark, Marker
from bookbrain.store.folder import Stores

_SHORTEST_ID = 4


class Named(Protocol):
    """A book in the library, or one that a backup lists; `file` is the name the owner gave."""

    @property
    def id(self) -> str: ...

    @property
    def file(self) -> str: ...


B = TypeVar("B", bound=Named)


def pick(books: Iterable[B], reference: str, hint: str) -> B:
    """The one of the books that an id, the start of one, or a file name means.

    Raises InputError with the `hint` when it is none of them, or several.
    """
    name = normalize("NFC", reference)
    matches = [
        book
        for book in books
        if reference == book.id
        or name == normalize("NFC", book.file)  # some systems take Hangul apart
        or (len(reference) >= _SHORTEST_ID and book.id.startswith(reference.lower()))
    ]
    if len(matches) == 1:
        return matches[0]
    raise InputError(
        fill("Several books are {reference!r}.", reference=reference)
        if matches
        else fill("There is no book {reference!r}.", reference=reference),
        hint,
    )


_MOST_PAGES = 50


def matching_pages(stores: Stores, typed: str, book_id: str) -> tuple[int, ...]:
    """The pages of the book with every word of the query, in page order.

    Where no page has them all: the 50 that a keyword search finds first. None for a query that says
    nothing.
    """
    index, query = stores.keywords(), _parsed(typed)
    if index is None or query is None:
        return ()
    terms = list(mark_weights(index, analyzer.terms(query.text)))
    allowed = Filter(stores.catalog, index, query, mask_of(index, query, [book_id]))
    words = [term for term in terms if not term.startswith((analyzer.PAIR, analyzer.WHOLE))]
    having = index.having_all(words or terms)
    found = [document for document in having.tolist() if allowed.leaves(document)]
    if not found:
        weights = asked_for(index, query.text, terms)
        ranked = best_pages(index, weights, _MOST_PAGES, allowed.mask)
        found = [document for document in ranked if allowed.leaves(document)]
    return tuple(sorted(index.place(int(document))[1] for document in found))


def marks_on(stores: Stores, typed: str, text: str) -> tuple[Mark, ...]:
    """What of a page's text search would mark for the query, in order."""
    index, query = stores.keywords(), _parsed(typed)
    if index is None or query is None:
        return ()
    asked = asked_for(index, query.text, analyzer.terms(query.text))
    weights = mark_weights(index, [term for term in asked if is_word(term)])
    return tuple(Marker(weights, query.phrases).find(text))


def _parsed(typed: str) -> Query | None:
    """None for what says nothing."""
    try:
        return parse_query(typed)
    except InputError:
        return None


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
        return FORMAT.picture(
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
