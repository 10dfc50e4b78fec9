"""What a page is found by beside its words, and what a query's terms count."""

import pytest

from bookbrain.index.analyzer import BESIDE, HEADING, is_word, page_terms, query_weights
from bookbrain.model import Heading, Page


def page(text: str, *headings: str, problem: str = "") -> Page:
    return Page(1, "1", "", text, tuple(Heading(0, title) for title in headings), problem)


def weights_of(*terms: str) -> dict[str, float]:
    return query_weights(terms)


class TestPages:
    def test_a_heading_is_a_field_of_its_own(self) -> None:
        (terms,) = page_terms([page("Locks are slow.", "Deadlocks")])
        assert HEADING + "deadlock" in terms
        assert "deadlock" not in terms

    def test_a_headings_word_counts_once(self) -> None:
        (terms,) = page_terms([page("text", "Lock by lock", "Locks")])
        assert terms.count(HEADING + "lock") == 1

    def test_words_of_meaning_stand_side_by_side_in_either_order(self) -> None:
        one, other = page_terms([page("the queue of the messages"), page("message queue")])
        beside = {term for term in one if term.startswith(BESIDE)}
        assert beside == {term for term in other if term.startswith(BESIDE)} != set()

    def test_hangul_has_its_pairs_of_syllables_for_that(self) -> None:
        (terms,) = page_terms([page("페이지의 번호를 바꾼다")])
        assert not [term for term in terms if term.startswith(BESIDE)]

    def test_only_words_make_a_page_longer(self) -> None:
        (terms,) = page_terms([page("message queue", "Queues")])
        assert [term for term in terms if is_word(term)] == ["messag", "queue"]

    def test_a_page_that_cannot_be_read_has_no_terms(self) -> None:
        assert page_terms([page("", "Heading", problem="garbled")]) == [[]]


class TestQueries:
    def test_words_are_looked_for_in_headings_too(self) -> None:
        weights = weights_of("lock")
        assert 0 < weights[HEADING + "lock"] < weights["lock"] == 1

    @pytest.mark.parametrize("term", ["the", "~메시"])
    def test_words_that_say_little_count_less(self, term: str) -> None:
        assert 0 < weights_of(term)[term] < 1

    def test_words_side_by_side_count_beside_their_own(self) -> None:
        assert f"{BESIDE}lock write" in weights_of("write", "the", "lock")
        assert not [term for term in weights_of("the", "lock") if term.startswith(BESIDE)]

    def test_repetitions_count(self) -> None:
        assert weights_of("lock", "lock")["lock"] == 2
