"""The lines of a page as they are read, where pdfium's order and gaps are not. In children only.

Most pages are well as pdfium has them, and keep its text exactly; a glance at the first and last
character of each line, and at what is odd in the text, tells which are not. Only of those more
characters are asked for.
"""

import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby, islice, pairwise
from statistics import median
from typing import NamedTuple

import pypdfium2 as pdfium

from bookbrain.formats.glyphs import (
    SPACE,
    Box,
    Glyphs,
    Sides,
    boxes_of,
    em_of,
    in_codes,
    in_letters,
    in_whole_words,
    read_glyphs,
    seen_on,
    sides_of,
    text_at,
    text_of_units,
    turn_of,
    units_of,
)
from bookbrain.formats.listing import Ends, Line, ends_of, with_listings
from bookbrain.formats.page_text import HYPHEN, clean
from bookbrain.formats.reading_order import Piece, read_rows, rows_of
from bookbrain.listed import LISTED

_MOST_CHARACTERS = 30_000  # of a page that is looked at
_MOST_LINES = 1_500
_NEAR = 200  # characters outside a page that may stand between two lines inside


Places = Sequence[int]  # the numbers of a line's characters, SPACE among them


def lay_out(
    page: pdfium.PdfPage, textpage: pdfium.PdfTextPage, text: str
) -> tuple[Glyphs, list[Line]] | None:
    """The lines of a page in reading order, whose `text` pdfium gives; None where that is well."""
    if not 0 < textpage.count_chars() <= _MOST_CHARACTERS:
        return None
    glyphs = read_glyphs(page, textpage)
    own = _own_lines(glyphs.text, in_letters(text)) or _lines_inside(page, glyphs)
    if not own or len(own) > _MOST_LINES:
        return None
    ends = ends_of(glyphs, own)
    lines = _in_reading_order(glyphs, own, ends)
    if lines is not own:
        ends = ends_of(glyphs, lines)
    parted = _with_gaps(glyphs, lines)
    laid = with_listings(glyphs, parted, ends)
    changed = lines is not own or parted is not lines or any(line.is_code for line in laid)
    return (glyphs, laid) if changed else None


def _own_lines(characters: str, text: str) -> list[Places] | None:
    """Of each line of the text the numbers of its characters; None where it is of others.

    The text lacks what is outside the page, and has more breaks.
    """
    lines: list[Places] = []
    at = 0
    for line in units_of(text, characters).replace(HYPHEN, f"{HYPHEN}\n").split("\n"):
        if not (line := line.strip()):
            continue
        found = characters.find(line, at)
        if 0 <= found <= at + _NEAR:
            at = found + len(line)
            lines.append(range(found, at))
            continue
        parts = _walked(characters, at, line)
        if parts is None:
            return None
        lines += parts
        at = parts[-1][-1] + 1
    return lines


def _walked(characters: str, at: int, line: str) -> list[list[int]] | None:
    """A line that has its white space elsewhere: its characters, in the lines that these are in."""
    parts: list[list[int]] = []
    for character in "".join(line.split()):
        while at < len(characters) and characters[at].isspace():
            at += 1
        if characters[at : at + 1] != character:
            return None
        if parts and "\n" not in characters[parts[-1][-1] : at]:
            parts[-1] += range(parts[-1][-1] + 1, at + 1)
        else:
            parts.append([at])
        at += 1
    return parts


def _lines_inside(page: pdfium.PdfPage, glyphs: Glyphs) -> list[Places]:
    """The lines of all characters that are inside the page."""
    seen = seen_on(page, glyphs.textpage, glyphs.text[:-1])
    inside = in_whole_words(glyphs.text, seen)
    lines: list[Places] = []
    for match in re.finditer(r"[^\r\n\x02]+\x02?", glyphs.text):
        line = [n for n in range(*match.span()) if n in inside or glyphs.text[n].isspace()]
        while line and glyphs.text[line[0]].isspace():
            line.pop(0)
        if line:
            lines.append(_stripped(glyphs.text, line))
    return lines


# The order of lines


_LEAST = 12.0  # points; nearer, a character is in its line
_LEAST_STEP = 0.1  # points, from a letter to the next: less, and it is above or below
_JUMP = 0.8  # of a line's height, upwards: that is another line
_OUTER = 2  # lines that are often drawn out of their order: a head, a foot
_SMALL_PAGE = 8  # lines
_SHORTEST_PROSE = 16  # characters of a line
_SAMPLES = 4
_WIDE_GAP = 1.0  # of a line's height: columns may be apart by it
_MOST_TURNS = 4
_FEWEST_BESIDE = 3  # lines that columns have beside each other
_FEWEST_IN_COLUMN = 9  # characters of a line of theirs


def _in_reading_order(glyphs: Glyphs, lines: list[Places], ends: Ends) -> list[Places]:
    """The lines themselves where their order is that of reading, as far as a glance tells."""
    turned = _is_turned(glyphs, lines, ends)
    jumps = _jumps(lines, ends)
    if not (turned or jumps or _has_gutter(glyphs, lines, ends)):
        return lines
    frames = _frames(glyphs, lines, turned=turned or jumps)
    if frames is None:
        return lines
    if not (turned or jumps):
        (pieces,) = frames.values()
        read = read_rows(pieces)
        rows = rows_of(pieces)
        if [row[0].places for row in read] == [row[0].places for row in rows]:
            return lines
        return [_joined(row) for row in read]
    return [_joined(row) for pieces in frames.values() for row in read_rows(pieces)]


def _joined(row: Iterable[Piece]) -> list[int]:
    places: list[int] = []
    for piece in row:
        places += [SPACE, *piece.places] if places else piece.places
    return places


def _is_turned(glyphs: Glyphs, lines: Sequence[Places], ends: Ends) -> bool:
    """Whether lines run in another direction than the page's, and may run together."""
    sides = zip(
        lines, ends.left, ends.second, ends.last_left, ends.bottom, ends.last_bottom, strict=True
    )
    odd = [
        (line, abs(left - last_left) > _LEAST)
        for line, left, second, last_left, bottom, last_bottom in sides
        if second <= left + _LEAST_STEP and (second < left or abs(bottom - last_bottom) > _LEAST)
    ]
    turned = 0
    for line, is_apart in odd:
        turn = turn_of(glyphs, line[0])
        if turn % 90 == 0 and turn != glyphs.turn:
            turned += 1 + (is_apart or len(lines) < _SMALL_PAGE)
    return turned > 1


def _jumps(lines: Sequence[Places], ends: Ends) -> bool:
    """Whether a line is above the one before it, and not in a column to its right.

    On a page of any size only lines of prose count, not the letters of a drawing.
    """
    bottoms, lefts = ends.bottom, ends.left
    back = [
        n
        for n in range(1, len(lines))
        if bottoms[n] > bottoms[n - 1]
        and lefts[n] < ends.last_right[n - 1]
        and bottoms[n] > bottoms[n - 1] + _JUMP * max(ends.top[n - 1] - bottoms[n - 1], 1.0)
    ]
    if len(lines) < _SMALL_PAGE and back:
        return True
    back = [
        n
        for n in back
        if min(len(lines[n - 1]), len(lines[n])) >= _SHORTEST_PROSE
        and (ends.last_right[n] > lefts[n - 1] or _is_column(ends, n))
    ]
    if len(back) <= _OUTER:
        back = [number for number in back if _OUTER < number < len(lines) - _OUTER]
    return bool(back) or _alternates(lines, ends)


def _is_column(ends: Ends, number: int) -> bool:
    """Whether a line and those after it are all to the left of the one before, as in a column."""
    rights = ends.last_right[number : number + _FEWEST_BESIDE]
    return len(rights) == _FEWEST_BESIDE and max(rights) < ends.left[number - 1]


def _alternates(lines: Sequence[Places], ends: Ends) -> bool:
    """Whether lines of prose stand beside the one before them, hardly lower, or go on there."""
    bottoms = ends.bottom
    sprawling = sum(
        len(line) >= 2 * _SHORTEST_PROSE and bottom - last > 1.2 * max(top - bottom, 1.0)
        for line, bottom, top, last in zip(lines, bottoms, ends.top, ends.last_bottom, strict=True)
    )
    if sprawling >= (1 if len(lines) < _SMALL_PAGE else 2):
        return True
    beside = [
        n
        for n in range(1, len(lines))
        if ends.left[n] > ends.last_right[n - 1]
        and 0 <= bottoms[n - 1] - bottoms[n] < max(ends.top[n - 1] - bottoms[n - 1], 1.0)
        and min(len(lines[n - 1]), len(lines[n])) >= _SHORTEST_PROSE
    ]
    return len(beside) >= _FEWEST_BESIDE


def _has_gutter(glyphs: Glyphs, lines: Sequence[Places], ends: Ends) -> bool:
    """Whether long lines have a wide gap inside that ends in one place, with words on both sides,
    most of those that are looked at."""
    widths = [right - left for left, right in zip(ends.left, ends.last_right, strict=True)]
    least = 0.6 * max(widths)
    long = [line for line, width in zip(lines, widths, strict=True) if width > least]
    if len(long) < _FEWEST_BESIDE:
        return False
    step = max(1, len(long) // _SAMPLES)
    sample = long[step // 2 :: step]
    edges = [_after_gaps(glyphs, line) for line in sample[:2]]
    if not any(edges):
        return False
    edges += [_after_gaps(glyphs, line) for line in sample[2:]]
    counts = Counter(round(edge / 4) for some in edges for edge in some)
    return max(counts[edge] + counts[edge + 1] for edge in counts) * 2 >= len(sample)


def _after_gaps(glyphs: Glyphs, line: Sequence[int]) -> list[float]:
    """Where a line goes on after wide gaps, some characters from its start and its end."""
    inner = line[_FEWEST_IN_COLUMN:-_FEWEST_IN_COLUMN]
    beside = [
        number
        for place, character in zip(inner, text_at(glyphs, inner), strict=True)
        if character == " "
        for number in (place - 1, place + 1)
    ]
    left, bottom, right, top = sides_of(glyphs, beside)
    return [
        left[n + 1]
        for n in range(0, len(beside), 2)
        if left[n + 1] - right[n] > _WIDE_GAP * max(top[n + 1] - bottom[n + 1], 1.0)
    ]


def _frames(
    glyphs: Glyphs, lines: Sequence[Places], *, turned: bool
) -> Mapping[int, list[Piece]] | None:
    """The pieces of the lines by how their text is turned, that of the page first; None where it
    runs in more directions than lines do."""
    places = [place for line in lines for place in line]
    text = text_at(glyphs, places)
    inked = [place for place, sign in zip(places, text, strict=True) if not sign.isspace()]
    turns = _turns(glyphs, inked) if turned else []
    if sum(turn % 90 > 0 for turn in {*turns}) > _MOST_TURNS:
        return None
    sides = _turned_sides(glyphs, inked, turns)
    firsts = {line[0] for line in lines}
    starts = {n for n, place in enumerate(inked) if place in firsts}
    starts.update(_breaks(sides, turns))
    frames: dict[int, list[Piece]] = {glyphs.turn: []}
    for start, stop in pairwise([*sorted(starts), len(inked)]):
        first = bisect_left(places, inked[start])
        last = bisect_left(places, inked[stop - 1], first)
        piece = Piece(places[first : last + 1], _around(sides, start, stop), text[first : last + 1])
        frames.setdefault(turns[start] if turns else glyphs.turn, []).append(piece)
    return {turn: pieces for turn, pieces in frames.items() if pieces}


def _turns(glyphs: Glyphs, places: Sequence[int]) -> list[int]:
    """How each character is turned; one that is alone so, as the E of XeTeX, is as the page is.

    Empty where all are as the page is.
    """
    turns = [turn_of(glyphs, place) for place in places]
    if {*turns} == {glyphs.turn}:
        return []
    around = zip([None, *turns], turns, [*turns[1:], None], strict=False)
    return [glyphs.turn if before != turn != after else turn for before, turn, after in around]


def _turned_sides(glyphs: Glyphs, places: Sequence[int], turns: Sequence[int]) -> Sides:
    """The sides of characters, each as one sees it for whom its own text is upright."""
    sides = sides_of(glyphs, places)
    for turn in {*turns} - {glyphs.turn}:
        if turn % 90 == 0:
            others = zip(turns, zip(*sides, strict=True), strict=True)
            own = zip(*sides_of(glyphs, places, turn), strict=True)
            chosen = [
                mine if at == turn else old for (at, old), mine in zip(others, own, strict=True)
            ]
            left, bottom, right, top = map(list, zip(*chosen, strict=True))
            sides = left, bottom, right, top
    return sides


def _breaks(sides: Sides, turns: Sequence[int]) -> Iterator[int]:
    """The characters before which there is a wide gap, or that leave the baseline or direction.

    Askew, nothing tells but the direction.
    """
    left, bottom, right, top = sides
    follows = zip(right, left[1:], bottom, bottom[1:], strict=False)
    for n, (end, start, low, other_low) in enumerate(follows, 1):
        gap, drop = start - end, other_low - low
        if not (-1.5 < gap < _WIDE_GAP and -0.5 <= drop <= 0.5):  # as it is for any height
            high = max(top[n - 1] - low, top[n] - other_low, 1.0)
            apart = abs(drop) > 0.5 * high or not -1.5 * high < gap < _WIDE_GAP * high
            if apart and not (turns and turns[n] == turns[n - 1] and turns[n] % 90):
                yield n
    yield from (n for n in range(1, len(turns)) if turns[n] != turns[n - 1])


def _around(sides: Sides, start: int, stop: int) -> Box:
    """The box of a piece; its bottom and top are those of its largest characters."""
    left, bottoms, right, tops = (side[start:stop] for side in sides)
    bottom, top = max(zip(bottoms, tops, strict=True), key=lambda both: both[1] - both[0])
    return Box(min(left), bottom, max(right), top)


def _stripped(text: str, piece: list[int]) -> list[int]:
    while text[piece[-1]].isspace():
        piece.pop()
    return piece


# Words in a line


_GAP = 0.12  # em: more is between two words
_LONGEST, _LONGEST_HANGUL = 13, 8  # letters that most words have at most
_MOST_LOOKED_AT = 3
_WORD = re.compile(r"[^\W\d_]{2,}")
_RAISED = re.compile(r"[0-9](?<=[^\W\d_]{2}[0-9])[0-9]{0,2}")
_SUPERSCRIPT = re.compile(r"[\u00b9\u00b2\u00b3\u2070\u2074-\u2079](?<=[^\W\d_]{3}.)")
_SPELLED = re.compile(r"[^\W\d_](?: [^\W\d_]){3,}(?!\S)")
_MOST_RAISED = 60
_SHORTEST_SPELLED = 7


def _with_gaps(glyphs: Glyphs, lines: list[Places]) -> list[Places]:
    """The lines with spaces where pdfium lacks them; the same list where it lacks none."""
    before = {*_raised(glyphs), *_spelled(glyphs, lines)}
    if _lacks_gaps(glyphs):
        words = (range(*match.span()) for match in _WORD.finditer(glyphs.text))
        before |= {place for word in words for place in _gaps(glyphs, word)}
    if not before:
        return lines
    return [_with_spaces(glyphs.text, line, before) for line in lines]


def _with_spaces(text: str, line: Sequence[int], before: set[int]) -> list[int]:
    places: list[int] = []
    for place in line:
        if place in before and places and not text[place].isspace():
            places.append(SPACE)
        places.append(place)
    return places


def _lacks_gaps(glyphs: Glyphs) -> bool:
    """Whether a word that is too long for one has a gap inside."""
    least = _LONGEST if glyphs.text.isascii() else _LONGEST_HANGUL
    long = [word for word in glyphs.text.split() if len(word) > least and word.isalpha()]
    if least < _LONGEST:
        long = [word for word in long if len(word) > _LONGEST or not word.isascii()]
    starts = map(glyphs.text.find, longest := sorted(long, key=len)[-_MOST_LOOKED_AT:])
    return any(
        _gaps(glyphs, range(start, start + len(word)))
        for word, start in zip(longest, starts, strict=True)
    )


def _gaps(glyphs: Glyphs, places: range) -> list[int]:
    """The characters of a word before which there is a gap, wider than those of its letters."""
    left, bottom, right, top = sides_of(glyphs, places)
    gaps = [
        left[n + 1] - right[n]
        if abs(bottom[n + 1] - bottom[n]) < 0.3 * max(top[n] - bottom[n], 1.0)
        else 0.0
        for n in range(len(places) - 1)
    ]
    usual = max(median(gaps), 0.0)
    if max(gaps) <= usual + 0.05 * (top[0] - bottom[0]):
        return []
    em = em_of(glyphs, places[0])
    return [
        place
        for place, gap in zip(places[1:], gaps, strict=True)
        if em and _GAP * em < gap - usual < 2 * em
    ]


def _raised(glyphs: Glyphs) -> Iterator[int]:
    """Where small digits above the line begin, the mark of a note, and where the text goes on."""
    if not glyphs.text.isascii():
        yield from (match.start() for match in _SUPERSCRIPT.finditer(glyphs.text))
    found = [*islice(_RAISED.finditer(glyphs.text), _MOST_RAISED)]
    starts = [match.start() for match in found]
    letters = boxes_of(glyphs, [start - 1 for start in starts])
    for match, letter, digit in zip(found, letters, boxes_of(glyphs, starts), strict=True):
        if 0 < digit.height < 0.85 * letter.height and (
            digit.bottom > letter.bottom + 0.15 * letter.height
        ):
            yield match.start()
            if glyphs.text[match.end() : match.end() + 1].isalpha():
                yield match.end()


def _spelled(glyphs: Glyphs, lines: Iterable[Sequence[int]]) -> Iterator[int]:
    """Where words end in lines of letters that stand apart, as in S C H E D U L I N G."""
    for line in lines:
        if len(line) < _SHORTEST_SPELLED or glyphs.text[line[0] + 1] != " ":
            continue
        if match := _SPELLED.match(glyphs.text, line[0]):
            letters = range(match.start(), match.end(), 2)
            boxes = boxes_of(glyphs, letters)
            gaps = [other.left - one.right for one, other in pairwise(boxes)]
            usual = median(gaps)
            for place, gap in zip(letters[1:], gaps, strict=True):
                if usual > 0 and gap > 1.6 * usual:
                    yield place


# What a page's text is made of


class Stretch(NamedTuple):
    """Lines that follow one another, as pdfium has their characters: of a listing, or not."""

    text: str
    is_code: bool = False


def parts_of(page: pdfium.PdfPage, textpage: pdfium.PdfTextPage, text: str) -> list[Stretch]:
    """What is on a page, in reading order; `text` is pdfium's."""
    laid = lay_out(page, textpage, text)
    if laid is None:
        return [Stretch(text)]
    glyphs, lines = laid
    stretches: list[Stretch] = []
    for is_code, group in groupby(lines, lambda line: line.is_code):
        units = "\r\n".join(text_at(glyphs, line.places) for line in group)
        stretches.append(Stretch(in_codes(text_of_units(units)), is_code))
    return stretches


def cleaned(parts: Sequence[Stretch]) -> str:
    """The clean lines of a page; each line of a listing ends as `listed.py` says."""
    texts = [_clean_listing(part.text) if part.is_code else clean(part.text) for part in parts]
    return "\n".join(text for text in texts if text)


def _clean_listing(text: str) -> str:
    text = text.replace("\r\n", "\n")
    if HYPHEN in text or "\xad" in text:
        text = re.sub(rf"[{HYPHEN}\xad]$", "-", text, flags=re.MULTILINE).replace(HYPHEN, "")
    return clean(text).replace("\n", f"{LISTED}\n") + LISTED


def characters_of(lines: Iterable[Line]) -> list[int]:
    """The numbers of the characters of all lines, in reading order."""
    return [place for line in lines for place in line.places if place != SPACE]
