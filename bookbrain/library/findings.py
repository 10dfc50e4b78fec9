"""Whether a library works, asked without the embedding endpoint."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from random import Random

from bookbrain.errors import OLDER_BACKUP, BookBrainError, UnavailableError
from bookbrain.messages import fill
from bookbrain.model import Book, Page, parse_space
from bookbrain.reports import Check
from bookbrain.search import retrieval
from bookbrain.search.retrieval import ConnectedStores
from bookbrain.store.folder import Stores

_MOST_WORDS = 20
_REBUILD = "Run `bookbrain rebuild`."
_MOST_NAMED = 3


def check_files(stores: Stores) -> list[Check]:
    """Files that belong to no book, and books without their file; nothing is read."""
    findings = []
    if strays := [card.title or card.file for card in stores.orphans()]:
        seen = fill(
            "PDFs in the library that belong to no book: {count} ({names}).",
            count=len(strays),
            names=_some(strays),
        )
        remedy = (
            "Take them in: `bookbrain recover`; on a server with sudo. "
            "What it cannot take in, move out of that folder."
        )
        findings.append(Check.warn("files", seen, remedy))
    books = stores.catalog.card_rows()
    if gone := [title for i, title, *_ in books if not stores.book_file(i).is_file()]:
        seen = fill(
            "Books whose PDF is not in the library: {count} ({names}).",
            count=len(gone),
            names=_some(gone),
        )
        remedy = "Add these PDFs again, or bring them back from a backup."
        findings.append(Check.warn("files", seen, remedy))
    return findings


def _some(names: Iterable[str]) -> str:
    shown = list(names)
    return ", ".join([*shown[:_MOST_NAMED], *(["…"] if shown[_MOST_NAMED:] else [])])


def check_search(stores: ConnectedStores) -> float:
    """The ms that a search takes for words of a page that is there; BookBrainError if it fails."""
    words = _words(stores)
    query = " ".join(words) or "준비 ready"
    result = retrieval.search(stores, query, k=1, mode="keyword", books=None)
    if words and not result.hits:
        raise BookBrainError("A search finds nothing of what is on the pages.", _REBUILD)
    return result.took_ms


def check_chroma(stores: ConnectedStores) -> int:
    """How many vectors Chroma holds; UnavailableError where it fails, or lacks some."""
    space = stores.space()
    expected = stores.catalog.embedded_passages(str(space)) if space else 0
    if not space or not expected:
        return 0
    semantics = stores.semantics
    if (held := semantics.held(space)) < expected:
        raise UnavailableError(_lacking(held, expected), _REBUILD)
    semantics.check_chroma(space)
    return held


def wake_chroma(stores: ConnectedStores) -> None:
    """As in `Library`."""
    space = stores.space()
    if space and stores.catalog.embedded_passages(str(space)):
        stores.semantics.wake(space)


def _lacking(held: int, expected: int) -> str:
    return fill(
        "Chroma lacks {missing} of {expected} passages.", missing=expected - held, expected=expected
    )


def unembedded(stores: Stores) -> int:
    """How many books search by meaning does not see yet."""
    space = stores.space()
    return len(stores.catalog.unembedded_books(str(space) if space else ""))


def _words(stores: Stores) -> list[str]:
    """Some that search must find; none in a library without text."""
    for book_id in stores.catalog.book_ids():
        passage = stores.catalog.find_passage(book_id, 0)
        page = stores.catalog.find_page(book_id, passage.spans[0].page) if passage else None
        if page and (words := re.findall(r"[^\W\d_]{3,}", page.text)):
            return words[:_MOST_WORDS]
    return []


_BOOKS, _PAGES, _PASSAGES = 10, 2, 20  # looked at: books, pages of each, passages of a space
_WORDS = 12  # of a page in one query: its longest
_DEPTH = 10
_MISSES = 0.1  # of the nearest neighbours: Chroma's graph is approximate
_WORD = re.compile(r"[^\W_]{3,40}")


@dataclass(frozen=True, slots=True)
class Expected:
    """How many books, pages and passages a library should have."""

    books: int
    pages: int
    passages: int

    @classmethod
    def of(cls, books: Sequence[Book]) -> "Expected":
        """What these books are together."""
        return cls(
            len(books), sum(book.pages for book in books), sum(book.passages for book in books)
        )


def prove(stores: ConnectedStores, expected: Expected) -> int:
    """Compare the counts and ask the canned queries; how many were asked.

    The same library is always asked the same. Raises BookBrainError at the first that is wrong.
    """
    books = stores.catalog.books()
    found = Expected.of(books)
    if found != expected:
        raise BookBrainError(
            fill(
                "The restored library has other counts: {books} books, {pages} pages, "
                "{passages} passages.",
                books=found.books,
                pages=found.pages,
                passages=found.passages,
            ),
            OLDER_BACKUP,
        )
    random = Random(0)  # noqa: S311  (the same library is asked the same)
    ids = [book.id for book in books]
    asked = 0
    for book in random.sample(books, min(_BOOKS, len(books))):
        readable = [page for page in stores.catalog.pages(book.id) if _query(page)]
        for page in random.sample(readable, min(_PAGES, len(readable))):
            _ask(stores, book, page)
            asked += 1
    for name in sorted(stores.catalog.embedded_spaces()):
        asked += _ask_vectors(stores, name, ids, random)
    return asked


def _query(page: Page) -> str:
    """The longest words of a page; "" when it has too few to be found by them."""
    words = sorted(
        set(_WORD.findall("" if page.problem else page.text)), key=lambda w: (-len(w), w)
    )
    return " ".join(words[:_WORDS]) if len(words) >= _WORDS else ""


def _ask(stores: ConnectedStores, book: Book, page: Page) -> None:
    """The page has all the words: it is found, unless ten others of its book are better."""
    result = retrieval.search(stores, _query(page), k=_DEPTH, mode="keyword", books=[book.id])
    if len(result.hits) < _DEPTH and all(hit.page != page.number for hit in result.hits):
        raise BookBrainError(
            fill(
                "The restored library does not find page {page} of {title}.",
                page=page.number,
                title=book.title,
            ),
            OLDER_BACKUP,
        )


def _ask_vectors(stores: ConnectedStores, name: str, ids: Sequence[str], random: Random) -> int:
    """Every passage must be the nearest to its own vector."""
    space = parse_space(name)
    vectors = stores.semantics.vectors(space)
    expected, held = stores.catalog.embedded_passages(name), vectors.count()
    if held < expected:
        raise BookBrainError(_lacking(held, expected), "Run the same again.")
    embedded = [i for i in ids if stores.catalog.is_embedded(i, name)]
    chosen = []
    for book_id in random.sample(embedded, min(_PASSAGES, len(embedded))):
        passages = stores.catalog.passages(book_id)
        known = stores.embeddings.get(space, [p.digest for p in passages])
        chosen += [(random.choice([*known.items()]))] if known else []
    missed = sum(
        digest not in _digests(stores, vectors.nearest(vector, _DEPTH)) for digest, vector in chosen
    )
    if missed > _MISSES * len(chosen):
        raise BookBrainError(
            fill(
                "The restored library does not find {missed} of {asked} passages by meaning.",
                missed=missed,
                asked=len(chosen),
            ),
            OLDER_BACKUP,
        )
    return len(chosen)


def _digests(stores: Stores, keys: Sequence[tuple[str, int]]) -> set[str]:
    """Of the passages there are."""
    return {p.digest for key in keys if (p := stores.catalog.find_passage(*key))}
