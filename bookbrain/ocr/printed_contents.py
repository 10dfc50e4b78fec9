"""The chapters that the table of contents of a scanned book names, where they are certain.

A row of a contents page is a title and the number of the page where it begins. What leads there is
the number printed on that page, and it is believed where the title stands there again.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from itertools import pairwise

from bookbrain.ocr.engine import RecognisedPage, Word, rows_of
from bookbrain.ocr.printed_numbers import possible_labels

_FRONT = 40  # pages at the beginning of a book, among which its contents are
_FEWEST_ROWS = 3  # of a contents page that are entries
_FEWEST, _SHARE = 4, 0.6  # of the entries, that are found: fewer, and none is believed
_ALIKE = 0.8  # of the letters of an entry and of a heading
_MOST_HEADING_ROWS = 3
_TELLING = 6  # letters of a heading with which an entry may begin
_LONGEST_TITLE, _MOST_ENTRIES = 200, 1000  # characters; of a book
_DOUBTFUL = 40.0  # confidence of what is read of leader dots
_DUST, _MOST_DUST = 2, 2  # letters of a word that is none, behind a number; how many there may be


@dataclass(frozen=True, slots=True)
class _Entry:
    """A title, the same with the row before it where that may be its beginning, and the labels
    that its number may be, the most likely first."""

    title: str
    whole: str
    labels: Sequence[str]


def printed_chapters(
    pages: Mapping[int, RecognisedPage], labels: Mapping[int, str]
) -> dict[int, list[str]]:
    """The headings on pages of a book to which its contents lead, as they stand there, in order.

    `labels` are those of the pages that are certain. Empty where no contents are found, or too few
    of their entries lead to what they say.
    """
    tables = [_led_to(contents, pages, labels) for contents in _contents(pages)]
    return max(tables, key=lambda table: sum(map(len, table.values())), default={})


def _led_to(
    contents: Sequence[int], pages: Mapping[int, RecognisedPage], labels: Mapping[int, str]
) -> dict[int, list[str]]:
    """The headings to which the entries of contents on these pages lead."""
    entries = [entry for page in contents for entry in _entries_on(pages[page])][:_MOST_ENTRIES]
    places = _places(labels, after=contents[-1])
    rows = {page: rows_of(found) for page, found in pages.items() if page not in contents}
    chapters: dict[int, list[str]] = {}
    found = 0
    for entry in entries:
        for page in (places[label] for label in entry.labels if label in places):
            if heading := _heading(entry, [_text(row) for row in rows.get(page, ())]):
                found += 1
                here = chapters.setdefault(page, [])
                here += [heading] if heading not in here else []
                break
    return chapters if found >= max(_FEWEST, _SHARE * len(entries)) else {}


def _places(labels: Mapping[int, str], after: int) -> dict[str, int]:
    """The page of each label: of two volumes in a file the first after the contents."""
    pages = sorted(labels, key=lambda page: (page > after, -page))
    return {labels[page].casefold(): page for page in pages}


# Contents


_LEADER = re.compile(r"^(.*?)[.·…‥ㆍ・‧_\-~]{2,}([0-9ivxlcIVXLC]*)$")
_DOTS = ".·…‥ㆍ・‧_-~•*,:;'\"`"


def _contents(pages: Mapping[int, RecognisedPage]) -> list[list[int]]:
    """What may be contents: pages at the beginning that follow each other."""
    found: list[list[int]] = []
    for page in sorted(page for page in pages if page <= _FRONT):
        if _is_contents([*_entries_on(pages[page])]):
            if not found or page > found[-1][-1] + 1:
                found.append([])
            found[-1].append(page)
    return found


def _is_contents(entries: Sequence[_Entry]) -> bool:
    """Whether rows are entries of a table: their numbers do not fall, but for what was misread."""
    numbers = [int(entry.labels[0]) for entry in entries if entry.labels[0].isdecimal()]
    falls = sum(after < before for before, after in pairwise(numbers))
    return len(entries) >= _FEWEST_ROWS and falls <= len(numbers) // 4


def _entries_on(page: RecognisedPage) -> Iterator[_Entry]:
    before = ""
    for row in rows_of(page):
        title, labels = _parted(row)
        if labels and any(map(str.isalpha, title)):
            yield _Entry(title, f"{before} {title}".strip(), labels)
        before = "" if labels else _text(row)


def _parted(row: Sequence[Word]) -> tuple[str, list[str]]:
    """The title of a row, without the dots after it, and what its number may be; dust may follow
    the number."""
    for skipped, last in enumerate(row[: -_MOST_DUST - 2 : -1]):
        leader = _LEADER.match(last.text)
        tail, number = leader.groups() if leader else ("", last.text)
        if labels := possible_labels(number):
            words = [*row[: len(row) - 1 - skipped], *([replace(last, text=tail)] if tail else [])]
            while words and _is_leader(words[-1]):
                words.pop()
            return _text(words).rstrip(_DOTS + " ")[:_LONGEST_TITLE], labels
        if len(last.text) > _DUST:
            break
    return "", []


def _is_leader(word: Word) -> bool:
    """Whether it is no word but dots, as they are or as what they were taken for."""
    bare = word.text.strip(_DOTS)
    few = len(bare) > 3 and len(set(bare)) <= max(2, len(bare) // 4)
    return not any(map(str.isalnum, bare)) or few or word.confidence < _DOUBTFUL


def _text(row: Sequence[Word]) -> str:
    return " ".join(word.text for word in row)


# Headings


def _heading(entry: _Entry, rows: Sequence[str]) -> str:
    """The rows of a page, up to three, that are most like the entry; "" for none that is."""
    best, most = "", _ALIKE
    wanted = {form for title in (entry.title, entry.whole) if (form := _form(title))}
    for start in range(len(rows)):
        for stop in range(start + 1, min(start + _MOST_HEADING_ROWS, len(rows)) + 1):
            text = " ".join(rows[start:stop])
            alike = max((_likeness(title, _form(text)) for title in wanted), default=0.0)
            if (alike, len(text)) > (most, len(best)):
                best, most = text, alike
    return best[:_LONGEST_TITLE]


def _form(text: str) -> str:
    return "".join(filter(str.isalnum, text.casefold()))


def _likeness(title: str, heading: str) -> float:
    """The share of letters in the same order, as far as it is more than `_ALIKE`.

    What follows in the contents may be dots that were taken for letters.
    """
    if len(heading) >= _TELLING:
        title = title[: len(heading)]
    matcher = SequenceMatcher(None, title, heading, autojunk=False)
    if matcher.real_quick_ratio() <= _ALIKE or matcher.quick_ratio() <= _ALIKE:
        return 0.0
    return matcher.ratio()
