"""The numbers that are printed on the pages of a scanned book, where they are certain.

One number says little: it may be a year, a chapter's, or misread. Numbers at a like place in the
head or the foot that rise by one from page to page are what the book counts its pages by.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise, product

from bookbrain.ocr.engine import RecognisedPage, Word, rows_of

_EDGE_ROWS = 3  # at the head and the foot, dust and shadows among them
_MOST_NUMBERS = 2  # in a row that has the page's: it may have the chapter's, or the last page's
_SHORT = 6  # words of a row: in a longer one a number stands at its ends only
_GAP = 16  # pages without a number inside a run: plates, the beginnings of chapters
_OPENING = 12  # pages before the first number that was read, which books count all the same
_MOST_ERRORS = 10  # supporting pages for each one that was read otherwise
_APART = 0.3  # of a page's width: two numbers nearer to each other are of one page
_RIVAL = 0.8  # of a run's pages: another run with as many makes both doubtful

_Place = tuple[str, str]  # head or foot; left, middle, right
_Places = tuple[_Place, _Place]


@dataclass(frozen=True, slots=True)
class _Kind:
    """How pages are counted; `step` is 2 where a picture has two pages, each with its number.

    A run has at least so many pages as `shortest`, and `fewest` of them show its numbers.
    """

    roman: bool
    step: int
    shortest: int
    fewest: int


_ARABIC = _Kind(roman=False, step=1, shortest=8, fewest=6)
_ROMAN = _Kind(roman=True, step=1, shortest=4, fewest=3)  # no table of figures has these
_SPREAD = _Kind(roman=False, step=2, shortest=6, fewest=5)


@dataclass(frozen=True, slots=True)
class _Number:
    page: int
    kind: _Kind
    value: int
    place: _Place
    capital: bool

    @property
    def offset(self) -> int:
        return self.value - self.kind.step * self.page


@dataclass(frozen=True, slots=True)
class _Run:
    """Pages `first` to `last`, numbered by their own number and `offset`; `read` show theirs, even
    ones and odd ones at their `places`."""

    kind: _Kind
    offset: int
    first: int
    last: int
    read: frozenset[int]
    places: _Places
    capital: bool

    def label(self, page: int) -> str:
        value = self.kind.step * page + self.offset
        if self.kind.roman:
            return _roman(value).upper() if self.capital else _roman(value)
        return f"{value}–{value + 1}" if self.kind.step == 2 else str(value)


def printed_labels(pages: Mapping[int, RecognisedPage]) -> dict[int, str]:
    """What is printed as their number on pages of a book, by the page's own number from 1.

    Those of a run only, also of its pages without a number; none where two runs differ. A picture
    of two pages, each with its number, has both: "12–13".
    """
    numbers = {page: [*_numbers_on(page, found)] for page, found in pages.items()}
    labels: dict[int, str] = {}
    runs = _with_openings(_together(_certain_runs(numbers)), numbers)
    for page in sorted({page for run in runs for page in range(run.first, run.last + 1)}):
        here = [run for run in runs if run.first <= page <= run.last]
        best, *others = sorted(here, key=lambda run: -len(run.read))
        if all(len(run.read) < _RIVAL * len(best.read) for run in others):
            labels[page] = best.label(page)
    return labels


def possible_labels(text: str) -> list[str]:
    """The pages that a word may name, 12 or xii, the most likely first; none for another word.

    A dot that leads to a number may be in it as its first digit.
    """
    bare = text.strip(_FRAME)
    digits = bare.translate(_MISREAD_DIGITS) if _LIKE_DIGITS.fullmatch(bare) else bare
    decimal = [str(value) for number in (digits, digits[1:]) for value in _decimal(number)]
    return [*dict.fromkeys(decimal), *map(_roman, sorted(_roman_values(bare)))]


# Numbers on a page


_FRAME = "-–—−~·….,|[](){}<>«»*=_'\"“”‘’/:;•"
_DECIMAL = re.compile(r"(?:[pP]\.?|[pP]age)?([0-9lIOo|]{1,4})(?:쪽|페이지|면|/[0-9]{1,4})?")
_MISREAD_DIGITS = str.maketrans("lIi|Oo", "111100")
_LIKE_DIGITS = re.compile("[0-9lIi|Oo]{2,4}")
_ROMAN_LETTERS = re.compile(r"[ivxlj1|]{1,8}", re.IGNORECASE)
_MISREAD_ROMAN = str.maketrans("lj1|", "iiii")
_COUNTED = re.compile(
    r"""chapter|chap|section|sect?|part|unit|lesson|table|figure|fig|step|day|week|example|exercise
      | question|problem|test|appendix|volume|vol|no|line|release|version|v|제
      | jan\w*|feb\w*|mar|march|apr\w*|may|june?|july?|aug\w*|sep\w*|oct\w*|nov\w*|dec\w*
      | 그림|표|부록|단계|예제|문제|버전""",
    re.IGNORECASE | re.VERBOSE,
)
_COUNTERS = re.compile("(?:장|절|부|과|편|월|일|년|회|권|호|강)(?:[^가-힣].*)?")
_YEARS, _FAR = range(1400, 2200), 400


def _numbers_on(page: int, found: RecognisedPage) -> Iterator[_Number]:
    """What may be the page's number, of all that stands in its first and last rows."""
    rows = [_telling(row) for row in rows_of(found)]
    rows = [row for row in rows if row]
    if not rows:
        return
    left = min(word.box[0] for row in rows for word in row)
    right = max(word.box[2] for row in rows for word in row)
    for edge, some in (("head", rows[:_EDGE_ROWS]), ("foot", rows[: -_EDGE_ROWS - 1 : -1])):
        outermost = next(filter(None, (_values_in(row, page) for row in some)), ())
        here = [
            (value, kind, word, ((word.box[0] + word.box[2]) / 2 - left) / (right - left))
            for value, kind, word in outermost
        ]
        for value, kind, word, across in here:
            yield _Number(page, kind, value, (edge, _side(across)), word.text.isupper())
        for (one, kind, _, left_of), (other, second, _, right_of) in product(here, here):
            if kind == second == _ARABIC and other == one + 1 and right_of - left_of > _APART:
                yield _Number(page, _SPREAD, one, (edge, "both"), capital=False)


def _telling(row: Sequence[Word]) -> list[Word]:
    return [word for word in row if any(map(str.isalnum, word.text))]


def _values_in(row: Sequence[Word], page: int) -> list[tuple[int, _Kind, Word]]:
    """What the numbers of a row may be; none where there are so many that it is one of a table."""
    if sum(bool(_DECIMAL.fullmatch(word.text.strip(_FRAME))) for word in row) > _MOST_NUMBERS:
        return []
    found: list[tuple[int, _Kind, Word]] = []
    for n in range(len(row)) if len(row) <= _SHORT else (0, len(row) - 1):
        if not _is_counted(row, n):
            text = row[n].text.strip(_FRAME)
            found += ((value, _ARABIC, row[n]) for value in _decimal(text))
            found += ((value, _ROMAN, row[n]) for value in _roman_values(text))
    return [one for one in found if one[0] not in _YEARS or abs(one[0] - page) <= _FAR]


def _side(across: float) -> str:
    return "left" if across < 1 / 3 else "right" if across > 2 / 3 else "middle"


def _is_counted(row: Sequence[Word], n: int) -> bool:
    """Whether it numbers a chapter, a day or an item: "Chapter 3", "3 장", "3. It"."""
    before = row[n - 1].text.strip(_FRAME) if n else ""
    after = row[n + 1].text.strip(_FRAME) if n + 1 < len(row) else ""
    item = bool(after) and row[n].text.endswith((".", ")"))
    return item or bool(_COUNTED.fullmatch(before) or _COUNTERS.fullmatch(after))


def _decimal(text: str) -> set[int]:
    """The number that it is, if it is one: letters that look like digits may be beside a digit."""
    found = _DECIMAL.fullmatch(text)
    if not found or not any(map(str.isdecimal, found[1])):
        return set()
    return {int(found[1].translate(_MISREAD_DIGITS))} - {0}


def _roman_values(text: str) -> set[int]:
    """What a roman number may be: an l in it is 50, or an i that was misread."""
    if not _ROMAN_LETTERS.fullmatch(text) or text.isdecimal():
        return set()
    read = text.lower()
    return {_ROMANS[form] for form in (read, read.translate(_MISREAD_ROMAN)) if form in _ROMANS}


def _roman(value: int) -> str:
    return _TENS[value // 10] + _ONES[value % 10]


_ONES = ["", "i", "ii", "iii", "iv", "v", "vi", "vii", "viii", "ix"]
_TENS = ["", "x", "xx", "xxx", "xl", "l", "lx", "lxx", "lxxx"]
_ROMANS = {_roman(value): value for value in range(1, 90)}


# Runs


_Numbers = Mapping[int, Sequence[_Number]]


def _certain_runs(numbers: _Numbers) -> list[_Run]:
    """All runs, the first first."""
    alike: dict[tuple[_Kind, int], list[_Number]] = defaultdict(list)
    for page in sorted(numbers):
        for number in numbers[page]:
            alike[number.kind, number.offset].append(number)
    runs = [
        run
        for found in alike.values()
        if len(found) >= found[0].kind.fewest
        for some in _near(found, _GAP)
        for run in _runs_of(some, numbers)
    ]
    return sorted(runs, key=lambda run: (run.first, run.last))


def _near(found: Sequence[_Number], most: int) -> list[list[_Number]]:
    """The numbers in groups with no wider gap between their pages."""
    groups = [[found[0]]]
    for before, number in pairwise(found):
        if number.page - before.page > most:
            groups.append([])
        groups[-1].append(number)
    return groups


def _runs_of(found: Sequence[_Number], numbers: _Numbers) -> Iterator[_Run]:
    """The certain runs among numbers that rise by one from page to page."""
    usual = _usual_places(found)
    here = {n.page: n for n in found if n.place == usual[n.page % 2]}
    otherwise = _read_otherwise(found, usual, numbers)
    groups: list[list[_Number]] = [[]]
    for page in sorted(here):
        if groups[-1]:
            between = sum(groups[-1][-1].page < other < page for other in otherwise)
            if between > 1:  # one may be misread; two say that it ended
                groups.append([])
        groups[-1].append(here[page])
    for group in groups:
        if group and (run := _certain(group, usual, otherwise, numbers)):
            yield run


def _usual_places(found: Iterable[_Number]) -> _Places:
    """Where most numbers stand, of even pages and of odd ones."""
    places = [Counter(n.place for n in found if n.page % 2 == parity) for parity in (0, 1)]
    both = places[0] + places[1]
    even, odd = ((some or both).most_common(1)[0][0] for some in places)
    return even, odd


def _read_otherwise(found: Sequence[_Number], usual: _Places, numbers: _Numbers) -> list[int]:
    """The pages among these that have another number at the place of theirs."""
    matching, kind = {n.page for n in found}, found[0].kind
    return [
        page
        for page in range(found[0].page, found[-1].page + 1)
        if page not in matching and _is_numbered(page, kind, usual, numbers)
    ]


def _is_numbered(page: int, kind: _Kind, usual: _Places, numbers: _Numbers) -> bool:
    """Whether a page has a number of this kind at the usual place."""
    place = usual[page % 2]
    return any(n.kind == kind and n.place == place for n in numbers.get(page, ()))


def _certain(
    group: Sequence[_Number], usual: _Places, otherwise: Sequence[int], numbers: _Numbers
) -> _Run | None:
    """The run that the numbers are, if they are one."""
    kind, first, last = group[0].kind, group[0].page, group[-1].page
    errors = sum(first < page < last for page in otherwise)
    recognised = sum(page in numbers for page in range(first, last + 1))
    enough = len(group) >= kind.fewest and last - first + 1 >= kind.shortest
    if not enough or 2 * len(group) <= recognised or errors > len(group) // _MOST_ERRORS:
        return None
    capital = 2 * sum(number.capital for number in group) > len(group)
    read = frozenset(number.page for number in group)
    return _Run(kind, group[0].offset, first, last, read, usual, capital)


def _together(runs: Sequence[_Run]) -> list[_Run]:
    """The runs; two that follow each other and count alike are one, however far they are apart."""
    joined: list[_Run] = []
    for run in runs:
        before = joined[-1] if joined else None
        if before and (before.kind, before.offset) == (run.kind, run.offset):
            joined[-1] = replace(
                before, last=max(before.last, run.last), read=before.read | run.read
            )
        else:
            joined.append(run)
    return joined


def _with_openings(runs: Sequence[_Run], numbers: _Numbers) -> list[_Run]:
    """The runs from their number 1 on, where a few pages before the first printed number are
    counted, too, and show none."""
    opened, free = [], 1
    for run in runs:
        start = 1 - run.offset
        unnumbered = not any(
            _is_numbered(page, run.kind, run.places, numbers) for page in range(start, run.first)
        )
        if run.kind.step == 1 and free <= start >= run.first - _OPENING and unnumbered:
            opened.append(replace(run, first=start))
        else:
            opened.append(run)
        free = max(free, run.last + 1)
    return opened
