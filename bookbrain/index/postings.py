"""Counted terms of a book's pages, as plain arrays that merge fast.

A term is known by 64 bits of BLAKE2b: two of ten million terms share them with a chance of 3e-6.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray
from rank_bm25 import BM25Plus

from bookbrain.index.fields import is_word, page_terms
from bookbrain.model import Page

_KEY = np.dtype("<u8")  # how `_digest` is read as a number
MOST = int(np.iinfo(np.uint16).max)  # on one page: what is more says nothing more

Terms = NDArray[np.uint64]
Documents = NDArray[np.int32]
Frequencies = NDArray[np.uint16]
Lengths = NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Segment:
    """How often each term stands in each document, sorted by (term, document).

    `terms`, `documents` and `frequencies` have one entry a posting; `lengths` has one a document:
    its number of terms that are words, repetitions counted.
    """

    terms: Terms
    documents: Documents
    frequencies: Frequencies
    lengths: Lengths


def term_key(term: str) -> int:
    """The 64 bits that a term is known by."""
    return int.from_bytes(_digest(term), "little")


def count_pages(pages: Sequence[Page]) -> Segment:
    """Count what each page is found by."""
    return count_terms(page_terms(pages))


def count_terms(documents: Sequence[Sequence[str]]) -> Segment:
    """Count the terms of each document with rank_bm25."""
    if not any(documents):
        return Segment(
            np.empty(0, np.uint64), np.empty(0, np.int32), np.empty(0, np.uint16),
            np.zeros(len(documents), np.int32),
        )  # fmt: skip
    counted = BM25Plus([list(document) for document in documents])
    frequencies: list[dict[str, int]] = counted.doc_freqs
    places = {term: place for place, term in enumerate(counted.idf)}
    keys = np.frombuffer(b"".join(map(_digest, places)), _KEY).astype(np.uint64)
    is_counted = np.array([is_word(term) for term in places])
    of_terms = np.array([places[term] for counts in frequencies for term in counts], np.int64)
    numbers = np.repeat(np.arange(len(documents), dtype=np.int32), [len(c) for c in frequencies])
    values = np.array([n for counts in frequencies for n in counts.values()], np.int64)
    terms = keys[of_terms]
    order = np.lexsort((numbers, terms))
    lengths = np.bincount(numbers, values * is_counted[of_terms], len(documents)).astype(np.int32)
    times = np.minimum(values[order], MOST).astype(np.uint16)
    return Segment(terms[order], numbers[order], times, lengths)


def _digest(term: str) -> bytes:
    return blake2b(term.encode(), digest_size=8).digest()
