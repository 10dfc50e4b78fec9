"""Pages by signs alone: `::`, `!=`, `->`. The index knows words only, so the texts are read."""

import re
from collections.abc import Iterable, Mapping
from time import monotonic

from bookbrain.errors import InputError
from bookbrain.index.analyzer import fold
from bookbrain.index.bm25 import KeywordIndex
from bookbrain.search.syntax import phrase_pattern
from bookbrain.store.catalog import Catalog

_PATIENCE = 1.2  # seconds
_WITHIN = 0.1  # what a sign counts that is a part of a longer one: != in !==
_OPERATOR = r"[-+*/%=<>!&|^~?:.@#$\\]"
_PROSE = re.compile(r"""[\s.,;:?!'"()\[\]·-]""")


def sign_pattern(sign: str) -> re.Pattern[str]:
    """What finds a sign in folded text where it is not a part of a longer one."""
    return re.compile(rf"(?<!{_OPERATOR}){phrase_pattern(sign).pattern}(?!{_OPERATOR})")


def find_signs(
    text: str, index: KeywordIndex, catalog: Catalog, books: Iterable[str] | None
) -> tuple[Mapping[int, float], bool]:
    """The documents of the books, or of all, that have all the signs, with a score, best first; and
    whether all books could be looked at in time.

    Raises InputError for a lone mark of punctuation, which is on every page.
    """
    signs = fold(text).split()
    if all(len(sign) == 1 and _PROSE.match(sign) for sign in signs):
        raise InputError("A punctuation mark alone is not looked for.", "Add a word.")
    ends = monotonic() + _PATIENCE
    scores: dict[int, float] = {}
    whole = True
    for book_id in catalog.book_ids() if books is None else books:
        whole = monotonic() < ends
        if not whole:
            break
        for number, page in catalog.pages_with(book_id, _spellings(signs[0])):
            document = index.document(book_id, number)
            score = _score(signs, fold(page))
            if document is not None and score:
                scores[document] = score
    ordered = sorted(scores.items(), key=lambda found: -found[1])
    return dict(ordered), whole


def _spellings(sign: str) -> list[str]:
    """How a page may have it: a hyphen is often printed as a minus or a dash."""
    dashes = ("\u2212", "\u2013", "\u2010")
    return [
        *dict.fromkeys(
            [sign, sign.replace("--", "\u2013"), *(sign.replace("-", d) for d in dashes)]
        )
    ]


def _score(signs: Iterable[str], page: str) -> float:
    """0 where one of the signs is missing."""
    total = 0.0
    for sign in signs:
        apart = len(sign_pattern(sign).findall(page))
        score = apart + _WITHIN * (len(phrase_pattern(sign).findall(page)) - apart)
        if not score:
            return 0.0
        total += score
    return total
