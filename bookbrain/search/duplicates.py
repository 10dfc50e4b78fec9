"""Which hits say nearly the same, so that the best of them stands for all.

In one language their terms tell it. In two, where a library has the Korean edition of an English
book, two signs must agree: to the model both mean the same, as a question and its translation do in
its exam; and what a translator leaves as it is, code, names and figures, stands on both pages.
"""

import re
from collections.abc import Mapping, Sequence
from itertools import combinations

from bookbrain.index.bm25 import KeywordIndex
from bookbrain.index.segment import are_alike
from bookbrain.korean import HANGUL
from bookbrain.store.embeddings import Vector, cosine
from bookbrain.store.rows import FoundPage

# Identifiers, names in capitals, figures.
_LEFT_AS_IT_IS = re.compile(
    r"\b(?:[A-Za-z]\w*(?:_|\d)\w*|_\w+|[a-z]+[A-Z]\w*|[A-Z][a-z]+[A-Z]\w*|[A-Z]{3,}|\d{3,})",
    re.ASCII,
)
_FEWEST, _SHARE = 6, 0.6  # of these that both pages have, and of what each of them has
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


def may_translate(pages: Mapping[int, FoundPage]) -> dict[int, list[int]]:
    """Of pages by document, best first, those in another language than better ones of other books,
    with which they share what is not translated; each with these."""
    korean = {document: is_korean(found.page.text) for document, found in pages.items()}
    if len(set(korean.values())) < 2:
        return {}
    left = {document: _left_as_it_is(found.page.text) for document, found in pages.items()}
    pairs: dict[int, list[int]] = {}
    for better, other in combinations(pages, 2):
        shared, most = len(left[better] & left[other]), max(len(left[better]), len(left[other]))
        of_two_books = pages[better].book_id != pages[other].book_id
        if (
            korean[better] != korean[other]
            and of_two_books
            and shared >= max(_FEWEST, _SHARE * most)
        ):
            pairs.setdefault(other, []).append(better)
    return pairs


def fold_translations(
    folded: Mapping[int, Sequence[int]],
    pairs: Mapping[int, Sequence[int]],
    vectors: Mapping[int, Vector],
    least: float,
) -> dict[int, list[int]]:
    """The documents of `folded`, each with its like, where one that translates a better one is
    among the like of that one.

    `pairs` are as `may_translate` gives them, `vectors` those of their documents; `least` is the
    cosine of a translation.
    """
    kept: dict[int, list[int]] = {}
    for document, alike in folded.items():
        others = [
            o for o in pairs.get(document, ()) if o in kept and {o, document} <= vectors.keys()
        ]
        cosines = [cosine(vectors[document], [vectors[other]])[0] for other in others]
        near = [
            (value, other) for value, other in zip(cosines, others, strict=True) if value >= least
        ]
        if near:
            kept[max(near)[1]] += [document, *alike]
        else:
            kept[document] = [*alike]
    return kept


def _left_as_it_is(text: str) -> set[str]:
    return set(_LEFT_AS_IT_IS.findall(text))


def is_korean(text: str) -> bool:
    """Whether it is written in Korean, however many English words are in it."""
    return sum(map(len, HANGUL.findall(text))) > _KOREAN * len(text)
