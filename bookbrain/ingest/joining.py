"""Lines of a page become text again: words that a break cut are joined, code stays as it is."""

import re
import unicodedata
from collections.abc import Container, Sequence
from itertools import pairwise
from statistics import quantiles

from bookbrain import korean

HYPHEN = "\x02"  # where pdfium met a hyphen at the end of a line

_LIGATURES = {0xFB00: "ff", 0xFB01: "fi", 0xFB02: "fl", 0xFB03: "ffi", 0xFB04: "ffl", 0xFB06: "st"}
_SPACES = {0xA0: " ", 0x2007: " ", 0x202F: " ", 0x3000: " ", 0x09: " "}
_INVISIBLE = dict.fromkeys([0xAD, 0xFEFF, *range(0x200B, 0x2010), *range(0x202A, 0x202F), 0x2060])
_CONTROL = dict.fromkeys(c for c in [*range(0x20), *range(0x7F, 0xA0)] if chr(c) not in "\n\x02")
_CLEAN = _CONTROL | _LIGATURES | _SPACES | _INVISIBLE

_WORD = re.compile(r"[^\W\d_]+")
_CUT = re.compile(r"([^\W\d_]+)\x02\n?([^\W\d_]+)")
_CODE = re.compile(
    r"""[{};]\s*$            # ends as code does
      | ^\s*(?:[$\#%>]\s|>>>|\.\.\.\s|//|/\*|\\[a-z]+[\[{]|@\w+|<[/\w][^>]*>\s*$)
      | ^\s*(?:import|from|def|class|return|public|private|static|SELECT|INSERT|sudo|apt)\s\S
      | \w\(.*\)\s*[;{:]?$ | [=!<>]=|=>|->|&&|\|\||::|:=|\+\+ | \w=\S""",
    re.VERBOSE,
)
_ITEM = re.compile(r"^\s*(?:[•◦▪‣∙·*–—-]\s|\(?\d{1,2}[.)]\s|\d+(?:\.\d+)+\.?\s|제\s*\d+\s*[장절])")
_SENTENCE_END = re.compile(r"[.!?。:;]['\"”’)\]]*$")
_HANGUL_END = re.compile(r"(?:\S+ )?\S*[가-힣]$")
_HANGUL_START = re.compile(r"[가-힣]\S*(?: \S+)?")


def clean(text: str) -> str:
    """NFC, plain spaces and newlines, no ligatures, no invisible or control characters.

    The mark of a hyphen stays: `join_hyphens` needs it.
    """
    lines = unicodedata.normalize("NFC", text).replace("\r\n", "\n").replace("\r", "\n")
    lines = lines.replace("\ufffe", HYPHEN).replace("\xad\n", HYPHEN).translate(_CLEAN)
    return "\n".join(line.rstrip() for line in lines.split("\n")).strip("\n")


def words_of(text: str) -> set[str]:
    """The words of a page, by which `join_hyphens` knows which hyphens are real."""
    return set(_WORD.findall(text))


def join_hyphens(text: str, words: Container[str]) -> str:
    """Join what a hyphen at a line's end parted; a hyphen that belongs there stays.

    It belongs when the joined word is none of the book's `words` and both its halves are.
    """

    def join(match: re.Match[str]) -> str:
        first, second = match.groups()
        keep = first + second not in words and first in words and second in words
        return f"{first}-{second}" if keep else first + second

    return _CUT.sub(join, text).replace(HYPHEN, "-")


def join_lines(text: str) -> str:
    """Undo the line breaks inside paragraphs; a Korean word cut in two becomes one again."""
    lines = text.split("\n")
    full = _full_width(lines)
    wrapped = [_is_wrapped(a, b, full) for a, b in pairwise(lines)]
    glued = _glued(lines, wrapped)
    parts = [lines[0]]
    for index, line in enumerate(lines[1:]):
        parts.append("" if index in glued else " " if wrapped[index] else "\n")
        parts.append(line)
    return "".join(parts)


def is_code(line: str) -> bool:
    """Whether a line looks like code or a command, rather than prose."""
    return bool(_CODE.search(line))


def _width(line: str) -> int:
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in line)


def _full_width(lines: Sequence[str]) -> float:
    """How wide a line of running text is on this page."""
    widths = [_width(line) for line in lines if line]
    return quantiles(widths, n=10)[-2] if len(widths) > 1 else float("inf")


def _is_wrapped(line: str, following: str, full: float) -> bool:
    """Whether the break after `line` is only the page's margin."""
    if not line or not following or is_code(line) or is_code(following) or _ITEM.match(following):
        return False
    width = _width(line)
    return width >= 0.85 * full or (width >= 0.6 * full and not _SENTENCE_END.search(line))


def _glued(lines: Sequence[str], wrapped: Sequence[bool]) -> set[int]:
    """Of the wrapped breaks between Hangul, those inside a word."""
    breaks = [
        (index, before.group(), after.group())
        for index, is_wrap in enumerate(wrapped)
        if is_wrap
        and (before := _HANGUL_END.search(lines[index]))
        and (after := _HANGUL_START.match(lines[index + 1]))
    ]
    together = korean.belong_together([(before, after) for _, before, after in breaks])
    return {index for (index, _, _), joined in zip(breaks, together, strict=True) if joined}
