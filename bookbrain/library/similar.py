"""Pages like one that is there: by the vectors that its passages have, or by its telling terms."""

import time
from collections import Counter
from math import log

import numpy as np

from bookbrain.errors import InputError
from bookbrain.index import analyzer
from bookbrain.index.keywords import KeywordIndex, Mask
from bookbrain.index.query import Query
from bookbrain.library.filtering import Filter
from bookbrain.library.searching import Asked, answer, depth_for
from bookbrain.library.stores import Stores
from bookbrain.model import Hit, Page, SearchResult

_TELLING = 25  # terms


def similar(stores: Stores, book_id: str, number: int, k: int) -> SearchResult:
    """At most `k` pages like page `number` of a book, but for the page and its two neighbours.

    Asks no embedding endpoint. Where vectors cannot be had the keyword index answers, and
    `degraded` says why. Raises InputError when there is no such page.
    """
    started = time.perf_counter()
    page, index = stores.catalog.find_page(book_id, number), stores.keywords()
    if page is None or index is None:
        raise InputError("There is no such page.", "Search for it again.")
    terms = _telling_terms(index, page)
    hits: tuple[Hit, ...] = ()
    degraded = None
    if terms:
        passages = stores.catalog.passages(book_id)
        others = Filter(stores, index, Query(""), _without(index, book_id, number))
        asked = Asked(
            stores, index, Query(""), dict.fromkeys(terms, 1.0), others, None, depth_for(k),
            stores.settings.vector_weight,
            [p.digest for p in passages if any(span.page == number for span in p.spans)],
        )  # fmt: skip
        hits, degraded = answer(asked, "vector", k)
    took = (time.perf_counter() - started) * 1000
    return SearchResult("", "vector", degraded, round(took, 1), hits)


def _telling_terms(index: KeywordIndex, page: Page) -> list[str]:
    """The terms of the page with the highest tf-idf that are on other pages too."""
    counts = Counter(analyzer.terms(page.text))
    shares = index.shares(counts)
    weights = {
        term: count * -log(share)
        for term, count in counts.items()
        if term not in analyzer.FUNCTION_WORDS
        if (share := shares[term]) * index.documents > 1.5
    }
    return sorted(weights, key=lambda term: (-weights[term], term))[:_TELLING]


def _without(index: KeywordIndex, book_id: str, number: int) -> Mask:
    """All documents but the page's own and those beside it in the book."""
    document = index.document(book_id, number)
    if document is None:
        return np.ones(index.documents, np.bool_)
    beside = np.abs(np.arange(index.documents) - document) <= 1
    return ~(beside & index.of_books([book_id]))
