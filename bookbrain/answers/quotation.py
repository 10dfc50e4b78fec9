"""Where on a page a quotation stands, character by character; what is shown is the page's own text.

Both are read as the product's own text is: NFC, plain white space, quotation marks and dashes. A
break of a line may have parted a word. Everything else must be there as it was quoted.
"""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from bookbrain.answers.negation import is_turned
from bookbrain.index.analyzer import FUNCTION_WORDS, WHOLE, literal_terms

_PLAIN = (
    dict.fromkeys(map(ord, "“”„‟«»「」『』″＂"), '"')
    | dict.fromkeys(map(ord, "‘’‚‛′`´"), "'")
    | dict.fromkeys(map(ord, "‐‑‒–—―−"), "-")
    | {0xFB00: "ff", 0xFB01: "fi", 0xFB02: "fl", 0xFB03: "ffi", 0xFB04: "ffl", 0xFB06: "st"}
    | {ord("…"): "..."}
    | {code: chr(code - 0xFEE0) for code in range(0xFF01, 0xFF5F)}  # full width
    | dict.fromkeys([0xAD, 0xFEFF, *range(0x200B, 0x2010), *range(0x202A, 0x202F), 0x2060], "")
)
_LONGEST = 1200  # characters: more is no quotation
_FEWEST = 3  # words; two of Korean, which writes several as one
_HANGUL = re.compile("[가-힣]")
_WORD = re.compile(r"[^\W_]+")
# Before a quotation, and behind it, there is white space or one of these, or the page ends.
_OPENING = frozenset("([{<\"'“‘«「『|>:;,—–•·*")
_CLOSING = frozenset(")]}>\"'”’»」』|.,:;!?…—–。")
_NOTE_BEHIND = re.compile(r"[가-힣][.!?]\d{1,3}\)?(?=\s|$)")  # the number of a footnote
_SENTENCE = 240  # characters that are looked at for the sentence around a quotation
_NEW = (
    r"\n\s*\n|\n(?=\s*(?:[•◦▪‣*·–—-]\s|\d+[.)]\s|[A-Z]))"  # a paragraph, an item, a line of its own
)
_SENTENCE_START = re.compile(rf"[.!?。]['\"”’)\]]*\s+|{_NEW}")
_SENTENCE_END = re.compile(rf"[.!?。](?=['\"”’)\]]*(?:\s|$))|{_NEW}")


@dataclass(frozen=True, slots=True)
class _Reading:
    """A text as it is compared; of each of its characters, where it stands in the text."""

    text: str
    places: tuple[int, ...]


def find_quotation(quote: str, page: str) -> tuple[int, int] | None:
    """Where `quote` stands in the text of a page, as whole words of one sentence or more.

    None where it does not, where it says too little to mean anything, or where a "not" that belongs
    to it was left out.
    """
    wanted = _bare(unicodedata.normalize("NFC", quote))
    if len(quote) > _LONGEST or not _says_something(wanted):
        return None
    for way in range(3):
        read, sought = _read(page, way), _read(wanted, way).text.strip()
        for typed in dict.fromkeys((sought, _other_case(sought))):
            for start, end in _occurrences(read, typed):
                if _is_whole(page, start, end) and not _is_turned(page, start, end):
                    return start, end
    return None


def plain(text: str) -> str:
    """A text as quotations are compared."""
    return _read(unicodedata.normalize("NFC", text), 0).text.strip()


def _bare(quote: str) -> str:
    """Without the marks that were put around it."""
    text = quote.strip()
    while len(text) > 1 and text[0] in "\"“„«「『'‘" and text[-1] in "\"”“»」』'’":
        text = text[1:-1].strip()
    return text


def _other_case(text: str) -> str:
    """A quotation may begin with a capital that its sentence does not have, or the other way."""
    first = _WORD.match(text)
    if not first or not first.group()[1:].islower():  # one letter, or a name of code
        return text
    return text[0].swapcase() + text[1:]


def _says_something(quote: str) -> bool:
    words = _WORD.findall(quote)
    fewest = 2 if len(_HANGUL.findall(quote)) > 3 else _FEWEST
    meaning = {term for term in literal_terms(quote) if not term.startswith(WHOLE)}
    return len(words) >= fewest and len(meaning - FUNCTION_WORDS) > 1


@lru_cache(maxsize=128)
def _read(text: str, way: int) -> _Reading:
    """`way` is what becomes of breaks of lines inside words: a space, nothing, or of a hyphen the
    hyphen alone."""
    characters: list[str] = []
    places: list[int] = []
    for place, own in enumerate(_joined(text, way)):
        for character in _PLAIN.get(ord(own), own):
            if character.isspace() or character == "\0":
                if character == "\0" or (characters and characters[-1] == " "):
                    continue
                character = " "  # noqa: PLW2901  (white space is one space)
            characters.append(character)
            places.append(place)
    return _Reading("".join(characters), tuple(places))


def _joined(text: str, way: int) -> str:
    """With NUL for what is passed over; places stay the same."""
    if way == 0:
        return text
    text = re.sub(
        r"(?<=[^\W\d_])([-‐\xad])([ \t]*\n[ \t]*)(?=[^\W\d_])",
        lambda m: ("\0" if way == 1 else m[1]) + "\0" * len(m[2]),
        text,
    )
    return re.sub(r"(?<=[가-힣])\n(?=[가-힣])", "\0", text)


def _occurrences(read: _Reading, sought: str) -> Iterator[tuple[int, int]]:
    start = read.text.find(sought) if sought else -1
    while start >= 0:
        last = start + len(sought) - 1
        yield read.places[start], read.places[last] + 1
        start = read.text.find(sought, start + 1)


def _is_whole(page: str, start: int, end: int) -> bool:
    """Whether no word, number or name is cut at its ends: `ready` of `!ready`, 5 of 5.7."""
    before, behind = page[max(start - 1, 0) : start], page[end : end + 1]
    if before and not before.isspace():
        if before not in _OPENING or (before in ":;,'’" and page[start - 2 : start - 1].isalnum()):
            return False
        if before in "—–" and page[start].isdecimal():  # of a range, or a minus
            return False
    if not behind or behind.isspace() or _NOTE_BEHIND.match(page, end - 2):
        return True
    return behind in _CLOSING and not (behind in ".,:;!?'’—–" and page[end + 1 : end + 2].isalnum())


def _is_turned(page: str, start: int, end: int) -> bool:
    """Whether what its sentence says around it takes back what is quoted."""
    before = _SENTENCE_START.split(page[max(start - _SENTENCE, 0) : start])[-1]
    behind = ""
    if page[end - 1] not in ".!?。":
        behind = _SENTENCE_END.split(page[end : end + _SENTENCE], maxsplit=1)[0]
    return is_turned(before, behind)
