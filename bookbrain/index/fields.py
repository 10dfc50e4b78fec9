"""What a page is found by: its words, its headings, and which words stand side by side.

All are terms of one index, told apart by their first character, so that a field costs a query no
more than a word does. The weights were chosen on tests/golden (ARCHITECTURE.md has the table).
"""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import pairwise

from bookbrain import korean
from bookbrain.index import analyzer
from bookbrain.model import Page

HEADING = "#"  # marks a term of a heading that begins on the page
BESIDE = "&"  # marks two words of meaning side by side, in either order; Hangul has its pairs

_FIELDS = (HEADING, BESIDE)
_FUNCTION_WORD, _PAIR, _HEADING, _BESIDE = 0.5, 0.3, 0.15, 0.8


def is_word(term: str) -> bool:
    """Whether a term counts towards the length of its page, as all do that its text gives."""
    return term[:1] not in _FIELDS


def page_terms(pages: Sequence[Page]) -> list[list[str]]:
    """The terms of each page with all its fields; none for a page with a problem."""
    texts = ["" if page.problem else page.text for page in pages]
    headings = [
        "" if page.problem else "\n".join(heading.title for heading in page.headings)
        for page in pages
    ]
    words = analyzer.terms_of([*texts, *headings])
    return [
        [*of_text, *_beside(of_text), *(HEADING + term for term in dict.fromkeys(of_headings))]
        for of_text, of_headings in zip(words, words[len(texts) :], strict=False)
    ]


def query_weights(terms: Sequence[str]) -> dict[str, float]:
    """What each term of a query counts, in every field; a repeated term counts again."""
    weights: dict[str, float] = {}
    for term in terms:
        weight = _PAIR if term.startswith(analyzer.PAIR) else 1.0
        if term in analyzer.FUNCTION_WORDS:
            weight = _FUNCTION_WORD
        weights[term] = weights.get(term, 0) + weight
        weights[HEADING + term] = weights.get(HEADING + term, 0) + weight * _HEADING
    for pair in _beside(terms):
        weights[pair] = weights.get(pair, 0) + _BESIDE
    return weights


def _beside(terms: Sequence[str]) -> Iterator[str]:
    words = filter(_has_neighbours, terms)
    return (f"{BESIDE}{a} {b}" if a < b else f"{BESIDE}{b} {a}" for a, b in pairwise(words))


@lru_cache(maxsize=1 << 16)
def _has_neighbours(term: str) -> bool:
    """Whether it is a word of meaning for which it counts what stands beside it."""
    return not (
        term.startswith((analyzer.PAIR, analyzer.WHOLE))
        or term in analyzer.FUNCTION_WORDS
        or korean.HANGUL.match(term)
    )
