"""What health asks of an open library. No question costs anything."""

import re

from bookbrain.errors import BookBrainError, UnavailableError
from bookbrain.library import searching
from bookbrain.library.stores import Stores

_MOST_WORDS = 20
_REBUILD = "Run `bookbrain rebuild`."


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
        raise UnavailableError(f"Chroma lacks {expected - held} of {expected} passages.", _REBUILD)
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
