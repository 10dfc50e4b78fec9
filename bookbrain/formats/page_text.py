"""The text of a page: cleaned of what typesetting left, and judged. Light: children import it."""

import re
import unicodedata
from collections.abc import Container

HYPHEN = "\x02"  # where pdfium met a hyphen at the end of a line
_LIGATURES = {0xFB00: "ff", 0xFB01: "fi", 0xFB02: "fl", 0xFB03: "ffi", 0xFB04: "ffl", 0xFB06: "st"}
_SPACES = {0xA0: " ", 0x2007: " ", 0x202F: " ", 0x3000: " ", 0x09: " "}
_INVISIBLE = dict.fromkeys([0xAD, 0xFEFF, *range(0x200B, 0x2010), *range(0x202A, 0x202F), 0x2060])
_CONTROL = dict.fromkeys(c for c in [*range(0x20), *range(0x7F, 0xA0)] if chr(c) not in "\n\x02")
_CLEAN = _CONTROL | _LIGATURES | _SPACES | _INVISIBLE
_WORD = re.compile(r"[^\W\d_]+")
_CUT = re.compile(r"([^\W\d_]+)\x02\n?([^\W\d_]+)")
_PARTED = re.compile(r"(?<![^\W\d_])[^\W\d_]*(?:\x02\n?[^\W\d_]*)+")


def clean(text: str) -> str:
    """NFC, plain spaces and newlines, no ligatures, no invisible or control characters.

    The mark of a hyphen stays: `join_hyphens` needs it.
    """
    lines = text.replace("\r\n", "\n").replace("\r", "\n").replace("\ufffe", HYPHEN)
    lines = lines.replace("\xad\n", HYPHEN).translate(_CLEAN)
    lines = unicodedata.normalize("NFC", lines)  # last: what stood between two jamo is gone
    return "\n".join(line.rstrip() for line in lines.split("\n")).strip("\n")


def words_of(text: str) -> set[str]:
    """The whole words of a page, by which `join_hyphens` knows which hyphens are real."""
    return set(_WORD.findall(_PARTED.sub(" ", text) if HYPHEN in text else text))


def join_hyphens(text: str, words: Container[str]) -> str:
    """Join what a hyphen at a line's end parted; a hyphen that belongs there stays.

    It belongs when the joined word is none of the book's `words` and both its halves are.
    """

    def join(match: re.Match[str]) -> str:
        first, second = match.groups()
        keep = first + second not in words and first in words and second in words
        return f"{first}-{second}" if keep else first + second

    return _CUT.sub(join, text).replace(HYPHEN, "-") if HYPHEN in text else text


# U+FFFD, private use but for Adobe's (pieces of brackets, old digits, small capitals), lone
# surrogates and control characters but for white space and pdfium's mark of a hyphen.
_NOISE = re.compile("[\x00\x01\x03-\x08\x0e-\x1f\x7f-\x9f\ud800-\udfff\ue000-\uf633\ufff0-\uffff]")
_VISIBLE = re.compile(r"\S")
_HANGUL = re.compile("[가-힣]")
_NOISE_SHARE = 0.1
_RARE_SHARE = 0.03


def is_garbled(text: str) -> bool:
    """Whether a font's broken character map shows: characters that ordinary text does not have.

    Either a tenth of the page is U+FFFD, private or control characters, or over 3 % of
    its Hangul is outside the 2,350 syllables of KS X 1001, where ordinary Korean stays below 0.5 %.
    """
    noise = len(_NOISE.findall(text.replace("\ufffe", "")))
    if noise >= 5 and noise > _NOISE_SHARE * len(_VISIBLE.findall(text)):
        return True
    hangul = _HANGUL.findall(text)
    rare = sum(len(c.encode("euc-kr")) > 2 for c in hangul)
    return rare >= 5 and rare > _RARE_SHARE * len(hangul)
