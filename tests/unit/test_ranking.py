"""Which pages come first, and which are one hit."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from support.shelving import index_of

from bookbrain.index.analyzer import page_terms, terms
from bookbrain.index.bm25 import KeywordIndex, best_pages, page_scores
from bookbrain.model import Heading, Page
from bookbrain.search.duplicates import fold_duplicates
from bookbrain.search.query import term_weights

Place = tuple[str, int]


def page(text: str, *headings: str) -> Page:
    return Page(1, "1", "", text, tuple(Heading(0, title) for title in headings))


def shelf(folder: Path, *books: Sequence[Page]) -> KeywordIndex:
    return index_of(folder, [page_terms(book) for book in books])


def found(index: KeywordIndex, query: str) -> list[Place]:
    asked = index.look_up(term_weights(index, query, terms(query)))
    return [index.place(document) for document in best_pages(index, asked, 10)]


FILLER = [page(f"Nothing of it stands on page {n} of this book.") for n in range(20)]


def test_a_heading_counts_more_than_a_word(tmp_path: Path) -> None:
    index = shelf(
        tmp_path,
        [page("A lock is held here."), *FILLER],
        [page("A lock is held here.", "Locks"), *FILLER],
    )
    assert found(index, "lock") == [("book1", 1), ("book0", 1)]


def test_words_side_by_side_count_more_than_words_apart(tmp_path: Path) -> None:
    apart = page("A message comes. Some things are slow, and then there is one queue.")
    beside = page("A message queue comes. Some things are slow, and then there is one.")
    index = shelf(tmp_path, [apart, *FILLER], [beside, *FILLER])
    assert found(index, "message queue")[0] == ("book1", 1)


def test_a_page_gains_by_the_next_page_and_by_its_book(tmp_path: Path) -> None:
    here = page("Otters swim.")
    index = shelf(tmp_path, [here, *FILLER], [here, page("More otters live here."), *FILLER])
    assert found(index, "otters swim")[:2] == [("book1", 1), ("book0", 1)]


@pytest.mark.parametrize("query", ["pkgsel/include", "ServerAliveInterval", "java.util.List"])
def test_an_identifier_comes_before_any_number_of_its_parts(tmp_path: Path, query: str) -> None:
    parts = "include pkgsel server alive interval java util list " * 30
    index = shelf(tmp_path, [page(parts, parts), *FILLER], [*FILLER, page(f"Set {query} to 1.")])
    assert found(index, query)[:2] == [("book1", 21), ("book0", 1)]


def test_no_page_is_found_for_nothing(tmp_path: Path) -> None:
    index = shelf(tmp_path, FILLER)
    assert found(index, "zebra") == []
    assert fold_duplicates(index, [], 5) == {}


class TestDuplicates:
    TEXT = " ".join(f"word{n} stands here" for n in range(100))

    def test_editions_are_one_hit(self, tmp_path: Path) -> None:
        index = shelf(tmp_path, [page(self.TEXT)], [page(f"{self.TEXT} Again.")], [page("Other.")])
        one, other = (index.document(f"book{n}", 1) for n in (0, 1))
        assert one is not None and other is not None
        third = ({0, 1, 2} - {one, other}).pop()
        assert fold_duplicates(index, [other, third, one], 5) == {other: [one], third: []}

    def test_so_many_are_kept_and_later_duplicates_still_join_them(self, tmp_path: Path) -> None:
        index = shelf(tmp_path, [page(self.TEXT), page("A"), page("B"), page(self.TEXT)])
        assert fold_duplicates(index, [0, 1, 2, 3], 2) == {0: [3], 1: []}


def test_a_page_that_is_asked_for_scores_as_among_the_best(tmp_path: Path) -> None:
    index = shelf(
        tmp_path,
        [page("Otters swim."), page("More otters live here."), *FILLER],
        [*FILLER, page("A walrus waits.", "Otters")],
    )
    asked = index.look_up(term_weights(index, "otters swim", terms("otters swim")))
    best = best_pages(index, asked, 10)
    assert len(best) >= 3
    assert page_scores(index, asked, [*best]) == pytest.approx(best)
    assert page_scores(index, asked, []) == {}
    (alone,) = page_scores(index, asked, [max(best)]).values()
    assert alone == pytest.approx(best[max(best)])
