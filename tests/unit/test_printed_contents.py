"""Chapters of scanned books: those that a contents page and the pages themselves agree on."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest
from support.readers_of_scans import set_page

from bookbrain.library.recognised_text import with_recognised
from bookbrain.model import Heading, Page
from bookbrain.ocr.choice import NO_TEXT
from bookbrain.ocr.engine import RecognisedPage
from bookbrain.ocr.printed_contents import printed_chapters
from bookbrain.ocr.printed_numbers import printed_labels

_PROSE = (
    "The worker waits until all of the threads have stopped and the queue",
    "is empty again. After 3 restarts the journal is read from its first",
    "entry, and nobody releases the lock before that. 잠금은 12 번 열린다",
) * 3
_ENGLISH = {
    "1 Processes and Threads": 1,
    "2 Locks": 5,
    "2.1 Spinning and sleeping": 8,
    "3 The scheduler at work": 12,
    "Index": 17,
}
_KOREAN = {
    "제 1 장 프로세스와 스레드": 1,
    "제 2 장 잠금": 5,
    "2.1 돌며 기다리기": 8,
    "3장 스케줄러의 동작": 12,
    "찾아보기": 17,
}
_FRONT = 3  # pages before page 1: cover, contents, empty


def _book(
    entries: Sequence[str], headings: Mapping[str, int], last: int = 20
) -> dict[int, RecognisedPage]:
    """A book with these rows of contents on its second page, and headings on its numbered pages."""
    pages = {1: set_page("A book"), 2: set_page("Contents", *entries), 3: set_page()}
    for number in range(1, last + 1):
        rows = [title for title, page in headings.items() if page == number]
        pages[_FRONT + number] = set_page(*rows, *_PROSE, f"\t{number}")
    return pages


def _rows(entries: Mapping[str, int], dots: str = "....") -> list[str]:
    return [f"{title} {dots}\t{number}" for title, number in entries.items()]


def _chapters(pages: Mapping[int, RecognisedPage]) -> dict[str, int]:
    """The titles that are found, each with its printed page."""
    found = printed_chapters(pages, printed_labels(pages))
    return {title: page - _FRONT for page, titles in found.items() for title in titles}


@pytest.mark.parametrize("entries", [_ENGLISH, _KOREAN])
@pytest.mark.parametrize(
    "dots",
    [
        "",
        "....",
        ".................",
        "……",
        "· · · ·",
        "ㆍㆍㆍㆍ",
        "eeeeeeee",
        "ccc.....ccc",
        "- - -",
    ],
)
def test_what_the_contents_name_is_found_on_its_page(entries: dict[str, int], dots: str) -> None:
    assert _chapters(_book(_rows(entries, dots), entries)) == entries


def test_dots_may_stick_to_the_title_and_to_the_number() -> None:
    rows = [f"{title}......{number}" for title, number in _ENGLISH.items()]
    assert _chapters(_book(rows, _ENGLISH)) == _ENGLISH


def test_misread_letters_and_lost_entries_are_borne() -> None:
    misread = {
        "1 Processes and Threads": 1, "2 Lucks": 5, "2.1 Spinning arid sleeping": 8,
        "3 The scheduler at w0rk": 12, "What is nowhere": 15, "lndex": 17,
    }  # fmt: skip
    found = _chapters(_book(_rows(misread), _ENGLISH))
    assert found == {title: page for title, page in _ENGLISH.items() if title != "Index"}


def test_a_heading_may_have_rows_of_its_own() -> None:
    entries = {
        "Chapter 1 Processes and Threads": 1, "Chapter 2 Locks": 5,
        "Chapter 3 The scheduler at work": 12, "Chapter 4 Queues of work": 16,
    }  # fmt: skip
    pages = _book(_rows(entries), {})
    for title, number in entries.items():
        _, count, name = title.split(" ", 2)
        rows = (f"Chapter {count}", name, *_PROSE, f"\t{number}")
        pages[_FRONT + number] = set_page(*rows)
    assert _chapters(pages) == entries


def test_an_entry_may_have_two_rows() -> None:
    long = "What becomes of a process that waits for ever on a lock"
    entries = {**_ENGLISH, long: 18}
    rows = [
        *_rows(_ENGLISH),
        long.partition(" waits")[0],
        f"waits{long.partition(' waits')[2]}\t18",
    ]
    assert _chapters(_book(rows, entries)) == entries


def test_roman_pages_are_led_to() -> None:
    front = ["iii", "iv", "v", "vi", "vii", "viii"]
    pages = {2: set_page("Contents", "Preface\tv", *_rows(_ENGLISH))}
    for n, label in enumerate(front, start=3):
        pages[n] = set_page("Preface" if label == "v" else "front", *_PROSE, f"\t{label}")
    for number in range(1, 20):
        rows = [title for title, page in _ENGLISH.items() if page == number]
        pages[8 + number] = set_page(*rows, *_PROSE, f"\t{number}")
    found = printed_chapters(pages, printed_labels(pages))
    assert found == {5: ["Preface"]} | {8 + page: [title] for title, page in _ENGLISH.items()}


def test_contents_of_several_pages() -> None:
    entries = {f"{n}. A chapter called {name}": 2 * n for n, name in enumerate(
        ("alpha", "bravo", "charlie", "delta", "echo", "foxtrot", "golf", "hotel"), start=1
    )}  # fmt: skip
    rows = _rows(entries)
    pages = _book(rows[:4], entries)
    pages[3] = set_page(*rows[4:])
    assert _chapters(pages) == entries


def test_other_tables_before_the_contents_do_not_disturb() -> None:
    pages = _book(_rows(_ENGLISH), _ENGLISH)
    pages = {page + 2: found for page, found in pages.items()}
    pages[1] = set_page(*[f"Figure of worker {n}\t{n}" for n in range(1, 9)])
    found = printed_chapters(pages, printed_labels(pages))
    assert found == {_FRONT + 2 + page: [title] for title, page in _ENGLISH.items()}


# Where nothing is certain


def test_where_they_do_not_agree_there_is_none() -> None:
    rows = _rows(_ENGLISH)
    assert _chapters(_book(rows, {})) == {}, "the headings are nowhere"
    moved = {title: page + 1 for title, page in _ENGLISH.items()}
    assert _chapters(_book(rows, moved)) == {}, "they are on other pages"
    three = dict([*_ENGLISH.items()][:3])
    assert _chapters(_book(_rows(three), three)) == {}, "they are too few"
    others = {f"Nothing of the kind, part {n * 'x'}": n for n in range(1, 8)}
    assert _chapters(_book([*rows, *_rows(others)], _ENGLISH)) == {}, "most of them are not there"
    assert printed_chapters(_book(rows, _ENGLISH), {}) == {}, "no page has a certain number"
    assert printed_chapters({}, {}) == {}


_TABLES = {
    "prose": _PROSE,
    "figures": [f"Throughput of worker {n}\t{n * 37 % 100}" for n in range(20)],
    "years": [f"Release of version {n}\t{2000 + n}" for n in range(20)],
    "lines of code": [f"{n} return queue[{n}];" for n in range(40)],
    "an index": [f"lock {n}, {n + 7}" for n in (31, 4, 18, 2, 90, 7)],
}


@pytest.mark.parametrize("kind", _TABLES)
def test_tables_and_listings_are_no_contents(kind: str) -> None:
    rows = _TABLES[kind]
    pages = {n: set_page(*rows, f"\t{n}") for n in range(1, 40)}
    assert printed_chapters(pages, printed_labels(pages)) == {}


# In the text


def _unread(count: int) -> list[Page]:
    return [Page(n, str(n), "", "", (), NO_TEXT) for n in range(1, count + 1)]


def test_pages_stand_under_the_chapters() -> None:
    readings = _book(_rows(_ENGLISH), _ENGLISH)
    made = with_recognised(_unread(len(readings)), readings)
    assert [page.chapter for page in made[: _FRONT + 1]] == [""] * (_FRONT + 1)
    assert made[_FRONT].headings == (Heading(0, "1 Processes and Threads"),)
    assert made[_FRONT + 1].chapter == "1 Processes and Threads"
    assert made[_FRONT + 9].chapter == "2.1 Spinning and sleeping"
    assert made[_FRONT + 9].headings == ()
    for page in made:
        for heading in page.headings:
            assert page.text[heading.start :].startswith(heading.title)


def test_an_outline_of_the_file_is_better() -> None:
    readings = _book(_rows(_ENGLISH), _ENGLISH)
    pages = _unread(len(readings))
    pages[4] = replace(pages[4], headings=(Heading(0, "Its own"),))
    made = with_recognised(pages, readings)
    assert {heading.title for page in made for heading in page.headings} == {"Its own"}


def test_the_file_s_own_labels_lead_there_too() -> None:
    readings = _book(_rows(_ENGLISH), _ENGLISH)
    pages = [
        replace(page, label=str(page.number - _FRONT) if page.number > _FRONT else "cover")
        for page in _unread(len(readings))
    ]
    bare = {n: set_page(*[" ".join(w.text for w in found.words)]) for n, found in readings.items()}
    assert printed_labels(bare) == {}
    made = with_recognised(pages, readings)
    assert made[_FRONT + 5].chapter == "2 Locks"
