"""Lines in a font of one width: their indentation and columns are kept. In children only.

pdfium drops spaces at the start of a line and all but one inside; where characters stand tells how
many there were. The printed numbers of a listing's lines are none of its text.
"""

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise, takewhile
from typing import NamedTuple
from unicodedata import east_asian_width

from bookbrain.formats.glyphs import SPACE, Glyphs, says_fixed_width, sides_of, text_at

_ALIKE = 0.012  # of a width
_FEWEST_LETTERS = 4  # different ones that are as wide as each other, in a font that says nothing
_FIT = 0.06  # of a width, that a column may be off
_LAST_NARROW = "\u10ff"  # before Hangul
_LONG = 8  # characters of a line that fits by no accident
_WIDEST_STEP = 1.4  # times a character's width, from one to the next
_MOST_SPACES = 200
_COMMENT = re.compile(r"//|/\*|#|--|;|%|\*|<!--|['\"]")
_NUMBER = re.compile(r"(\d{1,5})(?:\s+|$)")
_FEWEST_NUMBERED, _NUMBERED = 3, 0.7  # lines of a listing; of all its lines
_OTHER_SIZE, _APART = 0.03, 1.5  # of the width of a character
_FARTHEST_LINE, _MOST_BLANK = 4.3, 2  # of a line's height; lines that are left blank in a listing


Known = set[tuple[float, float]]


class Line(NamedTuple):
    """The numbers of a line's characters, SPACE among them; whether its columns count."""

    places: Sequence[int]
    is_code: bool = False


class Ends(NamedTuple):
    """Of each line the box of its first character, the left side of the second, and the box of its
    last one."""

    left: Sequence[float]
    bottom: Sequence[float]
    right: Sequence[float]
    top: Sequence[float]
    second: Sequence[float]
    last_left: Sequence[float]
    last_bottom: Sequence[float]
    last_right: Sequence[float]


class _Row(NamedTuple):
    """A line of a listing without its number, and how far its characters are apart."""

    line: Sequence[int]
    left: float
    bottom: float
    height: float
    last: float  # the left side of its last character
    step: float
    number: int = -1
    digit: float = 0.0  # how wide one of the number's is
    number_right: float = 0.0
    body: Sequence[int] = ()
    body_left: float = 0.0


def ends_of(glyphs: Glyphs, lines: Sequence[Sequence[int]]) -> Ends:
    """The ends of all lines; none is empty, or begins with a SPACE."""
    numbers = [n for line in lines for n in (line[0], line[len(line) > 1], line[-1])]
    left, bottom, right, top = sides_of(glyphs, numbers)
    return Ends(
        left[0::3], bottom[0::3], right[0::3], top[0::3],
        left[1::3], left[2::3], bottom[2::3], right[2::3],
    )  # fmt: skip


def with_listings(glyphs: Glyphs, lines: Sequence[Sequence[int]], ends: Ends) -> list[Line]:
    """The lines in their order, those of listings in their columns and without numbers.

    `ends` are those of the lines.
    """
    known: Known = set()
    found: list[_Row | None] = [None] * len(lines)
    for number in _may_be_fixed(glyphs.text, lines, ends):
        found[number] = _row(glyphs, lines[number], ends, number, known)
    if not known and not any(found):
        return [*map(Line, lines)]
    for number in range(len(found)):  # beside a line that is, a short one can be told as well
        beside = found[max(number - 1, 0)] or found[min(number + 1, len(found) - 1)]
        if beside and not found[number] and _size(ends, number) in known:
            found[number] = _row(glyphs, lines[number], ends, number, known)
    laid: list[Line] = []
    listing: list[_Row] = []
    for line, row in zip(lines, _with_comments(glyphs, lines, ends, found), strict=True):
        if listing and (row is None or not _goes_on(listing[-1], row)):
            laid += _laid(glyphs, listing)
            listing = []
        if row is None:
            laid.append(Line(line))
        else:
            listing.append(row)
    return laid + _laid(glyphs, listing)


# Which lines are


def _is_wide(character: str) -> bool:
    return character > _LAST_NARROW and east_asian_width(character) in "WF"


def _may_be_fixed(text: str, lines: Sequence[Sequence[int]], ends: Ends) -> list[int]:
    """The lines whose last character is as wide as the first, or that begin with a number, or end
    in a wide letter: most are none of these, and cost no more."""
    sides = zip(lines, ends.left, ends.right, ends.last_left, ends.last_right, strict=True)
    return [
        number
        for number, (line, left, right, last_left, last_right) in enumerate(sides)
        if abs(last_right - last_left - right + left) <= _ALIKE * (right - left)
        or text[line[-1]] > _LAST_NARROW
        or text[line[0]].isdecimal()
    ]


def _row(glyphs: Glyphs, line: Sequence[int], ends: Ends, at: int, known: Known) -> _Row | None:
    """The line, whose ends are number `at`, as one of a listing; None where it is none."""
    body, of_body, number, digits = line, (ends, at), -1, 0
    if glyphs.text[line[0]].isdecimal():
        numbered = _NUMBER.match(text_at(glyphs, line))
        if numbered:
            number, digits, body = int(numbered[1]), numbered.end(1), line[numbered.end() :]
            of_body = (ends_of(glyphs, [body]), 0) if body else of_body
    step = _step(glyphs, line, ends, at, known)
    if not step and body is not line and body:
        step = _step(glyphs, body, *of_body, known)
    if not step:
        return None
    left, bottom = ends.left[at], ends.bottom[at]
    digit, body_left = ends.right[at] - left, of_body[0].left[of_body[1]]
    return _Row(
        line, left, bottom, ends.top[at] - bottom, ends.last_left[at], step,
        number, digit, left + digits * digit, body, body_left,
    )  # fmt: skip


def _bare_row(line: Sequence[int], ends: Ends, at: int, step: float) -> _Row:
    bottom = ends.bottom[at]
    return _Row(line, ends.left[at], bottom, ends.top[at] - bottom, ends.last_left[at], step)


def _step(glyphs: Glyphs, line: Sequence[int], ends: Ends, at: int, known: Known) -> float:
    """How far the characters of a line are apart; 0 where they are not of one width.

    `known` has such distances, with the heights of characters, of lines that are. The ink of a
    letter may be wider than its place, and its box with it.
    """
    left, last_left = ends.left[at], ends.last_left[at]
    width, ends_wide = ends.right[at] - left, _is_wide(glyphs.text[line[-1]])
    alike = abs(ends.last_right[at] - last_left - width) <= _ALIKE * width
    if not (width > 0 and (alike or ends_wide or (known and _size(ends, at) in known))):
        return 0.0
    step = ends.second[at] - left if len(line) > 2 else width
    if not 0 < step <= _WIDEST_STEP * width:
        step = width
    columns = (last_left - left) / step
    if not ends_wide:
        fits = columns > len(line) - 1.5 and abs(columns - round(columns)) < _FIT
        return step if fits and _is_of_one_width(glyphs, line, _size(ends, at), known) else 0.0
    if not _is_wide(glyphs.text[line[0]]) and says_fixed_width(glyphs, line[0]):
        return step if _is_fixed_to_its_end(glyphs, line) else 0.0
    return 0.0


def _size(ends: Ends, at: int) -> tuple[float, float]:
    """How far the first two characters of a line are apart, and how high they are."""
    left = ends.left[at]
    across = ends.second[at] - left or ends.right[at] - left  # there may be but one
    return round(across, 2), round(ends.top[at] - ends.bottom[at], 2)


def _is_of_one_width(
    glyphs: Glyphs, line: Sequence[int], size: tuple[float, float], known: Known
) -> bool:
    """Whether a line whose columns fit is in a font of one width, by what this says or has."""
    is_known = size in known
    if is_known and len(line) > _LONG:
        return True
    if says_fixed_width(glyphs, line[0]):
        found = _is_fixed_to_its_end(glyphs, line)
    else:
        found = _are_in_columns(glyphs, line, 0 if is_known else _FEWEST_LETTERS)
    if found:
        known.add(size)
    return found


def _are_in_columns(glyphs: Glyphs, places: Sequence[int], fewest: int) -> bool:
    """Whether all characters of a line are as far apart, enough different letters among them."""
    narrow = [place for place in _inked(glyphs, places) if not _is_wide(glyphs.text[place])]
    letters = {glyphs.text[place] for place in narrow if glyphs.text[place].isalpha()}
    if len(letters) < fewest or len(narrow) < 2:
        return not fewest
    lefts = sides_of(glyphs, narrow)[0]
    steps = [b - a for a, b in pairwise(lefts)]
    least = min(steps)
    return least > 0 and all(abs(step / least - round(step / least)) < _FIT for step in steps)


def _is_fixed_to_its_end(glyphs: Glyphs, line: Sequence[int]) -> bool:
    """Whether a line that begins in a font of one width is code, and no prose after a name."""
    text = glyphs.text
    if not _is_wide(text[line[-1]]):
        middle = len(line) // 2
        middle += text[line[middle]].isspace()
        return all(says_fixed_width(glyphs, place) for place in {line[middle], line[-1]})
    latin = "".join(takewhile(lambda c: not _is_wide(c), (text[place] for place in line)))
    return bool(_COMMENT.search(latin)) or says_fixed_width(glyphs, line[-1])


def _inked(glyphs: Glyphs, places: Sequence[int]) -> list[int]:
    return [place for place in places if not glyphs.text[place].isspace()]


def _with_comments(
    glyphs: Glyphs, lines: Sequence[Sequence[int]], ends: Ends, rows: Sequence[_Row | None]
) -> list[_Row | None]:
    """With the lines between two of a listing that are but a number, or begin with wide letters."""
    whole = [*rows]
    for number, line in enumerate(lines):
        before = whole[number - 1] if number else None
        if rows[number] or before is None:
            continue
        after = rows[number + 1] if number + 1 < len(rows) else None
        first = glyphs.text[line[0]]
        row = _bare_row(line, ends, number, before.step)
        if first.isdecimal() and before.number >= 0:
            if text_at(glyphs, line) == str(before.number + 1):
                whole[number] = row._replace(number=before.number + 1)
        elif after and _is_wide(first) and row.left > min(before.body_left, after.body_left) - 1:
            whole[number] = row._replace(body=line, body_left=row.left)
    return whole


def _goes_on(before: _Row, row: _Row) -> bool:
    """Whether a listing goes on in the next line."""
    down = before.bottom - row.bottom
    return 0 < down <= _FARTHEST_LINE * max(before.height, 1.0) and (
        abs(before.step - row.step) <= 0.03 * before.step
    )


# How they are laid out


def _laid(glyphs: Glyphs, rows: Sequence[_Row]) -> list[Line]:
    """The lines of a listing, blank ones between them."""
    if not rows:
        return []
    if not _have_numbers(rows):
        rows = [
            row if row.number < 0 else row._replace(body=row.line, body_left=row.left)
            for row in rows
        ]
    left = min((row.body_left for row in rows if row.body), default=0.0)
    downs = [one.bottom - other.bottom for one, other in pairwise(rows)]
    leading = min(downs, default=0.0)
    laid: list[Line] = []
    for row, down in zip(rows, [leading, *downs], strict=True):
        laid += [Line((), True)] * _blank_lines(down, leading)
        laid.append(Line(_columns(glyphs, row, left), True))
    return laid


def _have_numbers(rows: Sequence[_Row]) -> bool:
    """Whether a listing's lines begin with their numbers, which no text of its own does."""
    numbers = [row.number for row in rows if row.number >= 0]
    if len(numbers) < _FEWEST_NUMBERED or len(numbers) < _NUMBERED * len(rows):
        return False
    return all(b == a + 1 for a, b in pairwise(numbers)) and _stand_apart(rows)


def _stand_apart(rows: Sequence[_Row]) -> bool:
    """Whether numbers are of another size than the text, or farther from it than by a space."""
    both = [row for row in rows if row.number >= 0 and row.body]
    if any(abs(row.digit - row.step) > _OTHER_SIZE * row.step for row in both):
        return True
    left = min((row.body_left for row in both), default=0.0)
    return all(left - row.number_right > _APART * row.step for row in both)


def _blank_lines(down: float, leading: float) -> int:
    times = down / leading if leading > 0 else 1.0
    count = round(times) - 1
    return count if 0 < count <= _MOST_BLANK and abs(times - count - 1) < 0.2 else 0


def _columns(glyphs: Glyphs, row: _Row, left: float) -> Sequence[int]:
    """A line with its indentation, and as many spaces inside as there is room for."""
    body, step = row.body, row.step
    if not body:
        return ()
    indent = min(max(round((row.body_left - left) / step), 0), _MOST_SPACES)
    columns = round((row.last - row.body_left) / step)
    if columns != len(body) - 1 or _is_wide(glyphs.text[body[-1]]):
        body = [*_spaced(glyphs, body, step)]
    return [*[SPACE] * indent, *body] if indent else body


def _spaced(glyphs: Glyphs, body: Sequence[int], step: float) -> Iterator[int]:
    own = _inked(glyphs, body)
    end = None
    lefts, _, rights, _ = sides_of(glyphs, own)
    for place, left, right in zip(own, lefts, rights, strict=True):
        if end is not None:
            room = min(max(round((left - end[1]) / step), 0), _MOST_SPACES)
            yield from [SPACE] * (room or (place - end[0] > 1))
        yield place
        end = (place, left + max(right - left, step))
