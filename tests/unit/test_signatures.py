"""Pages that are nearly the same are known by their signatures."""

import numpy as np
import pytest

from bookbrain.index.segment import HASHES, are_alike, signatures


def signatures_of(*documents: set[int]) -> np.ndarray:
    terms = np.array([term for document in documents for term in sorted(document)], np.uint64)
    numbers = np.repeat(np.arange(len(documents)), [len(document) for document in documents])
    return signatures(terms * np.uint64(0x9E3779B97F4A7C15), numbers, len(documents))


PAGE = set(range(1, 201))


@pytest.mark.parametrize("changed", [0, 1, 5])
def test_an_edited_page_is_alike(changed: int) -> None:
    edited = {term + 1000 if term <= changed else term for term in PAGE}
    assert are_alike(signatures_of(PAGE, edited)).all()


@pytest.mark.parametrize("changed", [60, 120, 200])
def test_another_page_is_not(changed: int) -> None:
    other = {term + 1000 if term <= changed else term for term in PAGE}
    assert (are_alike(signatures_of(PAGE, other)) == np.eye(2)).all()


def test_empty_pages_are_not_alike() -> None:
    found = signatures_of(set(), set(), PAGE)
    assert found.shape == (3, HASHES)
    assert are_alike(found).tolist() == [[False] * 3, [False] * 3, [False, False, True]]


def test_the_order_of_postings_does_not_matter() -> None:
    terms = np.arange(1, 101, dtype=np.uint64)
    documents = np.arange(100) % 7
    back = np.argsort(terms)[::-1]
    assert (signatures(terms, documents, 7) == signatures(terms[back], documents[back], 7)).all()


def test_no_documents() -> None:
    assert signatures(np.empty(0, np.uint64), np.empty(0, np.int32), 0).shape == (0, HASHES)
