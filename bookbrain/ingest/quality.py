"""Which pages cannot be searched, and why."""

import unicodedata

SCANNED = "no text (a scan)"
GARBLED = "garbled text (a broken character map)"
UNREADABLE = "damaged"

_NOT_TEXT = frozenset({"Cc", "Co", "Cn", "Cs"})
_NOT_TEXT_SHARE = 0.1
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

    Either a tenth of the page is U+FFFD, private, unassigned or control characters, or over 3 % of
    its Hangul is outside the 2,350 syllables of KS X 1001, where ordinary Korean stays below 0.5 %.
    """
    visible = [c for c in text if not c.isspace() and c != "\x02"]  # pdfium's mark of a hyphen
    noise = sum(c == "\ufffd" or unicodedata.category(c) in _NOT_TEXT for c in visible)
    if noise >= 5 and noise > _NOT_TEXT_SHARE * len(visible):
        return True
    hangul = [c for c in visible if "가" <= c <= "힣"]
    rare = sum(len(c.encode("euc-kr")) > 2 for c in hangul)
    return rare >= 5 and rare > _RARE_SHARE * len(hangul)
