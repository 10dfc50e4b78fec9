"""The text of a page: cleaned of what typesetting left, and judged. Light: children import it."""

import re
import unicodedata
from collections.abc import Container

HYPHEN = "\x02"  # where pdfium met a hyphen at the end of a line
_LIGATURES = {0xFB00: "ff", 0xFB01: "fi", 0xFB02: "fl", 0xFB03: "ffi", 0xFB04: "ffl", 0xFB06: "st"}
_SPACES = {0xA0: " ", 0x2007: " ", 0x202F: " ", 0x3000: " ", 0x09: " "}
_INVISIBLE = dict.fromkeys([0xAD, 0xFEFF, *range(0x200B, 0x2010), *range(0x202A, 0x202F), 0x2060])
# Adobe's private characters: figures and capitals in the size of small letters, and raised ones.
_PRIVATE = {0xF730 + n: str(n) for n in range(10)}  # old-style figures
_PRIVATE |= {0xF643 + n: str(n) for n in range(10)}  # the same, of one width
_PRIVATE |= {0xF761 + n: chr(ord("A") + n) for n in range(26)}
_PRIVATE |= {0xF7E0 + n: chr(0xC0 + n) for n in range(31) if n != 0x17}  # À to Þ, without ×
_PRIVATE |= dict(zip(range(0xF6DF, 0xF6F4), "¢¢,,$$--..abdeilmorst", strict=True))
_PRIVATE |= {
    0xF6D9: "©", 0xF6DA: "®", 0xF6DB: "™", 0xF6DC: "1", 0xF6DE: "—", 0xF6F9: "Ł",
    0xF6FA: "Œ", 0xF6FD: "Š", 0xF6FF: "Ž", 0xF721: "!", 0xF724: "$", 0xF726: "&", 0xF73F: "?",
    0xF7A1: "¡", 0xF7A2: "¢", 0xF7BF: "¿", 0xF7FF: "Ÿ", 0xF8E8: "®", 0xF8E9: "©", 0xF8EA: "™",
}  # fmt: skip
_CONTROL = dict.fromkeys(c for c in [*range(0x20), *range(0x7F, 0xA0)] if chr(c) not in "\n\x02")
_LEFT_OUT = bytes(c for c in _CONTROL if c < 128 and c != ord("\t"))
_CLEAN = _CONTROL | _LIGATURES | _PRIVATE | _SPACES | _INVISIBLE
_WORD = re.compile(r"[^\W\d_]+")
_LETTERS = bytes(c if chr(c).isalpha() else 32 for c in range(128)) + bytes(128)
_CUT = re.compile(r"(?<![^\W\d_])([^\W\d_]++)\x02\n?([^\W\d_]++)")
_PARTED = re.compile(r"(?<![^\W\d_])[^\W\d_]*+(?:\x02\n?[^\W\d_]*+)++")


def clean(text: str) -> str:
    """NFC, plain spaces, newlines and figures, no ligatures, no invisible or control characters.

    The mark of a hyphen stays: `join_hyphens` needs it.
    """
    lines = text.replace("\r\n", "\n").replace("\r", "\n")
    if lines.isascii():  # the same, in a fifth of the time
        lines = lines.encode().translate(None, _LEFT_OUT).decode().replace("\t", " ")
    else:
        lines = lines.replace("\ufffe", HYPHEN).replace("\xad\n", HYPHEN).translate(_CLEAN)
        lines = unicodedata.normalize("NFC", lines)  # last: what stood between two jamo is gone
    return "\n".join(line.rstrip() for line in lines.split("\n")).strip("\n")


def words_of(text: str) -> set[str]:
    """The whole words of a page, by which `join_hyphens` knows which hyphens are real."""
    whole = _PARTED.sub(" ", text) if HYPHEN in text else text
    if whole.isascii():  # the same, in a fifth of the time
        return set(whole.encode().translate(_LETTERS).decode().split())
    return set(_WORD.findall(whole))


def join_hyphens(text: str, words: Container[str]) -> str:
    """Join what a hyphen at a line's end parted; a hyphen that belongs there stays.

    It belongs when the joined word is none of the book's `words` and both its halves are, or the
    second one is a name: Stefan-Boltzmann.
    """

    def join(match: re.Match[str]) -> str:
        first, second = match.groups()
        is_name = min(len(first), len(second)) > 3 and first[-1].islower() and second.istitle()
        parts = is_name or (first in words and second in words)
        return f"{first}-{second}" if parts and first + second not in words else first + second

    return _CUT.sub(join, text).replace(HYPHEN, "-") if HYPHEN in text else text


# U+FFFD, private use but for Adobe's (pieces of brackets, old digits, small capitals), lone
# surrogates and control characters but for white space and pdfium's mark of a hyphen.
_NOISE = re.compile("[\x00\x01\x03-\x08\x0e-\x1f\x7f-\x9f\ud800-\udfff\ue000-\uf633\ufff0-\uffff]")
_QUIET = bytes(c for c in range(128) if not _NOISE.match(chr(c)))
_VISIBLE = re.compile(r"\S")
_HANGUL = re.compile("[가-힣]")
_FEWEST = 5  # such characters
_NOISE_SHARE = 0.1
_RARE_SHARE = 0.03


def is_garbled(text: str) -> bool:
    """Whether a font's broken character map shows: characters that ordinary text does not have.

    Either a tenth of the page is U+FFFD, private or control characters, or over 3 % of
    its Hangul is outside the 2,350 syllables of KS X 1001, where ordinary Korean stays below 0.5 %.
    """
    if text.isascii() and len(text.encode().translate(None, _QUIET)) < _FEWEST:
        return False  # which most pages are past by
    noise = len(_NOISE.findall(text.replace("\ufffe", "")))
    if noise >= _FEWEST and noise > _NOISE_SHARE * len(_VISIBLE.findall(text)):
        return True
    hangul = _HANGUL.findall(text)
    rare = sum(len(c.encode("euc-kr")) > 2 for c in hangul)
    return rare >= _FEWEST and rare > _RARE_SHARE * len(hangul)
