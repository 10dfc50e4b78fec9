"""The index gives rank_bm25's scores, however it is cut into segments, and the best exactly."""

from collections import Counter
from collections.abc import Mapping, Sequence
from math import log
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from rank_bm25 import BM25Plus
from support.shelving import Documents, index_of

from bookbrain.index.bm25 import K1, B, KeywordIndex

TERMS = st.sampled_from(["a", "b", "c", "d", "e", "f", "비동기", "~비동", "=a.b"])
BOOKS = st.lists(st.lists(st.lists(TERMS, max_size=12), min_size=1, max_size=6), max_size=5)
QUERIES = st.dictionaries(TERMS, st.sampled_from([0.25, 0.5, 1.0, 2.0]), max_size=6)


def rank_bm25(books: Sequence[Documents], query: Sequence[str]) -> NDArray[np.float64]:
    """Its scores of all documents; those without a term are not given to it, and score 0."""
    documents = [list(document) for book in books for document in book]
    scores = np.zeros(len(documents))
    full = [number for number, document in enumerate(documents) if document]
    if full:
        peer = BM25Plus([documents[number] for number in full], k1=K1, b=B, delta=0)
        scores[full] = peer.get_scores(list(query))
    return scores


def all_scores(index: KeywordIndex, weights: Mapping[str, float]) -> list[float]:
    return [float(score) for score in index.scores(index.look_up(weights), range(index.documents))]


@pytest.mark.slow
@settings(deadline=None, max_examples=100)
@given(BOOKS, st.lists(TERMS, max_size=6))
def test_scores_are_those_of_rank_bm25(books: list[Documents], query: list[str]) -> None:
    with TemporaryDirectory() as folder:
        scores = all_scores(index_of(Path(folder), books), Counter(query))
    assert scores == pytest.approx(rank_bm25(books, query), abs=1e-4)


@pytest.mark.slow
@settings(deadline=None, max_examples=100)
@given(BOOKS, QUERIES, st.integers(1, 8), st.sets(st.integers(0, 29)))
def test_the_best_are_those_with_the_best_scores(
    books: list[Documents], query: dict[str, float], k: int, forbidden: set[int]
) -> None:
    with TemporaryDirectory() as folder:
        index = index_of(Path(folder), books)
        allowed = np.array([n not in forbidden for n in range(index.documents)], np.bool_)
        best, scores = index.best(index.look_up(query), k, allowed), all_scores(index, query)
    found = [n for n, score in enumerate(scores) if score > 0 and allowed[n]]
    expected = sorted(found, key=lambda n: -scores[n])[:k]
    assert list(best) == expected
    assert list(best.values()) == [scores[n] for n in expected]


@pytest.mark.slow
def test_the_best_of_many_are_exact_whatever_is_left_out() -> None:
    random = np.random.default_rng(6)
    words = [f"w{n}" for n in range(60)]
    often = 1 / np.arange(1, 61)  # Zipf: the first ones stand on most pages
    pages = [
        list(random.choice(words, random.integers(5, 60), p=often / often.sum()))
        for _ in range(3000)
    ]
    with TemporaryDirectory() as folder:
        index = index_of(Path(folder), [pages[n : n + 100] for n in range(0, 3000, 100)])
        for _ in range(60):
            query = Counter(random.choice(words, random.integers(1, 12)).tolist())
            scores = all_scores(index, query)
            found = [n for n in range(3000) if scores[n] > 0]
            expected = sorted(found, key=lambda n: (-scores[n], index.place(n)))
            assert list(index.best(index.look_up(query), 10)) == expected[:10]


def test_unknown_terms_say_nothing(tmp_path: Path) -> None:
    index = index_of(tmp_path, [[["a"], ["b"], ["c"]]])
    assert index.best(index.look_up({"zebra": 1}), 5) == {}
    assert index.best(index.look_up({}), 5) == {}
    assert index.best(index.look_up({"a": 1, "zebra": 1}), 5) == index.best(
        index.look_up({"a": 1}), 5
    )
    assert index.shares(["zebra"])["zebra"] == 0
    assert index.shares(["a"])["a"] == pytest.approx(1 / 3)


def test_a_library_of_blank_pages_is_searched(tmp_path: Path) -> None:
    index = index_of(tmp_path, [[[], []]])
    assert index.documents == 2
    assert index.best(index.look_up({"a": 1}), 5) == {}


def test_books_in_pieces_are_one_corpus(tmp_path: Path) -> None:
    pages = [["a", "b"], ["b"], ["c", "c"], [], ["a"], ["d", "b"]]
    whole = index_of(tmp_path / "whole", [pages])
    pieces = index_of(tmp_path / "pieces", [pages[:2], pages[2:5], pages[5:]])
    query = {"a": 1, "b": 0.5, "c": 2}
    assert all_scores(whole, query) == all_scores(pieces, query)


def test_blank_pages_change_no_score(tmp_path: Path) -> None:
    pages: list[list[str]] = [["a", "b"], ["b"], ["c", "c", "a"]]
    plain = index_of(tmp_path / "plain", [pages])
    scanned = index_of(tmp_path / "scanned", [pages, [[]] * 500])
    query = {"a": 1, "c": 1}
    assert all_scores(scanned, query)[:3] == all_scores(plain, query)


def test_the_best_are_in_order_and_equal_ones_by_book_and_page(tmp_path: Path) -> None:
    pages = [["x"], ["a", "x"], ["a", "a", "x"], ["a", "x"], ["y"], ["z"], ["w"]]
    index = index_of(tmp_path, [pages])
    assert list(index.best(index.look_up({"a": 1}), 3)) == [2, 1, 3]
    assert list(index.best(index.look_up({"a": 1}), 2)) == [2, 1]
    scores = [*index.best(index.look_up({"a": 1}), 3).values()]
    assert scores[0] > scores[1] == scores[2]


def test_a_term_on_every_page_is_still_found(tmp_path: Path) -> None:
    for documents in ([["a"], ["a", "b"]], [["a"]]):
        index = index_of(tmp_path / str(len(documents)), [documents])
        assert len(index.best(index.look_up({"a": 1}), 5)) == len(documents)


def test_only_allowed_documents(tmp_path: Path) -> None:
    index = index_of(tmp_path, [[["a"], ["b"], ["c"]], [["a"], ["d"], ["e"]]])
    only = index.of_books(["book1"])
    assert list(index.best(index.look_up({"a": 1}), 5, only)) == [3]
    assert list(index.best(index.look_up({"a": 1}), 1, only)) == [3]
    assert list(index.best(index.look_up({"a": 1}), 5, index.of_books([]))) == []


def test_documents_are_pages_of_books(tmp_path: Path) -> None:
    index = index_of(tmp_path, [[["a"]] * 3, [["b"]] * 2])
    places = [index.place(document) for document in range(index.documents)]
    assert places == [("book0", 1), ("book0", 2), ("book0", 3), ("book1", 1), ("book1", 2)]
    assert [index.document(*place) for place in places] == list(range(5))
    assert index.document("gone", 1) is None


def test_having_all(tmp_path: Path) -> None:
    index = index_of(tmp_path, [[["a", "b"], ["a"], ["b", "a"]], [["b"]], [["b", "a"]]])
    assert list(index.having_all(["a", "b"])) == [0, 2, 4]
    assert list(index.having_all([])) == [0, 1, 2, 3, 4]
    assert list(index.having_all(["a", "zebra"])) == []


@pytest.mark.slow
@settings(deadline=None, max_examples=100)
@given(BOOKS, QUERIES)
def test_a_book_scores_as_one_document(books: list[Documents], query: dict[str, float]) -> None:
    books = [book for book in books if any(book)]
    numbers = [n for n, book in enumerate(books) for _ in book]
    with TemporaryDirectory() as folder:
        index = index_of(Path(folder), books)
        scores = index.book_scores(index.look_up(query), range(index.documents)) if books else []
        shares = index.shares(query)
    whole = [Counter(term for page in book for term in page) for book in books]
    average = sum(book.total() for book in whole) / max(len(whole), 1)
    full = sum(bool(page) for book in books for page in book)
    for number, score in zip(numbers, scores, strict=True):
        expected = 0.0
        norm = K1 * (1 - B + B * whole[number].total() / average)
        for term, weight in query.items():
            if count := whole[number][term]:
                idf = log((full + 1) / round(shares[term] * len(numbers)))
                expected += weight * idf * count * (K1 + 1) / (count + norm)
        assert score == pytest.approx(expected, abs=1e-4)


def test_the_pages_beside_a_page_are_those_of_its_book(tmp_path: Path) -> None:
    index = index_of(tmp_path, [[["a"], ["b"], ["c"]], [["d"]]])
    places = {index.place(n): n for n in range(index.documents)}
    first, middle, last = (places["book0", page] for page in (1, 2, 3))
    alone = places["book1", 1]
    expected = [[middle], [first, last], [middle], []]
    assert index.beside([first, middle, last, alone]) == expected
