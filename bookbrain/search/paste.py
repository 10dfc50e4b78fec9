"""Pages on which pieces of a pasted text stand; of a trace it may be a single line."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from math import log

import numpy as np

from bookbrain.index.analyzer import literal_terms
from bookbrain.index.bm25 import KeywordIndex, Numbers

_FEWEST, _WORDS, _STEP = 3, 6, 3  # terms that make a piece; words of a piece of a longer line
_MOST_PAGES = 200  # what is on more is said everywhere


def find_pieces(lines: Iterable[str], index: KeywordIndex) -> Mapping[int, float]:
    """The documents that have all words of a piece, and how much they have, 0 to 1."""
    pieces = {*_pieces(lines)}
    known = {
        scorer.term: scorer.documents
        for scorer in index.look_up({term: 1.0 for piece in pieces for term in piece})
    }
    totals: dict[int, float] = {}
    for piece in pieces:
        having = _in_all([known.get(term) for term in piece])
        worth = log(index.documents / max(len(having), 1)) * len(piece)
        for document in having.tolist():
            totals[document] = totals.get(document, 0.0) + worth
    most = max(totals.values(), default=1.0) or 1.0
    return {document: total / most for document, total in totals.items()}


def _pieces(lines: Iterable[str]) -> Iterator[frozenset[str]]:
    """Each line; of a longer one every stretch of a few words. Numbers are those of another day."""
    for line in lines:
        words = line.split()
        starts = range(0, max(len(words) - _WORDS, 0) + _STEP, _STEP)
        for start in starts:
            part = words[max(min(start, len(words) - _WORDS), 0) :][:_WORDS]
            terms = {t for word in part for t in literal_terms(word) if not t.isdecimal()}
            if len(terms) >= _FEWEST:
                yield frozenset(terms)


def _in_all(postings: Sequence[Numbers | None]) -> Numbers:
    """The documents in all of them, which ascend; none where that says nothing."""
    none = np.empty(0, np.int64)
    having = sorted((documents for documents in postings if documents is not None), key=len)
    if len(having) < len(postings):
        return none
    found = having[0]
    for documents in having[1:]:
        if not len(found):
            break
        places = np.minimum(documents.searchsorted(found), len(documents) - 1)
        found = found[documents[places] == found]
    return found if len(found) <= _MOST_PAGES else none
