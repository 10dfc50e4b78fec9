"""One Kiwi for the process: Korean morphemes, and which broken words belong together.

Kiwi takes about a second and 0.5 GB to load, so it loads when the first Hangul is met.
Its dictionaries of multi-word names and typing slips are left out: they triple the loading
time and changed no result of the evaluation.
"""

import re
from collections.abc import Iterable, Sequence
from functools import cache
from itertools import pairwise

from kiwipiepy import Kiwi, Match

HANGUL = re.compile("[가-힣]+")
# Tags of words that carry meaning: nouns, numerals, verbs, adjectives, adverbs, roots.
_CONTENT_TAGS = frozenset({"NNG", "NNP", "NR", "VV", "VA", "MAG", "XR", "XPN"})
# Without the joins 비동기 (asynchronous) becomes 동기 (synchronous), its opposite.
_MATCH = Match.ALL | Match.JOIN_NOUN_PREFIX | Match.JOIN_NOUN_SUFFIX


@cache
def kiwi() -> Kiwi:
    """The process's Kiwi, loaded at the first call."""
    return Kiwi(load_multi_dict=False, load_typo_dict=False)


def content_morphemes(texts: Iterable[str]) -> list[list[str]]:
    """Of each text the Hangul morphemes that carry meaning, in order; on all cores."""
    return [
        [
            token.form
            for token in tokens
            if token.tag.partition("-")[0] in _CONTENT_TAGS and HANGUL.search(token.form)
        ]
        for tokens in kiwi().tokenize(texts, match_options=_MATCH)
    ]


def belong_together(pairs: Sequence[tuple[str, str]]) -> list[bool]:
    """Whether the end of one line and the start of the next are one word, by Kiwi's score.

    Each pair is (words before the break, words after it), without the white space between.
    """
    if not pairs:
        return []
    candidates = [text for a, b in pairs for text in (f"{a}{b}", f"{a} {b}")]
    scores = [analyses[0][1] for analyses in kiwi().analyze(candidates)]
    return [joined > spaced for joined, spaced in zip(scores[::2], scores[1::2], strict=True)]


def bigrams(word: str) -> list[str]:
    """Neighbouring pairs of syllables: 데이터 gives 데이, 이터."""
    return [a + b for a, b in pairwise(word)]
