"""Which pages cannot be searched, and why."""

import re

SCANNED = "no text (a scan)"
GARBLED = "garbled text (a broken character map)"
UNREADABLE = "damaged"

# U+FFFD, private use, lone surrogates and control characters but for white space and pdfium's
# mark of a hyphen.
_NOISE = re.compile("[\x00\x01\x03-\x08\x0e-\x1f\x7f-\x9f\ud800-\udfff\ue000-\uf8ff\ufff0-\uffff]")
_VISIBLE = re.compile(r"\S")
_HANGUL = re.compile("[가-힣]")
_NOISE_SHARE = 0.1
_RARE_SHARE = 0.03


def page_problem(text: str | None, scanned: bool) -> str:
    """Why a page cannot be searched; "" when it can, also when it is blank.

    `text` is None when the reader could not load the page.
    """
    if text is None:
        return UNREADABLE
    if scanned:
        return SCANNED
    return GARBLED if is_garbled(text) else ""


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
