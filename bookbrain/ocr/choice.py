"""Which pages of a book have to be read from their pictures, and why: one rule, for all who ask.

It knows only what the reader tells of each page: the lines of its own text, and `PageContent`.
What was read under another VERSION of it may be chosen otherwise now.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

VERSION = 2
NO_TEXT = "no text (a scan)"
OUTLINED = "no text (its letters are drawn as curves)"
GARBLED = "garbled text (a broken character map)"
UNTRUSTED = "text that does not match its picture (bad text recognition)"
PARTLY = "partly unreadable (a font without a character map)"
UNREADABLE = "damaged"
ATTACHED = "its content is in attached files, which are not searched"
FORM = "its content is in a form that only some programs show, and is not searched"
TO_RECOGNISE = frozenset({NO_TEXT, OUTLINED, GARBLED, UNTRUSTED, PARTLY})
WITHOUT_TEXT = frozenset({NO_TEXT, OUTLINED, GARBLED, UNREADABLE})  # what there is, is no text


@dataclass(frozen=True, slots=True)
class PageContent:
    """What a page has beside its text.

    `garbled`   characters that ordinary text does not have, as a broken character map gives them
    `pictured`  the share of the page that pictures cover, 1.0 at most
    `hidden`    the share of its characters that nobody sees: drawn without ink, or under a picture
    `outlined`  how many drawn shapes stand in rows as letters do
    `unmapped`  characters whose fonts do not say which they are, as pdfium guesses them; with a
                space between two that are apart; "" where they are few
    """

    garbled: bool = False
    pictured: float = 0.0
    hidden: float = 0.0
    outlined: int = 0
    unmapped: str = ""


Described = tuple[str | None, PageContent]  # None: the page cannot be loaded
LONGEST_STAMP = 400  # letters and digits; a page with more has text, whatever is shared of it
_FEW = 20  # letters and digits: fewer are a page's number, or a leftover
_PICTURED, _COVERED = 0.4, 0.6  # of a page with a stamp or less; of one that text is hidden on
_SOME = 0.015  # of a page with hardly a letter: smaller, and a picture has no words to be missed
_OUTLINED = 80
_HIDDEN = 0.5
_EDGE = 3  # lines at the top and the end of a page, where stamps are


def choose_pages(pages: Sequence[Described]) -> list[str]:
    """Why each page of a book cannot be searched as it is; "" for one that can, or is blank.

    All reasons but UNREADABLE are in TO_RECOGNISE.
    """
    reasons = [_own_reason(*page) for page in pages]
    doubtful = [n for n, page in enumerate(pages) if not reasons[n] and _may_lack_text(*page)]
    stamps = _shared_lines(pages, doubtful)
    for number in doubtful:
        lines, content = pages[number]
        if _size("\n".join(_without(lines or "", stamps))) < _FEW:
            reasons[number] = OUTLINED if content.outlined >= _OUTLINED else NO_TEXT
    layers = [n for n, page in enumerate(pages) if not reasons[n] and _is_layer(page[1])]
    for number in _untrusted([(n, pages[n][0] or "") for n in layers]):
        reasons[number] = UNTRUSTED
    return reasons


def _own_reason(lines: str | None, content: PageContent) -> str:
    if lines is None:
        return UNREADABLE
    partly = is_nonsense(content.unmapped)
    if content.garbled and not (partly and _is_mostly_good(lines, content.unmapped)):
        return GARBLED
    return PARTLY if partly else ""


def _is_mostly_good(lines: str, unmapped: str) -> bool:
    """Whether more of the page is in fonts with a map than in those without."""
    nonsense = len(unmapped.replace(" ", ""))
    return _size(lines) - _size(unmapped) > nonsense


def _may_lack_text(lines: str | None, content: PageContent) -> bool:
    size = _size(lines or "")
    pictured = content.pictured >= (_SOME if size < _FEW else _PICTURED)
    return size < LONGEST_STAMP and (pictured or content.outlined >= _OUTLINED)


def _size(text: str) -> int:
    return sum(map(str.isalnum, text))


# Stamps


_DIGITS = re.compile(r"\d+")


def _shared_lines(pages: Sequence[Described], doubtful: Sequence[int]) -> set[str]:
    """The lines that half of the book's pages, or of the doubtful ones, share but for numbers."""
    lines = [set(map(_form, (pages[n][0] or "").split("\n"))) for n in doubtful]
    among = Counter(line for page in lines for line in page)
    shared = {line for line, count in among.items() if count > 1 and 2 * count >= len(lines)}
    rare = among.keys() - shared
    if rare:
        counts = Counter(line for text, _ in pages if text for line in _edges(text) & rare)
        shared |= {line for line, count in counts.items() if count > 1 and 2 * count >= len(pages)}
    return shared


def _edges(text: str) -> set[str]:
    lines = text.split("\n")
    return set(map(_form, lines[:_EDGE] + lines[-_EDGE:]))


def _without(text: str, stamps: set[str]) -> list[str]:
    return [line for line in text.split("\n") if _form(line) not in stamps]


def _form(line: str) -> str:
    return _DIGITS.sub("#", " ".join(line.split()))


# Layers of text under a picture, from somebody else's recognition


_TOKEN = re.compile(r"\S+")
_LATIN, _HANGUL = re.compile("[A-Za-z]"), re.compile("[가-힣]")
_ODD = re.compile(
    r"""(?![A-Z]{2,5}s?$) ^[\W\d_]*[A-Z][A-Za-z]{0,3}[\W\d_]*$ | ^[A-Z]{2,5}$
      | [a-z][^\w\s\-'./:@,()"’”;?!%=] | .[\]|}{~¢®£]. | \d[A-Za-z]\d""",
    re.VERBOSE,
)
_ODD_SHARE, _FEWEST_LATIN = 0.35, 50
_LONE_SHARE, _FEWEST_HANGUL = 0.5, 30


def _is_layer(content: PageContent) -> bool:
    return content.hidden >= _HIDDEN and content.pictured >= _COVERED


def _untrusted(layers: Sequence[tuple[int, str]]) -> list[int]:
    """The pages whose layer is rubbish; one with few words is judged by all layers of the book."""
    judged = [(number, _is_rubbish(text)) for number, text in layers]
    whole = None in (verdict for _, verdict in judged) and _is_rubbish(
        "\n".join(text for _, text in layers)
    )
    return [number for number, verdict in judged if (whole if verdict is None else verdict)]


def _is_rubbish(text: str) -> bool | None:
    """Whether recognition made it that did not know the language; None for too few words.

    English recognition of a Korean page makes words of few letters and of signs; a Korean one may
    have parted the words into syllables.
    """
    tokens = _TOKEN.findall(text)
    hangul = [token for token in tokens if _HANGUL.search(token)]
    latin = [token for token in tokens if _LATIN.search(token) and not _HANGUL.search(token)]
    lone = sum(len(_HANGUL.findall(token)) == 1 for token in hangul)
    odd = sum(bool(_ODD.search(token)) for token in latin)
    if len(hangul) >= _FEWEST_HANGUL and lone > _LONE_SHARE * len(hangul):
        return True
    if len(latin) >= _FEWEST_LATIN and len(latin) > len(hangul):
        return odd >= _ODD_SHARE * len(latin)
    return False if len(hangul) >= _FEWEST_HANGUL else None


# Fonts without a map


_NO_LETTER = re.compile("[\x00-\x1f\x7f-\x9f\ue000-\uf8ff\ufffd]")
_FREQUENT = """th he in er an re on at en nd ti es or te of ed is it al ar st to nt ng se as ou io
    le de ra ro ic ne ve co me ma li el"""  # pairs of letters in English, and elsewhere in Europe
_PAIRS = frozenset(_FREQUENT.split())
_FEWEST_UNMAPPED, _FEWEST_FORMS, _FEWEST_PAIRS = 60, 12, 100
_CODES_SHARE, _PAIRS_SHARE = 0.1, 0.12


def is_nonsense(unmapped: str) -> bool:
    """Whether the guessed characters are no text.

    Bitmap fonts of TeX have no map and read well; their drawings and tables of symbols are no
    words. What is left has codes that are no characters, or letters in no language's order.
    """
    words = [word for word in unmapped.split(" ") if len(word) > 2]
    text = "".join(words)
    if len(text) < _FEWEST_UNMAPPED or len(set(text)) < _FEWEST_FORMS:
        return False
    if len(_NO_LETTER.findall(text)) >= _CODES_SHARE * len(text):
        return True
    pairs = [pair for pair in map("".join, pairwise(text.lower())) if pair.isalpha()]
    frequent = sum(pair in _PAIRS for pair in pairs)
    return len(pairs) >= _FEWEST_PAIRS and frequent < _PAIRS_SHARE * len(pairs)
