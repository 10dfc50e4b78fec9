"""What health asks of an open library. No question costs anything."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from bookbrain.errors import BookBrainError, UnavailableError
from bookbrain.library import searching
from bookbrain.library.stores import Stores
from bookbrain.wording import fill

_MOST_WORDS = 20
_REBUILD = "Run `bookbrain rebuild`."


_MOST_NAMED = 3


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is not as it should be, and what to do about it."""

    seen: str
    remedy: str


def check_files(stores: Stores) -> list[Finding]:
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
        findings.append(Finding(seen, remedy))
    titles = {book_id: title for book_id, title, *_ in stores.catalog.card_rows()}
    if gone := [titles[i] for i in stores.missing_files() if i in titles]:
        seen = fill(
            "Books whose PDF is not in the library: {count} ({names}).",
            count=len(gone),
            names=_some(gone),
        )
        remedy = "Add these PDFs again, or bring them back from a backup."
        findings.append(Finding(seen, remedy))
    return findings


def _some(names: Iterable[str]) -> str:
    shown = list(names)
    return ", ".join([*shown[:_MOST_NAMED], *(["…"] if shown[_MOST_NAMED:] else [])])


def check_search(stores: Stores) -> float:
    """The ms that a search takes for words of a page that is there; BookBrainError if it fails."""
    words = _words(stores)
    query = " ".join(words) or "준비 ready"
    result = searching.search(stores, query, k=1, mode="keyword", books=None)
    if words and not result.hits:
        raise BookBrainError("A search finds nothing of what is on the pages.", _REBUILD)
    return result.took_ms


def check_chroma(stores: Stores) -> int:
    """How many vectors Chroma holds; UnavailableError where it fails, or lacks some."""
    space = stores.space()
    expected = stores.catalog.embedded_passages(str(space)) if space else 0
    if not space or not expected:
        return 0
    semantics = stores.semantics()
    if (held := semantics.held(space)) < expected:
        raise UnavailableError(
            fill(
                "Chroma lacks {missing} of {expected} passages.",
                missing=expected - held,
                expected=expected,
            ),
            _REBUILD,
        )
    semantics.check_chroma(space)
    return held


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
