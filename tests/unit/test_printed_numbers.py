"""The numbers printed on scanned pages: found where they are certain, and never taken from others.

A row of a made page has tabs where its parts stand apart: left, middle and right.
"""

from collections.abc import Callable, Mapping, Sequence
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.readers_of_scans import set_page

from bookbrain.ocr.engine import RecognisedPage
from bookbrain.ocr.printed_numbers import printed_labels

_PROSE = (
    "The worker waits until all of the threads have stopped and the queue",
    "is empty again. After 3 restarts the journal is read from its first",
    "entry, and nobody releases the lock before that. 잠금은 12 번 열린다",
    "and what follows is a line of a paragraph that ends with the words",
)
_ROMANS = ("", *["i", "ii", "iii", "iv", "v", "vi", "vii", "viii", "ix", "x", "xi", "xii", "xiii"])


def _foot(number: str) -> RecognisedPage:
    return set_page("Locks and queues", *_PROSE * 2, f"\t{number}" if number else "end")


def _head(number: str) -> RecognisedPage:
    return set_page(f"Locks and queues\t{number}", *_PROSE * 2)


def _outside(number: str) -> RecognisedPage:
    """Left on even pages, right on odd ones, as books have it."""
    even = number.isdecimal() and int(number) % 2 == 0
    return set_page(*_PROSE * 2, f"{number}\tCHAPTER 3" if even else f"CHAPTER 3\t{number}")


def _with_words(number: str) -> RecognisedPage:
    return set_page(*_PROSE * 2, f"\tPage {number} of 350")


def _dashed(number: str) -> RecognisedPage:
    return set_page(*_PROSE * 2, f"\t- {number} -")


def _korean(number: str) -> RecognisedPage:
    return set_page(f"제 3 장 잠금\t{number}쪽", *_PROSE * 2)


def _book(
    printed: Sequence[str], page: Callable[[str], RecognisedPage] = _foot
) -> dict[int, RecognisedPage]:
    """A book on whose pages this is printed, "" for nothing."""
    return {n: page(number) for n, number in enumerate(printed, start=1)}


def _arabic(first: int, last: int) -> list[str]:
    return list(map(str, range(first, last + 1)))


def _labels(printed: Sequence[str]) -> dict[int, str]:
    return {n: number for n, number in enumerate(printed, start=1) if number}


@pytest.mark.parametrize("page", [_foot, _head, _outside, _with_words, _dashed, _korean])
def test_numbers_are_found_wherever_they_stand(page: Callable[[str], RecognisedPage]) -> None:
    printed = ["", "", "", *_arabic(41, 60)]
    assert printed_labels(_book(printed, page)) == _labels(printed)


def test_roman_numbers_come_before_the_others() -> None:
    printed = ["", *_ROMANS[3:12], "", *_arabic(1, 30)]
    labels = printed_labels(_book(printed))
    assert {n: labels[n] for n in _labels(printed)} == _labels(printed)
    assert 1 not in labels and 11 not in labels, "the cover has none, nor an empty page between"
    capital = printed_labels(_book([number.upper() for number in _ROMANS[3:12]]))
    assert capital == _labels([number.upper() for number in _ROMANS[3:12]])


def test_pages_without_a_number_inside_a_run_are_counted() -> None:
    printed = ["", *_arabic(3, 60)]
    shown = ["" if n in (12, 13, 25, 40, 41, 42) else number for n, number in enumerate(printed)]
    assert printed_labels(_book(shown)) == _labels(printed)
    far = [*_arabic(9, 20), *[""] * 30, *_arabic(51, 65)]
    assert len(printed_labels(_book(far))) == len(far), "plates that are counted"


def test_the_first_pages_of_a_run_may_show_no_number() -> None:
    labels = printed_labels(_book([*[""] * 6, *_arabic(4, 20)]))
    assert labels == {n: str(n - 3) for n in range(4, 24)}
    part = printed_labels(_book(["", *_arabic(5, 20)]))
    assert min(part) == 2, "of a part of a book nobody knows what came before"
    numbered = printed_labels(_book(["", "7", "8", *_arabic(3, 20)]))
    assert min(numbered) == 4, "they have other numbers"


def test_plates_that_are_not_counted_begin_another_run() -> None:
    labels = printed_labels(_book([*_arabic(1, 20), "", "", "", *_arabic(21, 40)]))
    assert labels == _labels([*_arabic(1, 20), "", "", "", *_arabic(21, 40)])
    missing = [*_arabic(1, 20), *_arabic(23, 50)]
    assert printed_labels(_book(missing)) == _labels(missing)
    doubled = [*_arabic(1, 20), *_arabic(20, 50)]
    assert printed_labels(_book(doubled)) == _labels(doubled)
    volumes = [*_arabic(1, 20), *_arabic(1, 20)]
    assert printed_labels(_book(volumes)) == _labels(volumes)


def test_misread_numbers_change_nothing_in_a_long_run() -> None:
    printed = _arabic(11, 70)
    shown = [*printed]
    shown[5], shown[20], shown[33], shown[50] = "l6", "37", "4A", "-"
    assert printed_labels(_book(shown)) == _labels(printed)
    front = [*_ROMANS[5:13]]
    shown = [*front]
    shown[1], shown[3] = "vl", "vili"
    assert printed_labels(_book(shown)) == _labels(front)


def test_small_numbers_that_were_not_read_are_known_from_the_others() -> None:
    """As tesseract reads them: lone letters and digits in the foot are often lost."""
    front = printed_labels(_book(["", "", "4", "iv", "a", "vi", "”", "viii"]))
    assert front == _labels(_ROMANS[1:9])
    body = printed_labels(_book(["", *[""] * 9, *_arabic(10, 18)]))
    assert body == {n: str(n - 1) for n in range(2, 20)}


def test_few_pages_are_not_enough() -> None:
    assert printed_labels(_book(_arabic(3, 9))) == {}
    assert printed_labels(_book(_arabic(3, 10))) == _labels(_arabic(3, 10))
    contradicted = _arabic(3, 11)
    contradicted[4] = "71"
    assert printed_labels(_book(contradicted)) == {}
    assert printed_labels(_book([n if int(n) % 3 == 0 else "" for n in _arabic(3, 60)])) == {}


def test_of_two_counts_on_the_same_pages_neither_is_certain() -> None:
    pages = {n: set_page(f"\t{n}", *_PROSE, f"\t{n + 20}") for n in range(1, 30)}
    assert printed_labels(pages) == {}


def test_two_pages_on_a_picture_have_both_numbers() -> None:
    rows = {n: f"{2 * n + 4}\t{2 * n + 5}" for n in range(1, 15)}
    pages = {n: set_page(*_PROSE, row) for n, row in rows.items()}
    pages[4] = set_page(*_PROSE)
    assert printed_labels(pages) == {n: f"{2 * n + 4}–{2 * n + 5}" for n in range(1, 15)}


def test_pages_that_are_not_read_yet_are_no_gap() -> None:
    pages = _book(["", "", *_arabic(1, 60)])
    early = printed_labels({n: page for n, page in pages.items() if n <= 15 or n > 50})
    assert early == {n: str(n - 2) for n in range(3, 63)}
    first = printed_labels({n: page for n, page in pages.items() if n <= 15})
    assert first == {n: str(n - 2) for n in range(3, 16)}


# What is no page's number


_OTHERS: Mapping[str, Callable[[int], Sequence[str]]] = {
    "nothing": lambda n: _PROSE * 2,
    "a year": lambda n: ("Annals\t2019", *_PROSE),
    "a year on each page": lambda n: (f"\t{1990 + n}", *_PROSE),
    "a chapter": lambda n: (f"Chapter {1 + n // 9}\tLocks", *_PROSE),
    "chapters of a page": lambda n: (f"Chapter {n}", *_PROSE),
    "lessons": lambda n: (f"\tLesson {n}:", *_PROSE),
    "Korean chapters": lambda n: (f"제 {n} 장", *_PROSE),
    "Korean days": lambda n: (f"3월 {n} 일", *_PROSE),
    "days": lambda n: (f"January {n}", *_PROSE),
    "sections": lambda n: (f"3.{n} Locks\t3.{n}", *_PROSE, f"\t3-{n}"),
    "questions": lambda n: (*_PROSE, f"{n}. Which of the threads is it that waits for the lock?"),
    "answers": lambda n: (f"({n}) None of them", *_PROSE),
    "lines of code": lambda n: [f"{40 * n + k} return queue_{k}(lock);" for k in range(40)],
    "lines of code on a short page": lambda n: [f"{5 * n + k} x = {k}" for k in range(5)],
    "lines that begin anew": lambda n: [f"{k} return queue(lock);" for k in range(1, 40)],
    "the rows of a table": lambda n: [f"{k}\t{k * n}\t{100 - k}" for k in range(1, 30)],
    "words in the middle": lambda n: (f"the {n} threads of the pool are all waiting now", *_PROSE),
    "every second page": lambda n: (*_PROSE, f"\t{2 * n}"),
    "falling": lambda n: (*_PROSE, f"\t{300 - n}"),
    "roman chapters": lambda n: (f"\t{_ROMANS[1 + n // 8]}", *_PROSE),
}


@pytest.mark.parametrize("kind", _OTHERS)
def test_other_numbers_are_none(kind: str) -> None:
    pages = {n: set_page(*_OTHERS[kind](n)) for n in range(1, 40)}
    assert printed_labels(pages) == {}


@pytest.mark.parametrize("kind", sorted(_OTHERS.keys() - {"every second page", "falling"}))
def test_other_numbers_do_not_disturb(kind: str) -> None:
    pages = {n: set_page(*_OTHERS[kind](n), f"\t{n + 100}") for n in range(1, 40)}
    assert printed_labels(pages) == {n: str(n + 100) for n in range(1, 40)}


@pytest.mark.slow
@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32), st.integers(5, 999))
def test_tables_of_figures_count_no_pages(seed: int, most: int) -> None:
    chance = Random(seed)
    pages = {
        n: set_page(
            *(
                "\t".join(str(chance.randint(0, most)) for _ in range(chance.choice((2, 3))))
                for _ in range(20)
            )
        )
        for n in range(1, 60)
    }
    assert printed_labels(pages) == {}


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(st.text("0123lLiIoO|jJvVxXpP.쪽면/-", max_size=6))
def test_any_word_may_be_in_the_foot(word: str) -> None:
    assert printed_labels({n: set_page("a", f"\t{word}") for n in range(1, 12)}) == {}


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.sampled_from(["", "12", "iv", "x", "l", "3 장", "- -", "p. 7", "O", "0", "1/2"])),
    st.integers(1, 5),
)
def test_whatever_is_read_it_ends(rows: list[str], copies: int) -> None:
    pages = {n: set_page(*rows) for n in range(1, copies + 1)}
    assert printed_labels(pages) == {}
    assert printed_labels({}) == {}
