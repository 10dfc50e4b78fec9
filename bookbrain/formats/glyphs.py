"""The characters of a page as pdfium numbers them, and where they stand. In children only.

pdfium answers for one character a call, and a call costs as much as reading some of them: ask for
few. Boxes are as a reader of the turned page sees them: text runs to the right, y grows upwards.
"""

import ctypes
import re
from array import array
from collections import deque
from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import repeat
from math import hypot, inf, isfinite
from typing import Any, NamedTuple

import pypdfium2 as pdfium
import pypdfium2.raw as pdfium_c

from bookbrain.formats.page_text import HYPHEN

SPACE = -1  # for the number of a character: a space that pdfium does not have
_CORNERS = 16  # bytes of a box
_FIXED_PITCH = 1  # of a font's flags
_FIXED_NAME = re.compile(
    r"mono(?!type)|cour(?!ant)|typewriter|[a-z]{2}tt\d|lmtt|consol|menlo|monaco|coding|hack|code"
    r"|lettergothic|terminal|fixed|(?:gulim|dotum|batang|gungsuh)che",
    re.IGNORECASE,
)
_LONGEST_NAME = 120
_name, _flags = ctypes.create_string_buffer(_LONGEST_NAME), ctypes.c_int()  # of the font asked for
_sides = (ctypes.c_double * 4)()  # left, right, bottom, top
_SIDES_AT = [ctypes.addressof(_sides) + 8 * n for n in range(4)]
_NAME_AT, _FLAGS_AT = map(ctypes.addressof, (_name, _flags))
_CODES = "\x0b\x0c\r\x1c\x1d\x1e\x1f\x85"
_CODE = re.compile("[\x0b\x0c\x1c-\x1f\x85]|\r(?!\n)")
_FIRST_SIGN = 0xFDD0  # what is no character, and is in no text
_SIGN = re.compile("[\ufdd0-\ufdd7]")
_BARE = _CODES.replace("\r", "")  # what is a code wherever it stands
_WORD = re.compile(r"\S+")
_OUTSIDE = 40  # characters of a word that may be outside the page
_HALF = re.compile("[\ud800-\udfff]")


def by_numbers(function: Any, *kinds: type, gives: type = ctypes.c_int) -> Callable[..., Any]:
    """pdfium's function, for addresses that are plain numbers: it is called in half the time."""
    address = ctypes.cast(function, ctypes.c_void_p).value or 0
    return ctypes.PYFUNCTYPE(gives, *kinds)(address)


_at, _number = ctypes.c_void_p, ctypes.c_int
_box_at = by_numbers(pdfium_c.FPDFText_GetLooseCharBox, _at, _number, _at)
_ink_at = by_numbers(pdfium_c.FPDFText_GetCharBox, _at, _number, _at, _at, _at, _at)
_code_of = by_numbers(pdfium_c.FPDFText_GetUnicode, _at, _number)
_angle_of = by_numbers(pdfium_c.FPDFText_GetCharAngle, _at, _number, gives=ctypes.c_float)
_font_of = by_numbers(pdfium_c.FPDFText_GetFontInfo, _at, _number, _at, ctypes.c_ulong, _at)


Sides = tuple[Sequence[float], Sequence[float], Sequence[float], Sequence[float]]


class Box(NamedTuple):
    """What a font sets aside for a character, in points: its advance wide, its lines high."""

    left: float
    bottom: float
    right: float
    top: float

    @property
    def width(self) -> float:
        return self.right - self.left

    @property
    def height(self) -> float:
        return self.top - self.bottom


class Glyphs(NamedTuple):
    """`text` has one for each of pdfium's characters, halves of a pair apart, then one for SPACE;
    `turn` is 0, 90, 180 or 270; `address` is that of the text page in pdfium."""

    textpage: pdfium.PdfTextPage
    text: str
    turn: int
    address: int


def read_glyphs(page: pdfium.PdfPage, textpage: pdfium.PdfTextPage) -> Glyphs:
    """The characters of a page. One that is none, as far as its font says, is a space."""
    text = textpage.get_text_range(errors="surrogatepass")
    count, address = textpage.count_chars(), ctypes.addressof(textpage.raw.contents)
    if len(text) != count:
        codes = map(_code_of, repeat(address), range(count))
        text = "".join(map(chr, codes)).replace("\0", " ")
    text = in_letters(text.replace("\ufffe", HYPHEN))
    return Glyphs(textpage, text + " ", page.get_rotation(), address)


def seen_on(page: pdfium.PdfPage, textpage: pdfium.PdfTextPage, text: str) -> set[int]:
    """The numbers of the characters of `text`, which is all that the page has, that are inside the
    page as pdfium tells it: by some of them at least. White space is not looked at, and of a word
    with both ends on one side no more."""
    left, bottom, right, top = page.get_bbox()
    address = ctypes.addressof(textpage.raw.contents)

    def is_inside(number: int) -> bool:
        _ink_at(address, number, *_SIDES_AT)
        a, c, b, d = _sides
        return bool(a < right and c > left and b < top and d > bottom)

    seen: set[int] = set()
    for start, end in (word.span() for word in _WORD.finditer(text)):
        first = is_inside(start)
        if first == is_inside(end - 1):
            seen.update(range(start, end) if first else ())
        else:
            seen.update(filter(is_inside, range(start, end)))
    return seen


def in_whole_words(text: str, seen: set[int]) -> set[int]:
    """The numbers with those of what is outside of a word that runs over the edge of the page."""
    words = (range(*word.span()) for word in _WORD.finditer(text))
    cut = [word for word in words if 0 < len(word) - len(seen.intersection(word)) <= _OUTSIDE]
    return seen.union(*(word for word in cut if not seen.isdisjoint(word)))


def text_at(glyphs: Glyphs, places: Sequence[int]) -> str:
    """The text of some characters, SPACE among them."""
    if isinstance(places, range):
        return glyphs.text[places.start : places.stop]
    return "".join(map(glyphs.text.__getitem__, places))


def in_letters(text: str) -> str:
    """The text with signs for those of a font's bare codes that are white space elsewhere."""
    if text.count("\r") == text.count("\r\n") and not any(code in text for code in _BARE):
        return text
    return _CODE.sub(lambda code: chr(_FIRST_SIGN + _CODES.index(code[0])), text)


def in_codes(text: str) -> str:
    """The text as it was before `in_letters`."""
    if text.isascii():
        return text
    return _SIGN.sub(lambda sign: _CODES[ord(sign[0]) - _FIRST_SIGN], text)


def units_of(text: str, like: str) -> str:
    """The text with halves of pairs apart where those of `like` are."""
    if text.isascii():
        return text
    units = text.encode("utf-16-le", "surrogatepass")
    if len(units) == 2 * len(text) or not _HALF.search(like):
        return text
    return "".join(map(chr, memoryview(units).cast("H")))


def text_of_units(units: str) -> str:
    """The text of UTF-16 units; U+FFFD stands for a lone half of a pair."""
    if units.isascii() or not _HALF.search(units):
        return units
    return units.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def sides_of(glyphs: Glyphs, numbers: Sequence[int], turn: int | None = None) -> Sides:
    """The lefts, bottoms, rights and tops of some characters' boxes, for text that is turned as the
    page is, or by `turn`."""
    boxes = array("f", bytes(_CORNERS * len(numbers)))
    first, _ = boxes.buffer_info()
    places = range(first, first + _CORNERS * len(numbers), _CORNERS)
    deque(map(_box_at, repeat(glyphs.address), numbers, places), maxlen=0)
    values = boxes.tolist()
    if not isfinite(sum(values)):
        values = [value if isfinite(value) else 0.0 for value in values]
    left, top, right, bottom = (values[n::4] for n in range(4))
    turned = glyphs.turn if turn is None else turn
    if turned == 90:
        return bottom, _minus(right), top, _minus(left)
    if turned == 180:
        return _minus(right), _minus(top), _minus(left), _minus(bottom)
    if turned == 270:
        return _minus(top), left, _minus(bottom), right
    return left, bottom, right, top


def _minus(values: Sequence[float]) -> Sequence[float]:
    return [-value for value in values]


def boxes_of(glyphs: Glyphs, numbers: Sequence[int], turn: int | None = None) -> list[Box]:
    """The boxes of some characters, as `sides_of` has their sides."""
    return [*map(Box._make, zip(*sides_of(glyphs, numbers, turn), strict=True))]


def turn_of(glyphs: Glyphs, number: int) -> int:
    """By how many degrees, with the clock, a page has to be turned that a character is upright."""
    angle = _angle_of(glyphs.address, number)
    return round(-angle * 57.29578) % 360 if -10 < angle < 10 else 0


def em_of(glyphs: Glyphs, number: int) -> float:
    """The size of a character's font on the page, in points."""
    matrix = pdfium_c.FS_MATRIX()
    pdfium_c.FPDFText_GetMatrix(glyphs.textpage, number, matrix)
    size = pdfium_c.FPDFText_GetFontSize(glyphs.textpage, number) * hypot(matrix.a, matrix.b)
    return size if 0 < size < inf else 0.0


def says_fixed_width(glyphs: Glyphs, number: int) -> bool:
    """Whether a character's font says, by its flags or its name, that all are of one width."""
    _name[0], _flags.value = b"\0", 0
    _font_of(glyphs.address, number, _NAME_AT, _LONGEST_NAME, _FLAGS_AT)
    return bool(_flags.value & _FIXED_PITCH) or _names_fixed_width(_name.value)


@lru_cache(maxsize=1_000)
def _names_fixed_width(name: bytes) -> bool:
    return bool(_FIXED_NAME.search(name.decode("utf-8", "replace")))
