"""Where chapters begin, down to the place on the page."""

import unicodedata

from bookbrain.formats.text import headings_in, titles_by_page
from bookbrain.model import Heading, Page


def test_titles_by_page() -> None:
    entries = [(0, "  1.\tKernel\n ", 4), (1, "1.1 Why", 4), (0, " \x00 ", 5), (0, "2. Heap", 7)]
    assert titles_by_page(entries) == {4: ["1. Kernel", "1.1 Why"], 7: ["2. Heap"]}


def test_titles_are_spelt_like_the_pages() -> None:
    assert titles_by_page([(0, unicodedata.normalize("NFD", "서론"), 0)]) == {0: ["서론"]}


TEXT = """In 1.1 Why we will see more.
1. The Kernel
It begins. The kernel is small.
1.1  Why
Because."""


def test_headings_stand_where_they_are_printed() -> None:
    found = headings_in(["The Kernel", "1.1 Why"], TEXT)
    assert [heading.title for heading in found] == ["The Kernel", "1.1 Why"]
    assert TEXT[found[0].start :].startswith("1. The Kernel\n")
    assert TEXT[found[1].start :].startswith("1.1  Why\n"), "not where the text mentions it"


def test_a_heading_that_was_joined_to_its_paragraph() -> None:
    text = "End of the last one.\nCaches A cache keeps what was read."
    assert headings_in(["Caches"], text) == (Heading(21, "Caches"),)


def test_one_that_is_not_found_stands_with_the_one_before() -> None:
    assert headings_in(["Nowhere"], TEXT) == (Heading(0, "Nowhere"),)
    found = headings_in(["The Kernel", "Nowhere", "1.1 Why"], TEXT)
    assert found[0].start == found[1].start < found[2].start


def test_titles_are_not_patterns() -> None:
    assert headings_in(["C++ (2nd ed.) [a-z]*"], "x\nC++ (2nd ed.) [a-z]*\n")[0].start == 2


def test_the_chapter_of_a_place() -> None:
    page = Page(3, "1", "Preface", TEXT, headings_in(["The Kernel", "1.1 Why"], TEXT))
    assert page.chapter_at(0) == "Preface"
    assert page.chapter_at(TEXT.index("It begins")) == "The Kernel"
    assert page.chapter_at(TEXT.index("Because")) == "1.1 Why"
