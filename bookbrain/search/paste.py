"""Pages on which pieces of a pasted text stand; of a trace it may be a single line."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from math import log

import numpy as np

from bookbrain.index.analyzer import literal_terms
from bookbrain.index.bm25 import KeywordIndex, Numbers

_FEWEST, _WORDS, _STEP = 3, 6, 3  # terms that make a piece; words of a piece of a longer line
_RAREST = 5  # terms of a piece that are looked up
_BEST = 100  # documents
_MOST_PAGES = 200  # what is on more is said everywhere


def find_pieces(lines: Iterable[str], index: KeywordIndex) -> Mapping[int, float]:
    """The best documents that have the rarest words of a piece that has no strange one; and how
    much of the text they have against the first of them, 0 to 1."""
    pieces = {*_pieces(lines)}
    shares = index.shares(term for piece in pieces for term in piece)
    rarest = {
        piece: sorted(piece, key=lambda term: (shares[term], term))[:_RAREST]
        for piece in pieces
        if all(shares[term] for term in piece)
    }
    known = {
        scorer.term: scorer.documents
        for scorer in index.look_up({term: 1.0 for terms in rarest.values() for term in terms})
    }
    totals: dict[int, float] = {}
    for piece, terms in rarest.items():
        having = _in_all([known[term] for term in terms])
        worth = log(index.documents / max(len(having), 1)) * len(piece)
        for document in having.tolist():
            totals[document] = totals.get(document, 0.0) + worth
    best = sorted(totals.items(), key=lambda found: -found[1])[:_BEST]
    return {document: total / best[0][1] for document, total in best if total}


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


def _in_all(postings: Sequence[Numbers]) -> Numbers:
    """The documents in all of them, which ascend and begin with the shortest; none where too many
    have them."""
    found = postings[0]
    for documents in postings[1:]:
        if not len(found):
            break
        places = np.minimum(documents.searchsorted(found), len(documents) - 1)
        found = found[documents[places] == found]
    return found if len(found) <= _MOST_PAGES else found[:0]
