"""A book that somebody reads: its pages, its chapters, and what of it a query matches."""

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, TypeVar
from unicodedata import normalize

from bookbrain.errors import InputError, NotFoundError
from bookbrain.formats.format import FORMAT
from bookbrain.formats.page_image import Letters, Picture, Sheet
from bookbrain.index.analyzer import FUNCTION_WORDS, HEADING
from bookbrain.index.bm25 import TermScorer, best_pages
from bookbrain.library.recognised_text import unread_note
from bookbrain.messages import fill, message_of
from bookbrain.model import Book, Page, doubt
from bookbrain.ocr.engine import RecognisedPage, letters_of
from bookbrain.search.query import CompiledQuery, compile_query
from bookbrain.search.syntax import parse_query
from bookbrain.store.database import suppress_damage
from bookbrain.store.folder import Stores
from bookbrain.store.recognised import Reading

_SHORTEST_ID = 4
_MOST_NAMED = 5  # where a reference means several books


class Named(Protocol):
    """A book in the library, or one that a backup lists; `file` is the name the owner gave."""

    @property
    def id(self) -> str: ...

    @property
    def file(self) -> str: ...


B = TypeVar("B", bound=Named)


def pick(books: Iterable[B], reference: str, hint: str, tell: Callable[[B], str]) -> B:
    """The one of the books that an id, the start of one, or a file name means.

    Raises InputError with the `hint` when it is none of them, or several, which `tell` tells apart.
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
    if not matches:
        raise InputError(fill("There is no book {reference!r}.", reference=reference), hint)
    listed = tell(matches[0])
    for match in matches[1:_MOST_NAMED]:
        listed = fill("{first}, or {others}", first=listed, others=tell(match))
    raise InputError(
        fill("Several books are {reference!r}.", reference=reference),
        fill("They are: {books}. {hint}", books=listed, hint=message_of(hint)),
    )


_MOST_PAGES = 50
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
    _asked: dict[tuple[str, bool], CompiledQuery | None] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

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

    def labels(self) -> tuple[str, ...]:
        """What is printed on each page, in order; "" where that is nothing of its own."""
        return tuple(page.label for page in self._stores.catalog.pages(self.book.id))

    def matches(self, query: str) -> tuple[int, ...]:
        """The pages of the book with every word of the query, in page order.

        Where no page has them all: the 50 that a keyword search finds first; where its commands
        leave none, as many for its plain words. None for a query that says nothing.
        """
        asked = self._compiled(query)
        if asked is None:
            return ()
        found = _pages(asked)
        if not found and asked.is_commanded:
            found = _pages(self._compiled(query, plain=True) or asked)
        return tuple(sorted(asked.index.place(document)[1] for document in found))

    def marks(self, page: Page, query: str) -> tuple[tuple[int, int], ...]:
        """Start and end of what search would mark in the text of `page`, in order."""
        asked = self._compiled(query)
        return tuple(asked.marker.find(page.text)) if asked else ()

    def _compiled(self, typed: str, *, plain: bool = False) -> CompiledQuery | None:
        """The query over this book, compiled once; None for one that says nothing."""
        if (typed, plain) not in self._asked:
            index, asked = self._stores.keywords(), None
            with suppress(InputError):
                parsed = parse_query(typed)
                if index is not None:
                    catalog = self._stores.catalog
                    asked = compile_query(parsed, index, catalog, [self.book.id], plain=plain)
            self._asked[typed, plain] = asked
        return self._asked[typed, plain]

    def picture(self, number: int, query: str, width: int) -> Picture:
        """A page with what search would mark on it; NotFoundError where there is no such page."""
        page = self.page(number)
        marks = self.marks(page, query)
        settings = self._stores.settings
        return FORMAT.picture(
            path=str(self.path),
            number=number,
            width=width,
            text=page.text,
            marks=marks,
            timeout=min(settings.read_timeout, _PATIENCE),
            memory_mb=settings.read_memory,
            words=self._words(page) if marks else (),
        )

    def sheet(self, page: Page, spans: Sequence[tuple[int, int]]) -> Sheet:
        """Where these spans of the text of `page` stand, to be found."""
        settings = self._stores.settings
        return FORMAT.sheet(
            path=str(self.path),
            number=page.number,
            text=page.text,
            spans=tuple(spans),
            timeout=min(settings.read_timeout, _PATIENCE),
            memory_mb=settings.read_memory,
            words=self._words(page),
        )

    def remark(self, page: Page) -> str:
        """What a person has to know of what text recognition made of a page: that it is uncertain,
        or that there is nothing, and why; "" where all is well, and where it has not been there."""
        reading = self._reading(page)
        if reading and page.problem:
            return unread_note(reading)
        return doubt(reading.confidence) if isinstance(reading, RecognisedPage) else ""

    def _words(self, page: Page) -> tuple[Letters, ...]:
        """The words that were read from the picture of a page and are in its text."""
        reading = self._reading(page)
        if not isinstance(reading, RecognisedPage):
            return ()
        return tuple(letters_of(reading.last_of(page.text)))

    def _reading(self, page: Page) -> Reading | None:
        """What was read from the picture of a page; None where that was not, or is damaged."""
        with suppress_damage():
            if reading := self._stores.embeddings.recognised.get(self.book.id, page.number):
                return reading
        return None


def _pages(asked: CompiledQuery) -> list[int]:
    """The documents that have every word, or every sign; else the best few."""
    having = asked.index.having_all(asked.words).tolist() if asked.words else [*asked.found]
    found = [document for document in having if asked.allowed.allows(document)]
    if found:
        return found
    ranked = best_pages(asked.index, _telling(asked), _MOST_PAGES, asked.allowed.mask)
    return [document for document in ranked if asked.allowed.allows(document)]


def _telling(asked: CompiledQuery) -> Sequence[TermScorer]:
    """The terms of a query without function words, where there are others."""
    plain = [t for t in asked.terms if t.term.removeprefix(HEADING) not in FUNCTION_WORDS]
    return plain or asked.terms


def open_book(stores: Stores, book_id: str) -> OpenBook:
    """The book with this whole id; NotFoundError for another."""
    book = stores.catalog.book(book_id)
    if book is None:
        raise NotFoundError("There is no such book.", "It may have been removed: search again.")
    return OpenBook(book, stores.book_file(book_id), stores)
