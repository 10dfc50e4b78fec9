"""BM25 over the pages of all segments, computed when it is asked.

Scores are those of `rank_bm25.BM25Plus` with delta = 0, whose idf, log((N + 1) / df), is never
negative, over all pages of the library that have any term; a test holds them together. Formula:
Robertson and Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond", 2009. They do not
depend on how the library is cut into segments.

The best documents are found exactly, as in MaxScore (Turtle and Flood, "Query evaluation", 1995):
rare terms first; once those that are left cannot lift another document into the best, they are
looked up only for the documents that still can get there.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from math import log
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bookbrain.index.analyzer import is_word
from bookbrain.index.segment import (
    Documents,
    Frequencies,
    Segment,
    Signatures,
    Terms,
    open_segment,
    segments_of,
    term_key,
)

_POOL = 8  # times k: how many documents the limit is taken from


class TopK:
    """A score that the `k` best documents have at least, by what is summed up so far."""

    def __init__(self, totals: NDArray[np.float64], k: int) -> None:
        self.value = 0.0
        self._totals, self._k = totals, k
        self._pool = np.empty(0, np.int64)

    def rise(self, documents: NDArray[np.int64], before: NDArray[np.float64]) -> None:
        """Look again after `documents`, which had `before`, were given more.

        Any documents will do for a lower bound: those of the rarest terms are few and good.
        """
        if len(self._pool) < _POOL * self._k:
            self._pool = np.concatenate([self._pool, documents[before == 0]])
        scores = self._totals[self._pool]
        self.value = kth(scores, self._k)
        if len(self._pool) > 2 * _POOL * self._k:
            self._pool = self._pool[scores >= kth(scores, _POOL * self._k)]


def kth(scores: NDArray[np.float64], k: int) -> float:
    """The `k`-th largest of the scores; 0 when they are fewer."""
    return float(np.partition(scores, -k)[-k]) if len(scores) >= k else 0.0


K1, B = 1.2, 0.6  # tests/golden
Numbers = NDArray[np.int64]
Scores = NDArray[np.float64]
Mask = NDArray[np.bool_]
_ROUNDING = 1 + 1e-5  # of a bound: shares are 32-bit numbers
_MOST_KNOWN = 10_000  # terms whose postings are remembered
_LOOKUP = 8  # to look a document up costs as much as so many postings in a row


@dataclass(frozen=True, slots=True)
class _Run:
    """A term's postings in one segment, whose documents are numbered from `first`."""

    first: int
    documents: Documents
    frequencies: Frequencies


@dataclass(frozen=True, slots=True)
class TermScorer:
    """A term of a query and its postings, which ascend. It gives no document more than `most`."""

    term: str
    most: float
    documents: Numbers
    frequencies: Frequencies


class KeywordIndex:
    """Some open segments. Documents are numbered over all books, the pages of a book in order.

    A query is looked up first: its terms, and what each counts. One that nobody has says nothing.
    """

    def __init__(self, segments: Sequence[Segment]) -> None:
        sizes = [len(segment.lengths) for segment in segments]
        self.texts = {book.text for segment in segments for book in segment.books}
        self._segments = segments
        self._known: dict[str, list[_Run]] = {}
        self._starts = [0, *np.cumsum(sizes, dtype=int).tolist()]
        self.documents: int = self._starts[-1]
        books = [
            (book.id, start + book.first)
            for segment, start in zip(segments, self._starts, strict=False)
            for book in segment.books
        ]
        self._books = [book_id for book_id, _ in books]
        self._first = np.array([first for _, first in books], np.int64)
        self._ends = np.append(self._first[1:], self.documents)
        self._number = {book_id: n for n, book_id in enumerate(self._books)}
        self._rank = np.argsort(np.argsort(self._books))
        # Blank pages must not make every other page long.
        self._count = sum(segment.full for segment in segments)
        average = sum(segment.length for segment in segments) / max(self._count, 1) or 1.0
        lengths = np.concatenate(
            [np.empty(0, np.int32), *(segment.lengths for segment in segments)]
        )
        self._norms = (K1 * (1 - B + B * lengths / average)).astype(np.float32)
        self._book_lengths = np.add.reduceat(lengths, self._first) if books else lengths

    # Asking

    def look_up(self, weights: Mapping[str, float]) -> list[TermScorer]:
        """The terms that count, those that can give most first."""
        found = (
            TermScorer(term, weight * self._idf(runs) * (K1 + 1), *_joined(runs))
            for (term, weight), runs in zip(weights.items(), self._runs([*weights]), strict=True)
            if runs and weight > 0
        )
        return sorted(found, key=lambda term: -term.most)

    def best(
        self, terms: Sequence[TermScorer], k: int, allowed: Mask | None = None
    ) -> dict[int, float]:
        """The best `k` of the allowed documents with any of the terms, and their scores.

        Best first; equal ones in the order of their books' ids and their pages.
        """
        left = _ROUNDING * np.cumsum([0.0, *(term.most for term in reversed(terms))])[::-1]
        totals = np.zeros(self.documents)
        limit = TopK(totals, k)
        summed = 0
        while summed < len(terms) and left[summed] >= limit.value:
            documents, shares = terms[summed].documents, self._shares(terms[summed])
            if allowed is not None:
                documents, shares = documents[allowed[documents]], shares[allowed[documents]]
            before = totals[documents]
            totals[documents] = before + shares
            limit.rise(documents, before)
            summed += 1
        found = np.flatnonzero(totals >= limit.value - left[summed] if limit.value else totals)
        for number in range(summed, len(terms)):
            self._add(terms[number], found, totals)
            found = found[totals[found] + left[number + 1] >= kth(totals[found], k)]
        return self._ordered(found, totals[found], k)

    def scores(self, terms: Sequence[TermScorer], documents: Sequence[int]) -> Scores:
        """The scores of these documents, 0 where no term stands."""
        asked, places = np.unique(np.asarray(documents, np.int64), return_inverse=True)
        totals = np.zeros(len(asked))
        for term in terms:
            totals += self._looked_up(term, asked)
        return np.asarray(totals[places], np.float64)

    def book_scores(self, terms: Sequence[TermScorer], documents: Sequence[int]) -> Scores:
        """Of each document the score of its whole book, if that were one document."""
        books = np.searchsorted(self._first, np.asarray(documents, np.int64), side="right") - 1
        asked, places = np.unique(books, return_inverse=True)
        bounds = np.array([self._first[asked], self._ends[asked]])
        average = self._book_lengths.mean() if len(self._books) else 1.0
        norms = K1 * (1 - B + B * self._book_lengths[asked] / average)
        totals = np.zeros(len(asked))
        for term in terms:
            counts = _counts(term, bounds)
            totals += term.most * counts / (counts + norms)
        return np.asarray(totals[places], np.float64)

    def having_all(self, terms: Iterable[str]) -> Numbers:
        """The documents with every one of the terms, in order; all documents for no term."""
        wanted = [*dict.fromkeys(terms)]
        having = [term.documents for term in self.look_up(dict.fromkeys(wanted, 1.0))]
        if len(having) < len(wanted):
            return np.empty(0, np.int64)
        return reduce(_both, sorted(having, key=len)) if having else np.arange(self.documents)

    def shares(self, terms: Iterable[str]) -> dict[str, float]:
        """Of each term the share of the documents that have it, 0 to 1."""
        wanted = [*dict.fromkeys(terms)]
        runs = self._runs(wanted)
        return {
            term: _size(of_term) / max(self.documents, 1)
            for term, of_term in zip(wanted, runs, strict=True)
        }

    # Documents and pages

    def place(self, document: int) -> tuple[str, int]:
        """The book and the physical page, from 1, of a document."""
        book = int(np.searchsorted(self._first, document, side="right")) - 1
        return self._books[book], document - int(self._first[book]) + 1

    def document(self, book_id: str, page: int) -> int | None:
        """The document of a page, None when the index does not have the book."""
        number = self._number.get(book_id)
        return None if number is None else int(self._first[number]) + page - 1

    def beside(self, documents: Sequence[int]) -> list[list[int]]:
        """Of each page those before and behind it in its book."""
        books = self._first.searchsorted(documents, side="right")
        bounds = zip(self._first[books - 1].tolist(), self._ends[books - 1].tolist(), strict=True)
        return [
            [page for page in (document - 1, document + 1) if first <= page < end]
            for document, (first, end) in zip(documents, bounds, strict=True)
        ]

    def signatures(self, documents: Sequence[int]) -> Signatures:
        """By what `are_alike` tells which of the pages are nearly the same."""
        places = np.searchsorted(self._starts, documents, side="right") - 1
        return np.array(
            [
                self._segments[segment].signatures[document - self._starts[segment]]
                for document, segment in zip(documents, places.tolist(), strict=True)
            ]
        )

    def of_books(self, book_ids: Iterable[str]) -> Mask:
        """A mask of the documents that belong to the books."""
        mask = np.zeros(self.documents, np.bool_)
        for book_id in book_ids:
            if (number := self._number.get(book_id)) is not None:
                mask[self._first[number] : self._ends[number]] = True
        return mask

    def with_pages_before(self, mask: Mask) -> Mask:
        """The documents of the mask, and those whose next page in their book is one of them."""
        before = np.append(mask[1:], False)
        before[self._ends - 1] = False
        return np.asarray(mask | before)

    # Postings

    def _runs(self, terms: Sequence[str]) -> list[list[_Run]]:
        """Of each term its postings, segment by segment."""
        if len(self._known) > _MOST_KNOWN:
            self._known = {}
        known = self._known
        if unknown := [term for term in terms if term not in known]:
            known |= zip(unknown, self._find(unknown), strict=True)
        return [known[term] for term in terms]

    def _find(self, terms: Sequence[str]) -> list[list[_Run]]:
        keys = np.array([term_key(term) for term in terms], np.uint64)
        runs: list[list[_Run]] = [[] for _ in terms]
        for segment, start in zip(self._segments, self._starts, strict=False):
            for n, place in zip(*_found(segment, keys), strict=True):
                here = slice(*segment.starts[place : place + 2].tolist())
                runs[n].append(_Run(start, segment.documents[here], segment.frequencies[here]))
        return runs

    def _idf(self, runs: Sequence[_Run]) -> float:
        return log((self._count + 1) / _size(runs))

    def _shares(self, term: TermScorer) -> NDArray[np.float32]:
        """What the term gives to each of its documents."""
        return self._given(term, term.documents, term.frequencies)

    def _looked_up(self, term: TermScorer, asked: Numbers) -> NDArray[np.float32]:
        """What the term gives to each of the asked documents, which ascend."""
        given = np.zeros(len(asked), np.float32)
        places = term.documents.searchsorted(asked)
        places[places == len(term.documents)] = 0
        found = (term.documents[places] == asked).nonzero()[0]
        given[found] = self._given(term, asked[found], term.frequencies[places[found]])
        return given

    def _given(
        self, term: TermScorer, documents: Numbers, frequencies: Frequencies
    ) -> NDArray[np.float32]:
        values = frequencies.astype(np.float32)
        return np.float32(term.most) * values / (values + self._norms[documents])

    def _add(self, term: TermScorer, found: Numbers, totals: Scores) -> None:
        """Add what a term gives to the documents found; what it adds to others is not looked at."""
        if len(found) * _LOOKUP < len(term.documents):
            totals[found] += self._looked_up(term, found)
        else:
            totals[term.documents] += self._shares(term)

    def _ordered(self, found: Numbers, scores: Scores, k: int) -> dict[int, float]:
        best = np.flatnonzero(scores >= kth(scores, k))
        found, scores = found[best], scores[best]
        books = np.searchsorted(self._first, found, side="right") - 1
        order = np.lexsort((found, self._rank[books], -scores))[:k]
        return dict(zip(found[order].tolist(), scores[order].tolist(), strict=True))


def open_commit(folder: Path, name: str) -> KeywordIndex:
    """The index of a commit; raises one of `SEGMENT_DAMAGE` when it is gone or not whole."""
    return KeywordIndex([open_segment(folder / segment) for segment in segments_of(folder, name)])


def _size(runs: Sequence[_Run]) -> int:
    """How many documents have the term."""
    return sum(len(run.documents) for run in runs)


def _joined(runs: Sequence[_Run]) -> tuple[Numbers, Frequencies]:
    documents = [np.add(run.documents, run.first, dtype=np.int64) for run in runs]
    return np.concatenate(documents), np.concatenate([run.frequencies for run in runs])


def _both(fewer: Numbers, more: Numbers) -> Numbers:
    """The documents that are in both, which ascend."""
    places = more.searchsorted(fewer)
    places[places == len(more)] = 0
    return np.asarray(fewer[more[places] == fewer])


def _counts(term: TermScorer, bounds: Numbers) -> Numbers:
    """How often the term stands in the documents from each of `bounds[0]`, ascending, to the one
    of `bounds[1]`."""
    low, high = term.documents.searchsorted(bounds)
    counted = np.zeros(high[-1] - low[0] + 1, np.int64)
    term.frequencies[low[0] : high[-1]].cumsum(out=counted[1:])
    return np.asarray(counted[high - low[0]] - counted[low - low[0]])


def _found(segment: Segment, keys: Terms) -> tuple[Numbers, Numbers]:
    """Which of the keys a segment has, and where in its terms they are."""
    if not len(segment.terms):
        return np.empty(0, np.int64), np.empty(0, np.int64)
    places = np.minimum(np.searchsorted(segment.terms, keys), len(segment.terms) - 1)
    here = np.flatnonzero(segment.terms[places] == keys)
    return here, places[here]


_NEIGHBOUR, _BOOK = 0.1, 0.4  # what the pages beside a page and its whole book add; tests/golden


def best_pages(
    index: KeywordIndex, terms: Sequence[TermScorer], count: int, allowed: Mask | None = None
) -> dict[int, float]:
    """The best `count` of the allowed documents and their scores, best first."""
    total = _amid_others(index, terms, index.best(terms, count, allowed))
    return dict(sorted(total.items(), key=lambda item: -item[1]))


def page_scores(
    index: KeywordIndex, terms: Sequence[TermScorer], documents: Sequence[int]
) -> dict[int, float]:
    """The scores of these documents as `best_pages` has them."""
    found = dict(zip(documents, index.scores(terms, documents).tolist(), strict=True))
    return _amid_others(index, terms, found)


def _amid_others(
    index: KeywordIndex, terms: Sequence[TermScorer], found: Mapping[int, float]
) -> dict[int, float]:
    """The scores, with those of what is around.

    The pages before and behind it count with a page, for an answer often begins on one and ends on
    the next; and its book, for it tells what the page is about.
    """
    if not found:
        return {}
    beside = dict(zip(found, index.beside([*found]), strict=True))
    unknown = sorted({n for pages in beside.values() for n in pages} - found.keys())
    words = [term for term in terms if is_word(term.term)]
    known = {**found, **dict(zip(unknown, index.scores(words, unknown).tolist(), strict=True))}
    books = index.book_scores(words, [*found]).tolist()
    return {
        document: score + _NEIGHBOUR * sum(known[page] for page in beside[document]) + _BOOK * book
        for (document, score), book in zip(found.items(), books, strict=True)
    }
