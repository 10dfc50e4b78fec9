"""The keyword leg: which pages a query finds by its words, and in which order."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from bookbrain.index.analyzer import PAIR
from bookbrain.index.fields import is_word, query_weights
from bookbrain.index.keywords import KeywordIndex, Mask
from bookbrain.index.signatures import are_alike
from bookbrain.index.spelling import other_spellings

_IDENTIFIER = 10.0
_NEIGHBOUR, _BOOK = 0.1, 0.4  # what the pages beside a page and its whole book add; tests/golden


def asked_for(index: KeywordIndex, text: str, terms: Sequence[str]) -> dict[str, float]:
    """Every term that a query of these terms finds a page by, with what it counts.

    Where nothing but an identifier is asked for, pages that have all of it come before those that
    have its parts, however often.
    """
    weights = query_weights(terms)
    if len(terms) > 1 and " " not in text and not terms[0].startswith(PAIR):
        weights[terms[0]] *= _IDENTIFIER
    for other, share in other_spellings(text, terms, index.shares).items():
        for term, weight in query_weights([other]).items():
            weights[term] = weights.get(term, 0) + share * weight
    return weights


def best_pages(
    index: KeywordIndex, weights: Mapping[str, float], count: int, allowed: Mask | None = None
) -> dict[int, float]:
    """The best `count` of the allowed documents and their scores, best first.

    The pages before and behind it count with a page, for an answer often begins on one and ends on
    the next; and its book, for it tells what the page is about.
    """
    terms = index.look_up(weights)
    found = index.best(terms, count, allowed)
    if not found:
        return {}
    beside = dict(zip(found, index.beside([*found]), strict=True))
    unknown = sorted({n for pages in beside.values() for n in pages} - found.keys())
    words = [term for term in terms if is_word(term.term)]
    known = found | dict(zip(unknown, index.scores(words, unknown).tolist(), strict=True))
    books = index.book_scores(words, [*found]).tolist()
    total = {
        document: score + _NEIGHBOUR * sum(known[page] for page in beside[document]) + _BOOK * book
        for (document, score), book in zip(found.items(), books, strict=True)
    }
    return dict(sorted(total.items(), key=lambda item: -item[1]))


def fold_duplicates(index: KeywordIndex, ranked: Iterable[int], count: int) -> dict[int, list[int]]:
    """The first `count` documents that are unlike each other, each with those that are like it."""
    documents = [*ranked]
    if not documents:
        return {}
    alike = are_alike(np.array([index.signature(document) for document in documents]))
    kept: dict[int, list[int]] = {}
    places: list[int] = []
    for place, document in enumerate(documents):
        first = next((other for other in places if alike[place, other]), None)
        if first is not None:
            kept[documents[first]].append(document)
        elif len(kept) < count:
            kept[document] = []
            places.append(place)
    return kept
