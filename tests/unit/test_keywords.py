"""The frozen index gives rank_bm25's scores."""

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from rank_bm25 import BM25Okapi

from bookbrain.index.keywords import KeywordIndex, write_index
from bookbrain.index.postings import count_terms, load_segment, save_segment

Documents = Sequence[Sequence[str]]

TERMS = st.sampled_from(["a", "b", "c", "d", "e", "f", "비동기", "~비동", "=a.b"])
BOOKS = st.lists(st.lists(st.lists(TERMS, max_size=12), min_size=1, max_size=6), max_size=5)


def index_of(folder: Path, books: Sequence[Documents]) -> KeywordIndex:
    segments = [(f"book{n}", count_terms(book)) for n, book in enumerate(books)]
    write_index(folder / "index", segments)
    return KeywordIndex(folder / "index")


def rank_bm25(books: Sequence[Documents], query: Sequence[str]) -> NDArray[np.float64]:
    """Its scores of all documents; those without a term are not given to it, and score 0."""
    documents = [list(document) for book in books for document in book]
    scores = np.zeros(len(documents))
    full = [number for number, document in enumerate(documents) if document]
    if full:
        scores[full] = BM25Okapi([documents[number] for number in full]).get_scores(list(query))
    return scores


@settings(deadline=None, max_examples=150)
@given(BOOKS, st.lists(TERMS, max_size=6))
def test_scores_are_those_of_rank_bm25(books: list[Documents], query: list[str]) -> None:
    with TemporaryDirectory() as folder:
        scores = index_of(Path(folder), books).scores(query)
    assert scores == pytest.approx(rank_bm25(books, query), abs=1e-4)


def test_unknown_terms_score_nothing(tmp_path: Path) -> None:
    index = index_of(tmp_path, [[["a"], ["b"], ["c"]]])
    assert index.top(["zebra"], 5) == []
    assert index.top([], 5) == []


def test_books_in_pieces_are_one_corpus(tmp_path: Path) -> None:
    pages = [["a", "b"], ["b"], ["c", "c"], [], ["a"], ["d", "b"]]
    whole = index_of(tmp_path / "whole", [pages])
    pieces = index_of(tmp_path / "pieces", [pages[:2], pages[2:5], pages[5:]])
    assert (whole.scores(["a", "b", "c"]) == pieces.scores(["a", "b", "c"])).all()


def test_blank_pages_change_no_score(tmp_path: Path) -> None:
    pages: list[list[str]] = [["a", "b"], ["b"], ["c", "c", "a"]]
    plain = index_of(tmp_path / "plain", [pages])
    scanned = index_of(tmp_path / "scanned", [pages, [[]] * 500])
    assert (scanned.scores(["a", "c"])[:3] == plain.scores(["a", "c"])).all()


def test_the_best_are_in_order_and_equal_ones_by_document(tmp_path: Path) -> None:
    pages = [["x"], ["a", "x"], ["a", "a", "x"], ["a", "x"], ["y"], ["z"], ["w"]]
    best = index_of(tmp_path, [pages]).top(["a"], 3)
    assert [document for document, _ in best] == [2, 1, 3]
    assert best[0][1] > best[1][1] == best[2][1]


def test_a_term_on_every_page_is_still_found(tmp_path: Path) -> None:
    assert [d for d, _ in index_of(tmp_path, [[["a"], ["a", "b"]]]).top(["a"], 5)] in (
        [0, 1],
        [1, 0],
    )
    assert len(index_of(tmp_path / "one", [[["a"]]]).top(["a"], 5)) == 1


def test_only_allowed_documents(tmp_path: Path) -> None:
    index = index_of(tmp_path, [[["a"], ["b"], ["c"]], [["a"], ["d"], ["e"]]])
    scores = index.scores(["a"])
    only = index.of_books(["book1"])
    assert list(index.best(["a"], scores, 5, only)) == [3]
    assert list(index.best(["a"], scores, 1, only)) == [3]
    assert list(index.best(["a"], scores, 5, index.of_books([]))) == []


def test_documents_are_pages_of_books(tmp_path: Path) -> None:
    index = index_of(tmp_path, [[["a"]] * 3, [["b"]] * 2])
    places = [index.place(document) for document in range(index.documents)]
    assert places == [("book0", 1), ("book0", 2), ("book0", 3), ("book1", 1), ("book1", 2)]
    assert [index.document(*place) for place in places] == list(range(5))
    assert index.document("gone", 1) is None


def test_having_all(tmp_path: Path) -> None:
    index = index_of(tmp_path, [[["a", "b"], ["a"], ["b", "a"]]])
    assert list(index.having_all(["a", "b"])) == [0, 2]
    assert list(index.having_all([])) == [0, 1, 2]
    assert list(index.having_all(["a", "zebra"])) == []


def test_a_segment_is_read_as_it_was_written(tmp_path: Path) -> None:
    segment = count_terms([["a", "b", "a"], [], ["비동기"]])
    save_segment(tmp_path / "s.npz", segment)
    read = load_segment(tmp_path / "s.npz")
    assert (read.terms == segment.terms).all()
    assert (read.frequencies == segment.frequencies).all()
    assert list(read.lengths) == [3, 0, 1]
