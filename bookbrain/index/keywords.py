"""The frozen keyword index: rank_bm25's Okapi scores in posting arrays, memory-mapped.

Scores are those of `rank_bm25.BM25Okapi` (k1 = 1.5, b = 0.75, epsilon = 0.25) over all pages of the
library that have any term; a test holds them together. Formula: Robertson and Zaragoza, "The
Probabilistic Relevance Framework: BM25 and Beyond", 2009, with rank_bm25's floor for terms on over
half of the documents.
"""

import json
from collections.abc import Iterable, Sequence
from functools import reduce
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bookbrain.durable import write_folder
from bookbrain.index.postings import Segment, term_key

K1, B, EPSILON = 1.5, 0.75, 0.25

Scores = NDArray[np.float64]
Mask = NDArray[np.bool_]

_ARRAYS = ("terms", "starts", "documents", "scores")
_BOOKS = "books.json"


def write_index(directory: Path, segments: Sequence[tuple[str, Segment]]) -> None:
    """Merge the segments of books (id, segment) into a new index at `directory`, at once."""
    first = np.cumsum([0, *(len(segment.lengths) for _, segment in segments)])
    terms = np.concatenate([np.empty(0, np.uint64), *(s.terms for _, s in segments)])
    documents = _joined([s.documents + f for (_, s), f in zip(segments, first, strict=False)])
    order = np.lexsort((documents, terms))
    terms, documents = terms[order], documents[order]
    frequencies = _joined([s.frequencies for _, s in segments])[order]
    lengths = _joined([s.lengths for _, s in segments])
    distinct, starts = np.unique(terms, return_index=True)
    starts = np.append(starts, len(terms)).astype(np.int64)
    scores = _okapi(starts, documents, frequencies, lengths)
    arrays: tuple[NDArray[Any], ...] = (distinct, starts, documents.astype(np.int32), scores)
    books = [[name, int(start)] for (name, _), start in zip(segments, first, strict=False)]

    def fill(folder: Path) -> None:
        for name, array in zip(_ARRAYS, arrays, strict=True):
            np.save(folder / f"{name}.npy", array, allow_pickle=False)
        (folder / _BOOKS).write_text(json.dumps({"books": books, "documents": int(first[-1])}))

    write_folder(directory, fill)


def _joined(arrays: Sequence[NDArray[np.integer[Any]]]) -> NDArray[np.int64]:
    return np.concatenate(arrays).astype(np.int64) if arrays else np.empty(0, np.int64)


def _okapi(
    starts: NDArray[np.int64],
    documents: NDArray[np.int64],
    frequencies: NDArray[np.int64],
    lengths: NDArray[np.int64],
) -> NDArray[np.float32]:
    """Each posting's share of its document's score."""
    if not len(documents):
        return np.empty(0, np.float32)
    containing = np.diff(starts)
    count = int(np.count_nonzero(lengths))  # blank pages must not make every other page long
    average = float(lengths.sum()) / count
    idf = np.log(count - containing + 0.5) - np.log(containing + 0.5)
    idf[idf < 0] = EPSILON * idf.mean()
    damped = frequencies + K1 * (1 - B + B * lengths[documents] / average)
    scores = np.repeat(idf, containing) * frequencies * (K1 + 1) / damped
    return np.asarray(scores, np.float32)


class KeywordIndex:
    """An index on disk, open for reading. Documents are numbered over all books, pages in order."""

    def __init__(self, directory: Path) -> None:
        """Map the arrays; raises FileNotFoundError when the index is gone."""
        self._terms, self._starts, self._documents, self._scores = (
            # A plain array over the mapped file: np.memmap itself makes every slice slow.
            np.asarray(np.load(directory / f"{name}.npy", mmap_mode="r", allow_pickle=False))
            for name in _ARRAYS
        )
        layout = json.loads((directory / _BOOKS).read_text())
        self.documents: int = layout["documents"]
        self._books: list[str] = [name for name, _ in layout["books"]]
        self._first = np.array([start for _, start in layout["books"]], np.int64)

    def scores(self, terms: Iterable[str]) -> Scores:
        """The score of every document, 0 where no term stands; a repeated term counts again."""
        postings = [self._postings(term) for term in terms]
        documents = [np.empty(0, np.int32), *(self._documents[p] for p in postings)]
        shares = [np.empty(0, np.float32), *(self._scores[p] for p in postings)]
        total = np.bincount(np.concatenate(documents), np.concatenate(shares), self.documents)
        return total.astype(np.float64, copy=False)

    def top(self, terms: Sequence[str], k: int) -> list[tuple[int, float]]:
        """The best `k` documents with any of the terms; equal ones in document order."""
        scores = self.scores(terms)
        best = self.best(terms, scores, k)
        return [(int(document), float(scores[document])) for document in best]

    def best(
        self, terms: Iterable[str], scores: Scores, k: int, allowed: Mask | None = None
    ) -> NDArray[np.int64]:
        """The best `k` of the allowed documents with any of the terms, whose `scores` these are.

        Equal ones are in document order.
        """
        visible = scores if allowed is None else np.where(allowed, scores, 0)
        if len(visible) > k and (limit := np.partition(visible, -k)[-k]) > 0:
            found = np.flatnonzero(visible >= limit)
        else:  # fewer match; and a term on half of a small library's documents scores 0 or less
            listed = [self._documents[self._postings(term)] for term in terms]
            found = np.unique(np.concatenate([np.empty(0, np.int64), *listed]))
            found = found if allowed is None else found[allowed[found]]
        return found[np.argsort(-scores[found], kind="stable")][:k]

    def having_all(self, terms: Iterable[str]) -> NDArray[np.int64]:
        """The documents with every one of the terms, in order; all documents for no term."""
        lists = [self._documents[self._postings(term)] for term in terms]
        common: NDArray[np.int64] = np.arange(self.documents)
        return reduce(np.intersect1d, lists, common) if lists else common

    def share(self, term: str) -> float:
        """The share of the documents that have the term, 0 to 1."""
        postings = self._postings(term)
        return float(postings.stop - postings.start) / max(self.documents, 1)

    def place(self, document: int) -> tuple[str, int]:
        """The book and the physical page, from 1, of a document."""
        book = int(np.searchsorted(self._first, document, side="right")) - 1
        return self._books[book], document - int(self._first[book]) + 1

    def document(self, book_id: str, page: int) -> int | None:
        """The document of a page, None when the index does not have the book."""
        if book_id not in self._books:
            return None
        return int(self._first[self._books.index(book_id)]) + page - 1

    def of_books(self, book_ids: Iterable[str]) -> Mask:
        """A mask of the documents that belong to the books."""
        mask = np.zeros(self.documents, np.bool_)
        ends = [*self._first[1:], self.documents]
        for book_id in book_ids:
            if book_id in self._books:
                index = self._books.index(book_id)
                mask[self._first[index] : ends[index]] = True
        return mask

    def _postings(self, term: str) -> slice:
        key = np.uint64(term_key(term))
        index = int(np.searchsorted(self._terms, key))
        if index == len(self._terms) or self._terms[index] != key:
            return slice(0, 0)
        return slice(int(self._starts[index]), int(self._starts[index + 1]))
