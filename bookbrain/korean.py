"""One Kiwi for the process: Korean morphemes, and which broken words belong together.

Kiwi takes about a second and 0.5 GB to load, so it loads when the first Hangul is met.
Its dictionaries of multi-word names and typing slips are left out: they triple the loading
time and changed no result of the evaluation.
"""

import re
from collections.abc import Sequence
from functools import cache, partial

from kiwipiepy import Kiwi, Match

HANGUL = re.compile("[가-힣]+")
# How text is cut: without the joins 비동기 (asynchronous) becomes 동기 (synchronous), its opposite.
MORPHEMES = Match.ALL | Match.JOIN_NOUN_PREFIX | Match.JOIN_NOUN_SUFFIX
# The Kiwi of the process, loaded at the first call.
kiwi = cache(partial(Kiwi, load_multi_dict=False, load_typo_dict=False))


def belong_together(pairs: Sequence[tuple[str, str]]) -> list[bool]:
    """Whether the end of one line and the start of the next are one word, by Kiwi's score.

    Each pair is (words before the break, words after it), without the white space between.
    """
    if not pairs:
        return []
    candidates = [text for a, b in pairs for text in (f"{a}{b}", f"{a} {b}")]
    scores = [analyses[0][1] for analyses in kiwi().analyze(candidates)]
    return [joined > spaced for joined, spaced in zip(scores[::2], scores[1::2], strict=True)]
