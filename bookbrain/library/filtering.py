"""Which pages may be found: those that the book filter, the phrases and the exclusions leave."""

from collections.abc import Callable, Iterable, Sequence

import numpy as np

from bookbrain.index import analyzer
from bookbrain.index.keywords import KeywordIndex, Mask
from bookbrain.index.query import Query, phrase_finder
from bookbrain.library.stores import Stores

_MOST = 4_000  # texts that are looked at for the phrases of one query: some tenths of a second


class Filter:
    """What one query leaves of the documents of an index.

    `mask` is what the index knows, None for all: it leaves each page with the words of a phrase.
    Whether they stand there as a phrase only the page's text tells.
    """

    def __init__(
        self, stores: Stores, index: KeywordIndex, query: Query, mask: Mask | None
    ) -> None:
        self.mask = mask
        self._stores, self._index = stores, index
        self._wanted = [phrase_finder(phrase) for phrase, _ in _telling(query.phrases)]
        self._unwanted = [phrase_finder(phrase) for phrase in query.excluded_phrases]
        self._known: dict[int, bool] = {}

    @property
    def looks_at_texts(self) -> bool:
        return bool(self._wanted or self._unwanted)

    def leaves(self, document: int) -> bool:
        """Whether a document may be found; of one too many for a quick answer, that it may not."""
        if self.mask is not None and not self.mask[document]:
            return False
        if not self.looks_at_texts:
            return True
        if document not in self._known:
            self._known[document] = len(self._known) < _MOST and self._has_phrases(document)
        return self._known[document]

    def best(self, rank: Callable[[int], dict[int, float]], count: int) -> dict[int, float]:
        """The first `count` that are left of what `rank` finds, asked for ever more."""
        for asked in (count, *([10 * count, 40 * count] if self.looks_at_texts else [])):
            found = rank(asked)
            left = [document for document in found if self.leaves(document)][:count]
            if len(left) == count or len(found) < asked:
                break
        return {document: found[document] for document in left}

    def _has_phrases(self, document: int) -> bool:
        page = self._stores.catalog.find_page(*self._index.place(document))
        return (
            page is not None
            and all(has(page.text) for has in self._wanted)
            and not any(has(page.text) for has in self._unwanted)
        )


def mask_of(index: KeywordIndex, query: Query, books: Sequence[str] | None) -> Mask | None:
    """The documents of the books that have the words of the phrases and no excluded word."""
    kept = [_having(index, terms) for _, terms in _telling(query.phrases)]
    excluded = [_terms_of_word(word) for word in query.excluded_words]
    dropped = [_having(index, terms) for terms in excluded if terms]
    if books is None and not kept and not dropped:
        return None
    mask = np.ones(index.documents, np.bool_) if books is None else index.of_books(books)
    for having in kept:
        mask &= having
    for having in dropped:
        mask &= ~having
    return mask


def _telling(phrases: Iterable[str]) -> list[tuple[str, list[str]]]:
    """The phrases that say anything, each with its terms: "." does not."""
    return [(p, terms) for p in phrases if (terms := analyzer.literal_terms(p))]


def _terms_of_word(word: str) -> list[str]:
    return analyzer.literal_terms(word) or analyzer.terms(word)


def _having(index: KeywordIndex, terms: Sequence[str]) -> Mask:
    having = np.zeros(index.documents, np.bool_)
    having[index.having_all(terms)] = True
    return having
