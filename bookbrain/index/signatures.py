"""Which pages are nearly the same: a few bytes a page that tell how many terms two pages share.

MinHash (Broder, "On the resemblance and containment of documents", 1997), of each minimum the
lowest 8 bits (Li and König, "b-Bit Minwise Hashing", 2010).
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

HASHES = 32
_ALIKE = 26  # of the 32 equal: about four fifths of all their different terms are on both

Signatures = NDArray[np.uint8]  # one of 32, or a row for each document

_MULTIPLIERS = np.random.default_rng(2026).integers(1, 2**64, HASHES, np.uint64) | np.uint64(1)


def signatures(
    terms: NDArray[np.uint64], documents: NDArray[np.integer[Any]], count: int
) -> Signatures:
    """The signature of each of `count` documents from its distinct terms: (count, 32).

    `terms` and `documents` are parallel, in any order. A document without terms has zeros.
    """
    order = np.argsort(documents, kind="stable")
    present, first = np.unique(documents[order], return_index=True)
    terms = terms[order]
    found = np.zeros((count, HASHES), np.uint8)
    if len(first):
        for column, multiplier in enumerate(_MULTIPLIERS):
            smallest = np.minimum.reduceat(_mixed(terms, multiplier), first)
            found[present, column] = smallest.astype(np.uint8)
    return found


def are_alike(found: Signatures) -> NDArray[np.bool_]:
    """Which of some documents are nearly the same: (n, 32) gives (n, n).

    One without terms is like none.
    """
    same = np.count_nonzero(found[:, None] == found[None], axis=2) >= _ALIKE
    return np.asarray(same & found.any(axis=1))


def _mixed(terms: NDArray[np.uint64], multiplier: np.uint64) -> NDArray[np.uint64]:
    """Another order of the terms for each multiplier, whose lowest bits are as random as others."""
    product = terms * multiplier
    return product ^ (product >> np.uint64(32))
