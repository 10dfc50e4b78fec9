"""Counted terms of a book's pages, as plain arrays that merge fast.

A term is known by 64 bits of BLAKE2b: two of ten million terms share them with a chance of 3e-6.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rank_bm25 import BM25Okapi

from bookbrain.durable import PART

Terms = NDArray[np.uint64]
Documents = NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Segment:
    """How often each term stands in each document, sorted by (term, document).

    `terms`, `documents` and `frequencies` have one entry a posting; `lengths` has one a document:
    its number of terms, repetitions counted.
    """

    terms: Terms
    documents: Documents
    frequencies: Documents
    lengths: Documents


def term_key(term: str) -> int:
    """The 64 bits that a term is known by."""
    return int.from_bytes(blake2b(term.encode(), digest_size=8).digest(), "little")


def count_terms(documents: Sequence[Sequence[str]]) -> Segment:
    """Count the terms of each document with rank_bm25."""
    if not any(documents):
        empty = np.empty(0, np.int32)
        return Segment(np.empty(0, np.uint64), empty, empty, np.zeros(len(documents), np.int32))
    counted = BM25Okapi([list(document) for document in documents])
    frequencies: list[dict[str, int]] = counted.doc_freqs
    keys = {term: term_key(term) for term in counted.idf}
    terms = np.array([keys[t] for counts in frequencies for t in counts], np.uint64)
    numbers = np.repeat(np.arange(len(documents), dtype=np.int32), [len(c) for c in frequencies])
    values = np.array([n for counts in frequencies for n in counts.values()], np.int32)
    order = np.lexsort((numbers, terms))
    lengths = np.array(counted.doc_len, np.int32)
    return Segment(terms[order], numbers[order], values[order], lengths)


def save_segment(path: Path, segment: Segment) -> None:
    """Write a segment as .npz, at once."""
    part = path.with_name(path.name + PART)
    with part.open("wb") as file:
        np.savez(
            file,
            terms=segment.terms,
            documents=segment.documents,
            frequencies=segment.frequencies,
            lengths=segment.lengths,
        )
    part.replace(path)


def load_segment(path: Path) -> Segment:
    """Read what `save_segment` wrote; raises OSError, ValueError or KeyError on anything else."""
    with np.load(path, allow_pickle=False) as arrays:
        return Segment(*(arrays[n] for n in ("terms", "documents", "frequencies", "lengths")))
