"""Which hits say nearly the same, so that the best of them stands for all.

In one language their terms tell it. In two, where a library has the Korean edition of an English
book, two signs must agree: to the model both mean the same, as a question and its translation do in
its exam; and what a translator leaves as it is, code, names and figures, stands on both pages.
"""

import re
from collections.abc import Mapping, Sequence

from bookbrain.index.bm25 import KeywordIndex
from bookbrain.index.segment import are_alike
from bookbrain.korean import HANGUL
from bookbrain.store.embeddings import Vector, cosine
from bookbrain.store.rows import FoundPage

_LEFT_AS_IT_IS = re.compile(r"[a-z_][a-z0-9_]{2,}|[0-9]{3,}")
_FEWEST, _SHARE = 6, 0.6  # words that a translation has of the original, and how many of its own
_KOREAN = 0.1  # of the characters of a page are Hangul


def fold_duplicates(
    index: KeywordIndex, documents: Sequence[int], count: int
) -> dict[int, list[int]]:
    """The first `count` documents that are unlike each other, each with those that are like it."""
    if not documents:
        return {}
    alike = are_alike(index.signatures(documents))
    kept: dict[int, list[int]] = {}
    places: list[int] = []
    for place, document in enumerate(documents):
        first = next((other for other in places if alike[place, other]), None)
        if first is not None:
            kept[documents[first]].append(document)
        elif len(kept) < count:
            kept[document] = []
            places.append(place)
    return kept


def fold_translations(
    folded: Mapping[int, Sequence[int]],
    pages: Mapping[int, FoundPage],
    vectors: Mapping[int, Vector],
    least: float,
) -> dict[int, list[int]]:
    """The documents of `folded`, each with its like, where one that translates a better one is
    among the like of that one.

    `least` is the cosine of a translation; `vectors` are of documents, those that have one.
    """
    kept: dict[int, list[int]] = {}
    for document, alike in folded.items():
        like = [other for other in kept if _may_translate(pages, document, other)]
        like = [other for other in like if {document, other} <= vectors.keys()]
        cosines = cosine(vectors[document], [vectors[other] for other in like]) if like else []
        nearest, original = max(zip(cosines, like, strict=True), default=(-1.0, document))
        if like and nearest >= least:
            kept[original] += [document, *alike]
        else:
            kept[document] = [*alike]
    return kept


def _may_translate(pages: Mapping[int, FoundPage], first: int, second: int) -> bool:
    """Whether they are of two books, in two languages, and share what is not translated."""
    if not {first, second} <= pages.keys():
        return False
    one, other = pages[first], pages[second]
    if one.book_id == other.book_id or is_korean(one.page.text) == is_korean(other.page.text):
        return False
    korean, original = (one, other) if is_korean(one.page.text) else (other, one)
    left = _left_as_it_is(korean)
    shared = len(left & _left_as_it_is(original))
    return shared >= max(_FEWEST, _SHARE * len(left))


def _left_as_it_is(found: FoundPage) -> set[str]:
    return set(_LEFT_AS_IT_IS.findall(found.page.text.casefold()))


def is_korean(text: str) -> bool:
    """Whether it is written in Korean, however many English words are in it."""
    return sum(map(len, HANGUL.findall(text))) > _KOREAN * len(text)
