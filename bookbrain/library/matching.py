"""Where a query matches in one book, and on one page."""

from bookbrain.errors import InputError
from bookbrain.index import analyzer
from bookbrain.index.fields import is_word
from bookbrain.index.query import Query, parse_query
from bookbrain.index.ranking import asked_for, best_pages
from bookbrain.index.snippet import Mark, Marker
from bookbrain.library.filtering import Filter, mask_of
from bookbrain.library.searching import mark_weights
from bookbrain.library.stores import Stores

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
    allowed = Filter(stores, index, query, mask_of(index, query, [book_id]))
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
